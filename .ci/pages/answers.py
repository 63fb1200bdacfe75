"""What an answer of the scoreboard is, and the words in which answers are given."""

from __future__ import annotations

from dataclasses import dataclass

TWIN, SIM, COMPUTED, LIVE = "offline twins", "simulated", "computed", "live"
NOT_LIVE, NOT_BUILT = "not measured live", "not built"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`met`: whether the target is reached; None where that cannot be said. `mode`: how it was measured."""

    value: str
    mode: str
    met: bool | None
    note: str = ""


def of(right: int, count: int, what: str = "") -> str:
    return f"{right} of {count}{f' {what}' if what else ''}"


def in_ms(ms: float) -> str:
    return f"{ms:,.0f} ms"
