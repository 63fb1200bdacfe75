"""From samples to a law: the middle, the tail, how sure both are, and rare slow ones apart. Pure.

A time is taken for lognormal, as every profile has it. What lies far above the rest (`SPIKES` robust deviations, and more than
`SPIKE_TIMES` the median) is no tail but a spike, as the avatar's rare slow starts are. The median's interval is that of
order statistics and supposes nothing; the 95th percentile is that of the fitted law, for of twenty samples the second
largest is no estimate of anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, median
from typing import Any, NamedTuple

from clara_kit.world.latency import Found

FEWEST = 3  # samples, of which a law can be made
FEWEST_APART = 8  # of fewer nobody can tell what is rare
SPIKES, SPIKE_TIMES = 3.5, 2.5
_Z95, _Z = NormalDist().inv_cdf(0.95), NormalDist().inv_cdf(0.975)
_LEAST = 1e-4  # so that a logarithm exists; a tenth of a microsecond


class Fitted(NamedTuple):
    """A law as a profile's file has it, and how sure it is."""

    law: dict[str, Any]
    found: Found


def fitted(values: Sequence[float], how: str = "", *, difference: bool = False) -> Fitted | None:
    """The law of some samples; None for fewer than `FEWEST`. difference: of two times, which may be below 0 and has none."""
    if len(values) < FEWEST:
        return None
    if difference:
        return _difference(values, how)
    rest, spikes = apart(values)
    n, middle = len(rest), median(rest)
    logs = [math.log(max(value, _LEAST, middle / 100)) for value in rest]
    spread = math.sqrt(sum((x - fmean(logs)) ** 2 for x in logs) / (n - 1)) if n > 1 else 0.0
    tail = middle * math.exp(_Z95 * spread)
    student = _Z * (1 + (_Z**2 + 1) / (4 * max(1, n - 1)))  # of so few samples, to a hundredth
    unsure = student * spread * math.sqrt(1 / n + _Z95**2 / (2 * max(1, n - 1)))
    varies = _short(tail) > _short(middle) > 0
    law: dict[str, Any] = {"lognormal": [_short(middle), _short(tail)]} if varies else {"fixed": _short(middle)}
    if spikes:
        law["spikes"] = {
            "share": round(len(spikes) / len(values), 4),
            "between": [_short(min(spikes)), _short(max(spikes))],
        }
        how = f"{how}; {len(spikes)} of {len(values)} were far slower and are spikes".lstrip("; ")
    found = Found(
        n=len(values), p50=_short(middle), p50_between=_between(rest), p95=_short(tail), how=how,
        p95_between=(_short(tail * math.exp(-unsure)), _short(tail * math.exp(unsure))),
    )  # fmt: skip
    return Fitted(law, found)


def _difference(values: Sequence[float], how: str) -> Fitted:
    """Of what may be below 0 there is no law; the largest stands for the tail."""
    middle, largest = _short(median(values)), _short(max(values))
    found = Found(
        n=len(values), p50=middle, p50_between=_between(values), p95=largest, p95_between=(middle, largest), how=how
    )
    return Fitted({"fixed": max(0.0, middle)}, found)


def apart(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The samples without the spikes, and the spikes."""
    if len(values) < FEWEST_APART:
        return [*values], []
    middle = median(values)
    logs = [math.log(max(value, _LEAST)) for value in values]
    deviation = 1.4826 * median(abs(x - median(logs)) for x in logs)
    limit = max(middle * SPIKE_TIMES, middle * math.exp(SPIKES * deviation))
    return [v for v in values if v <= limit], [v for v in values if v > limit]


def _between(values: Sequence[float]) -> tuple[float, float]:
    """95 % of the time the median lies between these two samples (exact, whatever the law); the outermost where n < 6."""
    ordered, n = sorted(values), len(values)
    below, k = 0.0, -1
    while below + math.comb(n, k + 1) / 2**n <= 0.025:
        k += 1
        below += math.comb(n, k) / 2**n
    k = max(k, 0)
    return _short(ordered[k]), _short(ordered[n - 1 - k])


def _short(value: float) -> float:
    return float(f"{value:.4g}")
