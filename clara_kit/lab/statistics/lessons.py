"""What a comparison of prompts is, shown in numbers whose truth is known: pairs, intervals, and what peeking does.

Generated numbers, no conversations; for the course. Equal seeds give equal tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clara_kit.lab.scores.metrics import Metric
from clara_kit.lab.sheet import Sheet
from clara_kit.lab.statistics.compare import compare
from clara_kit.lab.statistics.sequential import Watch

if TYPE_CHECKING:
    import polars as pl

QUALITY = Metric("quality", "rating", "more", ("quality", "calidad"))
CUSTOMERS, TRUE = 8, 0.2  # by how much B is better, on a scale on which scenarios differ by about one
WHOSE = "Generated numbers, no conversations"


def generated(scenarios: int, effect: float = TRUE, seed: int = 0) -> pl.DataFrame:
    """Rows as an experiment's: some scenarios and customers are easier than others, and B is better by `effect`."""
    import polars as pl

    rng = np.random.default_rng([seed, scenarios])
    easy, kind = rng.normal(3, 1, scenarios), rng.normal(0, 0.7, CUSTOMERS)
    rows = [
        {"variant": v, "scenario": f"s{s:03}", "customer": f"c{c}", "seed": 0, "quality": float(value), "answers": "generated"}
        for s in range(scenarios) for c in range(CUSTOMERS)
        for v, value in zip("AB", easy[s] + kind[c] + rng.normal(0, 0.4, 2) + rng.normal(0, 0.3) * np.array([0, 1]) + np.array([0, effect]))
    ]  # fmt: skip
    return pl.DataFrame(rows)


def pairing(scenarios: int = 20, seed: int = 4) -> Sheet:
    """The same experiment reckoned twice: each prompt's conversations by themselves, and pair by pair."""
    from scipy import stats

    rows = generated(scenarios, seed=seed)
    a, b = (
        [*rows.filter(variant=v).group_by("scenario", maintain_order=True).agg("quality")["quality"].list.mean()]
        for v in "AB"
    )
    apart = stats.ttest_ind(b, a, equal_var=False).confidence_interval()
    paired = compare(rows, metrics=[QUALITY]).effect("quality")
    shown = [
        ("other scenarios for each prompt", float(np.mean(b) - np.mean(a)), apart.low, apart.high),
        ("the same scenarios and customers for both", paired.difference, paired.low, paired.high),
    ]
    told = [
        {"reckoned as if": how, "B − A": _signed(d), "lies between": _between(low, high), "so": _so(low, high)}
        for how, d, low, high in shown
    ]
    return Sheet.of(told, f"{WHOSE}: B is truly better by {TRUE}.")


def intervals(counts: tuple[int, ...] = (4, 10, 20, 40, 80), seed: int = 4) -> Sheet:
    """The same true difference with more and more scenarios."""
    told = []
    for count in counts:
        one = compare(generated(count, seed=seed), metrics=[QUALITY]).effect("quality")
        told.append({
            "scenarios": count, "B − A": _signed(one.difference), "lies between": _between(one.low, one.high),
            "so": _so(one.low, one.high),
        })  # fmt: skip
    return Sheet.of(told, f"{WHOSE}: B is truly better by {TRUE}; 95 % intervals.")


def peeking(experiments: int = 1000, scenarios: int = 40, seed: int = 4) -> Sheet:
    """Two equal prompts, looked at after every second scenario: how often a difference is found that is none."""
    from scipy import stats

    drawn = np.random.default_rng(seed).normal(0, 1, (experiments, scenarios))
    counts = np.arange(4, scenarios + 1, 2)
    far = stats.t.ppf(0.975, counts - 1) / np.sqrt(counts)
    sure = np.array([[abs(one[:n].mean()) > t * one[:n].std(ddof=1) for n, t in zip(counts, far)] for one in drawn])
    watched = [Watch(planned=scenarios).look(one.tolist()).sure for one in drawn]
    shares = {
        "once, at the end": sure[:, -1].mean(),
        "after every batch, until it looks sure": sure.any(axis=1).mean(),
        "after every batch, by the rule made for that": np.mean(watched),
    }
    told = [
        {"one looks": how, "calls equal prompts different": f"{100 * share:.0f} of 100"}
        for how, share in shares.items()
    ]
    return Sheet.of(told, f"{WHOSE}: {experiments} experiments of A against A, {scenarios} scenarios each.")


def _signed(x: float | None) -> str:
    return "–" if x is None else f"{x:+.2f}"


def _between(low: float | None, high: float | None) -> str:
    return f"{_signed(low)} and {_signed(high)}"


def _so(low: float | None, high: float | None) -> str:
    return (
        "cannot tell" if low is None or high is None or low <= 0 <= high else "B is better" if low > 0 else "B is worse"
    )
