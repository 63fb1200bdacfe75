"""The plan's own rules: a sound is held for the debounce, and what stops sooner was none; any word takes the floor.

Comes after the recogniser's (or the local VAD's) SpeechStarted. Rules that know more are asked before (`policies.py`).
"""

from __future__ import annotations

from clara_kit.conversation.policy import Hold, Ignore, Policy, Release, Sound, Words, Yield
from clara_kit.conversation.talk import Talk
from clara_kit.core.events import SpeechEnded, SpeechStarted
from clara_kit.core.states import ConversationState

_OFF = "barge-in is switched off"


def held_until(event: SpeechStarted, held: SpeechStarted | None, debounce_ms: float) -> Hold | Ignore:
    """A sound began while Clara speaks or is about to; one sound is held at a time."""
    if held is not None:
        return Ignore(reason=f"a sound is already held since {held.at_ms:.0f} ms")
    why = f"a sound began while Clara has the floor: an interruption if it lasts {debounce_ms:.0f} ms"
    return Hold(event.at_ms + debounce_ms, reason=why)


def released(event: SpeechEnded, held: SpeechStarted | None, debounce_ms: float) -> Release | Ignore:
    """A sound stopped, too short to mean anything."""
    if held is None:
        return Ignore(reason="no sound is held")
    lasted_ms = max(0.0, event.sound_at_ms - held.sound_at_ms)
    return Release(reason=f"the sound stopped after {lasted_ms:.0f} ms, before {debounce_ms:.0f} ms had passed")


class BargeInHandler:
    """The debounce by itself, for whoever wants to try it. `debounce_ms`: how long a sound must last (the plan's 100).

    `Conversation` asks the same functions through the policies below.
    """

    __slots__ = ("debounce_ms", "enabled", "held")

    def __init__(self, *, debounce_ms: float = 100.0, enabled: bool = True) -> None:
        self.debounce_ms = debounce_ms
        self.enabled = enabled
        self.held: SpeechStarted | None = None

    def sound_started(self, event: SpeechStarted) -> Hold | Ignore:
        """A sound began while Clara speaks or is about to."""
        if not self.enabled:
            return Ignore(reason=_OFF)
        decision = held_until(event, self.held, self.debounce_ms)
        if isinstance(decision, Hold):
            self.held = event
        return decision

    def sound_ended(self, event: SpeechEnded) -> Release | Ignore:
        """The sound stopped."""
        held, self.held = self.held, None
        return released(event, held, self.debounce_ms)

    def clear(self) -> None:
        """Forget the held sound: it was confirmed, or no longer matters."""
        self.held = None


def _sounds_off(talk: Talk, sound: Sound) -> Ignore | None:
    return Ignore(reason=_OFF) if sound.occasion == "began" and not talk.settings.flags.enable_barge_in else None


def _debounce(talk: Talk, sound: Sound) -> Hold | Ignore | Release | Yield:
    debounce_ms = talk.settings.barge_in_debounce_ms
    if isinstance(sound.event, SpeechStarted):
        return held_until(sound.event, talk.held, debounce_ms)
    if isinstance(sound.event, SpeechEnded):
        return released(sound.event, talk.held, debounce_ms)
    return Yield(reason=f"the sound lasted {debounce_ms:.0f} ms")


def _words_off(talk: Talk, words: Words) -> Ignore | None:
    if talk.settings.flags.enable_barge_in or talk.state is not ConversationState.AVATAR_SPEAKING:
        return None
    return Ignore(reason=f"{_OFF} and Clara is speaking")


def _any_word(talk: Talk, words: Words) -> Yield:
    return Yield(reason=f"words {'are final' if words.final else 'came'}: {short(words.text)}")


def short(text: str) -> str:
    """At most forty characters of what someone said, for a reason."""
    return f"«{text}»" if len(text) <= 40 else f"«{text[:39]}…»"


SOUNDS_OFF = Policy("barge_in_off", _sounds_off)
DEBOUNCE = Policy("debounce", _debounce)
WORDS_OFF = Policy("barge_in_off", _words_off)
ANY_WORD = Policy("any_word", _any_word)
