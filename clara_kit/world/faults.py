"""What can go wrong, in words that the simulation and every twin understand.

A fault names a service, a kind and the occasion: the n-th connection (stt), request (llm), utterance (tts,
avatar), counted from 1, and how long after its beginning. `FaultBox` hands each fault out once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from clara_kit.core.errors import ScriptError
from clara_kit.core.events import Service

FaultKind = Literal[
    "refuse",  # answered with `status` instead of service
    "cut",  # the connection breaks, without a farewell
    "stall",  # nothing comes for `for_ms` (0: for ever), the connection stays open
    "slow",  # everything comes `for_ms` later
    "error",  # the vendor's own error message in mid-stream, of type `detail`
    "garble",  # a message that no document describes
    "no_end",  # the message that ends the utterance or segment never comes
    "duplicate",  # the ending message comes twice
    "premature_end",  # the ending message comes before the end
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

APPLIES: dict[Service, tuple[FaultKind, ...]] = {
    "stt": ("refuse", "cut", "stall", "slow", "error", "garble", "no_end", "duplicate"),
    "llm": ("refuse", "cut", "stall", "slow", "error", "garble"),
    "tts": ("refuse", "cut", "stall", "slow", "garble"),
    "avatar": ("refuse", "cut", "stall", "slow", "error", "garble", "no_end", "duplicate", "premature_end"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong, once."""

    service: Service
    kind: FaultKind
    on: int = 1
    after_ms: float = 0.0
    for_ms: float = 0.0
    status: int = 503
    detail: str = ""

    def __post_init__(self) -> None:
        if self.service not in APPLIES or self.kind not in APPLIES[self.service]:
            raise ScriptError(
                f"There is no fault {self.kind!r} for {self.service!r}.",
                hint="; ".join(f"{s}: {', '.join(k)}" for s, k in APPLIES.items()) + ".",
            )
        if self.on < 1 or self.after_ms < 0 or self.for_ms < 0:
            raise ScriptError(
                f"Fault {self.service}/{self.kind}: 'on' counts from 1, times are not negative."
            )

    def to_dict(self) -> dict[str, Any]:
        """The fault as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, entry: Any) -> Fault:
        """A fault from a mapping of a script; raises `ScriptError` for unknown or malformed fields."""
        try:
            return cls(**entry)
        except TypeError as exc:
            raise ScriptError(
                f"A fault is malformed: {entry!r}.",
                hint="fields: service, kind, on, after_ms, for_ms, status, detail.",
            ) from exc


class FaultBox:
    """The faults still to come. Twins and the simulation take from it; a notebook may add while it runs."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._waiting = list(faults)
        self._occasions: dict[Service, int] = {}

    def add(self, fault: Fault) -> None:
        """Let `fault` happen too. Thread-safe enough: a single append."""
        self._waiting.append(fault)

    def next_occasion(self, service: Service) -> tuple[Fault, ...]:
        """Count one more occasion of a service and take the faults that are due on it."""
        occasion = self._occasions[service] = self._occasions.get(service, 0) + 1
        due = tuple(f for f in self._waiting if f.service == service and f.on == occasion)
        for fault in due:
            self._waiting.remove(fault)
        return due

    @property
    def waiting(self) -> tuple[Fault, ...]:
        """What has not happened yet."""
        return tuple(self._waiting)


def find(faults: Iterable[Fault], *kinds: FaultKind) -> Fault | None:
    """The first of `faults` that is of one of these kinds."""
    return next((f for f in faults if f.kind in kinds), None)
