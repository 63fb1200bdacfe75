"""Many runs in one look: counted from their tables, alike however often, and no damaged one hides another."""

from __future__ import annotations

from pathlib import Path

import pytest

from clara_kit import Run, Settings, simulate, summary
from clara_kit.runtime.run_log import RunLog


def record(root: Path, seed: int, template: str = "warm") -> Run:
    lines = ["¿Hacen despachos a regiones?", {"text": "Espera", "interrupt_after_ms": 900}]
    run = simulate(lines, Settings.of(), seed=seed, template=template)
    log = RunLog(run.inputs, root=root, title=str(seed))
    return log.close(list(run.trace))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    for seed in range(4):
        record(root, seed, "warm" if seed % 2 else "brief")
    return root


def test_what_is_counted_is_what_the_runs_have(root: Path) -> None:
    found = summary(root)
    runs = [Run.load(folder) for folder in sorted(root.iterdir())]
    assert found.runs["events"].to_list() == [len(run.trace) for run in runs]
    assert found.runs["interruptions"].to_list() == [
        sum(type(r).__name__ == "InterruptAvatar" for r in run.trace) for run in runs
    ]
    assert found.runs["turns"].to_list() == [len(run.ledger) for run in runs]
    assert found.events == found.kinds["n"].sum() and "4 runs" in repr(found)
    assert found.waits["prompt"].to_list() == ["brief v1", "warm v1"] and found.waits["runs"].to_list() == [2, 2]
    waits = sorted(
        t.total_ms for run in runs[1::2] for t in run.ledger if t.kind != "greeting" and t.total_ms is not None
    )
    assert found.waits["p50_ms"][1] == pytest.approx((waits[len(waits) // 2 - 1] + waits[len(waits) // 2]) / 2, abs=0.1)
    assert all(summary(root).waits.equals(found.waits) and summary(root).runs.equals(found.runs) for _ in range(3))
    assert "warm v1" in found._repr_html_()


def test_a_run_without_tables_is_counted_from_its_log_and_a_damaged_one_hides_none(root: Path, tmp_path: Path) -> None:
    whole = record(tmp_path, 1)
    assert whole.folder is not None
    counted = summary(tmp_path).kinds
    (whole.folder / "events.parquet").unlink()
    assert summary(tmp_path).kinds.equals(counted)
    record(tmp_path, 2)
    (whole.folder / "events.parquet").write_bytes(b"no table")
    (whole.folder / "turns.parquet").write_bytes(b"")
    found = summary(tmp_path)
    assert found.runs["events"].to_list().count(0) == 1 and found.events > 0
    assert summary(tmp_path / "nowhere").events == 0
