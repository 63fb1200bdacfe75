"""The one reader of data files: YAML, JSON, CSV and text, and whatever is made of them, once for each state of the files.

Above `core`, beneath every room that has files of its own. An edit shows at the next load: what was made is kept only
while every file that was read for it (a template's parts too) has the time, the size and the inode that it had then.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable
from contextvars import ContextVar
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import yaml

from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA

T = TypeVar("T")
_Stamp = tuple[int, int, int]
_IN_C: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where libyaml is there: ten times as fast
_IN_C_DEEP = 5_000  # very deep nesting is more than libyaml's own stack bears; Python's loader raises instead
_MOST = 256  # things kept; whoever loads more than that loads them anew
_kept: dict[tuple[Any, ...], tuple[dict[Path, _Stamp], Any]] = {}
_reading: ContextVar[dict[Path, _Stamp] | None] = ContextVar("reading", default=None)


def made(path: Path, make: Callable[..., T], *more: Any) -> T:
    """`make(path, *more)`, done again only after one of the files that it read has changed.

    What it makes is shared between all who ask: it must be immutable. `make` and `more` must be hashable; `make` reads
    by `raw`, `text` or `data` alone. An error is not kept.
    """
    key, outer = (make, path, *more), _reading.get()
    stamps, value = _kept.get(key, ({}, None))
    if not stamps or any(_stamp(file) != stamp for file, stamp in stamps.items()):
        token = _reading.set(stamps := {})
        try:
            value = make(path, *more)
        finally:
            _reading.reset(token)
        if len(_kept) >= _MOST:
            _kept.clear()
        _kept[key] = stamps, value
    if outer is not None:
        outer.update(stamps)
    return value  # type: ignore[no-any-return]


def raw(path: Path) -> bytes:
    """The bytes of a file. Raises `OSError`."""
    if (files := _reading.get()) is not None:
        files.setdefault(path, _stamp(path))  # before it is read: who writes meanwhile is noticed later
    return path.read_bytes()


def text(path: Path) -> str:
    """The text of a file, with plain newlines and no byte order mark. Raises `OSError`, `UnicodeDecodeError`."""
    return raw(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def data(path: Path) -> Any:
    """What a YAML or JSON file holds, new for each who asks. Raises `ScriptError` for any that cannot be read."""
    kind = "JSON" if path.suffix == ".json" else "YAML"
    try:
        return json.loads(text(path)) if kind == "JSON" else yaml_of(text(path))
    except OSError as exc:
        raise ScriptError(f"{path.name} cannot be read: {exc.strerror}.") from exc
    except (ValueError, yaml.YAMLError, RecursionError) as exc:
        raise ScriptError(f"{path.name} is not valid {kind}: {exc}") from exc


def yaml_of(source: str) -> Any:
    """What a YAML text holds. Raises `yaml.YAMLError`, `ValueError`, `RecursionError`."""
    deep = sum(map(source.count, "[{")) + 2 * max(map(len, source.splitlines()), default=0)  # at the most
    return yaml.load(source, _IN_C if deep < _IN_C_DEEP else yaml.SafeLoader)


def pronunciation(path: Path = DATA / "pronunciation.csv") -> tuple[tuple[str, str], ...]:
    """How names are said: (written, said) of each row, for `audio.spoken`. Raises `ScriptError` with file and line."""
    return made(path, _pronunciation)


def _pronunciation(path: Path) -> tuple[tuple[str, str], ...]:
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
            if name != said and re.search(
                rf"(?<!\w){re.escape(name)}(?!\w)", said, re.I if name.upper() != name else 0
            ):
                hint = "write it in other letters, or take that row out."
                raise wrong(
                    line, f"how {written!r} is said has {name!r} in it, which line {other} says otherwise", hint
                )
    return tuple((written, said) for _, written, said in found.values())


def find(name: str | Path, folder: Path, what: str) -> Path:
    """The file of this name in the folder, or the YAML file at this path; `ScriptError` with the names there are."""
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = folder / f"{name}.yaml"
    if not os.path.isfile(path):
        raise ScriptError(f"There is no {what} {str(name)!r}.", hint=f"use one of: {', '.join(known(folder))}.")
    return path


def known(folder: Path, ending: str = ".yaml") -> tuple[str, ...]:
    """The names of the folder's files of this ending, sorted."""
    return tuple(sorted(path.stem for path in folder.glob(f"*{ending}")))


def fingerprint(value: object) -> str:
    """Twelve letters that stand for what was read, in the inputs of a run."""
    return sha256(repr(value).encode()).hexdigest()[:12]


def _stamp(path: Path) -> _Stamp:
    try:
        now = os.stat(path)
    except OSError:
        return 0, 0, 0
    return now.st_mtime_ns, now.st_size, now.st_ino
