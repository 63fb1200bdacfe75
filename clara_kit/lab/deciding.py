"""Decides a recorded conversation again, event by event, until a service would have been asked for something else."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple, Self

import msgspec

from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Ignored, Record
from clara_kit.core.settings import FeatureFlags, Settings, sure
from clara_kit.lab.recorded import Recorded
from clara_kit.lab.sentences import Language, happened

_UNSEEN = (do.SetTimer, do.CancelTimer, Ignored)  # bookkeeping: what comes of it is seen
_HARMLESS = (do.Duck, do.Notify, do.RaiseAlert, do.ShowText)  # orders that no service answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The first decision that came out otherwise, upon event number `step` (from 0). None: nothing was decided.

    One upon which a service is asked for something else goes before a mere lowering of Clara's sound.
    """

    step: int
    at_ms: float
    recorded: Record | None
    now: Record | None
    policy: str
    reason: str

    def told(self, language: Language = "en") -> tuple[str, str]:
        """What was decided then, and what would be now, as sentences; empty for nothing."""
        return tuple("" if r is None else happened(r, language) for r in (self.recorded, self.now))  # type: ignore[return-value]


def changes(was: Settings, now: Settings) -> dict[str, tuple[Any, Any]]:
    """The fields that differ, flags by their own names. Raises `SettingsError` where these are none."""
    sure(now)
    pairs = {n: (getattr(was, n), getattr(now, n)) for n in Settings.__struct_fields__ if n != "flags"}
    pairs |= {n: (getattr(was.flags, n), getattr(now.flags, n)) for n in FeatureFlags.__struct_fields__}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


class Departure(NamedTuple):
    """Where a service is asked for something else: upon event number `step`, when `fed` events had come."""

    at_ms: float
    step: int
    fed: int
    orders: tuple[do.Command, ...]


