"""This build beside the one before the house was re-cut: the same probe, interpreter and packages, in turn.

The build before is a checkout of one commit of this repository under `build/bench-before`, made once. Each pair runs
`probe.py` in a fresh process of either build, one right after the other, the first of them alternating; what is shown
is the median of the pairs' ratios, for a busy moment of the machine meets both. Limits are shown, not asserted.

    python -m tests.bench.before        # only this comparison
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from statistics import median
from time import perf_counter
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from tests.bench.probe import FIRST

COMMIT = "4795c34"
ROOT = Path(__file__).resolve().parents[2]
PROBE = Path(__file__).with_name("probe.py")
PAIRS = 5


@dataclass(frozen=True)
class Row:
    """A figure of the probe. `times`: how many times dearer it was before; `share`: this build's share of what it was
    before; `figure`: this build's figure alone."""

    name: str
    key: str
    limit: float | None
    kind: Literal["times", "share", "figure"] = "share"
    unit: str = "ms"

    def of(self, pairs: list[tuple[dict[str, float], dict[str, float]]]) -> dict[str, Any]:
        """From (new, old) figures to what is shown."""
        new = [n[self.key] for n, _ in pairs]
        old = [o[self.key] for _, o in pairs if self.key in o]
        times = self.kind == "times"
        ratios = sorted(o / n if times else n / o for n, o in zip(new, old)) if old else []
        judged = median(new) if self.kind == "figure" else median(ratios)
        met = None if self.limit is None else judged >= self.limit if times else judged <= self.limit
        return {
            "name": self.name, "kind": self.kind, "unit": self.unit, "new": median(new),
            "old": median(old) if old else None, "ratio": median(ratios) if ratios else None,
            "lowest": ratios[0] if ratios else None, "highest": ratios[-1] if ratios else None,
            "limit": self.limit, "met": met,
        }  # fmt: skip


ROWS = (
    Row("simulate, three lines: CPU", "three_ms", 3.5, "times"),
    Row("simulate, the same with a customer: CPU", "known_ms", 7, "times"),
    Row("simulate, 60 lines: CPU", "sixty_ms", 1.5, "times"),
    Row("import and first call", "first_ms", 2, "times"),
    Row("the same, and Python's start and end", "process_ms", None, "times"),
    Row("events.jsonl, a turn of 90", "stored_bytes_per_turn", 0.60, unit="bytes"),
    Row("a step in the stepper, event 3,000", "step_ms", 5, "figure"),
    Row("copy of the state after 90 turns", "snapshot_ms", 1, "figure"),
    *(
        row
        for way, words in (("idle", "idle between"), ("hot", "in a hot loop"))
        for row in (
            Row(f"final → order, {words}: p50", f"{way}_speech_ms", 0.6),
            Row("CPU until that order, idle" if way == "idle" else "CPU a turn with its log, hot", f"{way}_cpu_ms", 0.6),
            Row(
                "memory of an open one" + (" that had 20 turns" if way == "hot" else ""),
                f"{way}_memory_kib", 0.7, unit="KiB",
            ),
            Row(f"200 at once, {words}: p50", f"{way}_crowd_p50_ms", 1.0),
            Row(f"200 at once, {words}: p95", f"{way}_crowd_p95_ms", 0.6),
        )
    ),
)  # fmt: skip
FULL: dict[str, dict[str, int]] = {
    "first": {},  # by itself, see there
    "sim": {"rounds": 15},
    "kept": {"lines": 90, "step": 3000, "steps": 3},
    "live": {"turns": 50, "crowd": 200, "crowd_turns": 5},
    "opened": {"open": 40},
    "talked": {"open": 40, "turns": 20},
}
QUICK: dict[str, dict[str, int]] = {
    "first": {},
    "sim": {"rounds": 1},
    "kept": {"lines": 6, "step": 30, "steps": 1},
    "live": {"turns": 2, "crowd": 2, "crowd_turns": 2},
    "opened": {"open": 2},
    "talked": {"open": 2, "turns": 2},
}


UNBROKEN = "4c02403"
"""The build before services were passed by: what that costs a conversation in which nothing fails."""
UNBROKEN_ROWS = (
    Row("simulate, 60 lines: CPU", "sixty_ms", 1.1),
    Row("CPU a turn with its log, hot", "hot_cpu_ms", 1.1),
)


def tree_of(commit: str) -> Path:
    """Where a build before lies."""
    return ROOT / "build" / ("bench-before" if commit == COMMIT else f"bench-{commit}")


