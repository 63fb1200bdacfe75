"""Feed a recorded conversation's events to the decisions again and compare what they decide."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import msgspec

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.policies import Policies
from clara_kit.core.events import Event
from clara_kit.core.outside import printable
from clara_kit.core.records import Record
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


@dataclass(frozen=True, slots=True)
class Replay:
    """The outcome: `same`, or the `differences` in order."""

    run: Run
    trace: tuple[Record, ...]
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether every decision came out as recorded."""
        return not self.differences

    def __repr__(self) -> str:
        if self.same:
            return f"<Replay of {self.run.run_id}: the same {len(self.trace)} records>"
        return f"<Replay of {self.run.run_id}: {len(self.differences)} differences, first: {self.differences[0]}>"


def replay(run_or_path: Run | str | Path, *, policies: Policies | None = None) -> Replay:
    """Decide a recorded run again, with its own settings. Raises `RunLogError` if it cannot be read."""
    run = run_or_path if isinstance(run_or_path, Run) else Run.load(run_or_path)
    policies = policies or usual_policies()
    conversation = Conversation(run.settings, policies=policies)
    for record in run.trace:
        if isinstance(record, Event):
            conversation.handle(record)
    pairs = enumerate(zip_longest(run.trace, conversation.trace))
    differences = tuple(
        Difference(n, was, now, _cause(run, was, now, policies)) for n, (was, now) in pairs if not _alike(was, now)
    )
    return Replay(run, tuple(conversation.trace), differences)


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
