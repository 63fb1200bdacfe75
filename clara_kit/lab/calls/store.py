"""Kept answers of Claude on this disk: `data/calls/`, one file of lines for each prompt. `data/calls/README.md`.

A file is only ever added to, under a lock; its first line is what all its requests have in common (model, parameters,
the prompt's static part), every other line is one request and its answer. So that two processes may write at once, a file
can be looked at and compared like text, and a line that is damaged costs no other.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from clara_kit.core.paths import DATA
from clara_kit.providers.llm.calls import Call, Json, Who, key_of, personal
from clara_kit.store import append, held

if TYPE_CHECKING:
    import polars as pl

FOLDER = DATA / "calls"
MINE = "mine"
"""The folder within for real customers' calls, which belong to this machine alone."""
LINE_BYTES = 256 * 1024
ALL_BYTES = 64 * 1024 * 1024
_KEY = re.compile(rb'\{"key":"([0-9a-f]{24})",')
_log = logging.getLogger(__name__)


class CallStore:
    """Finds and keeps calls; may be shared by threads, and its folder by processes. Raises nothing for what a disk does."""

    def __init__(self, folder: str | Path | None = None, *, most_bytes: int = ALL_BYTES) -> None:
        self.folder, self._most_bytes = Path(folder) if folder is not None else FOLDER, most_bytes
        self._files: dict[Path, _File] = {}
        self._lock = threading.RLock()
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be read or kept, each thing once."""
        return tuple(self._warnings)

    def get(self, body: Json, who: Who) -> Call | None:
        """The answer to exactly this request, or None."""
        fixed, _ = _parted(body)
        name, key = _name(fixed, who), key_of(body, who)
        with self._lock:
            for folder in (self.folder, self.folder / MINE):
                row = self._file(folder / name).row(key)
                call = None if row is None else _call(row, fixed, who)
                if call is not None and call.key == key:
                    return call
        return None

    def keep(self, call: Call, *, private: bool = False) -> Call:
        """Keep it, unless there is one already; returns what is kept, or `call` itself where that is not possible."""
        fixed, rest = _parted(call.body)
        row = {"key": call.key, "made": call.made, "customer": call.customer, **rest, "came": call.came}
        line = _line({**row, "sum": _sum(row)})
        path = (self.folder / MINE if private else self.folder) / _name(fixed, call.who)
        with self._lock:
            kept = self.get(call.body, call.who)
            if kept is not None:
                return kept
            used = sum(p.stat().st_size for p in self.folder.rglob("*.jsonl")) if self.folder.is_dir() else 0
            if len(line) > LINE_BYTES or used + len(line) > self._most_bytes:
                self.warn(f"{path.name}: an answer was not kept: the folder or the answer is larger than it may be.")
                return call
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file(path).add(call.key, line, _line({"calls": 1, "who": call.who, "fixed": fixed}))
            except OSError as exc:
                self.warn(f"{path.name}: an answer was not kept ({exc.strerror or type(exc).__name__}).")
                return call
            return self.get(call.body, call.who) or call

    def all(self) -> Iterator[Call]:
        """Every kept call that can be sent again, file by file; not those of real customers."""
        for path in sorted(self.folder.glob("*.jsonl")):
            yield from self.of(path)

    def of(self, path: Path) -> Iterator[Call]:
        """The calls of one file."""
        with self._lock:
            file = self._file(path)
            rows, head = file.rows(), file.head()
        for row in rows if head is not None else ():
            assert head is not None
            if (call := _call(row, head["fixed"], head["who"])) is not None and call.key == row["key"]:
                yield call

    def _file(self, path: Path) -> _File:
        if path not in self._files:
            self._files[path] = _File(path, self.warn)
        return self._files[path]

    def warn(self, text: str) -> None:
        """Something is not kept, or cannot be read: told once."""
        if text not in self._warnings:
            self._warnings.append(text)
            _log.warning("%s", text)


class _File:
    """One file: where each key's lines lie. Looked at again when something is not found."""

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self.path, self._warn = path, warn
        self._at: dict[str, list[tuple[int, int]]] = {}
        self._head: tuple[int, int] = (0, 0)
        self._seen, self._inode = 0, 0

    def rows(self) -> list[Json]:
        """Every line that is whole."""
        self.look()
        return [row for key in self._at if (row := self.row(key)) is not None]

    def head(self) -> Json | None:
        """What all requests of this file have in common."""
        head = self._json(*self._head)
        return head if isinstance(head, dict) and isinstance(head.get("fixed"), dict) and "who" in head else None

    def row(self, key: str) -> Json | None:
        """The first line of a key that is whole: after a merge, or a damage, there may be two."""
        if key not in self._at:
            self.look()
        if (row := self._whole(key)) is None and key in self._at:
            self._seen = sys.maxsize  # it may have been edited in its place: everything anew
            self.look()
            if (row := self._whole(key)) is None and key in self._at:
                self._warn(f"{self.path.name}: the line of {key} is damaged or was changed by hand; it is passed over.")
        return row

    def _whole(self, key: str) -> Json | None:
        for place in self._at.get(key, ()):
            row = self._json(*place)
            if isinstance(row, dict) and row.pop("sum", "") == _sum(row) and row.get("key") == key:
                return row
        return None

    def look(self) -> None:
        """Find what has been added since."""
        try:
            with self.path.open("rb") as file:
                self._index(file)
        except FileNotFoundError:
            self._at, self._seen = {}, 0
        except OSError as exc:
            self._warn(f"{self.path.name} cannot be read ({exc.strerror or type(exc).__name__}).")

    def add(self, key: str, line: bytes, head: bytes) -> None:
        """Add a line, unless somebody was faster."""
        with self.path.open("ab+") as file, held(file):
            self._index(file)
            if self.row(key) is not None:
                return
            append(file, line if os.fstat(file.fileno()).st_size else head + line)
            file.flush()
            self._index(file)

    def _index(self, file: BinaryIO) -> None:
        stat = os.fstat(file.fileno())
        if stat.st_size < self._seen or stat.st_ino != self._inode:  # another file: everything anew
            self._at, self._seen, self._inode = {}, 0, stat.st_ino
        file.seek(self._seen)
        for line in file:
            if not line.endswith(b"\n"):
                break  # being written, or cut off
            begins = _KEY.match(line)
            if begins is not None:
                self._at.setdefault(begins[1].decode(), []).append((self._seen, len(line)))
            elif line.startswith(b'{"calls":'):
                self._head = self._seen, len(line)
            elif line.strip():
                self._warn(f"{self.path.name}: a line at byte {self._seen} is damaged; it is passed over.")
            self._seen += len(line)

    def _json(self, at: int, length: int) -> Any:
        try:
            with self.path.open("rb") as file:
                file.seek(at)
                return json.loads(file.read(length))
        except (OSError, ValueError, RecursionError):
            return None


