"""What became of a conversation to which something happened, in words that pictures and tables share."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from msgspec import Struct, to_builtins

from clara_kit.core.page import escape, table

Fate = Literal["answered", "resumed", "apologised", "shown", "alerted", "lost", "let be", "open"]
FATES: tuple[Fate, ...] = ("answered", "resumed", "shown", "apologised", "alerted", "lost", "let be", "open")
"""answered: heard to its end, or until the customer cut in. resumed: it broke off, and the rest was heard. shown: to read.
apologised: Clara said that something went wrong. alerted: she said nothing, but monitoring knows. let be: it asked for
nothing («ajá», or the customer took it back). open: the conversation was ended before its time was over."""
Outcome = Literal["survived", "degraded", "apologised", "alerted", "lost"]
OUTCOMES: tuple[Outcome, ...] = ("survived", "degraded", "apologised", "alerted", "lost")
"""Of a whole conversation, by the worst of it. degraded: something stood in a service's place, or was only shown."""


class Said(Struct, frozen=True, kw_only=True):
    """One thing that the customer said. ended_ms: its last word, where that is known. waited_ms: until Clara was heard, or something shown."""

    text: str
    fate: Fate
    by: Literal["", "primary", "backup"] = ""
    turn_id: int | None = None
    ended_ms: float | None = None
    waited_ms: float | None = None
    why: str = ""


class Switched(Struct, frozen=True, kw_only=True):
    """Something else stood behind a service. order_ms: from the failure that decided it, or from where
    Clara fell silent, to the next order to speak, show or answer; heard_ms: to its sound."""

    service: str
    target: str
    at_ms: float
    lasted_ms: float
    order_ms: float | None = None
    heard_ms: float | None = None
    reason: str = ""


class Survival(Struct, frozen=True, kw_only=True):
    """What became of a conversation. `problems` must be empty whatever happened: hangs, two voices, what came too late, …

    degraded_s: how long something else stood in a service's place. silent_s: how long nothing was heard though it was
    Clara's turn, beyond what a good answer may take (`slow_response_ms`). Seconds of the conversation.
    """

    outcome: Outcome
    said: tuple[Said, ...]
    problems: tuple[str, ...] = ()
    switches: tuple[Switched, ...] = ()
    degraded_s: float = 0.0
    silent_s: float = 0.0
    longest_silence_s: float = 0.0

    @property
    def lost(self) -> int:
        """How many things the customer said came to nothing, and nobody was told."""
        return self.counts["lost"]

    @property
    def ok(self) -> bool:
        """Nothing lost, and nothing that must not be."""
        return not self.problems and not self.lost

    @property
    def counts(self) -> Counter[Fate]:
        """How many things the customer said met each fate."""
        return Counter(one.fate for one in self.said)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        told: dict[str, Any] = to_builtins(self)
        return told

    def _repr_html_(self) -> str:
        rows = [(one.text, one.fate, one.by, one.waited_ms and round(one.waited_ms), one.why) for one in self.said]
        caption = f"{self.outcome}: {self.degraded_s:.1f} s degraded, {self.silent_s:.1f} s silent beyond an answer's time, {self.lost} lost."
        wrong = "".join(f"<li>{escape(problem)}</li>" for problem in self.problems)
        return table(rows, ("the customer said", "became", "by", "waited (ms)", "why"), caption) + f"<ul>{wrong}</ul>"
