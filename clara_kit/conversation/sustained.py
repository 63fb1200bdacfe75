"""A sound without words must last to stop Clara; the debounce of the plan lets a cough through."""

from __future__ import annotations

from math import inf

from clara_kit.conversation.policy import Hold, Ignore, Policy, Release, Sound, Yield
from clara_kit.conversation.talk import SAME_SOUND_MS, Talk
from clara_kit.core.events import SpeechEnded, SpeechStarted
from clara_kit.core.states import ConversationState

ONE_EAR = 1.75  # times as long, where only one ear hears a sound, or nobody tells its end
NEXT_WORDS_MS = 1200.0  # a recogniser tells its words about once a second
ASKED_WORDS_MS = 600.0  # and within a third of one where it is asked; who nods does not go on for longer without a word


def _sustained(talk: Talk, sound: Sound) -> Hold | Release | Yield | None:
    """`sustained_ms` from where the sound was made; longer while its words so far ask for nothing."""
    settings, event = talk.settings, sound.event
    if settings.sustained_ms <= settings.barge_in_debounce_ms:
        return None
    if isinstance(event, SpeechStarted):
        if talk.held is not None:
            return None
        until_ms = event.sound_at_ms + min(settings.words_so_far_ms or inf, settings.sustained_ms)
        reason = f"a sound began: an interruption if it lasts {settings.sustained_ms:.0f} ms or brings words"
        return Hold(max(until_ms, event.at_ms), reason=reason)
    if talk.held is None:
        return None
    if isinstance(event, SpeechEnded):
        made_ms = max(0.0, event.sound_at_ms - talk.held.sound_at_ms)
        short_ms = settings.sustained_ms * (1.0 if talk.ears_agree else ONE_EAR) - made_ms
        if short_ms <= 0.0:
            return Release(reason=f"the sound stopped after {made_ms:.0f} ms: its words so far ask for nothing")
        return Release(reason=f"the sound stopped after {made_ms:.0f} ms, {short_ms:.0f} ms too soon")
    # Times are compared as sums, as the timers were set: a difference may never reach them.
    began_ms = talk.held.sound_at_ms
    lasted_ms = max(0.0, talk.now_ms - began_ms)
    enough_ms, longest_ms = began_ms + settings.sustained_ms, began_ms + ONE_EAR * settings.sustained_ms
    ready = talk.utterance
    if talk.ears_agree and talk.sounding and ready is not None and ready.phase == "asked":
        return Yield(sure=False, reason=f"the customer goes on, for {lasted_ms:.0f} ms, and Clara is not heard yet")
    if talk.now_ms < enough_ms:
        asks = talk.state is ConversationState.AVATAR_SPEAKING and talk.aside_ms < began_ms
        reason = f"the sound has lasted {lasted_ms:.0f} ms: what are its words so far?"
        return Hold(enough_ms, words=asks, reason=reason)
    if not settings.local_vad and talk.now_ms < longest_ms:
        return Hold(longest_ms, reason="the recogniser tells no end of a sound: words, or none, will tell")
    if not talk.ears_agree:
        # The recogniser's ear is made for speech, the local one for loudness: what only one of them hears is a door, a
        # chair, a far voice. The other may be late by nearly as much again; a sound near by that does not end is none
        # to talk into, whatever it is, and one far off is left to its words.
        ear = "the local ear" if talk.held.source == "vad" else "the recogniser"
        if talk.now_ms < longest_ms:
            return Hold(longest_ms, reason=f"only {ear} hears it: waiting for the other, or for words")
        if talk.held.source == "vendor":
            return Release(reason=f"only {ear} hears it, for {lasted_ms:.0f} ms: a noise, unless words come")
    next_ms = ASKED_WORDS_MS if settings.words_so_far_ms and talk.nod else NEXT_WORDS_MS
    until_ms = talk.aside_ms + next_ms
    if talk.aside_ms >= began_ms and until_ms > talk.now_ms:
        reason = f"its words so far ask for nothing; an interruption if none come in {next_ms:.0f} ms"
        return Hold(until_ms, reason=reason)
    return Yield(sure=False, reason=f"the sound lasted {lasted_ms:.0f} ms")


def _ears(talk: Talk, sound: Sound) -> Ignore | Release | None:
    """The vendor is late: its beginning never revives a sound that the local ear has let go, an old end ends no new one."""
    event = sound.event
    if not talk.settings.sustained_ms:
        return None
    if isinstance(event, SpeechStarted) and talk.held is None and event.source == "vendor":
        began_ms, ended_ms = talk.let_go
        if began_ms - SAME_SOUND_MS <= event.sound_at_ms < ended_ms:
            return Ignore(reason=f"the sound of {began_ms:.0f} ms was let go already")
    if isinstance(event, SpeechEnded) and talk.held is not None and event.sound_at_ms <= talk.held.sound_at_ms:
        return Ignore(reason="an older sound ended")
    return None


SUSTAINED = Policy("sustained", _sustained)
EARS = Policy("ears", _ears)
