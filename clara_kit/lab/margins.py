"""How near each decision about a sound or words was to the other one: found by asking the pure functions again.

The evidence is changed until the answer changes: a sound is made shorter or longer, words are left out or said again, or
said earlier or later. On demand, for whoever looks at a conversation; nothing of it is done while one runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from clara_kit.conversation.barge_in import short
from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.policies import Policies
from clara_kit.conversation.policy import Decision, Words, Yield
from clara_kit.conversation.talk import Talk
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.profile import fill
from clara_kit.core.records import Record
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState as S
from clara_kit.lab.sentences import Language, table
from clara_kit.lab.timeline import Mark
from clara_kit.measure.run import Run
from clara_kit.turns import usual_policies

CLOSE_MS, CLOSE_SHARE = 100.0, 0.15  # nearer than this it might as well have come out otherwise
LONGER_MS = 5000.0  # no sound is tried that is longer by more
APART_MS = 1500.0  # nor words that were said earlier or later by more
WENT_ON_MS = 1000.0  # who goes on so shortly after Clara began to answer had not finished
_TO_MS = 0.5  # how exactly a border is found
_TAKES = (do.InterruptAvatar, do.CancelReply)


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How much was wanting to another decision upon event number `step` (from 0), in ms or in words; as a sentence.

    close: it might as well have come out otherwise. setting, border: where in the settings the border lies, if it does.
    """

    step: int
    at_ms: float
    text: str
    close: bool
    ms: float | None = None
    words: int | None = None
    setting: str = ""
    border: float | None = None


def margins(run: Run, language: Language = "en") -> tuple[Margin, ...]:
    """The margins of every decision of a run about sounds, words and ends of turns, in order. Raises `RunLogError`."""
    return margins_of(run.trace, run.settings, language)


def margins_of(
    trace: Sequence[Record], settings: Settings, language: Language = "en", words: Mapping[str, str] | None = None
) -> tuple[Margin, ...]:
    """The same of a trace; told with the `words` that its placeholders stand for."""
    found = _Finder([r for r in trace if isinstance(r, ev.Event)], settings, language).find()
    return tuple(dataclasses.replace(one, text=fill(one.text, words)) for one in found) if words else tuple(found)


def close_calls(found: Sequence[Margin]) -> list[Mark]:
    """The close ones, as a timeline shows them."""
    return [Mark("customer", "close", m.at_ms, m.step, m.text) for m in found if m.close]


def told(found: Sequence[Margin], step: int) -> list[str]:
    """The margins of one moment, as sentences."""
    return [f"{'≈ ' if m.close else ''}{m.text}." for m in found if m.step == step]


