"""A template's file: front matter in YAML, then the body; where files lie, and which version is the newest.

Comes before `language.py`, which reads the body. Every error names the line as an editor counts it.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clara_kit import data_files
from clara_kit.core.paths import DATA
from clara_kit.prompts.refusals import refusal

SHIPPED = DATA / "prompts"
MINE = SHIPPED / "mine"
PARTS = SHIPPED / "parts"
SOURCE_CHARS = 20_000

VARIABLES = {
    "first_name": "the customer's first name, or empty",
    "skin_type": "seca, grasa, mixta, sensible or normal, or empty",
    "concerns": "what worries the customer about the skin, in lower case; a list, perhaps empty",
    "purchases": "what was bought, newest first: .title, .days_ago, .quantity; a list, perhaps empty",
    "recommended": "products that fit, best first: .title, .price_clp, .reasons …; a list, perhaps empty",
    "catalog": "the products in stock: .title, .kind, .price_clp, .skin_types, .concerns, .ingredients …",
    "customer_data": "all that is known of the customer, fenced as data; empty when nothing is",
}
"""Every variable a template may declare, and what it holds."""

_FRONT = re.compile(r"---[ \t]*(?:\r\n?|\n)(.*?(?:\r\n?|\n))---[ \t]*(?:\r\n?|\n|\Z)", re.DOTALL)
_ID = re.compile(r"[a-z][a-z0-9_]*")
_VERSIONED = re.compile(r"(?P<id>[a-z][a-z0-9_]*)\.v(?P<version>\d+)\.md")
_FITS: dict[str, Callable[[Any], object]] = {
    "id": lambda v: isinstance(v, str) and _ID.fullmatch(v),
    "version": lambda v: type(v) is int and v >= 1,
    "description": lambda v: isinstance(v, str) and v.strip(),
    "variables": lambda v: isinstance(v, list) and all(isinstance(name, str) for name in v),
    "note": lambda v: isinstance(v, str),
}
"""The fields of the front matter, and what each may hold; a note may be missing."""


def read(path: Path) -> str:
    """The text of a template or part, with the line ends that it has."""
    try:
        return data_files.raw(path).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise refusal("not utf-8", file=path.name, line=exc.object.count(b"\n", 0, exc.start) + 1) from exc
    except (OSError, ValueError) as exc:
        known = data_files.known(SHIPPED, ".md")
        raise refusal("no template", file=path.name, why=getattr(exc, "strerror", None) or exc, known=known) from exc


def plain(source: str) -> str:
    """The text with plain newlines: what is compiled, and what a hash is of."""
    return source.replace("\r\n", "\n").replace("\r", "\n")


def name_of(path: Path) -> str:
    """What `find` takes: `warm`, `mine/warm.v2`, or a path."""
    if path.parent == SHIPPED:
        return path.stem
    return f"mine/{path.stem}" if path.parent == MINE else str(path)


def find(name: str | Path) -> Path:
    """`warm` is shipped; `mine/warm.v2` is your own, `mine/warm` the newest of it; anything with .md is a path."""
    text = str(name)
    if isinstance(name, Path) or text.endswith(".md"):
        return Path(name)
    if text.startswith("mine/"):
        own = versions(text.removeprefix("mine/"), MINE)
        return own[-1] if own else MINE / f"{text.removeprefix('mine/')}.md"
    return SHIPPED / f"{text}.md"


def versions(template_id: str, folder: Path) -> list[Path]:
    """The saved versions of a template, oldest first."""
    found = (m for p in folder.glob("*.md") if (m := _VERSIONED.fullmatch(p.name)))
    own = sorted((int(m["version"]), m.string) for m in found if m["id"] == template_id)
    return [folder / name for _, name in own]


def version_of(path: Path) -> int:
    """The number in the name of a saved version."""
    match = _VERSIONED.fullmatch(path.name)
    return int(match["version"]) if match else 0


def with_version(source: str, version: int, note: str = "") -> str:
    """The source with another number for a version and another note, and not one character else; it was checked before."""
    match = _FRONT.match(source)
    assert match is not None
    front, said = (
        match.group(1),
        json.dumps("".join(filter(str.isprintable, " ".join(note.split()))), ensure_ascii=False),
    )
    mapping = data_files.yaml_nodes(front)
    held = {key.value: (key, value) for key, value in mapping.value}
    key, number = held["version"]
    changes = [(number.start_mark.index, number.end_mark.index, str(version))]
    if "note" in held:
        old = held["note"][1]
        changes.append((old.start_mark.index, old.end_mark.index, said))
    elif note.strip():
        ends = "\r\n" if "\r\n" in front else "\n"
        apart = ", " if mapping.flow_style else ends + " " * key.start_mark.column
        changes.append((key.start_mark.index, key.start_mark.index, f"note: {said}{apart}"))
    for start, end, text in sorted(changes, reverse=True):
        front = front[:start] + text + front[end:]
    return source[: match.start(1)] + front + source[match.end(1) :]


def same(one: str, other: str) -> bool:
    """Whether two sources, both checked before, differ in nothing but version and note."""
    return _apart_from_version(one) == _apart_from_version(other)


def _apart_from_version(source: str) -> tuple[dict[str, Any], str]:
    front, body, first_line = split(plain(source), "")
    return {**front, "version": 0, "note": ""}, body[first_line - 1 :]


def write_new(path: Path, text: str) -> None:
    """Write the whole file or nothing; raises `FileExistsError` where there is one of this name."""
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with open(handle, "wb") as out:
            out.write(text.encode())
            out.flush()
            os.fsync(out.fileno())
        os.chmod(fresh, 0o644)  # mkstemp's are for their owner alone
        try:
            os.link(fresh, path)  # unlike a renaming, it never takes the place of another
        except FileExistsError:
            raise
        except OSError:  # a disk without links
            if path.exists():
                raise FileExistsError(path) from None
            os.replace(fresh, path)
    finally:
        Path(fresh).unlink(missing_ok=True)


def front_end(source: str) -> int:
    """Where the body begins; the text's end where the front matter is missing or not closed."""
    match = _FRONT.match(source)
    return match.end() if match else len(source)


