"""Scenarios out of a spreadsheet: its CSV as Excel, Numbers or LibreOffice export it. `data/scenarios/README.md`.

Read before `scenario.py`, which makes scenarios of what is found. Nothing is lost: what cannot be understood is an error
that names row and column as the spreadsheet counts them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clara_kit.core.errors import ScriptError
from clara_kit.core.placeholders import fold
from clara_kit.core.text import whole
from clara_kit.store import disk

COLUMNS = {
    "name": "nombre", "title": "titulo", "topic": "tema", "description": "descripcion", "line": "linea",
    "must": "debe", "must_not": "no_debe", "why": "por_que",
}  # fmt: skip
"""Each column: English, Spanish."""
TOPICS = {
    "rutina": "routine", "acne": "acne", "embarazo": "pregnancy", "alergia": "allergy", "presupuesto": "budget",
    "reclamo": "complaint", "estado_del_pedido": "order_status", "pedido": "order_status", "fuera_de_tema": "off_topic",
    "groseria": "rude", "mezcla_de_idiomas": "code_switching", "interrupciones": "interruptions", "silencio": "silence",
    "otro": "other",
}  # fmt: skip
_KNOWN = {spelled: name for name, spanish in COLUMNS.items() for spelled in (name, spanish)} | {
    "lines": "line",
    "lineas": "line",
}
_ONCE = ("title", "topic", "description")  # said once for a scenario
_HINT = "see the section on CSV in data/scenarios/README.md."
_ANY_OF = re.compile(r"\s*((?:/(?:[^/\\]|\\.)+/|[^|])+)")


@dataclass(kw_only=True)
class Found:
    """One scenario. data: as a YAML file would hold it. places: row and column of each part, by its path in `data`."""

    name: str
    row: int
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[str, tuple[int, str]] = field(default_factory=dict)

    def wrong(self, exc: ScriptError) -> ScriptError:
        """The same error, with the place to blame."""
        at = max((place for place in self.places if exc.where.startswith(place)), key=len, default="")
        row, column = self.places.get(at, (self.row, ""))
        return _error(exc.message, row, column)


def _error(message: str, row: int, column: str = "") -> ScriptError:
    return ScriptError(f"Row {row}{f', column {column}' if column else ''}: {message}", hint=_HINT)


def scenarios(path: Path) -> list[Found]:
    """Every scenario of the file, in order. Raises `ScriptError`."""
    found: list[Found] = []
    for row, cells in _rows(path):
        name, title = cells.get("name", ""), cells.get("title", "")
        last = found[-1] if found else None
        if last is None or (name and name != last.name) or (not name and title and title != last.data["title"]):
            if before := next((one for one in found if one.name == (name or title)), None):
                raise _error(
                    f"{before.name!r} stands in row {before.row} already; its rows belong together.", row, "name"
                )
            if not (name or title or cells.get("line")):
                raise _error("the first row of a scenario needs a name, a title or a line.", row)
            last = Found(name=name or title or cells["line"].split("\n")[0], row=row)
            last.data = {"title": last.name, "topic": "other", "lines": [], "must": [], "must_not": []}
            found.append(last)
        _take(last, row, cells)
    if not found:
        raise ScriptError(f"{path.name} has a head and no rows.", hint=_HINT)
    rows = {one.row: {place[0] for place in one.places.values()} for one in found}
    for one in found:
        if len(rows[one.row]) == 1:  # all in one row: what must be said may be said by any answer
            for rule in one.data["must"]:
                del rule["turn"]
    return found


def _take(found: Found, row: int, cells: dict[str, str]) -> None:
    """Add what a row says."""
    data, places = found.data, found.places
    for column in _ONCE:
        if text := cells.get(column, ""):
            if column == "topic":
                text = TOPICS.get(_plain(text), _plain(text))
                if text not in TOPICS.values():
                    raise _error(
                        f"there is no topic {text!r}; use one of: {', '.join(dict.fromkeys(TOPICS.values()))}.",
                        row,
                        column,
                    )
            if (before := places.get(f"$.{column}")) and data[column] != text:
                raise _error(f"row {before[0]} says something else of the same scenario.", row, column)
            data[column], places[f"$.{column}"] = text, (row, column)
    for text in filter(None, map(str.strip, cells.get("line", "").split("\n"))):
        places[f"$.lines[{len(data['lines'])}]"] = row, "line"
        data["lines"].append(text)
    why, rules = cells.get("why", ""), 0
    for column in ("must", "must_not"):
        for text in filter(None, map(str.strip, cells.get(column, "").split("\n"))):
            rules += 1
            places[f"$.{column}[{len(data[column])}]"] = row, column
            rule: dict[str, Any] = {"says": [one.strip() for one in _ANY_OF.findall(text) if one.strip()], "why": why}
            if column == "must":
                rule["turn"] = max(1, len(data["lines"]))
            data[column].append(rule)
    if why and not rules:
        raise _error("it says why, and there is no must and no must_not in its row.", row, "why")


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row that is not empty: its number, and its cells by column."""
    text = _text(path)
    first, _, rest = text.partition("\n")
    if asked := re.fullmatch(r"\ufeff?\"?sep=(.)\"?", first.strip("\r")):  # as Excel writes and hides it
        text = rest
        first = rest.partition("\n")[0]
    delimiter = asked[1] if asked else max(";,\t", key=lambda one: sum(_column(c) in _KNOWN for c in first.split(one)))
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    head: list[str] = []
    row = 0
    try:
        for row, cells in enumerate(reader, start=1):
            cells = [whole(cell).replace("\r\n", "\n").strip() for cell in cells]
            if not head:
                head = _head(cells)
            elif any(cells):
                if lost := next((n for n, cell in enumerate(cells) if cell and not (head[n : n + 1] or [""])[0]), None):
                    raise _error(f"«{cells[lost][:40]}» stands in a column without a name.", row, _letter(lost))
                yield row, {name: cell for name, cell in zip(head, cells) if name}
    except csv.Error as exc:
        raise _error(f"it is no CSV: {exc}.", row + 1) from exc
    if not head:
        raise ScriptError(f"{path.name} is empty.", hint=_HINT)