class Again:
    """One record under other settings. `departed`: where a service would first have been asked for something else, or None."""

    def __init__(
        self, recorded: Recorded, changed: Container[str], conversation: Conversation, differs: Changed | None = None
    ) -> None:
        self.recorded, self.conversation, self._changed = recorded, conversation, changed
        self.differs = differs
        self.departed: Departure | None = None
        self._mine: dict[str, float] = {}  # timers that are set here and were not, by their time
        self._theirs: dict[
            str, tuple[str | None, int]
        ] = {}  # the record's timers: which of ours each is, decided on since

    @property
    def waits(self) -> bool:
        """A timer is set here that was not, or the other way round."""
        return bool(self._mine)

    def play(self, steps: Iterable[tuple[int, ev.Event, tuple[Record, ...]]]) -> Self:
        """Decide on these events (their number, itself, what was decided upon it), as long as it has not departed."""
        handle, trace = self.conversation.handle, self.conversation.trace
        for step, event, then in steps:
            if self._mine and self._rings_before(event.at_ms, step):
                return self
            kind = type(event)
            if kind is ev.TimerFired and event.timer_id in self._theirs:  # type: ignore[attr-defined]
                mine, since = self._theirs.pop(event.timer_id)  # type: ignore[attr-defined]
                if mine is None:
                    if self._departs(then, (), step, step + 1, event.at_ms, since):
                        return self
                    continue
                event = msgspec.structs.replace(event, timer_id=mine)
            elif kind is ev.SettingsChanged and self._changed:
                kept = tuple(pair for pair in event.changes if pair[0] not in self._changed)  # type: ignore[attr-defined]
                event = ev.SettingsChanged(at_ms=event.at_ms, changes=kept)
            began = len(trace) + 1
            handle(event)
            now = tuple(trace[began:])
            if now != then and self._departs(then, now, step, step + 1, event.at_ms):
                return self
        return self

    def _rings_before(self, at_ms: float, step: int) -> bool:
        """Let our own timers ring that are due before the next recorded event; True where it departs there."""
        while self._mine:
            timer_id, due_ms = min(self._mine.items(), key=lambda one: one[1])
            if due_ms >= at_ms:
                return False
            del self._mine[timer_id]
            due_ms = max(due_ms, self.conversation.talk.now_ms)
            began = len(self.conversation.trace) + 1
            self.conversation.handle(ev.TimerFired(at_ms=due_ms, timer_id=timer_id))
            while (
                step
                and type(self.recorded.steps[step - 1][0]) is ev.ReplyDelta
                and self.recorded.steps[step - 1][0].at_ms > due_ms
            ):
                step -= 1  # it rings between deltas that are told as one
            if self._departs((), tuple(self.conversation.trace[began:]), step, step, due_ms):
                return True
        return False

    def _departs(
        self, then: tuple[Record, ...], now: tuple[Record, ...], step: int, fed: int, at_ms: float, since: int | None = None
    ) -> bool:  # fmt: skip
        """What was decided is not what is decided now: whether the services are asked for something else.

        since: where in the trace stands why; by default where `now` begins.
        """
        self._pair_timers(then, now)
        was, does = _seen(then), _seen(now)
        if was == does or self._is_vain(was, does, step, at_ms):
            return False
        asks_alike = _asks(was) == _asks(does)
        if self.differs is None or not asks_alike:  # what services are asked weighs more than a lowered voice before
            began = len(self.conversation.trace) - len(now)
            self.differs = self._told(was, does, max(0, fed - 1), at_ms, began if since is None else since)
        if asks_alike:
            return False
        self.departed = Departure(at_ms, step, fed, tuple(r for r in now if isinstance(r, do.Command)))
        return True

    def _is_vain(self, was: list[Record], does: list[Record], step: int, at_ms: float) -> bool:
        """Whether all that differs is that the recogniser is hurried, and no words are on their way to it."""
        rest, other = ([r for r in records if type(r) is not do.FinalizeWords] for records in (was, does))
        if rest != other:
            return False
        finals = [e for e, _ in self.recorded.steps[step + 1 :] if type(e) is ev.TranscriptFinal]
        hurries = [r for r in (*was, *does) if isinstance(r, do.FinalizeWords)]
        return not any(
            e.speech_ended_ms <= at_ms if hurry.over else e.speech_started_ms <= at_ms < e.speech_ended_ms
            for hurry in hurries for e in finals
        )  # fmt: skip

    def _pair_timers(self, then: Iterable[Record], now: tuple[Record, ...]) -> None:
        set_now = {r.timer_id: r.due_ms for r in now if type(r) is do.SetTimer}
        for record in now:
            if type(record) is do.CancelTimer:
                self._mine.pop(record.timer_id, None)
        for record in then:
            if type(record) is do.SetTimer:
                kind = record.timer_id.partition("#")[0]
                same = (i for i, due in set_now.items() if due == record.due_ms and i.partition("#")[0] == kind)
                mine = next(same, None)
                if mine != record.timer_id:
                    self._theirs[record.timer_id] = mine, len(self.conversation.trace) - len(now)
                if mine is not None:
                    del set_now[mine]
        cancelled = {r.timer_id for r in now if type(r) is do.CancelTimer}
        self._mine |= {timer_id: due for timer_id, due in set_now.items() if timer_id not in cancelled}

    def _told(self, was: list[Record], does: list[Record], step: int, at_ms: float, since: int) -> Changed:
        pairs = zip_longest(was, does)
        one, other = next((a, b) for a, b in pairs if a != b)
        full = [r for r in reversed(self.conversation.trace[since:]) if not isinstance(r, ev.Event)]
        reason = next((r for r in full if other is not None and _bare(r) == other), None) or next(
            (r for r in full if isinstance(r, _UNSEEN) and r.by), None
        )
        theirs = next((r for _, then in self.recorded.steps[step : step + 1] for r in then if _bare(r) == one), one)
        return Changed(
            step=step, at_ms=at_ms, recorded=theirs, now=None if other is None else reason,
            policy=str(getattr(reason, "by", "")), reason=str(getattr(reason, "reason", "")),
        )  # fmt: skip


def _bare(record: Record) -> Record:
    """Without who decided and why, and what a question remembers: the words of a reason are no decision."""
    fields: dict[str, Any] = {name: "" for name in ("reason", "by") if hasattr(record, name)}
    if isinstance(record, do.RequestReply):
        fields["messages"] = ()
    return msgspec.structs.replace(record, **fields) if fields else record


def _seen(records: Iterable[Record]) -> list[Record]:
    return [_bare(r) for r in records if not isinstance(r, _UNSEEN)]


def _asks(records: Iterable[Record]) -> list[Record]:
    return [r for r in records if isinstance(r, do.Command) and not isinstance(r, _HARMLESS)]
