"""Lists of questions to ask a prompt: the kit's own, those of the shipped scripts, and whatever somebody has kept by a name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from clara_kit import data_files
from clara_kit.core.errors import ClaraError
from clara_kit.core.paths import DATA
from clara_kit.core.text import whole
from clara_kit.store import disk
from clara_kit.world.script import Script

MINE = DATA / "questions"  # a text file a list, one question a line; never tracked
USUAL = (
    "¿Qué limpiador me recomiendas?", "¿Qué protector solar me recomiendas?", "¿Cuánto cuesta el despacho?",
    "¿Hacen despachos a regiones?", "¿Qué me recomiendas para las manchas?", "¿Puedo usar retinol embarazada?",
)  # fmt: skip
_NAME = re.compile(r"\w[\w -]{0,59}")


def listed(folder: Path | None = None) -> dict[str, str]:
    """Every list: its name for `read`, and what it is. One's own are `mine/<name>`."""
    scripts, _ = data_files.each(data_files.known(DATA / "scripts"), lambda name: (name, Script.load(name).title))
    own = {f"mine/{name}": name for name in data_files.known(folder or MINE, ".txt")}
    return {"usual": "", **dict(scripts), **own}


def read(name: str, folder: Path | None = None) -> tuple[str, ...]:
    """The questions of a list. Raises `ClaraError`."""
    if name == "usual":
        return USUAL
    if not name.startswith("mine/"):
        return tuple(line.text for line in Script.load(name).lines if line.text)
    path = _path(name.removeprefix("mine/"), folder)
    with disk("The list cannot be read", f"is it still there? {path}", ClaraError):
        return _lines(path.read_text("utf-8-sig", "replace").splitlines())


def keep(name: str, questions: Iterable[str], folder: Path | None = None) -> Path:
    """Keep a list by a name, in place of one that had it; returns its file. Raises `ClaraError`."""
    path, lines = _path(" ".join(name.split()), folder), _lines(questions)
    if not lines:
        raise ClaraError("There is no question to keep.", hint="write one a line.")
    with disk(f"The list cannot be kept in {path}", "make room on the disk.", ClaraError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _path(name: str, folder: Path | None) -> Path:
    if not _NAME.fullmatch(name):
        raise ClaraError(f"{name!r} is no name for a list.", hint="use letters, digits, blanks, - and _; up to 60.")
    return (folder or MINE) / f"{name}.txt"


def _lines(questions: Iterable[str]) -> tuple[str, ...]:
    return tuple(line for question in questions if (line := " ".join(whole(question).split())))
