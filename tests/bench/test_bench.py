"""The benchmark runs; what it measures is not for a test to judge."""

from __future__ import annotations

import pytest

from tests.bench.__main__ import measure, show


@pytest.mark.wall
def test_every_figure_can_be_measured_and_shown(capsys: object) -> None:
    found = measure(quick=True)
    assert found["simulated"]["turns_per_s"] > 0 and set(found["at once"]) == {1, 3}
    for name in ("final → request", "sentence → speech order", "final → first speech order"):
        assert found[name]["floor_p50_ms"] > 0 and found[name]["kit_p50_ms"] > 0
    show(found)
