"""A notebook as a reader runs it: cell by cell, in any order, with other values, in one kernel."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

WIDGET = "application/vnd.jupyter.widget-view+json"
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
COURSE = tuple(sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb")))
RAW = {  # what only a programmer wants to see
    "a frame's shape": r"shape: \(\d",
    "types of columns": r"\b[fiu](?:8|16|32|64)\b|>str<|┆ str\b|\bdtype\b",
    "a code's state": r"<ConversationState",
    "an object's address": r"\bat 0x[0-9a-f]{6}",
    "a thing of code": r"\w\(children=|CustomerProfile\(|Turn\(|CacheStats\(",
    "fractions of a millisecond": r"\b\d{3,}\.\d\d+\b|\b\d{4,}\.\d",
    "a null": r">null<|\bNaN\b|┆ null\b",
}


def raw(cell: Any) -> list[str]:
    """What of a cell's outputs nobody should have to read."""
    texts: list[str] = []
    for output in cell.outputs:
        data = output.get("data", {"text": output.get("text", "")})
        if WIDGET in data:
            continue  # its words are for where no widget can be shown
        shown = (text for kind, text in data.items() if kind in ("text", "text/plain", "text/html"))
        texts += [re.sub(r"base64,[\w+/=]+", "", text) for text in shown]  # sound
    return [
        f"{cell.id}: {what}: {found[0]}"
        for text in texts
        for what, how in RAW.items()
        if (found := re.search(how, text))
    ]


class Reader:
    """Runs cells by their ids. A red cell fails the test; so does a raw dump."""

    def __init__(self, notebook: Any, client: NotebookClient) -> None:
        self._cells = {cell.id: (n, cell) for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"}
        self.client = client

    @property
    def ids(self) -> tuple[str, ...]:
        """The code cells from top to bottom."""
        return tuple(self._cells)

    def cell(self, name: str) -> Any:
        """One of them."""
        return self._cells[name][1]

    async def run(self, name: str, changes: Mapping[str, str] | None = None) -> str:
        """Run a cell, with something else in the place of what it says; returns what it shows."""
        number, cell = self._cells[name]
        shipped = cell.source
        for before, after in (changes or {}).items():
            assert before in cell.source, f"{name} does not say {before}"
            cell.source = cell.source.replace(before, after)
        try:
            await self.client.async_execute_cell(cell, number)
        finally:
            cell.source = shipped
        assert raw(cell) == []
        return "\n".join(str(o.get("text") or o.get("data", {}).get("text/plain", "")) for o in cell.outputs)


@asynccontextmanager
async def reading(stem: str) -> AsyncIterator[Reader]:
    """A notebook of the course in a fresh kernel."""
    notebook: Any = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4)
    client = NotebookClient(
        notebook, timeout=120, store_widget_state=False, resources={"metadata": {"path": str(NOTEBOOKS)}}
    )
    async with client.async_setup_kernel():
        yield Reader(notebook, client)


def store(path: Path) -> None:
    """Run a notebook and keep the outputs that are the same each time: of every cell that is not tagged otherwise."""
    notebook: Any = nbformat.read(path, as_version=4)
    NotebookClient(notebook, store_widget_state=False, resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "nbval-ignore-output" in cell.metadata.get("tags", ()):
            cell.outputs, cell.execution_count = [], None
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(WIDGET, None)  # its id is another each time; the picture beside it stays
    notebook.metadata.pop("widgets", None)
    nbformat.write(notebook, path)


if __name__ == "__main__":  # python -m tests.ground.notebooks
    os.environ["CLARA_PACE"] = "50"
    for stem in COURSE:
        store(NOTEBOOKS / f"{stem}.ipynb")
