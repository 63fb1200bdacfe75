"""Reads `data/pronunciation.csv`: how names are said. Before `spoken.py`, which says them so."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from clara_kit.audio.spoken import Pronunciation
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.data_files import made, text


def usual_pronunciation(path: Path = DATA / "pronunciation.csv") -> Pronunciation:
    """How names are said: (written, said) of each row, for `spoken`. Raises `ScriptError` with file and line."""
    return made(path, _read)


def _read(path: Path) -> Pronunciation:
    def wrong(line: int, what: str, hint: str) -> ScriptError:
        return ScriptError(f"{path.name}, line {line}: {what}.", hint=hint)

    try:
        source = text(path)
    except OSError as exc:
        raise ScriptError(f"{path.name} cannot be read: {exc.strerror}.", hint=f"put it back: {path}") from exc
    except UnicodeDecodeError as exc:
        raise wrong(exc.object.count(b"\n", 0, exc.start) + 1, "not UTF-8", "save it as «CSV UTF-8».") from exc
    reader = csv.reader(source.splitlines(), delimiter=";" if ";" in source.partition("\n")[0] else ",")
    found: dict[str, tuple[int, str, str]] = {}
    for row in reader:
        line, cells = reader.line_num, [" ".join(cell.split()) for cell in row]
        if not any(cells) or (not found and [cell.lower() for cell in cells] == ["written", "said"]):
            continue
        if len(cells) != 2 or not all(cells):
            raise wrong(line, "a row is a name as it is written and how it is said", "write two columns: AHA,a hache a")
        written, said = cells
        if not re.fullmatch(r"[^\W\d_]+(?:[ ,'’-]+[^\W\d_]+)*", said):
            raise wrong(line, f"{said!r} is not only words", "write out numbers and signs: «diez», «por ciento».")
        if (older := found.get(written)) is not None:
            raise wrong(line, f"{written!r} stands in line {older[0]} already", "keep one of the two.")
        found[written] = line, written, said
    for line, written, said in found.values():  # else a text that is handed on would be said differently each time
        for other, name, _ in found.values():
            if (
                name != said
                and name.casefold() in said.casefold()
                and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said, re.I if name.upper() != name else 0)
            ):
                hint = "write it in other letters, or take that row out."
                raise wrong(
                    line, f"how {written!r} is said has {name!r} in it, which line {other} says otherwise", hint
                )
    return tuple((written, said) for _, written, said in found.values())
