"""A million records of many runs counted by `summary`, beside a bare count of the same tables by polars."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import polars as pl

from clara_kit import simulate, summary
from clara_kit.lab import shelf
from clara_kit.runtime.run_log import RunLog


def counting(records: int, rounds: int) -> dict[str, Any]:
    """The shelf looks at the folder for the first time in each round."""
    with tempfile.TemporaryDirectory() as folder:
        root, run = Path(folder), simulate(["¿Hacen despachos a regiones?", "Gracias"] * 16, seed=1)
        log = RunLog(run.inputs, root=root)
        log.close(list(run.trace))
        runs = -(-records // len(run.trace))
        for number in range(1, runs):
            copy = root / f"{log.run_id}-{number}"
            copy.mkdir()
            for file in log.folder.iterdir():
                (copy / file.name).hardlink_to(file)
        took, floors, found = [], [], summary(root)
        for _ in range(rounds):
            shelf._before.clear()
            began = perf_counter()
            found = summary(root)
            took.append(perf_counter() - began)
            began = perf_counter()
            pl.scan_parquet(list(root.glob("*/events.parquet"))).group_by("type").len().collect()
            floors.append(perf_counter() - began)
    return {
        "records": found.events, "runs": runs, "summary_s": median(took), "bare_s": median(floors),
        "times_bare": median(a / b for a, b in zip(took, floors, strict=True)),
    }  # fmt: skip
