"""Notebook 08 as a reader runs it: from the bottom up, and then from the top down."""

from __future__ import annotations

import pytest

from tests.ground.notebooks import reading

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]  # its kernel lives at the wall's pace


async def test_the_experiment_log_runs_in_any_order() -> None:
    async with reading("08_experiment_log") as reader:
        bottom_up = {name: await reader.run(name) for name in reversed(reader.ids)}
        told = {name: await reader.run(name) for name in reader.ids}
    assert told["proved"] == bottom_up["proved"] and "the same numbers (simulated)" in told["proved"]
    assert told["choices"] == bottom_up["choices"] and "she never lowers her voice" in told["choices"]
    assert "Rollout of expert to 5%" in told["rollout"]