def split(source: str, file: str) -> tuple[dict[str, Any], str, int]:
    """The fields of the front matter, the body, and its first line: empty ones before it keep the lines' numbers."""
    if len(source) > SOURCE_CHARS:
        raise refusal("too long", file=file, chars=f"{len(source):,}", most=f"{SOURCE_CHARS:,}")
    match = _FRONT.match(source)
    if match is None:
        raise refusal("no front", file=file, line=1)
    lines = match.group().count("\n")
    return _front(match.group(1), file), "\n" * lines + source[match.end() :], lines + 1


def _front(text: str, file: str) -> dict[str, Any]:
    def check(fits: object, field: str, why: str, /, **found: Any) -> None:
        if not fits:
            match = re.search(rf"(?m)^{re.escape(field)}[ \t]*:", text)
            line = text[: match.start()].count("\n") + 2 if match else 1
            raise refusal(why, file=file, line=line, field=field, fields=tuple(_FITS), **found)

    try:
        data = data_files.yaml_of(text)
    except data_files.BadData as exc:
        raise refusal("not yaml", file=file, line=exc.line + 1, why=exc) from exc
    check(isinstance(data, dict), "", "no fields")
    for field in _FITS:
        check(field in data or field == "note", field, "field missing")
    for field in data:
        check(field in _FITS, str(field), "field unknown")
    for field, fits in _FITS.items():
        check(field not in data or fits(data[field]), field, field, value=repr(data.get(field)))
    for name in data["variables"]:
        check(name in VARIABLES, "variables", "variable", value=repr(name), known=tuple(VARIABLES))
    return {**data, "description": data["description"].strip(), "variables": tuple(data["variables"])}