class _Finder:
    """Decides a conversation again, and asks at each step how near it was."""

    def __init__(self, events: list[ev.Event], settings: Settings, language: Language) -> None:
        self.events, self.language, self.found = events, language, list[Margin]()
        self.policies: Policies = usual_policies()
        self.conversation = Conversation(settings, policies=self.policies)
        self._before: tuple[Talk, int] | None = None  # the state in which the held sound began, and its step
        self._asked: tuple[int, float] | None = None  # when Clara last began to prepare an answer

    def find(self) -> list[Margin]:
        conversation = self.conversation
        for step, event in enumerate(self.events):
            talk = conversation.talk
            if isinstance(event, ev.TranscriptInterim | ev.TranscriptFinal):
                self._words(step, event, talk)
            snapshot = conversation.snapshot() if type(event) is ev.SpeechStarted and talk.held is None else None
            due = {kind: timer.due_ms for kind, timer in talk.timers.items()}
            cut, held, commands = talk.cut is not None, talk.held, conversation.handle(event)
            if snapshot is not None and talk.held is event:
                self._before = snapshot, step
            elif held is not None and talk.held is None:
                self._sound(step, event, stopped=any(isinstance(c, _TAKES) for c in commands))
            self._turn(step, event, due, commands, cut=cut)
        return self.found

    def _add(self, name: str, step: int, *, close: bool, **fields: Any) -> None:
        told = {k: f"{v:.0f}" if isinstance(v, float) else v for k, v in fields.items()}
        text = table("margins")[name][self.language == "es"].format_map(told)
        kept = {k: v for k, v in fields.items() if k in ("ms", "words", "setting", "border")}
        self.found.append(Margin(step=step, at_ms=self.events[step].at_ms, text=text, close=close, **kept))

    # --- sounds -------------------------------------------------------------------------------------------

    def _sound(self, step: int, event: ev.Event, *, stopped: bool) -> None:
        """The held sound was judged: it stopped her, or was let go."""
        before, self._before = self._before, None
        if before is None or not isinstance(event, ev.TimerFired | ev.SpeechEnded):
            return  # words, or a hand, decided
        talk, began = before
        started: Any = self.events[began]
        ends = (e for e in self.events[began:] if type(e) is ev.SpeechEnded)
        ended = next((e for e in ends if e.sound_at_ms > started.sound_at_ms), None)
        if ended is None:
            return
        length_ms, hang_ms = ended.sound_at_ms - started.sound_at_ms, ended.at_ms - ended.sound_at_ms
        between: list[ev.Event] = [
            e for e in self.events[began + 1 :]
            if isinstance(e, ev.SpeechStarted | ev.TranscriptInterim) and e.at_ms < started.at_ms + length_ms + LONGER_MS
        ]  # fmt: skip

        def stops(sound_ms: float, settings: Settings = talk.settings) -> bool:
            """Whether she would have stopped for a sound of this length, with all that was heard meanwhile."""
            conversation = Conversation(talk=talk.copy(), policies=self.policies)
            conversation.talk.settings = settings
            ended_ms = started.sound_at_ms + sound_ms
            ended = ev.SpeechEnded(at_ms=ended_ms + hang_ms, source=started.source, sound_at_ms=ended_ms)
            coming = [started, *(e for e in between if e.at_ms < ended.at_ms), ended]
            while coming:
                timer = conversation.talk.timers.get("barge_in")
                if timer is not None and timer.due_ms < coming[0].at_ms:
                    event: ev.Event = ev.TimerFired(at_ms=timer.due_ms, timer_id=timer.timer_id)
                else:
                    event = coming.pop(0)
                if any(isinstance(c, _TAKES) for c in conversation.handle(event)):
                    return True
            return False

        border_ms = _border(stops, 0.0, length_ms) if stopped else _border(stops, length_ms, length_ms + LONGER_MS)
        if border_ms is None:
            return
        settings = talk.settings
        name = "sustained_ms" if settings.sustained_ms > settings.barge_in_debounce_ms else "barge_in_debounce_ms"
        ms = abs(length_ms - border_ms)
        border = _border(lambda value: not stops(length_ms, replace(settings, **{name: value})), 0.0, 3000.0)
        close = _close(ms, length_ms)
        self._add("stopped" if stopped else "let_go", step, close=close, ms=ms, length=length_ms, setting=name, border=border)  # fmt: skip

    # --- words --------------------------------------------------------------------------------------------

    def _words(self, step: int, event: Any, talk: Talk) -> None:
        text = event.text.strip()
        if not text or not (talk.state in (S.AVATAR_SPEAKING, S.PROCESSING) or talk.cut is not None):
            return
        final = isinstance(event, ev.TranscriptFinal)
        said_ms = event.speech_started_ms if final else talk.began_ms

        def ask(words: str, at_ms: float = said_ms) -> tuple[str, Decision]:
            asked = ((p.name, p.decide(talk, Words(words, final, at_ms))) for p in self.policies.words)
            return next((name, decision) for name, decision in asked if decision is not None)

        _, decision = ask(text)
        takes, each = isinstance(decision, Yield), text.split()
        if not takes and not final:
            return  # more words will tell
        if takes and len(each) > 1:
            for n, word in enumerate(each):
                other, without = ask(" ".join((*each[:n], *each[n + 1 :])))
                if not isinstance(without, Yield):
                    key = f"without_{other}" if f"without_{other}" in table("margins") else "without"
                    self._add(key, step, close=True, words=1, text=short(text), word=_bare(word))
                    return
        if not takes:
            last = _bare(each[-1])
            for more in (1, 2):
                if isinstance(ask(" ".join((text, *[last] * more)))[1], Yield):
                    self._add("one_more" if more == 1 else "more", step, close=more == 1, words=more, text=short(text), word=last)  # fmt: skip
                    return
        for way, key in ((1, "later"), (-1, "earlier")):
            ms = _border(lambda d, way=way: isinstance(ask(text, said_ms + way * d)[1], Yield), 0.0, APART_MS)  # type: ignore[misc]
            if ms is not None:
                taken = "took" if takes else "left"
                self._add(f"{taken}_{key}", step, close=ms < CLOSE_MS, ms=ms, text=short(text))
                return

    # --- ends of turns ------------------------------------------------------------------------------------

    def _turn(
        self, step: int, event: ev.Event, due: dict[str, float], commands: Sequence[do.Command], *, cut: bool
    ) -> None:
        cancelled = {c.timer_id.partition("#")[0] for c in commands if type(c) is do.CancelTimer}
        if "turn_end" in cancelled and isinstance(event, ev.SpeechStarted | ev.TranscriptInterim):
            ms = due["turn_end"] - event.at_ms
            self._add("waited", step, close=ms < CLOSE_MS, ms=ms)
        elif "no_words" in cancelled and cut and isinstance(event, ev.TranscriptInterim | ev.TranscriptFinal):
            ms = due["no_words"] - event.at_ms
            self._add("words_in_time", step, close=ms < CLOSE_MS, ms=ms)
        if self._asked is not None and type(event) is ev.SpeechStarted:
            (asked, asked_ms), self._asked = self._asked, None
            if 0 <= (ms := event.sound_at_ms - asked_ms) <= WENT_ON_MS:
                self._add("went_on", asked, close=ms < CLOSE_MS, ms=ms)
        if any(type(c) is do.RequestReply for c in commands) and type(event) is not ev.TextTyped:
            self._asked = step, event.at_ms


def _bare(word: str) -> str:
    return word.strip("¿?¡!.,;:…«»")


def _close(ms: float, of_ms: float) -> bool:
    return ms < CLOSE_MS or ms < CLOSE_SHARE * of_ms


def _border(is_so: Callable[[float], bool], least: float, most: float) -> float | None:
    """Where between two values the answer changes, as far as it changes at all."""
    at_least = is_so(least)
    if is_so(most) is at_least:
        return None
    while most - least > _TO_MS:
        middle = (least + most) / 2
        least, most = (middle, most) if is_so(middle) is at_least else (least, middle)
    return most
