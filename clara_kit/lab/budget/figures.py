"""What comes of a choice of levers, as figures with intervals, and what each lever buys.

An interval says what is left open by the number of turns that were drawn, and by how few measurements some medians stand on
(`seen`); where nobody said how many there were, they do not count.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from msgspec import Struct

from clara_kit.lab.budget.levers import LEVERS, PLAN, Cost, Given, Levers, cost
from clara_kit.lab.budget.times import AS_IT_IS, Draws, Factors, Times, draws, times
from clara_kit.lab.explorer import Figure
from clara_kit.world.latency import Law

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

TARGETS_MS = (600.0, 800.0, 3000.0)
REDRAWN, ROWS = 24, 4000  # medians that might as well have been measured, each tried on so many turns
_95 = 1.96


class Figures(Struct, frozen=True, kw_only=True):
    """Of one choice. Times in ms from the customer's last word: `first` to the avatar's own word that it speaks, `ear` to
    the first sound that is heard, `answer` to the answer's first word (`answer_ear`: heard). Shares from 0 to 1, of `first`;
    `ear_…` of what is heard."""

    first_p50: Figure
    first_p95: Figure
    ear_p50: Figure
    ear_p95: Figure
    answer_p50: Figure
    answer_p95: Figure
    answer_ear_p50: Figure
    under_600: Figure
    under_800: Figure
    over_3000: Figure
    ear_under_600: Figure
    ear_under_800: Figure
    ear_over_3000: Figure
    cost: Cost
    stages: dict[str, float]


def figures(levers: Levers, given: Given | None = None, *, intervals: bool = True) -> Figures:
    """What comes of these levers, of 20,000 turns. Raises `ScriptError` for a profile that is not there."""
    given = given or Given()
    return _figures(levers, given, draws(given.profile), intervals)


@lru_cache(maxsize=256)
def _figures(levers: Levers, given: Given, d: Draws, intervals: bool) -> Figures:
    what = times(levers, given, d)
    values = _values(what)
    spread = _spread(levers, given) if intervals else {}
    found: dict[str, Any] = {n: _figure(n, value, what, spread.get(n)) for n, value in values.items()}
    return Figures(**found, cost=cost(levers, given), stages=what.stages)


def _values(what: Times) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, array in (("first", what.first), ("ear", what.ear), ("answer", what.answer)):
        p50, p95 = np.quantile(array, (0.5, 0.95))
        found |= {f"{name}_p50": float(p50), f"{name}_p95": float(p95)}
    found["answer_ear_p50"] = float(np.median(what.answer_ear))
    for prefix, array in (("", what.first), ("ear_", what.ear)):
        found |= {f"{prefix}under_{ms:.0f}": float(np.mean(array < ms)) for ms in TARGETS_MS[:2]}
        found[f"{prefix}over_3000"] = float(np.mean(array > TARGETS_MS[2]))
    return found


def _figure(name: str, value: float, what: Times, spread: Array | None) -> Figure:
    if spread is None:
        return Figure(value)
    low, high = np.quantile(spread, (0.025, 0.975))
    chance = _by_chance(name, value, what)
    low, high = value - sqrt(low * low + chance * chance), value + sqrt(high * high + chance * chance)
    if name.partition("_p")[2] not in ("50", "95"):
        low, high = max(0.0, low), min(1.0, high)
    return Figure(value, float(low), float(high))


def _by_chance(name: str, value: float, what: Times) -> float:
    """How far the figure of so many turns lies from that of all, in 95 of 100 tries."""
    if not name.endswith(("p50", "p95")):
        return _95 * sqrt(max(value * (1 - value), 1e-6) / len(what.first))
    array, share = getattr(what, name.rpartition("_")[0]), float(name[-2:]) / 100
    apart = _95 * sqrt(share * (1 - share) / len(array))
    low, high = np.quantile(array, (max(0.0, share - apart), min(1.0, share + apart)))
    return float(high - low) / 2


def _spread(levers: Levers, given: Given) -> dict[str, Array]:
    """How far each figure moves where the medians are such as might as well have been measured."""
    d = draws(given.profile, ROWS)
    base = _values(times(levers, given, d))
    moved = [_values(times(levers, given, d, but)) for but in _redrawn(d)]
    return {name: np.array([one[name] - value for one in moved]) for name, value in base.items()}


@lru_cache(maxsize=8)
def _redrawn(d: Draws) -> tuple[Factors, ...]:
    rng = np.random.default_rng(3)
    wide = [(stage, law.sigma / sqrt(n)) for stage, law in d.profile.laws.items() if (n := seen(law))]
    return tuple(
        Factors(tuple((stage, float(np.exp(rng.standard_normal() * by))) for stage, by in wide)) for _ in range(REDRAWN)
    )


def seen(law: Law) -> int | None:
    """How many measurements a law stands on, as its source says («n = 3»)."""
    found = re.search(r"\bn ?= ?(\d+)", law.source)
    return int(found[1]) or None if found else None


class Bought(NamedTuple):
    """What one lever buys, in ms at the median. alone: beside the plan; last: beside all others that are pulled."""

    lever: str
    first_alone: float
    first_last: float
    ear_alone: float
    ear_last: float
    answer_alone: float
    answer_last: float


def bought(levers: Levers, given: Given | None = None) -> tuple[Bought, ...]:
    """What each lever buys, those that are not pulled too."""
    given = given or Given()
    return _bought(levers, given, draws(given.profile, ROWS))


@lru_cache(maxsize=64)
def _bought(levers: Levers, given: Given, d: Draws) -> tuple[Bought, ...]:

    def medians(choice: Levers) -> Array:
        what = times(choice, given, d, AS_IT_IS)
        return np.array([np.median(one) for one in (what.first, what.ear, what.answer)])

    found = []
    for name, lever in LEVERS.items():
        needs = {lever.needs: True} if lever.needs else {}
        alone = medians(PLAN.but(**needs)) - medians(PLAN.but(**needs, **{name: True}))
        last = medians(levers.but(**{name: False})) - medians(levers.but(**{name: True}))
        pairs = [float(x) for both in zip(alone, last, strict=True) for x in both]
        found.append(Bought(name, *pairs))
    return tuple(found)
