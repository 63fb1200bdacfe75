"""Whether intervals cover what they say, and peeking calls no more than it says: by simulation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

from clara_kit.lab.statistics.compare import compare
from clara_kit.lab.statistics.crossed import Cells, interval, would_find
from clara_kit.lab.statistics.sequential import Watch

DESIGNS = {  # standard deviations between scenarios, between customers, within
    "clustered": (1.0, 0.0, 1.0), "crossed": (1.0, 1.0, 1.0), "customers": (0.0, 1.0, 1.0), "neither": (0.0, 0.0, 1.0),
    "a little of each": (0.3, 0.2, 1.0),
}  # fmt: skip


def drawn(design: str, scenarios: int, customers: int, times: int, seed: int, missing: float = 0.0) -> Iterator[Cells]:
    """Experiments whose true difference is zero."""
    rng = np.random.default_rng(seed)
    of_scenario, of_customer, within = DESIGNS[design]
    scenario, customer = (one.ravel() for one in np.indices((scenarios, customers)))
    for _ in range(times):
        values = (
            of_scenario * rng.normal(size=(scenarios, 1)) + of_customer * rng.normal(size=(1, customers))
            + within * rng.normal(size=(scenarios, customers))
        ).ravel()  # fmt: skip
        there = rng.random(len(values)) >= missing
        yield Cells(
            values[there],
            np.unique(scenario[there], return_inverse=True)[1],
            np.unique(customer[there], return_inverse=True)[1],
        )


def covered(design: str, scenarios: int, customers: int, times: int, seed: int = 0, missing: float = 0.0) -> float:
    """The share of intervals with the truth in them, in percent."""
    hits = 0
    for cells in drawn(design, scenarios, customers, times, seed, missing):
        found = interval(cells)
        assert found.low is not None and found.high is not None
        hits += found.low <= 0 <= found.high
    return 100 * hits / times


@pytest.mark.parametrize("design", ["clustered", "crossed", "neither"])
def test_intervals_cover_where_scenarios_differ_and_where_customers_do_too(design: str) -> None:
    assert 93 <= covered(design, 10, 8, 600) <= 97.5


@pytest.mark.soak
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize(
    ("scenarios", "customers", "missing"),
    [(10, 25, 0), (15, 25, 0), (40, 25, 0), (40, 10, 0), (40, 25, 0.3), (10, 25, 0.3)],
)
def test_intervals_cover_in_four_thousand_simulations(
    design: str, scenarios: int, customers: int, missing: float
) -> None:
    assert 93.5 <= covered(design, scenarios, customers, 4000, missing=missing) <= 97


@pytest.mark.soak
def test_a_clustered_comparison_with_one_customer_covers_from_four_scenarios_on() -> None:
    for scenarios in (4, 10, 40):
        assert 93.5 <= covered("clustered", scenarios, 1, 4000) <= 97


@pytest.mark.soak
@pytest.mark.parametrize("scenarios", [15, 40, 100])
def test_peeking_calls_at_most_five_of_a_hundred_equal_pairs_different(scenarios: int) -> None:
    rng, watch = np.random.default_rng(4), Watch(planned=40)
    called = sum(watch.look(list(rng.normal(size=scenarios))).sure for _ in range(2000))
    assert called <= 0.05 * 2000


@pytest.mark.soak
@pytest.mark.parametrize(("scenarios", "customers"), [(10, 25), (40, 25)])
def test_checks_of_equal_variants_are_seldom_called_different(scenarios: int, customers: int) -> None:
    """Conversations of one scenario are alike, and so are those of one customer: McNemar calls 13 of 100 different."""
    rng, called, times = np.random.default_rng(5), 0, 400
    names = [(f"s{s}", f"c{c}") for s in range(scenarios) for c in range(customers)]
    for _ in range(times):
        table = []
        for variant in "AB":
            of_scenario, of_customer = rng.normal(size=(scenarios, 1)), rng.normal(size=(1, customers))
            kept = of_scenario + 0.5 * of_customer + rng.logistic(size=(scenarios, customers)) > -0.5
            table += [
                {"variant": variant, "scenario": s, "customer": c, "kept": k}
                for (s, c), k in zip(names, kept.ravel().tolist())
            ]
        called += compare(pl.DataFrame(table)).effect("kept").outcome != "cannot_tell"
    assert called <= 0.06 * times


@pytest.mark.soak
def test_peeking_at_skewed_differences_is_hardly_worse() -> None:
    """Exponential ones with mean zero: without the guard against skew 7.6 of 100 would be called different."""
    rng, watch = np.random.default_rng(6), Watch(planned=40)
    called = sum(watch.look(list(rng.exponential(size=40) - 1)).sure for _ in range(2000))
    assert called <= 0.06 * 2000


@pytest.mark.soak
@pytest.mark.parametrize("design", ["clustered", "crossed"])
def test_a_difference_that_four_of_five_would_find_is_found_by_four_of_five(design: str) -> None:
    finds = [would_find(interval(cells)) or 0.0 for cells in drawn(design, 20, 10, 500, seed=1)]
    true = float(np.mean(finds))
    found = 0
    for cells in drawn(design, 20, 10, 2000, seed=2):
        p = interval(Cells(cells.values + true, cells.scenario, cells.customer)).p
        found += p is not None and p <= 0.05
    assert 0.76 <= found / 2000 <= 0.86
