"""One metric of two variants: from the paired rows to a difference with its interval, its test, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import Any, Literal

import numpy as np

from clara_kit.lab.scores.metrics import Metric
from clara_kit.lab.statistics.crossed import SCENARIOS, Cells, Floats, Interval, interval, more_scenarios, would_find
from clara_kit.lab.statistics.exact import holm, middle, more_for_the_middle, sign_flips, sign_test, skewed

MOST_LOST = 0.2  # of the pairs known on one side only: beyond it what is left may be another kind of conversation
Outcome = Literal["better", "worse", "differs", "mixed", "cannot_tell", "same", "too_few", "lost", "unknown"]
"""Of the second variant beside the first. mixed: most scenarios say one thing, the average another. lost: too much is known of one of them only. unknown: no pair at all."""
Method = Literal["mean", "logs", "middle scenario", ""]
Note = Literal["skewed", "no_spread", "these_customers", "some_lost", "not_logs", "rough"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What became of one metric. `difference`, `low`, `high`: second minus first, in `unit`.

    unit: "points" (of 0..1), "percent" (of the first; times, on logs), "ms", "usd", "" (as counted). p: before, p_holm:
    after the correction for all metrics that were compared. finds: the smallest difference that four of five such
    experiments would find. more: scenarios that would tell, if the difference is what it seems; None: too many. higher,
    lower: scenarios in which the second is.
    """

    metric: Metric
    a: float | None = None
    b: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    method: Method = ""
    p: float | None = None
    p_holm: float | None = None
    outcome: Outcome = "unknown"
    notes: tuple[Note, ...] = ()
    finds: float | None = None
    more: int | None = None
    pairs: int = 0
    lost: int = 0
    scenarios: int = 0
    customers: int = 0
    higher: int = 0
    lower: int = 0
    found: Interval | None = None
    by_scenario: Floats | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Two variants and what became of each metric. answers: who wrote them, as far as the rows say; unlike: not the same
    for both."""

    a: str
    b: str
    confidence: float
    found: tuple[Effect, ...]
    answers: tuple[str, ...] = ()
    unlike: bool = False

    @property
    def rehearsal(self) -> bool:
        """True where answers are scripted, a twin's too: then it tries the method, and is no verdict on the prompts."""
        return any("scripted" in one or "twin" in one for one in self.answers)


def measured(
    metric: Metric, a: Floats, b: Floats, scenarios: Sequence[Any], customers: Sequence[Any], confidence: float
) -> Effect:
    """The effect of one metric, before it is judged among the others. nan: not known."""
    known = np.isfinite(a) & np.isfinite(b)
    lost = int((np.isfinite(a) ^ np.isfinite(b)).sum())
    if not known.any():
        return Effect(metric=metric, lost=lost, outcome="lost" if lost else "unknown")
    a, b = a[known], b[known]
    logs = metric.kind == "ms" and bool((a > 0).all() and (b > 0).all())
    where = np.asarray(scenarios)[known], np.asarray(customers)[known]
    cells = Cells.of(np.log(b) - np.log(a) if logs else b - a, *where)
    found, each = interval(cells, confidence), cells.by_scenario
    notes: list[Note] = [] if found.customers >= 6 else ["these_customers"]
    low, high, p, mean = found.low, found.high, found.p, found.mean
    method: Method = "logs" if logs else "mean"
    if metric.kind == "ms" and not logs:
        notes.append("not_logs")
    if not found.error:
        p = sign_flips(each)
        notes += ["no_spread"] if mean else []
    elif metric.kind == "yes_no":
        sides = (cells.scenario, cells.customer) if found.both_ways else (cells.scenario,)
        # What tells by scenarios may be a few customers' doing, and the other way round: the more careful one counts.
        p = max(p or 0.0, *(sign_flips(np.bincount(side, cells.values).tolist()) for side in sides))
        notes += ["rough"] if skewed(each) else []
    elif skewed(each) or "not_logs" in notes:
        notes += ["skewed"] if skewed(each) else []
        p, method = sign_test(each), "middle scenario"
        centre, *between = middle(each, confidence)
        # Where most scenarios do not differ at all, their middle says nothing; nor is there an interval of the mean.
        mean, (low, high) = (centre, between) if centre else (mean, (None, None))
    if lost:
        notes.append("some_lost")
    shown = (lambda x: None if x is None else exp(min(x, 700.0)) - 1) if logs else (lambda x: x)
    finds = None if method == "middle scenario" else would_find(found, 1 - confidence)
    unit = {"yes_no": "points", "share": "points", "usd": "usd", "ms": "percent" if logs else "ms"}.get(metric.kind, "")
    return Effect(
        metric=metric, a=_level(a, *where, logs), b=_level(b, *where, logs), difference=shown(mean), low=shown(low),
        high=shown(high), unit=unit, method=method, p=p, notes=tuple(notes),
        finds=shown(finds), pairs=len(a), lost=lost, scenarios=found.scenarios, customers=found.customers,
        higher=int((each > 0).sum()), lower=int((each < 0).sum()), found=found,
        by_scenario=each,
    )  # fmt: skip


def judged(effects: Sequence[Effect], confidence: float) -> tuple[Effect, ...]:
    """What follows of each, corrected for how many there are: a claim is sure among all of them."""
    tests = [None if _settled(one) else one.p for one in effects]
    corrected, level = holm(tests), 1 - confidence
    strict = level / max(1, sum(p is not None for p in tests))
    return tuple(_judged(one, p, level, strict) for one, p in zip(effects, corrected))


def _settled(one: Effect) -> Outcome | None:
    """What is known without a test."""
    if one.found is None:
        return one.outcome
    if one.by_scenario is not None and not one.found.error and not one.found.mean:
        return "same"
    if one.scenarios < SCENARIOS:
        return "too_few"
    return "lost" if one.lost > MOST_LOST * (one.pairs + one.lost) else None


def _judged(one: Effect, p: float | None, level: float, strict: float) -> Effect:
    if (settled := _settled(one)) is not None:
        # Of under four scenarios an interval would be a number without a meaning.
        bare: dict[str, Any] = {"low": None, "high": None, "p": None, "finds": None} if settled == "too_few" else {}
        return replace(one, outcome=settled, **bare)
    assert one.difference is not None and one.found is not None and one.by_scenario is not None
    by_the_middle = one.method == "middle scenario"
    if p is not None and p <= level:
        more_of_it = one.higher > one.lower if by_the_middle else one.difference > 0
        outcome: Outcome = "better" if more_of_it == (one.metric.better == "more") else "worse"
        if by_the_middle and more_of_it != (one.found.mean > 0):
            outcome = "mixed"
        elif one.metric.better == "neither":
            outcome = "differs"
        return replace(one, p_holm=p, outcome=outcome)
    more = more_for_the_middle(one.by_scenario, strict) if by_the_middle else more_scenarios(one.found, strict)
    return replace(one, p_holm=p, outcome="cannot_tell", more=more)


def _level(values: Floats, scenarios: Any, customers: Any, logs: bool) -> float:
    """The mean of the cells, of times the geometric one."""
    mean = float(Cells.of(np.log(values) if logs else values, scenarios, customers).values.mean())
    return exp(mean) if logs else mean
