"""A month of conversations at the rates of `data/incidents.yaml`: how many survive, with fallback and without.

Nothing is measured here: rates are published by others or assumed, and the conversations are simulated. Those to which
nothing happens are not played; they are counted as survived, which the sample of calm ones in the tests holds true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import exp, log
from pathlib import Path
from random import Random
from typing import Any

from msgspec import Struct, ValidationError, convert

from clara_kit import data_files
from clara_kit.core.errors import ScriptError
from clara_kit.core.page import table
from clara_kit.core.paths import DATA
from clara_kit.core.rng import child_rng
from clara_kit.lab.survival.matrix import Cell, Result, result_of
from clara_kit.lab.survival.spreading import spread
from clara_kit.lab.survival.strikes import PHASES
from clara_kit.lab.survival.survival import OUTCOMES, Outcome

MINUTES = 30 * 24 * 60.0
CONVERSATIONS = 10_000
SEEDS = 5


class Incident(Struct, frozen=True, kw_only=True):
    """A kind of incident, so many a month."""

    service: str
    what: str
    per_month: float
    minutes: tuple[float, float]
    share: float
    source: str


class Mishap(Struct, frozen=True, kw_only=True):
    """A single thing that goes wrong in so many of a thousand conversations."""

    service: str
    what: str
    per_1000: float
    source: str


class Rates(Struct, frozen=True, kw_only=True):
    """What a month is drawn from."""

    conversation_minutes: float
    source_of_length: str
    incidents: tuple[Incident, ...]
    mishaps: tuple[Mishap, ...]

    @property
    def every(self) -> tuple[Incident | Mishap, ...]:
        """All rates."""
        return (*self.incidents, *self.mishaps)

    @classmethod
    def load(cls, path: Path = DATA / "incidents.yaml") -> Rates:
        """Raises `ScriptError` where the file is none of this kind."""
        return data_files.made(path, _rates)


def _rates(path: Path) -> Rates:
    def made(data: Any) -> Rates:
        try:
            rates = convert(data, Rates)
        except ValidationError as exc:
            raise ScriptError(f"The rates are wrong: {exc}.") from exc
        for one in rates.every:
            _ = Cell(
                service=one.service, trouble=one.what, phase="asked"
            ).blows  # raises where there is no such trouble
        return rates

    return data_files.built(path, made, "each has service, what, a rate and a source.")


class Month(Struct, frozen=True, kw_only=True):
    """What became of a month's conversations. `struck` were played; the others had nothing to survive. All simulated."""

    conversations: int
    struck: tuple[Result, ...]
    fallback: bool
    assumed: int  # of the rates; the others are published by somebody
    rates: int

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many conversations came out how; they add up to all."""
        found = Counter(result.outcome for result in self.struck)
        found["survived"] += self.conversations - len(self.struck)
        return {outcome: found[outcome] for outcome in OUTCOMES}

    @property
    def lost(self) -> int:
        """Things that customers said and that came to nothing."""
        return sum(result.survival.lost for result in self.struck)

    @property
    def degraded_s(self) -> float:
        """Of all conversations together."""
        return round(sum(result.survival.degraded_s for result in self.struck), 1)

    @property
    def silent_s(self) -> float:
        """Of all conversations together, beyond what an answer may take."""
        return round(sum(result.survival.silent_s for result in self.struck), 1)

    @property
    def sentence(self) -> str:
        """The month in one sentence, with what it rests on."""
        counts = self.counts
        return (
            f"Of {self.conversations:,} simulated conversations with fallback {'on' if self.fallback else 'off'} {len(self.struck):,} "
            f"were struck: {counts['degraded']:,} went on degraded, {counts['apologised']:,} heard an apology, in "
            f"{counts['alerted']:,} only monitoring was told, and {self.lost:,} things the customer said were lost. "
            f"{self.assumed} of {self.rates} rates are assumed."
        )

    def _repr_html_(self) -> str:
        return table([(self.conversations, len(self.struck), *self.counts.values(), self.degraded_s, self.silent_s)], (
            "conversations", "struck", *OUTCOMES, "s degraded", "s silent"), self.sentence)  # fmt: skip


class Struck(Struct, frozen=True, kw_only=True):
    """One conversation of the month to which something happens. seed: of its simulation."""

    cell: Cell
    seed: int


def drawn(*, conversations: int = CONVERSATIONS, seed: int = 0, rates: Rates | None = None) -> tuple[Struck, ...]:
    """The conversations of a month that something happens to; equal for equal seeds, whether fallback is on or off."""
    rates, rng = rates or Rates.load(), child_rng(seed, "month")
    outages = [(one, at, at + length) for one in rates.incidents for at, length in _times(one, rng)]
    found: list[Struck] = []
    for n in range(conversations):
        begins = rng.uniform(0, MINUTES)
        ends = begins + rates.conversation_minutes
        what: Incident | Mishap | None = None
        for one, since, until in outages:
            if begins < until and ends > since and rng.random() < one.share:
                what = one
        for mishap in rates.mishaps:
            if rng.random() < mishap.per_1000 / 1000 and what is None:
                what = mishap
        phase = rng.choice(PHASES)
        if what is not None:
            found.append(Struck(cell=Cell(service=what.service, trouble=what.what, phase=phase), seed=n))
    return tuple(found)


def _times(one: Incident, rng: Random) -> list[tuple[float, float]]:
    """When each of a month's incidents begins, and how long it lasts."""
    found, at = [], 0.0
    while one.per_month > 0 and (at := at + rng.expovariate(one.per_month) * MINUTES) < MINUTES:
        shortest, longest = one.minutes
        found.append((at, exp(rng.uniform(log(shortest), log(longest)))))
    return found


def month(
    *, fallback: bool, conversations: int = CONVERSATIONS, seed: int = 0, rates: Rates | None = None, workers: int = 1
) -> Month:
    """Play what is struck of a month. Some seconds for 10,000 conversations."""
    rates = rates or Rates.load()
    jobs = [(one, fallback) for one in drawn(conversations=conversations, seed=seed, rates=rates)]
    every = rates.every
    return Month(
        conversations=conversations, struck=tuple(spread(_struck, jobs, workers=workers)), fallback=fallback,
        assumed=sum(one.source == "assumed" for one in every), rates=len(every),
    )  # fmt: skip


def _struck(jobs: Sequence[tuple[Struck, bool]]) -> list[Result]:
    known: dict[tuple[Cell, int], Result] = {}  # of a cell a few seeds are played: a month has many of the same
    for one, fallback in jobs:
        key = one.cell, one.seed % SEEDS
        if key not in known:
            known[key] = result_of(one.cell, fallback=fallback, seed=key[1])
    return [known[one.cell, one.seed % SEEDS] for one, _ in jobs]
