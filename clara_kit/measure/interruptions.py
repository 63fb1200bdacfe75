"""Every sound that may have been an interruption, and what became of it: from a trace alone, also of an older version.

Of each there are four times, which are four different things: when it was *suspected*, when Clara *yielded* (the order to
stop was given), when the avatar *acknowledged* it, and when she was *silent*. Words, typing or the button that stop her
without a sound before them are told in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any, Literal

from msgspec import Struct

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import HeardEstimated, Ignored, Record, StateChanged
from clara_kit.core.states import ConversationState as S

Outcome = Literal["open", "yielded", "let go", "backchannel", "echo", "Clara had ended"]
_ASIDES: dict[str, Outcome] = {"backchannel": "backchannel", "echo": "echo"}  # by the policy that says so
_WORDS = (ev.TranscriptInterim, ev.TranscriptFinal, ev.TextTyped, ev.InterruptRequested)
_CUSTOMER = (*_WORDS, ev.SpeechStarted, ev.SpeechEnded, ev.TimerFired)  # what can take the floor
EARS_MS = 400.0  # two ears name the beginning of one sound so far apart at most
LATE_MS = 2500.0  # words so long after a sound was let go are not its words


class Interruption(Struct, kw_only=True):
    """One of them; times in ms on the conversation's clock, None where that never happened.

    outcome: "open" until it is decided; "Clara had ended" before it was. `by`, `reason`: of the last decision on it.
    """

    turn_id: int  # of what Clara was saying, or about to say
    step: int
    suspected_ms: float  # when the sound was learnt of
    sound_ms: float | None = None  # where it was made
    ducked_ms: float | None = None
    loud_ms: float | None = None  # when her sound was brought back
    yielded_ms: float | None = None
    yielded_step: int = 0
    acknowledged_ms: float | None = None  # by the avatar's own word
    silent_ms: float | None = None
    silent_estimated: bool = False  # the avatar never said so
    released_ms: float | None = None  # it was none, and Clara was free to go on
    resumed_ms: float | None = None  # no words came after she had yielded, and she went on
    outcome: Outcome = "open"
    by: str = ""
    reason: str = ""
    heard: HeardEstimated | None = None

    @property
    def until_ms(self) -> float | None:
        """When it was decided."""
        return self.released_ms if self.yielded_ms is None else self.yielded_ms


def interruptions(trace: Iterable[Record]) -> tuple[Interruption, ...]:
    """All of them, in order."""
    reader, event, decided = _Reader(), None, list[Record]()
    for record in trace:
        if isinstance(record, ev.Event):
            reader.read(event, decided)
            event, decided = record, []
        else:
            decided.append(record)
    reader.read(event, decided)
    return tuple(reader.rows)


class _Reader:
    """Takes each event together with all that was decided upon it."""

    def __init__(self) -> None:
        self.rows: list[Interruption] = []
        self._held: Interruption | None = None
        self._timer_id = ""
        self._stopped: dict[int, Interruption] = {}  # by utterance
        self._wordless: Interruption | None = None  # a sound that stopped her, as long as no word has come
        self._step, self._turn_id = -1, 0

    def read(self, event: Any, decided: list[Any]) -> None:
        self._step += event is not None
        if isinstance(event, ev.TurnHeard):
            self.rows += (_outside(event, overlap, self._step) for overlap in event.overlaps)
        if decided and not isinstance(event, ev.ConversationStopped):  # whoever hangs up interrupts nobody
            self._read(event, decided)
        if self._stopped:
            self._silent(event)

    def _read(self, event: Any, decided: list[Any]) -> None:
        hold = next((r for r in decided if isinstance(r, do.SetTimer) and r.timer_id.startswith("barge_in")), None)
        ignored = next((r for r in decided if isinstance(r, Ignored)), None)
        if hold is not None:
            self._held, self._timer_id = self._held or self._begin(event, hold), hold.timer_id
        elif self._held is not None:
            self._judge(self._held, event, decided, ignored)
        elif isinstance(event, _CUSTOMER):
            self._without_a_sound(event, decided, ignored)
        for record in decided:
            self._follow(event, record)
        if isinstance(event, _WORDS) and ignored is None:
            self._wordless = None

    def _begin(self, event: Any, why: Any) -> Interruption:
        sound_ms = getattr(event, "sound_at_ms", getattr(event, "speech_started_ms", None))
        row = Interruption(turn_id=self._turn_id, step=self._step, suspected_ms=why.at_ms, sound_ms=sound_ms)
        row.by, row.reason = why.by, why.reason
        self.rows.append(row)
        return row

    def _judge(self, row: Interruption, event: Any, decided: list[Any], ignored: Ignored | None) -> None:
        """A sound is held: was anything decided about it?"""
        fired = isinstance(event, ev.TimerFired) and event.timer_id == self._timer_id
        let_go = next((r for r in decided if isinstance(r, do.CancelTimer) and r.timer_id == self._timer_id), None)
        if isinstance(event, _CUSTOMER) and (taken := _taken(decided)) is not None:
            self._wordless = row if fired or isinstance(event, ev.SpeechEnded) else None
            self._yield(row, taken, decided)
        elif fired or let_go is not None:
            why = ignored or let_go or row
            ended = any(isinstance(r, StateChanged) and r.target is S.USER_SPEAKING for r in decided)
            row.outcome = "Clara had ended" if ended else _ASIDES.get(why.by, "let go")
            row.released_ms, row.by, row.reason = event.at_ms, why.by, why.reason
            self._held = None

    def _without_a_sound(self, event: Any, decided: list[Any], ignored: Ignored | None) -> None:
        """None is held: words of one that was let go, or words and hands by themselves."""
        taken = _taken(decided)
        if taken is None and ignored is None:
            return
        theirs = [row for row in self.rows if row.outcome == "let go" and _is_of(event, row)]
        if taken is not None and (theirs or not isinstance(taken, StateChanged) or taken.target is S.INTERRUPTED):
            self._yield(theirs[-1] if theirs else self._begin(event, taken), taken, decided)
        elif ignored is not None and ignored.by and isinstance(event, ev.TranscriptFinal):
            known = theirs or any(_is_of(event, row) for row in self.rows)
            for row in theirs if known else [self._begin(event, ignored)]:
                row.outcome, row.by, row.reason = _ASIDES.get(ignored.by, "let go"), ignored.by, ignored.reason
                row.released_ms = row.released_ms or event.at_ms

    def _yield(self, row: Interruption, taken: Any, decided: list[Any]) -> None:
        row.outcome, row.by, row.reason = "yielded", taken.by, taken.reason
        row.yielded_ms, row.yielded_step, row.released_ms = taken.at_ms, self._step, None
        self._stopped.update((r.utterance_id, row) for r in decided if isinstance(r, do.InterruptAvatar))
        self._held = None

    def _follow(self, event: ev.Event, record: Any) -> None:
        """What is told of them besides."""
        match record:
            case do.Duck(on=True):
                row = self._held or self._begin(event, record)
                row.ducked_ms = row.ducked_ms or record.at_ms
            case do.Duck() if self.rows and (row := self.rows[-1]).ducked_ms is not None and row.loud_ms is None:
                row.loud_ms = record.at_ms
                if row.outcome != "yielded" and row is not self._held:
                    row.outcome, row.released_ms = row.outcome if row.outcome != "open" else "let go", record.at_ms
            case HeardEstimated() if record.utterance_id in self._stopped:
                self._stopped[record.utterance_id].heard = record
            case do.Speak() | do.RequestReply():
                if self._wordless is not None and not isinstance(event, _WORDS):
                    self._wordless.resumed_ms = record.at_ms
                self._turn_id, self._wordless = record.turn_id, None

    def _silent(self, event: Any) -> None:
        if isinstance(event, ev.SpeakingInterrupted | ev.SpeakingEnded | ev.ProviderFailed):
            row = self._stopped.get(-1 if event.utterance_id is None else event.utterance_id)
            if row is not None and row.silent_ms is None:
                row.silent_ms, row.silent_estimated = event.at_ms, getattr(event, "estimated", True)
                told = isinstance(event, ev.SpeakingInterrupted) and not event.estimated
                row.acknowledged_ms = event.at_ms if told else None


def _outside(turn: ev.TurnHeard, overlap: ev.Overlap, step: int) -> Interruption:
    """What a recording tells: that a sound was made, and whether she fell silent for it; not what was decided, or when."""
    gave_way = overlap.silent_ms is not None
    return Interruption(
        turn_id=turn.turn_id, step=step, suspected_ms=overlap.from_ms, sound_ms=overlap.from_ms, silent_ms=overlap.silent_ms,
        silent_estimated=True, outcome="yielded" if gave_way else "let go", reason="she fell silent" if gave_way else "she went on",
    )  # fmt: skip


def _taken(decided: list[Any]) -> Any:
    """The order to stop, or the change of state where nothing was to be stopped."""
    stop = next((r for r in decided if isinstance(r, do.InterruptAvatar)), None)
    took = ((S.AVATAR_SPEAKING, S.INTERRUPTED), (S.PROCESSING, S.USER_SPEAKING))
    return stop or next((r for r in decided if isinstance(r, StateChanged) and (r.source, r.target) in took), None)


def _is_of(event: Any, row: Interruption) -> bool:
    """Whether these are the words of that sound."""
    if isinstance(event, ev.TranscriptFinal):
        return event.speech_started_ms - EARS_MS <= (row.sound_ms or -inf) <= event.speech_ended_ms
    return isinstance(event, ev.TranscriptInterim) and event.at_ms - (row.released_ms or -inf) <= LATE_MS