def _head(cells: list[str]) -> list[str]:
    known = ", ".join(COLUMNS)
    head = []
    for number, cell in enumerate(cells):
        name = _KNOWN.get(_column(cell), "") if cell else ""
        if cell and not name:
            raise _error(f"there is no column {cell!r}; use {known}, or take it out.", 1, _letter(number))
        if name and name in head:
            raise _error(f"there are two columns {name!r}.", 1, _letter(number))
        head.append(name)
    if "line" not in head:
        raise _error(f"a column `line` is needed, with what the customer says; there may be {known}.", 1)
    return head


def _text(path: Path) -> str:
    """The text of the file: UTF-8 with or without a mark, UTF-16 with one, or else what Excel for Windows writes."""
    with disk(f"{path.name} cannot be read", "is it still there, and a file?", ScriptError):
        raw = path.read_bytes()
    if raw[:2] in (b"PK", b"\xd0\xcf"):
        raise ScriptError(f"{path.name} is a workbook, not CSV.", hint="in Excel: save as, «CSV UTF-8».")
    encodings = ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ScriptError(f"{path.name} is no text that can be read.", hint="save it as «CSV UTF-8».")


def _plain(text: str) -> str:
    return re.sub(r"[\s-]+", "_", fold(text.strip()))


def _column(cell: str) -> str:
    return _plain(cell.strip().strip('"\ufeff'))


def _letter(number: int) -> str:
    """As a spreadsheet calls a column."""
    return ("" if number < 26 else chr(ord("A") + number // 26 - 1)) + chr(ord("A") + number % 26)
