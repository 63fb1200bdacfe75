"""Dask plays an experiment as this process does, byte for byte: on a local cluster, in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.lab.test_run_experiment import kept, small

pytestmark = [pytest.mark.soak, pytest.mark.wall, pytest.mark.timeout(900)]
PINNED = ("dask==2026.8.0", "distributed==2026.8.0")
ROOT = Path(__file__).parents[2]

SCRIPT = """
import json, pathlib, sys
from dask.distributed import Client, LocalCluster
from clara_kit.lab.experiment import executors
from tests.lab.test_run_experiment import small

if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1])
    executors.BATCH = 2
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        played = client.get_executor()
        whole = small(root / "whole", executor=played, workers=2)
        stop = iter([False, False, True, True]).__next__
        stopped = small(root / "stopped", executor=played, workers=2, should_stop=stop)
        before = len(stopped.rows)
        resumed = small(root / "stopped", executor=played, workers=2)
        workers = sorted(w["name"] for w in client.scheduler_info()["workers"].values())
    print(json.dumps({"complete": [whole.complete, stopped.complete, resumed.complete], "before": before, "workers": workers}))
"""


def test_a_local_cluster_of_dask_gives_the_same_bytes_stopped_or_not(tmp_path: Path) -> None:
    python = _with_dask(tmp_path / "venv")
    (script := tmp_path / "cluster.py").write_text(SCRIPT, encoding="utf-8")

    done = subprocess.run([python, script, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=600)

    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["complete"] == [True, False, True] and 0 < told["before"] < 24 and len(told["workers"]) == 2
    here = kept(small(tmp_path / "here"))
    for name in ("whole", "stopped"):
        (folder,) = (tmp_path / name).iterdir()
        for table in ("rows.parquet", "turns.parquet"):
            assert (folder / table).read_bytes() == here[table]


def _with_dask(folder: Path) -> str:
    """A Python that has Dask and all that this one has. Skips where it cannot be installed."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin" / "python")
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    (site / "kit.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n", encoding="utf-8")
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", *PINNED], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"Dask cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return python
