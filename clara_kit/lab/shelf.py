"""All recorded conversations of a folder, as a list to choose from: read from manifests, not from traces.

What was read is kept while folder and manifest have the times that they had, so that looking again costs next to nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from clara_kit.core.errors import RunLogError
from clara_kit.core.paths import DATA
from clara_kit.data_files import fingerprint
from clara_kit.lab.remarks import NONE, Remarks, tidied
from clara_kit.measure import opening
from clara_kit.measure.run import Run
from clara_kit.runtime.run_log import EVENTS_FILE, is_being_written, write_whole
from clara_kit.runtime.services import key_of
from clara_kit.store import disk
from clara_kit.world.personas import Persona

if TYPE_CHECKING:
    import polars as pl

RUNNING, OVER, NOT_CLOSED, UNREADABLE = "still running", "hung up", "not closed", "its manifest cannot be read"
OF_THE_SHOP = "of the shop"
TITLE_CHARS = 120
KEPT = "kept"  # the folder that git tracks
FIGURES = ("turns", "first_sound_ms", "interruptions")
_before: dict[Path, dict[Path, tuple[Any, Kept]]] = {}


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
    """`RUNNING`, `OVER`, `NOT_CLOSED`, `UNREADABLE`, or what went wrong."""
    size_bytes: int = 0
    has_sound: bool = False
    branch_of: str = ""
    """What it was gone on from (`lab/branches.py`); empty for a conversation of its own."""
    remarks: Remarks = NONE
    """Star, tags (those that it was recorded with, until somebody says others) and comments."""
    tracked: bool = False
    """Whether `data/runs/kept`, which git tracks, has it (too)."""

    def load(self) -> Run:
        """The whole run; raises `RunLogError`."""
        return Run.load(self.folder)

    def call_it(self, title: str) -> None:
        """Give it another title, or with an empty one its first again. Raises `RunLogError`.

        It stands in a file of its own beside the manifest: what was recorded is not touched, nor is its hash.
        """
        file, title = self.folder / opening.TITLE_FILE, " ".join(title.split())[:TITLE_CHARS]
        hint = "make room on the disk, or ask whoever the folder belongs to."
        with disk(f"The title cannot be kept in {self.folder}", hint):
            if title:
                write_whole(file, title)
            else:
                file.unlink(missing_ok=True)

    def delete(self) -> None:
        """Delete it for good, with its sound and all that it knows of a person. Raises `RunLogError`."""
        if is_being_written(self.folder):
            raise RunLogError("This conversation is still running.", hint="hang up first.")
        gone = self.folder.with_name(f".deleted-{self.folder.name}")  # no half of it is ever on the shelf
        try:
            if self.folder.is_symlink():
                return self.folder.unlink()
            if gone.exists():  # of a deletion that did not come to its end
                shutil.rmtree(gone)
            if self.folder.exists():  # else somebody was quicker
                self.folder.rename(gone)
                shutil.rmtree(gone)
        except OSError as exc:
            hint = "delete the folder by hand."
            raise RunLogError(f"Not all of {exc.filename or gone} can be deleted: {exc.strerror}.", hint=hint) from exc


def kept(root: Path | str | None = None) -> tuple[Kept, ...]:
    """Every run under `root` (default `data/runs`), the newest first; a damaged one is listed and says so."""
    root = Path(root or DATA / "runs")
    before, now, names = _before.get(root, {}), {}, _names()
    tracked = {folder.name: folder for folder in _folders(root / KEPT)}
    mine = _folders(root)
    for folder in (*mine, *(there for name, there in tracked.items() if name not in {one.name for one in mine})):
        known, stamp = before.get(folder), (*_stamp(folder), folder.name in tracked)
        if known is None or known[0] != stamp or (known[1].ended == RUNNING and not is_being_written(folder)):
            known = stamp, replace(_read(folder, names), tracked=folder.name in tracked)
        now[folder] = known
    _before[root] = now
    found = (one for _, one in now.values())
    return tuple(
        sorted(found, key=lambda k: (k.started.timestamp() if k.started else 0.0, k.folder.name), reverse=True)
    )


def _folders(root: Path) -> list[Path]:
    try:
        found = [Path(entry.path) for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return []
    return [folder for folder in found if any((folder / name).exists() for name in ("manifest.json", EVENTS_FILE))]


def _stamp(folder: Path) -> tuple[int, ...]:
    """Whatever is added, renamed or taken away changes the folder's own time."""
    try:
        return tuple(os.stat(path).st_mtime_ns for path in (folder, folder / "manifest.json"))
    except OSError:
        return ()


