"""Twenty thousand simulated turns of the fast design beside as many of the plan's serial one."""

from __future__ import annotations

import pytest

from tests.bench.latency import RATIOS, latency, table


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_fast_design_takes_no_more_than_its_share_of_the_serial_ones_time() -> None:
    found = latency()
    assert len(found["ratios"]) == len(RATIOS)
    assert [f"{says}: {ratio:.3f} > {limit}" for says, ratio, limit in found["ratios"] if ratio > limit] == []


def test_a_ratio_that_is_not_met_says_so() -> None:
    found = {
        "turns": 1,
        "designs": {"serial": {"p50": 3000.0, "p95": 7000.0}},
        "ratios": [("first", 0.5, 0.6), ("then", 0.7, 0.6)],
    }
    rows = [*zip(*(list(column.cells) for column in table(found).columns), strict=True)]
    assert rows == [("first", "0.500", "0.60", "met"), ("then", "0.700", "0.60", "NOT MET")]
