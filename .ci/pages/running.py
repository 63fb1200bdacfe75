"""A notebook, run from its first cell to its last, or up to where it breaks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from pages.harvest import STATE

CELL_TIMEOUT_S = 300
_STOPS = (CellExecutionError, CellTimeoutError, DeadKernelError)
_KEEP = "import sys; sys.path.insert(0, {path!r}); from pages.harvest import keep; keep({folder!r}, globals())"


@dataclass
class Ran:
    """What came of a notebook. `broke_at`: the number from 0 of the cell that ended it; `why`: in plain words."""

    name: str
    title: str
    cells: list[Any]
    widgets: dict[str, dict[str, Any]] = field(default_factory=dict)
    sounds: dict[str, bytes] = field(default_factory=dict)
    mixes: list[str] = field(default_factory=list)  # what stood behind its conversations
    broke_at: int | None = None
    why: str = ""

    @classmethod
    def of(cls, path: Path) -> Ran:
        """A notebook that is still to be run; one that cannot be read has broken already."""
        try:
            cells = cast(Any, nbformat).read(path, as_version=4).cells
        except Exception as exc:
            return cls(path.stem, path.stem, []).stopped(f"Its file is no notebook: {exc}")
        return cls(name=path.stem, title=title_of(cells, path.stem), cells=cells)

    def stopped(self, why: str, at: int | None = None) -> Ran:
        """It ended at this cell, or before the first."""
        if at is None:
            self.cells = [cast(Any, nbformat).v4.new_code_cell("")]
        self.broke_at, self.why = at or 0, why
        return self

    def read(self, folder: Path) -> None:
        """Take over what `harvest.keep` wrote."""
        if (folder / STATE).is_file():
            kept = json.loads((folder / STATE).read_text(encoding="utf-8"))
            self.widgets, self.mixes = kept["widgets"], kept["mixes"]
            self.sounds = {path.name: path.read_bytes() for path in folder.glob("*.wav")}


async def run(ran: Ran, where: Path, tell: Callable[[str], None] = print) -> None:
    """Run a notebook in the folder `where`. Never raises for what its cells do; says which cell it is at."""
    notebook = cast(Any, nbformat).v4.new_notebook(cells=ran.cells)
    ran.cells = notebook.cells
    count = sum(cell.cell_type == "code" for cell in notebook.cells)
    started: list[int] = []  # the places of the cells that were begun

    def begun(cell: Any, cell_index: int) -> None:
        if cell.cell_type == "code":
            started.append(cell_index)
            tell(f"{ran.name}: cell {len(started)} of {count}")

    # A plot comes as data: plotly itself lies beside the pages once.
    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        store_widget_state=False,
        extra_arguments=["--log-level=ERROR"],
        on_cell_start=begun,
        resources={"metadata": {"path": str(where)}},
    )
    with TemporaryDirectory(prefix="clara-pages-") as folder:
        async with client.async_setup_kernel():
            try:
                for number, cell in enumerate(list(notebook.cells)):
                    await client.async_execute_cell(cell, number)
            except _STOPS as exc:
                ran.stopped(in_words(exc), started[-1])
                tell(f"{ran.name}: stopped. {ran.why}")
                if isinstance(exc, CellTimeoutError):
                    await cast(Any, client.km).interrupt_kernel()
            try:
                await _harvest(client, folder)
            except _STOPS as exc:
                tell(f"{ran.name}: its widgets could not be kept. {in_words(exc)}")
        ran.read(Path(folder))


async def _harvest(client: NotebookClient, folder: str) -> None:
    client.on_cell_start = cast(Any, None)
    cell = cast(Any, nbformat).v4.new_code_cell(_KEEP.format(path=str(Path(__file__).parents[1]), folder=folder))
    client.nb.cells.append(cell)  # a client runs only what stands in its notebook
    try:
        await client.async_execute_cell(cell, len(client.nb.cells) - 1)
    finally:
        client.nb.cells.pop()


def in_words(exc: Exception) -> str:
    """Why a notebook stopped, for somebody who does not program."""
    if isinstance(exc, CellTimeoutError):
        return f"A cell took longer than {CELL_TIMEOUT_S} seconds."
    if isinstance(exc, DeadKernelError):
        return "Python itself ended (its kernel died), perhaps for want of memory."
    name, text = getattr(exc, "ename", type(exc).__name__), str(getattr(exc, "evalue", exc)).strip()
    if name == "AssertionError":
        return f"What the notebook claims here did not hold{f': {text}' if text else '.'}"
    if name in ("ModuleNotFoundError", "ImportError"):
        return f"A part of the kit, or of what it needs, is missing: {text}"
    return f"{text} ({name})" if text else f"The cell stopped with {name}."


def title_of(cells: list[Any], otherwise: str) -> str:
    """The first heading of a notebook."""
    lines = (line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines())
    return next((line.removeprefix("# ").strip() for line in lines if line.startswith("# ")), otherwise)
