"""`what_if(run, settings)`: what would have become of a recorded conversation with other settings.

It is decided again, event by event, as long as the services are asked for the same; what is drawn anew from there on is
`ghost.py`'s. So a run on which the settings have no bearing costs a replay and no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.policies import Policies
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.outside import printable
from clara_kit.core.page import Html, escape, table
from clara_kit.core.records import Ignored, Record
from clara_kit.core.settings import FeatureFlags, Settings, sure
from clara_kit.lab.ghost import Ghost
from clara_kit.lab.recorded import Recorded
from clara_kit.lab.sentences import Language, happened
from clara_kit.measure.run import Run
from clara_kit.turns import usual_policies

_UNSEEN = (do.SetTimer, do.CancelTimer, Ignored)  # bookkeeping: what comes of it is seen
_HARMLESS = (do.Duck, do.Notify, do.RaiseAlert)  # orders that no service answers

AS_RECORDED = frozenset({
    "stt_model", "stt_language", "stt_endpointing_ms", "stt_utterance_end_ms", "stt_keyterms", "local_vad", "llm_model", "llm_max_tokens",
    "llm_temperature", "llm_first_token_timeout_ms", "llm_stall_timeout_ms", "tts_voice", "avatar_vendor", "heygen_avatar_name",
    "heygen_voice_id", "avatar_id", "avatar_sandbox", "profile_cache_hours", "shopify_api_version", "absence_ms", "greeting",
    "enable_personalization",
})  # fmt: skip
"""Settings that a ghost cannot know of: what was heard, written and greeted with stays as it was recorded."""


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


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """A ghost: what would have been of the conversation `of`, with `settings`.

    trace: its records. differs: None where every decision that anybody notices is the same. assumed: what the record
    could not tell. drawn: how long each service takes where Clara's side is drawn anew; empty where nothing is.
    by_version: another version recorded it, and this one decides otherwise there with the recorded settings too.
    """

    of: Run
    settings: Settings
    trace: tuple[Record, ...]
    differs: Changed | None
    replayed_until_ms: float
    assumed: tuple[str, ...] = ()
    drawn: dict[str, float] = field(default_factory=dict)
    policies: Policies
    by_version: bool = False

    @cached_property
    def run(self) -> Run:
        """The ghost as any other run, to be shown and counted; its inputs say until when it is a replay."""
        of = self.of
        ghost: dict[str, Any] = {"of": of.run_id, "replayed_until_ms": self.replayed_until_ms}
        inputs = {**of.inputs, "settings": self.settings.model_dump(mode="json"), "policies": self.policies.to_dict()}
        if self.drawn:
            ghost |= {"then": "Clara's side drawn anew, the customer's as recorded", "drawn": self.drawn, "assumed": [*self.assumed]}  # fmt: skip
            inputs["modes"] = {k: f"{v} then sim" if v != "sim" and k in ("llm", "tts", "avatar") else v for k, v in of.modes.items()}  # fmt: skip
        facts = {k: v for k, v in of.facts.items() if k not in ("run_id", "sound_from_ms")}
        facts["title"] = f"{of.title or of.run_id}, had it been otherwise"
        return Run(inputs={**inputs, "ghost": ghost}, trace=self.trace, facts=facts, words=of.words)

    @property
    def same(self) -> bool:
        """Whether nothing that anybody notices came out otherwise."""
        return self.differs is None

    @cached_property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """The settings that differ: as recorded, and now."""
        return changes(self.of.settings, self.settings)

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {was} → {now}" for name, (was, now) in self.changes.items()) or "the same settings"
        if self.differs is None:
            return printable(f"<WhatIf {told}: nothing would have been otherwise>")
        was, now = (text or "nothing" for text in self.differs.told())
        version = ", by this version whatever the settings" if self.by_version else ""
        return printable(f"<WhatIf {told}: at {self.differs.at_ms / 1000:.2f} s{version}, recorded: {was} now: {now}>")

    def _repr_html_(self) -> str:
        rows: list[tuple[Any, ...]] = []
        for run, whose in ((self.of, "recorded"), (self.run, "ghost")):
            for turn in run.ledger:
                heard = escape(turn.clara if turn.heard is None else turn.heard)
                unheard = f" <s style='opacity:.6'>{escape(turn.unheard)}</s>" if turn.unheard else ""
                wait = None if turn.total_ms is None else round(turn.total_ms)
                rows.append((whose, turn.turn_id, turn.customer, Html(heard + unheard), wait))
        rows.sort(key=lambda row: row[1])
        until = f"Replayed until {self.replayed_until_ms / 1000:.2f} s; after that Clara’s side is drawn anew, the customer’s stays."
        assumed = f" Assumed: {'; '.join(self.assumed)}." if self.assumed else ""
        return table(rows, ("", "turn", "customer", "Clara", "wait, ms"), f"{repr(self)[1:-1]}. {until}{assumed}")


def what_if(run: Run | str | Path, settings: Settings, *, policies: Policies | None = None) -> WhatIf:
    """What would have been of a recorded run with other settings. Equal arguments give equal bytes.

    What the customer said and when stays as recorded (`AS_RECORDED`: the settings that therefore change nothing); from
    the first order to a service that differs on, Clara's side is drawn anew, with the times that this run's services took.
    run: a `Run` or a path to one. Raises `RunLogError` if it cannot be read.
    """
    return WhatIfs(run).of(settings, policies=policies)


def changes(was: Settings, now: Settings) -> dict[str, tuple[Any, Any]]:
    """The fields that differ, flags by their own names. Raises `SettingsError` where these are none."""
    sure(now)
    pairs = {n: (getattr(was, n), getattr(now, n)) for n in Settings.__struct_fields__ if n != "flags"}
    pairs |= {n: (getattr(was.flags, n), getattr(now.flags, n)) for n in FeatureFlags.__struct_fields__}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


class WhatIfs:
    """One run, read once, for many settings: what a slider asks."""

    def __init__(self, run: Run | str | Path) -> None:
        self.run = run if isinstance(run, Run) else Run.load(run)
        self.recorded = Recorded(self.run)

    def of(self, settings: Settings, *, policies: Policies | None = None) -> WhatIf:
        """The ghost with these settings."""
        policies = policies or usual_policies()
        again = _Again(self.recorded, sure(settings), policies)
        differs, ghost, own = again.differs, again.ghost, self._own
        return WhatIf(
            of=self.run, settings=settings, trace=tuple(again.conversation.trace), differs=differs, policies=policies,
            replayed_until_ms=self.recorded.ends_ms if ghost is None else again.until_ms,
            drawn={} if ghost is None else {stage: law.low for stage, law in self.recorded.latency.laws.items()},
            assumed=() if ghost is None else tuple(dict.fromkeys(ghost.assumed)),
            by_version=differs is not None and own is not None and (own.step, own.recorded) == (differs.step, differs.recorded),
        )  # fmt: skip

    @cached_property
    def _own(self) -> Changed | None:
        """What this version decides otherwise with the recorded settings."""
        return _Again(self.recorded, self.run.settings, usual_policies()).differs


class _Again:
    """Decides a record again until a service would have been asked for something else; a ghost plays what follows."""

    def __init__(self, recorded: Recorded, settings: Settings, policies: Policies) -> None:
        self.recorded, self.conversation = recorded, Conversation(settings, policies=policies)
        self._changed = changes(recorded.run.settings, settings)
        self.differs: Changed | None = None
        self.ghost: Ghost | None = None
        self.until_ms = 0.0
        self._mine: dict[str, float] = {}  # timers that are set here and were not, by their time
        self._theirs: dict[str, str | None] = {}  # the record's timers, and which of ours each is
        self._play()

    def _play(self) -> None:
        handle, trace = self.conversation.handle, self.conversation.trace
        for step, (event, then) in enumerate(self.recorded.steps):
            if self._mine and self._rings_before(event.at_ms, step):
                return
            kind = type(event)
            if kind is ev.TimerFired and event.timer_id in self._theirs:  # type: ignore[attr-defined]
                mine = self._theirs.pop(event.timer_id)  # type: ignore[attr-defined]
                if mine is None:
                    if self._departs(then, (), step, step + 1, event.at_ms):
                        return
                    continue
                event = msgspec.structs.replace(event, timer_id=mine)
            elif kind is ev.SettingsChanged and self._changed:
                kept = tuple(pair for pair in event.changes if pair[0] not in self._changed)  # type: ignore[attr-defined]
                event = ev.SettingsChanged(at_ms=event.at_ms, changes=kept)
            began = len(trace) + 1
            handle(event)
            now = tuple(trace[began:])
            if now != then and self._departs(then, now, step, step + 1, event.at_ms):
                return

    def _rings_before(self, at_ms: float, step: int) -> bool:
        """Let our own timers ring that are due before the next recorded event; True where a ghost has played the rest."""
        while self._mine:
            timer_id, due_ms = min(self._mine.items(), key=lambda one: one[1])
            if due_ms >= at_ms:
                return False
            del self._mine[timer_id]
            due_ms = max(due_ms, self.conversation.talk.now_ms)
            began = len(self.conversation.trace) + 1
            self.conversation.handle(ev.TimerFired(at_ms=due_ms, timer_id=timer_id))
            if self._departs((), tuple(self.conversation.trace[began:]), step, step, due_ms):
                return True
        return False

    def _departs(self, then: tuple[Record, ...], now: tuple[Record, ...], step: int, fed: int, at_ms: float) -> bool:
        """What was decided is not what is decided now: whether the services are asked for something else."""
        self._pair_timers(then, now)
        was, does = _seen(then), _seen(now)
        if was == does or self._is_vain(was, does, step, at_ms):
            return False
        asks_alike = _asks(was) == _asks(does)
        if self.differs is None or not asks_alike:  # what services are asked weighs more than a lowered voice before
            self.differs = self._told(was, does, max(0, fed - 1), at_ms)
        if asks_alike:
            return False
        self.until_ms = at_ms
        self.ghost = Ghost(self.recorded, self.conversation, step, fed)
        self.ghost.play_on([r for r in now if isinstance(r, do.Command)])
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

    def _pair_timers(self, then: Iterable[Record], now: Iterable[Record]) -> None:
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
                    self._theirs[record.timer_id] = mine
                if mine is not None:
                    del set_now[mine]
        cancelled = {r.timer_id for r in now if type(r) is do.CancelTimer}
        self._mine |= {timer_id: due for timer_id, due in set_now.items() if timer_id not in cancelled}

    def _told(self, was: list[Record], does: list[Record], step: int, at_ms: float) -> Changed:
        pairs = zip_longest(was, does)
        one, other = next((a, b) for a, b in pairs if a != b)
        full = [r for r in reversed(self.conversation.trace) if not isinstance(r, ev.Event)]
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
