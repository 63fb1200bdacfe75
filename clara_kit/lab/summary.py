"""All runs of a folder in one look: events by kind, waits, interruptions, failures and cost, from their tables alone.

No trace is read. A run whose tables were never written (it still runs, or its process was stopped) is counted from its log.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clara_kit.core.page import table
from clara_kit.core.paths import DATA
from clara_kit.lab.shelf import Kept, kept
from clara_kit.measure.ledger import STAGE_LABELS
from clara_kit.runtime.run_log import EVENTS_FILE

if TYPE_CHECKING:
    import polars as pl

COUNTED = {
    "requests": "RequestReply", "interruptions": "InterruptAvatar", "failures": "ProviderFailed", "alerts": "RaiseAlert",
    "ignored": "Ignored",
}  # fmt: skip
_LINE = re.compile(rb'\{"type":"(\w+)","at_ms":(\[[^\]]*\]|[-+.\deE]+)')
_WAITS = {"turn": "Int64", "kind": "String", "interrupted": "Boolean", "cost_usd": "Float64", "total_ms": "Float64"}


@dataclass(frozen=True)
class Summary:
    """`runs`: one row a run. `kinds`: one row a kind of event or command. `waits`: one row a mix of services and prompt.

    Times in ms, but `seconds`; `p50_ms`, `p95_ms`: from the customer's last word to Clara's first sound, by linear
    interpolation. Numbers of other mixes are never thrown together.
    """

    runs: pl.DataFrame
    kinds: pl.DataFrame
    waits: pl.DataFrame

    @property
    def events(self) -> int:
        """How many records all runs have."""
        return int(self.runs["events"].sum())

    def _repr_html_(self) -> str:
        return table(self.waits.rows(), self.waits.columns, repr(self)[1:-1])

    def __repr__(self) -> str:
        return f"<Summary: {len(self.runs):,} runs, {self.events:,} records>"


def summary(root: Path | str | None = None) -> Summary:
    """What is under `root` (default `data/runs`), counted. Equal folders give equal tables; damaged runs count as far as they go."""
    import polars as pl

    found = {one.folder.name: one for one in kept(root or DATA / "runs")}
    counts = pl.concat([_of_tables(found), _of_logs(found)]).sort("run", "type")
    named = [(name, one.title, one.customer, one.prompt, one.mix, one.ended) for name, one in found.items()]
    names = pl.DataFrame(
        named, schema=dict.fromkeys(("run", "title", "customer", "prompt", "mix", "ended"), pl.String), orient="row"
    )
    per_run = counts.group_by("run", maintain_order=True).agg(
        pl.col("n").sum().alias("events"),
        ((pl.col("last_ms").max() - pl.col("first_ms").min()) / 1000).alias("seconds"),
        *(pl.col("n").filter(pl.col("type") == kind).sum().alias(name) for name, kind in COUNTED.items()),
    )
    turns = _turns(found).join(names, on="run")
    cost = turns.group_by("run", maintain_order=True).agg(pl.len().alias("turns"), pl.col("cost_usd").sum().round(6))
    runs = names.join(per_run, on="run", how="left").join(cost, on="run", how="left").sort("run")
    kinds = counts.group_by("type").agg(pl.col("n").sum(), pl.col("run").n_unique().alias("runs"))
    return Summary(
        runs.with_columns(pl.col("events").fill_null(0)),
        kinds.sort(["n", "type"], descending=[True, False]),
        _waits(turns),
    )


def _of_tables(found: dict[str, Kept]) -> pl.DataFrame:
    """Counts a run and kind, all tables read at once; one that is damaged costs no other."""
    import polars as pl

    files = [one.folder / "events.parquet" for one in found.values() if (one.folder / "events.parquet").is_file()]

    def count(some: list[Path]) -> pl.DataFrame:
        scanned = pl.scan_parquet(some, glob=False, include_file_paths="file").select("file", "type", "at_ms")
        told = (
            pl.len().cast(pl.Int64).alias("n"),
            pl.col("at_ms").min().alias("first_ms"),
            pl.col("at_ms").max().alias("last_ms"),
        )
        counted: pl.DataFrame = scanned.group_by("file", "type").agg(*told).collect()
        return counted

    counted = _each(files, count)
    if counted is None:
        return pl.DataFrame(schema=_counts())
    folder = pl.col("file").str.replace_all("\\", "/", literal=True).str.split("/").list.get(-2)
    return counted.select(folder.alias("run"), "type", "n", "first_ms", "last_ms").cast(_counts())


def _of_logs(found: dict[str, Kept]) -> pl.DataFrame:
    """Counts of the runs that have no table."""
    import polars as pl

    rows = []
    for name, one in found.items():
        if (one.folder / "events.parquet").is_file():
            continue
        told: dict[str, list[float]] = {}
        try:
            lines = (one.folder / EVENTS_FILE).read_bytes().splitlines()
        except OSError:
            continue
        for line in lines:
            if match := _LINE.match(line):
                try:
                    at = [float(ms) for ms in match[2].strip(b"[]").split(b",")]
                except ValueError:
                    continue
                told.setdefault(match[1].decode(), []).extend(at)
        rows += [(name, kind, len(at), min(at), max(at)) for kind, at in told.items()]
    return pl.DataFrame(rows, schema=_counts(), orient="row")


def _counts() -> pl.Schema:
    import polars as pl

    return pl.Schema(
        {"run": pl.String, "type": pl.String, "n": pl.Int64, "first_ms": pl.Float64, "last_ms": pl.Float64}
    )


def _turns(found: dict[str, Kept]) -> pl.DataFrame:
    """The turns of all runs, with the stages of each."""
    import polars as pl

    files = [one.folder / "turns.parquet" for one in found.values() if (one.folder / "turns.parquet").is_file()]
    schema: dict[str, Any] = {
        name: getattr(pl, kind) for name, kind in {**_WAITS, **dict.fromkeys(STAGE_LABELS, "Float64")}.items()
    }

    def read(some: list[Path]) -> pl.DataFrame:
        scanned = pl.scan_parquet(some, glob=False, include_file_paths="file", missing_columns="insert")
        table: pl.DataFrame = scanned.select("file", *schema).collect()
        return table

    held = _each(files, read)
    if held is None:
        return pl.DataFrame(schema=pl.Schema({"run": pl.String, **schema}))
    folder = pl.col("file").str.replace_all("\\", "/", literal=True).str.split("/").list.get(-2)
    return held.select(folder.alias("run"), *schema).cast(pl.Schema({"run": pl.String, **schema}))


def _each(files: list[Path], read: Callable[[list[Path]], pl.DataFrame]) -> pl.DataFrame | None:
    """All at once; where one of them is damaged, each by itself."""
    import polars as pl

    try:
        return read(files) if files else None
    except (OSError, pl.exceptions.PolarsError):
        parts = []
        for file in files:
            try:
                parts.append(read([file]))
            except (OSError, pl.exceptions.PolarsError):
                continue
        return pl.concat(parts) if parts else None


def _waits(turns: pl.DataFrame) -> pl.DataFrame:
    """By mix and prompt. Means of floats are taken in a fixed order, so that equal folders give equal bytes."""
    import polars as pl

    asked = turns.filter(pl.col("kind") != "greeting").sort("mix", "prompt", "run", "turn")
    by = asked.group_by("mix", "prompt", maintain_order=True)
    return by.agg(
        pl.col("run").n_unique().alias("runs"),
        pl.len().alias("turns"),
        *(pl.col("total_ms").quantile(q, "linear").round(1).alias(f"p{q * 100:.0f}_ms") for q in (0.5, 0.95)),
        *(pl.col(stage).median().round(1) for stage in STAGE_LABELS),
        pl.col("interrupted").sum(),
        pl.col("cost_usd").sum().round(6),
    )
