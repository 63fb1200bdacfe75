"""`clara new "title"`: a starter notebook of one's own under notebooks/mine, which git does not see."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

from clara_kit.core.errors import ClaraError
from clara_kit.core.paths import DATA

STARTER = Path(__file__).with_name("starter.ipynb")
LONGEST_SLUG_CHARS = 60


def new(title: str) -> int:
    """Write the notebook and say where it is. Returns the exit code."""
    path = write_notebook(title)
    print(path)
    print(f"Open it: clara lab '{path}'  (or make lab, then notebooks/mine in the list at the left)")
    return 0


def write_notebook(title: str, folder: Path | None = None) -> Path:
    """Copy the starter with this title; a name that is taken gets a number, nothing is ever overwritten."""
    title = " ".join(title.split())
    if not title:
        raise ClaraError("The notebook needs a title.", hint='for example: clara new "greeting: warm or brief"')
    folder = folder or DATA.parent / "notebooks" / "mine"
    folder.mkdir(parents=True, exist_ok=True)
    notebook = json.loads(STARTER.read_text(encoding="utf-8"))
    head = notebook["cells"][0]
    head["source"] = [line.replace("TITLE", _as_markdown(title)) for line in head["source"]]
    text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    name = slug(title)
    for number in range(1, 10_000):
        path = folder / f"{name}{'' if number == 1 else f'-{number}'}.ipynb"
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            continue
        return path
    raise ClaraError(f"There are too many notebooks called {name}.", hint="choose another title.")


def slug(title: str) -> str:
    """A file name without accents, spaces or anything that a file system minds."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode("ascii").lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_SLUG_CHARS].strip("-") or "notebook"


def _as_markdown(title: str) -> str:
    return re.sub(r"([\\`*_<>\[\]$])", r"\\\1", title)
