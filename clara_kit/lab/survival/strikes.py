"""When a fault strikes: the phases of a turn, found in the records as they come, and what it then is in each world.

In a simulation the moment is looked up in the same conversation without the fault, which is equal up to it; over twins it
is waited for, and the fault is brought into whatever runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, get_args

from msgspec import Struct

from clara_kit.conversation.heard import CHARS_PER_S
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record
from clara_kit.world.faults import Fault, FaultKind

Phase = Literal[
    "greeting",  # Clara greets
    "listening",  # the customer is in the middle of a sentence
    "heard",  # the last word was said, and is not final yet
    "asked",  # the model was asked, and has written nothing
    "writing",  # it writes, and nothing is heard yet
    "sounding",  # Clara has just begun to be heard
    "speaking",  # she is in the middle of her answer
    "ending",  # nearly at its end
    "pause",  # she is done, and nobody speaks
    "cut in",  # the customer interrupts her
]
PHASES: tuple[Phase, ...] = get_args(Phase)
TURN = 2  # the one that is struck: something was said before it, and something is said after it


class Blow(Struct, frozen=True, kw_only=True):
    """What one service does. `first` strikes at the moment, `then` on its next occasions, each in its turn."""

    service: ev.Service
    first: tuple[FaultKind, float, int]  # kind, for_ms, status
    then: tuple[tuple[FaultKind, float, int], ...] = ()

    def faults(self, *, on: int, after_ms: float) -> Iterator[Fault]:
        """With their occasions, the first of which is `on`."""
        for n, (kind, for_ms, status) in enumerate((self.first, *self.then)):
            yield Fault(
                service=self.service, kind=kind, on=on + n, after_ms=0.0 if n else round(after_ms, 3), for_ms=for_ms,
                status=status,
            )  # fmt: skip


class Moment:
    """Shown each record with `see`, it says how many milliseconds after it the phase is there; once."""

    def __init__(self, phase: Phase) -> None:
        self._phase, self._turn, self._spoken_chars = phase, 0, 0
        self._utterances: set[int] = set()
        self._reply = self._started = -1
        self._began = self._over = False

    def see(self, record: Record) -> float | None:
        """None: not yet, or it has been."""
        delay_ms = None if self._over else self._delay(record)
        self._over = self._over or delay_ms is not None
        return delay_ms

    def _delay(self, record: Record) -> float | None:
        phase = self._phase
        match record:
            case do.RequestReply():
                self._turn, self._reply = record.turn_id, record.reply_id
                return 5.0 if phase == "asked" and record.turn_id == TURN else None
            case do.Speak():
                if record.turn_id == (0 if phase == "greeting" else TURN):
                    self._utterances.add(record.utterance_id)
                    self._spoken_chars += len(record.text)
            case ev.ReplyDelta():
                return 1.0 if phase == "writing" and self._turn == TURN and record.reply_id == self._reply else None
            case ev.SpeakingStarted() if record.utterance_id in self._utterances:
                self._started = record.utterance_id
                length_ms = self._spoken_chars / CHARS_PER_S * 1000
                shares = {"greeting": 0.3, "sounding": 0.02, "speaking": 0.5, "ending": 0.93}
                return shares[phase] * length_ms if phase in shares else None
            case ev.SpeakingEnded() if record.utterance_id == self._started and self._turn == TURN:
                return 300.0 if phase == "pause" else None
            case ev.SpeechStarted():
                if self._turn == TURN - 1:  # the second line: it has no pause that could be taken for its end
                    self._began = True
                    return 600.0 if phase == "listening" else None
                return 150.0 if phase == "cut in" and self._turn == TURN and self._started >= 0 else None
            case ev.SpeechEnded():
                return 20.0 if phase == "heard" and self._turn == TURN - 1 and self._began else None
            case _:
                pass
        return None


def moment_in(phase: Phase, trace: Iterable[Record]) -> float | None:
    """When it was the phase's moment, in a conversation that is over."""
    watch = Moment(phase)
    for record in trace:
        if (delay_ms := watch.see(record)) is not None:
            return record.at_ms + delay_ms
    return None


def in_simulation(blow: Blow, at_ms: float, trace: Iterable[Record]) -> tuple[Fault, ...]:
    """The faults of a simulation that strike `at_ms`: what runs then, or else the next occasion, as `FaultBox.inject` has it."""
    on = 0
    for on, (since, until, counts_from) in enumerate(_occasions(blow.service, trace), start=1):
        if blow.first[0] != "refuse" and since <= at_ms < until:
            return tuple(blow.faults(on=on, after_ms=max(0.0, at_ms - counts_from)))
        if since > at_ms:
            return tuple(blow.faults(on=on, after_ms=0.0))
    return tuple(blow.faults(on=on + 1, after_ms=0.0))


def _occasions(service: ev.Service, trace: Iterable[Record]) -> list[tuple[float, float, float]]:
    """From when to when each lasted in a conversation that is over, and from where on a fault's `after_ms` counts."""
    found: dict[tuple[str, int], tuple[float, float, float]] = {}

    def seen(key: tuple[str, int], at_ms: float, *, until: bool = True, counts: bool = False) -> None:
        since, ended, counted = found.get(key, (at_ms, at_ms, at_ms))
        found[key] = since, at_ms if until else ended, at_ms if counts else counted

    first: set[int] = set()
    for record in trace:
        match record:
            case ev.TranscriptFinal() if service == "stt":
                began = record.speech_started_ms
                found["stt", len(found)] = (began, record.at_ms, began)
            case do.RequestReply() if service == "llm":
                seen(("llm", record.reply_id), record.at_ms)
            case ev.ReplyDelta() if service == "llm":
                seen(("llm", record.reply_id), record.at_ms, counts=record.reply_id not in first)
                first.add(record.reply_id)
            case ev.ReplyCompleted() if service == "llm":
                seen(("llm", record.reply_id), record.at_ms)
            case do.Speak() if service in ("tts", "avatar"):
                seen(("voice", record.utterance_id), record.at_ms, until=False)
            case ev.SpeakingEnded() | ev.SpeakingInterrupted() if service in ("tts", "avatar"):
                seen(("voice", record.utterance_id), record.at_ms)
            case _:
                pass
    return list(found.values())
