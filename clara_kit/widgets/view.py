"""Where the views lie, and how one is put together."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def view(*names: str) -> str:
    """The script of one view, with the parts that all of them share before it, and those of its own."""
    return "".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in ("parts", *names))


def style(*names: str) -> str:
    """Several style sheets as one."""
    return "".join((HERE / f"{name}.css").read_text(encoding="utf-8") for name in names)
