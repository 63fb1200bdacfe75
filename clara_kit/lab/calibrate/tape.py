"""What was measured and what it may have cost, kept as it comes: whenever a calibration ends, nothing is lost."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TextIO

DIFFERENCES = frozenset({"handshake_model", "avatar_gain_at_once", "avatar_gain_opened_early"})


class Cost(NamedTuple):
    """At most, by published prices. credits: the avatar vendor's, which `usd` counts too. unknown: whose price is not."""

    usd: float = 0.0
    credits: float = 0.0
    unknown: tuple[str, ...] = ()

    def plus(self, other: Cost) -> Cost:
        """Both together."""
        unknown = tuple(dict.fromkeys(self.unknown + other.unknown))
        return Cost(self.usd + other.usd, self.credits + other.credits, unknown)


def together(costs: Iterable[Cost]) -> Cost:
    """All of them."""
    total = Cost()
    for cost in costs:
        total = total.plus(cost)
    return total


class Tape:
    """Samples by what they are of. path: where each is written at once, one line of JSON; None: nowhere."""

    def __init__(self, path: Path | None = None) -> None:
        self.samples: dict[str, list[float]] = defaultdict(list)
        self.notes: list[str] = []
        self.spent = Cost()
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8", buffering=1)  # a line at a time

    def keep(self, what: str, value: float) -> None:
        """One sample, in the unit of its name. Only a difference may be below 0; else what was subtracted was too long."""
        value = round(value if what in DIFFERENCES else max(0.0, value), 4)
        self.samples[what].append(value)
        self._write({"what": what, "value": value})

    def spend(self, cost: Cost) -> None:
        """This much goes now, at most."""
        self.spent = self.spent.plus(cost)
        self._write({"usd": cost.usd, "credits": cost.credits})

    def note(self, text: str) -> None:
        """Something that whoever reads the figures should know; once."""
        if text not in self.notes:
            self.notes.append(text)
            self._write({"note": text})

    def close(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: object) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
