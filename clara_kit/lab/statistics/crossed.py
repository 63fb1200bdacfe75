"""How sure a mean difference is when the same customers met the same scenarios: intervals, and what more would tell.

Two conversations of one scenario are alike, and so are two of one customer: a thousand pairs are not a thousand
observations. The variance of the mean is therefore taken from both sides (Cameron, Gelbach & Miller 2011), what they
share is taken off once (from the residuals within, for the total is too large at ten scenarios), and Student's t gets
Satterthwaite's degrees of freedom. 95 % intervals then cover 94 to 97 %, from ten scenarios and six customers on,
whether scenarios differ, customers, both or neither: `tests/lab/test_statistics_cover.py` simulates it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SCENARIOS, CUSTOMERS = 4, 6  # fewer scenarios tell nothing; fewer customers stand for themselves, not for others
POWER, MOST = 0.8, 500  # «would tell»: in four experiments of five; and no more scenarios than these are counted
_LEAST = 0.5  # of the variance within: what chance alone cannot undercut, found by simulation


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and how sure it is. `low`, `high`, `p` are None where nothing can be said, `error` is then 0.

    error: standard error; degrees: of freedom; customers_share: of the variance, what more scenarios would not lessen.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    error: float
    degrees: float
    scenarios: int
    customers: int
    both_ways: bool
    customers_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Cells:
    """Mean differences, one a pair of scenario and customer; scenarios and customers by number from 0."""

    values: Floats
    scenario: NDArray[np.intp]
    customer: NDArray[np.intp]

    @classmethod
    def of(cls, values: Any, scenarios: Any, customers: Any) -> Cells:
        """Repetitions of a pair (several seeds) become their mean."""
        each = np.asarray(values, np.float64)
        _, scenario = np.unique(np.asarray(scenarios), return_inverse=True)
        _, customer = np.unique(np.asarray(customers), return_inverse=True)
        pairs, cell = np.unique(scenario * (customer.max(initial=0) + 1) + customer, return_inverse=True)
        first = np.zeros(len(pairs), np.intp)
        first[cell[::-1]] = np.arange(len(each))[::-1]
        return cls(_means(each, cell), scenario[first], customer[first])

    @property
    def by_scenario(self) -> Floats:
        """The mean difference of each scenario."""
        return _means(self.values, self.scenario)


def interval(cells: Cells, confidence: float = 0.95) -> Interval:
    """The mean of the cells with an interval, clustered by scenarios and, from six customers on, by customers too."""
    from scipy import special

    values, mean = cells.values, float(cells.values.mean())
    scenarios, customers = (len(np.unique(one)) for one in (cells.scenario, cells.customer))
    variance, degrees, both, fixed = _variance(values - mean, cells.scenario, cells.customer, scenarios, customers)
    error = sqrt(variance)
    shape: dict[str, Any] = {"scenarios": scenarios, "customers": customers, "both_ways": both}
    if error <= 1e-12 * max(1e-300, float(np.abs(values).max())) or degrees <= 0:
        return Interval(mean=mean, low=None, high=None, p=None, error=0.0, degrees=0.0, **shape)
    half = float(special.stdtrit(degrees, (1 + confidence) / 2)) * error
    p = float(2 * special.stdtr(degrees, -abs(mean) / error))
    share = min(1.0, fixed / variance)
    return Interval(
        mean=mean, low=mean - half, high=mean + half, p=p, error=error, degrees=degrees, customers_share=share, **shape
    )


def _variance(
    off: Floats, scenario: NDArray[np.intp], customer: NDArray[np.intp], scenarios: int, customers: int
) -> tuple[float, float, bool, float]:
    """Of the mean: its variance, the degrees of freedom, whether both ways, and the part that is the customers'."""
    one, one_degrees = _one_way(off, scenario, scenarios), scenarios - 1.0
    if customers < CUSTOMERS:
        return one, one_degrees, False, 0.0
    other, other_degrees = _one_way(off, customer, customers), customers - 1.0
    within_degrees = len(off) - scenarios - customers + 1.0
    if within_degrees < 1:  # not crossed: each scenario has customers of its own, or each customer scenarios
        return (other, other_degrees, True, 0.0) if customers < scenarios else (one, one_degrees, False, 0.0)
    within = _within(off, scenario, customer) / within_degrees / len(off)
    variance = max(one + other - within, _LEAST * within)
    wrong = sum(v * v / d for v, d in ((one, one_degrees), (other, other_degrees), (within, within_degrees)))
    degrees = max(variance * variance / wrong, min(one_degrees, other_degrees)) if wrong else 0.0
    return variance, degrees, True, max(0.0, other - within)


def _one_way(off: Floats, group: NDArray[np.intp], groups: int) -> float:
    """The cluster-robust variance of the mean, with the factor G / (G − 1)."""
    sums = np.bincount(group, off)
    return float((sums * sums).sum()) / len(off) ** 2 * groups / max(1, groups - 1)


def _within(off: Floats, scenario: NDArray[np.intp], customer: NDArray[np.intp]) -> float:
    """The sum of squares that neither scenarios nor customers explain; at once where every cell is there."""
    rest = off
    for _ in range(200):
        before = rest
        rest = rest - _means(rest, scenario)[scenario]
        rest = rest - _means(rest, customer)[customer]
        if float(np.abs(rest - before).max()) <= 1e-10 * float(np.abs(off).max()):
            break
    return float((rest * rest).sum())


def _means(values: Floats, group: NDArray[np.intp]) -> Floats:
    # Of the distances from the first: equal values have exactly their own mean, not one that is off by a rounding.
    first = float(values[0]) if len(values) else 0.0
    return first + np.bincount(group, values - first) / np.maximum(1, np.bincount(group))


# --- what more would tell -----------------------------------------------------------------------------------------


def power(difference: float, error: float, degrees: float, level: float = 0.05) -> float:
    """How often an experiment finds a true difference of this size: two-sided t test at `level`, 0..1."""
    from scipy import special

    if error <= 0 or degrees <= 0:
        return 0.0
    limit, shift = float(special.stdtrit(degrees, 1 - level / 2)), abs(difference) / error
    # So far out the other side has nothing, and scipy's noncentral t gives nan for it, later for both.
    other = float(special.nctdtr(degrees, shift, -limit)) if shift < 5 else 0.0
    return 1 - float(special.nctdtr(degrees, shift, limit)) + other if shift < 20 + limit else 1.0


def would_find(found: Interval, level: float = 0.05) -> float | None:
    """The smallest true difference that four of five such experiments would find; None where nothing can be said."""
    from scipy import special

    if not found.error:
        return None
    return float(special.stdtrit(found.degrees, 1 - level / 2) + special.stdtrit(found.degrees, POWER)) * found.error


def more_scenarios(found: Interval, level: float = 0.05) -> int | None:
    """How many scenarios more would tell, if the difference is what it seems; None: not even `MOST` would."""

    def tells(scenarios: int) -> bool:
        share = found.customers_share + (1 - found.customers_share) * found.scenarios / scenarios
        return power(found.mean, found.error * sqrt(share), found.degrees + scenarios - found.scenarios, level) >= POWER

    return smallest(tells, found.scenarios, found.error > 0)


def smallest(tells: Any, now: int, possible: bool = True) -> int | None:
    """How many more than `now` until `tells(number)` is true, up to `MOST`; None: it is not."""
    if not possible or not tells(MOST):
        return None
    few, many = now, MOST
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if tells(middle) else (middle, many)
    return many - now
