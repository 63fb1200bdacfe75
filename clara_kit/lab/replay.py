"""Whether a recorded conversation gives the same numbers today: decided again, played again, and what has changed since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import msgspec

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.pen import WATCHES
from clara_kit.conversation.policies import Policies
from clara_kit.core.errors import RunLogError
from clara_kit.core.events import Event
from clara_kit.core.outside import printable
from clara_kit.core.page import Html, table
from clara_kit.core.records import Record
from clara_kit.lab.again import Change, again, changes
from clara_kit.measure import codec
from clara_kit.measure.run import Run
from clara_kit.turns import usual_policies


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the replay departs: record number `n` was `recorded` and is now `replayed` (None: not there).

    cause: which policy decided otherwise, and whether it has changed since the recording.
    """

    n: int
    recorded: Record | None
    replayed: Record | None
    cause: str = ""

    def __str__(self) -> str:
        was, now = (codec.to_line(r) if r is not None else "nothing" for r in (self.recorded, self.replayed))
        return printable(f"record {self.n}: was {was}, is {now}{f' ({self.cause})' if self.cause else ''}")


@dataclass(frozen=True)
class Replay:
    """The outcome: `same`, or the `differences` in order; and the `changes`, by name, of what the run depends on."""

    run: Run
    trace: tuple[Record, ...]
    differences: tuple[Difference, ...]
    policies: Policies = field(default_factory=usual_policies, repr=False)

    @property
    def same(self) -> bool:
        """Whether every decision came out as recorded."""
        return not self.differences

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """Prompt, data, settings, policies, packages and code that are no longer as they were, each then → now."""
        return changes(self.run, self.policies)

    @cached_property
    def again(self) -> Run | None:
        """A simulation played anew by this build; None for any other run: what vendors and twins do is not repeated."""
        if set(self.run.modes.values()) != {"sim"} or not isinstance(self.run.inputs.get("script"), dict):
            return None
        try:
            return again(self.run)
        except RunLogError:
            return None

    @property
    def proven(self) -> bool | None:
        """Whether a simulation comes out the same record by record; None where it cannot be played anew."""
        return None if self.again is None else self.again.trace == self.run.trace

    @property
    def numbers(self) -> dict[str, tuple[float | None, float | None]]:
        """The run's figures then and now: of the simulation played anew, else of the same events decided again."""
        now = self.again or Run(inputs=self.run.inputs, trace=self.trace)
        return {name: (was, now.figures[name]) for name, was in self.run.figures.items()}

    def _repr_html_(self) -> str:
        rows = [(c.kind, c.name, c.then, c.now) for c in self.changes]
        decided = [(f"record {d.n}", str(d)) for d in self.differences[:5]]
        parts = [table(rows, ("what", "which", "then", "now"), self.verdict)]
        return "".join((*parts, table(decided, ("where", "decided otherwise")) if decided else Html("")))

    @property
    def verdict(self) -> str:
        """In one sentence, for people."""
        count = len(self.trace)
        told = f"every one of {count} records comes out as recorded"
        if not self.same:
            first = self.differences[0]
            at_ms = next(r.at_ms for r in (first.recorded, first.replayed) if r is not None)
            then, now = ("nothing" if r is None else type(r).__name__ for r in (first.recorded, first.replayed))
            told = f"{len(self.differences)} of {count} records come out otherwise, the first at {at_ms / 1000:.2f} s: {then} then, {now} now"
        if self.proven is not None:
            told += "; played anew, its numbers are the same" if self.proven else "; played anew, it goes otherwise"
        since = f"; changed since: {_shortly(self.changes)}" if self.changes else ""
        return f"{told}{since or '; nothing that it depends on has changed'}."

    def __repr__(self) -> str:
        if self.same:
            return f"<Replay of {self.run.run_id}: the same {len(self.trace)} records>"
        return f"<Replay of {self.run.run_id}: {len(self.differences)} differences, first: {self.differences[0]}>"


def replay(run_or_path: Run | str | Path, *, policies: Policies | None = None) -> Replay:
    """Decide a recorded run again, with its own settings. Raises `RunLogError` if it cannot be read.

    What followed from the last event of a run that was cut (its process was killed, say) need not have been written any more.
    """
    run = run_or_path if isinstance(run_or_path, Run) else Run.load(run_or_path)
    policies = policies or usual_policies()
    conversation = Conversation(run.settings, policies=policies)
    for record in run.trace:
        if isinstance(record, Event):
            conversation.handle(record)
    now: Sequence[Record] = conversation.trace
    if not any(map(_watches, run.trace)):  # from before somebody looked whether Clara is late
        now = [record for record in now if not _watches(record)]
    pairs = enumerate(zip_longest(run.trace, now[: len(run.trace) if run.was_cut else None]))
    differences = tuple(
        Difference(n, was, now, _cause(run, was, now, policies)) for n, (was, now) in pairs if not _alike(was, now)
    )
    return Replay(run, tuple(conversation.trace), differences, policies)


def _watches(record: Record) -> bool:
    return getattr(record, "timer_id", "").partition("#")[0] in WATCHES


def _shortly(found: tuple[Change, ...]) -> str:
    """By name, those of one kind together; many settings as a count, for they are new ones with the values that were usual."""
    kinds: dict[str, list[str]] = {}
    for one in found:
        kinds.setdefault(one.kind, []).append(one.name)
    return "; ".join(
        f"{kind} {', '.join(names) if len(names) < 6 else f'({len(names)})'}" for kind, names in kinds.items()
    )


def _alike(was: Record | None, now: Record | None) -> bool:
    """Runs of before decisions were signed have no signature to compare."""
    if was == now:
        return True
    unsigned = getattr(was, "by", None) == "" and type(was) is type(now)
    return unsigned and now is not None and not isinstance(now, Event) and msgspec.structs.replace(now, by="") == was


def _cause(run: Run, was: Record | None, now: Record | None, policies: Policies) -> str:
    name = next((by for r in (now, was) if (by := getattr(r, "by", ""))), "")
    recorded, known = run.inputs.get("policies"), policies.to_dict()
    if not isinstance(recorded, dict):
        return f"decided by {name}; recorded before policies had versions" if name else ""
    changed = [
        f"{room}: {_named(recorded.get(room))} then, {_named(rules)} now"
        for room, rules in known.items()
        if recorded.get(room) != rules
    ]
    return "; ".join(filter(None, (f"decided by {name}" if name else "", *changed)))


def _named(rules: object) -> str:
    return ", ".join(map(str, rules)) if rules and isinstance(rules, list) else str(rules or "none")
