"""All recorded conversations of a folder, as a list to choose from: read from manifests and tables, not from traces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from clara_kit.core.errors import RunLogError
from clara_kit.core.paths import DATA
from clara_kit.measure import opening
from clara_kit.measure.run import Run
from clara_kit.runtime.services import key_of
from clara_kit.world.personas import Persona

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the shelf knows of one run. Figures are None where the run was not closed properly."""

    folder: Path
    started: datetime | None = None
    title: str = ""
    customer: str = ""
    prompt: str = ""
    mix: str = ""
    turns: int | None = None
    first_sound_ms: float | None = None
    """Median of the spoken and typed turns, from the customer's last word to Clara's first sound."""
    interruptions: int | None = None
    ended: str = ""
    size_bytes: int = 0

    def load(self) -> Run:
        """The whole run; raises `RunLogError`."""
        return Run.load(self.folder)


def kept(root: Path | str | None = None) -> tuple[Kept, ...]:
    """Every run under `root` (default `data/runs`), the newest first; a damaged one is listed and says so."""
    root = Path(root or DATA / "runs")
    found = [_read(path.parent) for path in root.glob("*/manifest.json")] if root.is_dir() else []
    return tuple(
        sorted(found, key=lambda k: (k.started.timestamp() if k.started else 0.0, k.folder.name), reverse=True)
    )


def _read(folder: Path) -> Kept:
    size_bytes = sum(_sizes(folder))
    try:
        manifest = opening.manifest(folder)
        inputs, facts = dict(manifest["inputs"]), dict(manifest["facts"])
        template, started = inputs.get("template") or {}, datetime.fromisoformat(str(facts["started"]))
        started.timestamp()  # else nothing could be sorted by it
        return Kept(
            folder=folder,
            started=started,
            title=str(facts.get("title") or ""),
            customer=_who(str(inputs.get("customer") or "")),
            prompt=f"{template['id']} v{template['version']}" if template else "",
            mix=str(facts.get("mix") or Run(inputs=inputs, trace=()).mix),
            ended=str(facts["error"] or "hung up") if "ended" in facts else "not closed",
            size_bytes=size_bytes,
            **_figures(folder),
        )
    except (RunLogError, OSError, OverflowError, ValueError, KeyError, TypeError, AttributeError) as exc:
        return Kept(folder=folder, ended=f"the manifest cannot be read ({type(exc).__name__})", size_bytes=size_bytes)


def _who(key: str) -> str:
    """An invented customer's name; a real one has none here."""
    return next((p.name for p in Persona.all() if key_of(p.gid) == key), "of the shop") if key else ""


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.iterdir():
        try:
            yield path.stat().st_size
        except OSError:
            continue


def _figures(folder: Path) -> dict[str, Any]:
    import polars as pl

    try:
        table: pl.DataFrame = pl.read_parquet(folder / "turns.parquet", columns=["kind", "total_ms", "interrupted"])
    except (OSError, pl.exceptions.PolarsError):
        return {}
    waits = table.filter(pl.col("kind") != "greeting")["total_ms"].drop_nulls().to_list()
    return {
        "turns": len(table),
        "first_sound_ms": round(median(waits), 1) if waits else None,
        "interruptions": int(table["interrupted"].sum()),
    }