def _read(folder: Path, names: dict[str, str]) -> Kept:
    files = dict(_sizes(folder))
    here = partial(Kept, folder=folder, size_bytes=sum(files.values()), has_sound=files.get("conversation.wav", 0) > 44)
    try:
        manifest = opening.manifest(folder)
        inputs, facts = dict(manifest["inputs"]), dict(manifest["facts"])
        simulated = "started" not in facts and "ended" in facts  # and bundled: nobody knows when
        started = None if simulated else datetime.fromisoformat(str(facts["started"]))
        if started is not None:
            started.timestamp()  # else nothing could be sorted by it
        return here(
            started=started,
            title=opening.later_title(folder) or str(facts.get("title") or ""),
            customer=customer_of(inputs, names),
            prompt=prompt_of(inputs),
            branch_of=str(facts.get("branch_of") or ""),
            remarks=_remarks(folder, facts.get("tags")),
            mix=str(facts.get("mix") or Run(inputs=inputs, trace=()).mix),
            ended=RUNNING if "ended" not in facts and is_being_written(folder) else ended_of(facts),
            **_figures(folder, facts),
        )
    except (RunLogError, OSError, OverflowError, ValueError, KeyError, TypeError, AttributeError):
        return here(ended=UNREADABLE)


def _remarks(folder: Path, tags: Any) -> Remarks:
    said = Remarks.of(folder)
    given = tidied(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
    return said if said.tags is not None else replace(said, tags=given)


def ended_of(facts: dict[str, Any]) -> str:
    """How a run ended: `OVER`, `NOT_CLOSED`, or what went wrong."""
    return str(facts.get("error") or OVER) if "ended" in facts else NOT_CLOSED


def prompt_of(inputs: dict[str, Any]) -> str:
    """Which prompt a run had, as «warm v1»; empty where it was no template."""
    template = inputs.get("template")
    return f"{template.get('id')} v{template.get('version')}" if isinstance(template, dict) and template else ""


def customer_of(inputs: dict[str, Any], names: dict[str, str] | None = None) -> str:
    """An invented customer's name; a real one has none here. Empty: a stranger."""
    customer = str(inputs.get("customer") or "")
    return (_names() if names is None else names).get(customer, OF_THE_SHOP) if customer else ""


def of_a_person(run: Run) -> bool:
    """Whether the customer may be a real one: a real shop told of her, a call was recorded, or no invented one is known so.

    Of such a run neither words nor sound leave this machine.
    """
    return run.of_a_person or customer_of(run.inputs) == OF_THE_SHOP or "recording" in run.modes.values()


def _names() -> dict[str, str]:
    """The invented customers by what stands for them: for the shop's twins, and in a simulation."""
    return {key: p.name for p in Persona.all() for key in (key_of(p.gid), fingerprint(p.profile))}


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    with suppress(OSError):  # it may be on its way out
        for entry in os.scandir(folder):
            with suppress(OSError):
                yield entry.name, entry.stat().st_size


def _figures(folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """From the manifest, or, of a run that is older than that, from its table."""
    found = facts.get("figures")
    if isinstance(found, dict):
        return {name: n for name in FIGURES if isinstance(n := found.get(name), int | float) and abs(n) < float("inf")}
    if "ended" not in facts:
        return {}
    import polars as pl

    try:
        table: pl.DataFrame = pl.read_parquet(
            folder / "turns.parquet", glob=False, columns=["kind", "total_ms", "interrupted"]
        )
    except (OSError, pl.exceptions.PolarsError):
        return {}
    waits = table.filter(pl.col("kind") != "greeting")["total_ms"].drop_nulls().to_list()
    return {
        "turns": len(table),
        "first_sound_ms": round(median(waits), 1) if waits else None,
        "interruptions": int(table["interrupted"].sum()),
    }
