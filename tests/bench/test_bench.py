"""The benchmark runs; what it measures is not for a test to judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import before
from tests.bench.__main__ import measure, show
from tests.bench.before import Row


@pytest.mark.timeout(600)  # several processes one after the other, however busy the machine
@pytest.mark.wall
def test_every_figure_can_be_measured_and_shown(capsys: object) -> None:
    found = measure(quick=True)
    assert found["simulated"]["turns_per_s"] > 0 and set(found["at once"]) == {1, 3}
    for name in ("final → request", "sentence → speech order", "final → first speech order"):
        assert found[name]["floor_p50_ms"] > 0 and found[name]["kit_p50_ms"] > 0
    assert found["before"]["missing"] or all(row["new"] > 0 for row in found["before"]["rows"])
    show(found)


def test_a_limit_is_judged_by_the_median_of_the_ratios() -> None:
    pairs = [({"a": 1.0}, {"a": old}) for old in (2.0, 4.0, 9.0)]
    times = Row("", "a", 3.5, "times").of(pairs)
    assert (times["ratio"], times["lowest"], times["highest"], times["met"]) == (4, 2, 9, True)
    share = Row("", "a", 0.2).of(pairs)
    assert (share["ratio"], share["met"]) == (0.25, False)
    alone = Row("", "a", 5, "figure").of([({"a": 4.0}, {})])
    assert (alone["new"], alone["old"], alone["ratio"], alone["met"]) == (4, None, None, True)
    assert Row("", "a", None).of(pairs)["met"] is None


def test_without_the_commit_there_is_a_word_instead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(before, "ROOT", tmp_path)
    found = before.compare()
    assert "is not in this repository" in found["missing"] and found["missing"] in str(before.table(found))
