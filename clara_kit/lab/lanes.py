"""What a picture of a conversation is made of: spans and marks in lanes, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

SERVICE_LANES = ("stt", "llm", "tts", "avatar", "shop", "backup")
"""Beneath the others, where there is anything to tell of a service: it fails, is passed by, is tried again."""
LANES = ("customer", "state", "model", "Clara", "trouble", *SERVICE_LANES)
TARGET_MS = (600.0, 800.0)
"""The plan's aim for the wait between the customer's last word and Clara's first sound: 600 to 800, then under 600."""


@dataclass(slots=True)
class Span:
    """Something that lasted. `kind`: sound, words, a state, waiting, writing, on the way, speaking, ducked, held, unheard.

    In the lane of a service: failing, passed by, half open, given up; of the backup: opening, there, speaks for Clara.
    """

    lane: str
    kind: str
    from_ms: float
    to_ms: float
    step: int
    label: str = ""


@dataclass(slots=True)
class Mark:
    """Something that happened at a moment. `kind`: interim, typed, button, piece, interrupt, fault, failed, ..."""

    lane: str
    kind: str
    at_ms: float
    step: int
    label: str = ""


@dataclass(slots=True)
class Wait:
    """How long the customer waited for the answer of one turn. total_ms: None where none came, or not yet.

    longest: the stage that took most of it, as in `STAGE_LABELS`, and its longest_ms; empty where that is not known.
    """

    turn: int
    from_ms: float
    total_ms: float | None
    step: int
    longest: str = ""
    longest_ms: float = 0.0

    @property
    def verdict(self) -> str:
        """Beside the plan's aim: faster, within, slower, or none."""
        if self.total_ms is None:
            return "none"
        return "faster" if self.total_ms < TARGET_MS[0] else "within" if self.total_ms <= TARGET_MS[1] else "slower"


@dataclass(slots=True, kw_only=True)
class Timeline:
    """Spans and marks in the order of their beginning, from the first record (before it, all was connected) on."""

    begin_ms: float = 0.0
    end_ms: float = 0.0
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; times to a tenth of a millisecond."""
        data = asdict(self)
        data["target_ms"] = TARGET_MS
        data["waits"] = [{**asdict(wait), "verdict": wait.verdict} for wait in self.waits]
        for entry in (data, *data["spans"], *data["marks"], *data["waits"]):
            entry.update({k: round(v, 1) for k, v in entry.items() if isinstance(v, float)})
        return data
