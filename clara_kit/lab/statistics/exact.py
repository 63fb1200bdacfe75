"""Tests that need no bell curve: sign flips of whole scenarios, the middle scenario, and Holm's correction for many."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt

import numpy as np

from clara_kit.lab.statistics.crossed import POWER, Floats, smallest

_EXACT = 15  # clusters whose flips are all counted (2 to the 15th); of more, so many are drawn:
_DRAWN = 9999


def sign_flips(sums: Sequence[float] | Floats) -> float:
    """p of «no difference»: how often the sums of whole clusters, their signs flipped by chance, add up to as much.

    Exact up to 15 clusters that differ; with more, 9,999 draws that are always the same ones.
    """
    differ = np.asarray([one for one in sums if one != 0], np.float64)
    if len(differ) < 2:
        return 1.0
    flipped = np.abs(_signs(len(differ)) @ differ)
    # A little less than the sum itself: what adds up to the same in another order counts as the same.
    as_much = int((flipped >= abs(float(differ.sum())) - 1e-9 * float(np.abs(differ).sum())).sum())
    return as_much / len(flipped) if len(differ) <= _EXACT else (as_much + 1) / (_DRAWN + 1)


@lru_cache(maxsize=8)  # scipy's permutation_test draws them anew each time: 120 ms instead of a quarter
def _signs(clusters: int) -> Floats:
    if clusters <= _EXACT:
        bits = np.arange(2**clusters)[:, None] >> np.arange(clusters) & 1
    else:
        bits = np.random.default_rng(0).integers(0, 2, (_DRAWN, clusters))
    return np.asarray(bits * 2 - 1, np.float64)


def sign_test(values: Sequence[float] | Floats) -> float:
    """p of «as many above zero as below», exact; zeros say nothing. With pairs of yes and no it is McNemar's exact test."""
    from scipy import special

    above, below = (int((np.sign(values) == sign).sum()) for sign in (1, -1))
    return min(1.0, 2 * float(special.bdtr(float(min(above, below)), above + below, 0.5)))


def middle(values: Sequence[float] | Floats, confidence: float = 0.95) -> tuple[float, float | None, float | None]:
    """The median, and an interval between two of the values, whatever their shape; None under six values (at 95 %)."""
    from scipy import special

    order = np.sort(np.asarray(values, np.float64))
    below = special.bdtr(np.arange(len(order), dtype=np.float64), len(order), 0.5)
    outside = int((below <= (1 - confidence) / 2).sum())
    median = float(np.median(order))
    return (median, float(order[outside - 1]), float(order[-outside])) if outside else (median, None, None)


def more_for_the_middle(values: Floats, level: float = 0.05) -> int | None:
    """How many scenarios more the sign test needs, if as large a share of them lies on one side."""
    from scipy import special

    share = float((values > 0).sum() / max(1, (values != 0).sum()))
    away = abs(share - 0.5)
    wide = float(special.ndtri(1 - level / 2)) / 2 + float(special.ndtri(POWER)) * sqrt(share * (1 - share))
    differ = float((values != 0).mean())  # the others say nothing
    return smallest(lambda n: bool(away * sqrt(n * differ) >= wide), len(values), away > 0)


def skewed(values: Sequence[float] | Floats) -> bool:
    """Whether the mean's interval cannot be trusted: skewness beyond 1, and beyond what chance does to a bell curve."""
    each = np.asarray(values, np.float64)
    n, off = len(each), each - each.mean()
    spread = float((off**2).mean())
    if n < 4 or spread <= (1e-12 * float(np.abs(each).max())) ** 2:
        return False
    skewness = float((off**3).mean()) / spread**1.5
    by_chance = sqrt(6 * (n - 2) / ((n + 1) * (n + 3)))
    return bool(abs(skewness) > max(1.0, 2.5 * by_chance))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p corrected for as many metrics as have one (Holm 1979): below the level, it is sure among all of them."""
    known = sorted((p, n) for n, p in enumerate(p_values) if p is not None and p == p)
    corrected: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, n) in enumerate(known):
        least = min(1.0, max(least, p * (len(known) - rank)))
        corrected[n] = least
    return corrected