def checkout(commit: str) -> str:
    """Lay a build before under `build/`, once. Returns why that cannot be done, or nothing."""
    tree = tree_of(commit)
    stamp = tree / "commit"
    if stamp.exists() and stamp.read_text() == commit:
        return ""
    try:
        packed = subprocess.run(
            ("git", "archive", commit, "clara_kit", "data"), cwd=ROOT, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return f"commit {commit} is not in this repository (a shallow clone, or none)"
    rmtree(tree, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tar:
        tar.extractall(tree, filter="data")
    stamp.write_text(commit)
    return ""


def probe(tree: Path, part: str, sizes: dict[str, int]) -> dict[str, float]:
    """One part of the probe, in a fresh process of the build in `tree`. Raises `RuntimeError` with its last words."""
    ours = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "CLARA_DATA_DIR")}
    ours |= {
        "PYTHONPATH": os.pathsep.join((str(tree), str(ROOT))),
        "PYTHONPYCACHEPREFIX": ours.get("PYTHONPYCACHEPREFIX") or str(ROOT / "build" / "bench-pycache"),
        "CLARA_PACE": "1",
    }
    began = perf_counter()
    done = subprocess.run(
        (sys.executable, "-P", *(("-c", FIRST) if part == "first" else (str(PROBE), part, json.dumps(sizes)))),
        cwd=tree, env=ours, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    took = perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1:])
    found = json.loads(done.stdout.splitlines()[-1])
    if Path(found.pop("of")) != tree.resolve():
        raise RuntimeError(f"the build in {tree.name} was not the one that ran")
    return found | ({"process_ms": took * 1000} if part == "first" else {})


def compare(
    *, quick: bool = False, commit: str = COMMIT, rows: tuple[Row, ...] = ROWS, parts: tuple[str, ...] = tuple(FULL)
) -> dict[str, Any]:
    """Every row, or why there is none (`missing`). parts: of the probe, those that the rows need."""
    missing, before = checkout(commit), tree_of(commit)
    if missing:
        return {"missing": missing, "rows": []}
    for tree in (before, ROOT):  # what is compiled once is compiled, and what does not run shows now
        try:
            probe(tree, "first", {})
        except RuntimeError as error:
            if tree == ROOT:
                raise
            return {"missing": f"commit {commit} does not run with these packages: {error}", "rows": []}
    load = _load()
    pairs: list[tuple[dict[str, float], dict[str, float]]] = []
    for n in range(1 if quick else PAIRS):
        new: dict[str, float] = {}
        old: dict[str, float] = {}
        for part, sizes in (QUICK if quick else FULL).items():
            if part not in parts:
                continue
            for tree, figures in ((ROOT, new), (before, old))[:: -1 if n % 2 else 1]:
                figures |= probe(tree, part, sizes)
        pairs.append((new, old))
    return {
        "missing": "", "commit": commit, "pairs": len(pairs), "load": (load, _load()), "rows": [r.of(pairs) for r in rows]
    }  # fmt: skip


def _load() -> float | None:
    """How many processes want to run (the last minute), where the system tells it."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def table(found: dict[str, Any]) -> Table | str:
    """The rows as a table, or the word why there is none."""
    if found["missing"]:
        return f"Not compared with the build before: {found['missing']}."
    load = " to ".join(str(value) for value in found["load"])
    shown = Table(title=f"This build beside {found['commit']}, medians of {found['pairs']} pairs (load {load})")
    for name in ("", "this build", "before", "ratio", "pairs", "limit", "met"):
        shown.add_column(name, justify="right" if name else "left", no_wrap=True)
    for row in found["rows"]:
        times = row["kind"] == "times"
        sign, unit = (" x", "") if times else ("", f" {row['unit']}" if row["kind"] == "figure" else "")
        shown.add_row(
            row["name"],
            _figure(row["new"], row["unit"]),
            _figure(row["old"], row["unit"]),
            "" if row["ratio"] is None else f"{row['ratio']:.2f}{sign}",
            "" if row["ratio"] is None else f"{row['lowest']:.2f}–{row['highest']:.2f}",
            "" if row["limit"] is None else f"{'≥' if times else '≤'} {row['limit']:g}{sign}{unit}",
            {None: "", True: "yes", False: "no"}[row["met"]],
        )
    shown.caption = "x: times dearer before (more is better); else this build's share of what it was (less is better)"
    return shown


def _figure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"


if __name__ == "__main__":
    console = Console()
    console.width = max(console.width, 110)
    console.print(table(compare()))