def _parted(body: Json) -> tuple[Json, Json]:
    """What the requests of one prompt have in common, and what is this one's own."""
    system = body.get("system", [])
    shared = [block for block in system if not personal(block)]
    fixed = dict(
        sorted({**{name: value for name, value in body.items() if name != "messages"}, "system": shared}.items())
    )
    own = [block["text"] for block in system if personal(block)]
    return fixed, {"personal": own, "messages": [[m["role"], m["content"]] for m in body["messages"]]}


def _call(row: Json, fixed: Json, who: Who) -> Call | None:
    try:
        system = [*fixed["system"], *({"type": "text", "text": text} for text in row["personal"])]
        body = {**fixed, "messages": [{"role": role, "content": text} for role, text in row["messages"]]}
        body = {**body, "system": system} if system else {k: v for k, v in body.items() if k != "system"}
        came = tuple((float(at_ms), piece) for at_ms, piece in row["came"])
        return Call(who=who, body=body, came=came, made=str(row["made"]), customer=str(row["customer"]))
    except (KeyError, TypeError, ValueError):
        return None


def _name(fixed: Json, who: Who) -> str:
    model = re.sub(r"[^A-Za-z0-9.-]", "_", str(fixed.get("model", "")))[:40]
    return f"{model}-{sha256(_line([who, fixed])).hexdigest()[:12]}.jsonl"


def _sum(row: Json) -> str:
    return sha256(_line(row)).hexdigest()[:12]


def _line(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def calls(folder: str | Path | None = None) -> pl.DataFrame:
    """What is kept: one row a file, which is one prompt under one model: who answered, how many, when, how large."""
    import polars as pl

    store = CallStore(folder)
    rows = []
    for path in sorted(store.folder.rglob("*.jsonl")):
        kept = list(store.of(path))
        days = sorted(call.made for call in kept if call.made)
        rows.append({
            "model": str(kept[0].body.get("model")) if kept else "", "answered_by": kept[0].who if kept else "",
            "calls": len(kept), "customers": len({call.customer for call in kept}),
            "from": days[0] if days else "", "to": days[-1] if days else "",
            "size_kb": round(path.stat().st_size / 1024, 1), "file": path.relative_to(store.folder).as_posix(),
        })  # fmt: skip
    kinds = {"calls": pl.Int64, "customers": pl.Int64, "size_kb": pl.Float64}
    names = ("model", "answered_by", "calls", "customers", "from", "to", "size_kb", "file")
    return pl.DataFrame(rows, schema={name: kinds.get(name, pl.Utf8) for name in names})
