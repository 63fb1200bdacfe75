"""One locked on-disk key-value with expiry, for the caches: a single SQLite file that only its owner can read.

Below everything that remembers (`shop/cache.py`); knows nothing of what it keeps. A cache may
never stop a conversation, so nothing here raises for what a disk does: a damaged file is set aside, a read-only
or full disk means that nothing is kept, and both are told once in `warnings` and to the logger.

A rollback journal rather than a write-ahead log: writes are rare and small, one file can be set aside whole, and
what was forgotten is not left behind in a second file. A connection lives for one operation (about half a
millisecond), so threads, forks and a file that another process has set aside need no thought.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

_APPLICATION_ID = 0x436C4B56  # "ClKV": a file of another program is never touched, only set aside
SCHEMA_VERSION = 1
BUSY_MS = 2000  # a writer holds the file for some milliseconds; who waits longer goes without
_MAX_WARNINGS = 20
_TRIES = 4  # of an operation: the file may be damaged, or another process may be renaming it in this moment
_BESIDE = ("-journal", "-wal", "-shm")  # of a file that is gone: must not be taken for the new file's
_CLOCK_WRONG_S = 300  # an entry from further in the future was stored while the machine's clock was wrong
_SCHEMA = """
CREATE TABLE entries (
  key TEXT PRIMARY KEY, value BLOB NOT NULL, digest BLOB NOT NULL, tag TEXT NOT NULL,
  stored_at REAL NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_tag ON entries (tag);
CREATE INDEX by_expiry ON entries (expires_at);
"""
_log = logging.getLogger(__name__)
T = TypeVar("T")


class _Damaged(Exception):
    """What is in the file is not a store of this version; the text says what it is."""


# A damaged page may also give a number where a text was.
_DAMAGE = (_Damaged, sqlite3.DatabaseError, TypeError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One value that has not expired. Times in seconds since 1970."""

    value: bytes
    tag: str
    stored_at: float
    expires_at: float

    def json(self) -> Any:
        """The value read as JSON, None where it is none."""
        try:
            return json.loads(self.value)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """What a store holds now; expired entries are not counted. Ages in seconds."""

    entries: int = 0
    file_bytes: int = 0
    oldest_s: float | None = None
    newest_s: float | None = None


class Store:
    """Values by key, each with its end of life, and a tag by which several can be deleted at once.

    path: made with its folder when first used. clock: seconds since 1970, as all processes share it.
    """

    def __init__(self, path: Path | str, *, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(path)
        self._clock = clock
        self._warnings: list[str] = []
        self._checked = False

    def __repr__(self) -> str:
        return f"Store({self.path.name})"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong so far, each thing once."""
        return tuple(self._warnings)

    # --- what can be done with it ----------------------------------------------------------------------

    def get(self, key: str, *, prefix: bool = False) -> Entry | None:
        """The value of a key (or of the newest key that begins so), None where there is none or no disk."""
        where, args = _named(key, prefix)
        sql = f"SELECT key, value, digest, tag, stored_at, expires_at FROM entries WHERE {where}"
        sql += " AND expires_at > ? AND stored_at < ? ORDER BY stored_at DESC LIMIT 1"

        def read(db: sqlite3.Connection) -> Entry | None:
            now = self._clock()
            row = db.execute(sql, (*args, now, now + _CLOCK_WRONG_S)).fetchone()
            if row is None:
                return None
            name, value, digest, tag, stored_at, expires_at = row
            if not _intact(name, value, digest):
                raise _Damaged("a value is not what was stored")
            return Entry(value, tag, stored_at, expires_at)

        return self._do(read, None)

    def put(self, key: str, value: bytes | Any, *, ttl_s: float, tag: str = "") -> bool:
        """Keep a value (bytes, or anything JSON can write) for `ttl_s`; False where it could not be kept."""
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        now = self._clock()

        def write(db: sqlite3.Connection) -> bool:
            db.execute("DELETE FROM entries WHERE expires_at <= ?", (now,))
            row = (key, data, _digest(key, data), tag, now, now + ttl_s)
            db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)", row)
            return True

        return self._do(write, False)

    def renew(self, tag: str, prefix: str, *, ttl_s: float) -> int:
        """Let the entries of a tag whose keys begin with `prefix` live at least `ttl_s` from now."""
        where, args = _named(prefix, True)
        until = self._clock() + ttl_s
        sql = f"UPDATE entries SET expires_at = max(expires_at, ?) WHERE tag = ? AND {where}"
        return self._do(lambda db: db.execute(sql, (until, tag, *args)).rowcount, 0)

    def tags(self, prefix: str) -> frozenset[str]:
        """The tags of all entries whose keys begin so, expired ones too."""
        where, args = _named(prefix, True)
        sql = f"SELECT DISTINCT tag FROM entries WHERE {where}"
        return self._do(lambda db: frozenset(str(tag) for (tag,) in db.execute(sql, args)), frozenset())

    def delete(self, key: str = "", *, prefix: str = "", tag: str = "") -> int:
        """Delete by key, by the beginning of keys, by tag, or by both; says how many entries went."""
        where, args = _named(prefix or key, bool(prefix or tag))
        if tag:
            where, args = f"{where} AND tag = ?", (*args, tag)
        return self._do(lambda db: db.execute(f"DELETE FROM entries WHERE {where}", args).rowcount, 0)

    def clear(self) -> int:
        """Delete everything; says how many entries went."""
        return self._do(lambda db: db.execute("DELETE FROM entries WHERE true").rowcount, 0)

    def stats(self, prefix: str = "") -> StoreStats:
        """How much it holds (under keys that begin with `prefix`)."""
        where, args = _named(prefix, True)
        sql = f"SELECT count(*), min(stored_at), max(stored_at) FROM entries WHERE {where} AND expires_at > ?"
        now = self._clock()
        row = self._do(lambda db: db.execute(sql, (*args, now)).fetchone(), None)
        if row is None:
            return StoreStats()
        count, first, last = row
        size = self.path.stat().st_size if self.path.exists() else 0
        ages = (None, None) if first is None else (max(0.0, now - first), max(0.0, now - last))
        return StoreStats(entries=count, file_bytes=size, oldest_s=ages[0], newest_s=ages[1])

    # --- the file --------------------------------------------------------------------------------------

    def _do(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """One operation in one transaction; a damaged file is set aside and the operation done anew."""
        try:
            for _ in range(_TRIES):
                try:
                    with self._open() as db:
                        return work(db)
                except _DAMAGE as exc:
                    if _is_damage(exc):
                        self._set_aside(exc)
                    elif self.path.exists():
                        raise
            self._warn(f"The store {self.path.name} stays damaged or vanishes; nothing is kept.")
        except (sqlite3.Error, OSError) as exc:
            self._checked = False
            self._warn(f"The store {self.path.name} cannot be used ({_plain(exc)}); nothing is kept.")
        return otherwise

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self.path.exists() or self.path.stat().st_size == 0:
            with locked(self.path):
                self._make()
        with closing(_connect(self.path)) as db:
            _examine(db, thoroughly=not self._checked)
            if not self._checked and self.path.stat().st_mode & 0o077:
                self.path.chmod(0o600)  # copied or restored by someone
            self._checked = True
            with db:
                yield db

    def _make(self) -> None:
        """A new, empty file, complete before anyone else can open it. Called with the lock held."""
        if self.path.exists() and self.path.stat().st_size:
            return  # another process was faster
        for end in ("", *_BESIDE):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(_connect(fresh)) as db:
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        fresh.replace(self.path)

    def _set_aside(self, why: Exception) -> None:
        """Rename the file, with its journal, unless another process has done so in the meantime."""
        self._checked = False
        with locked(self.path):
            if not self.path.exists() or not self._still_damaged():
                return
            n = 1
            while (aside := self.path.with_name(f"{self.path.name}.damaged-{n}")).exists():
                n += 1
            for end in _BESIDE:
                beside = self.path.with_name(self.path.name + end)
                if beside.exists():
                    beside.replace(aside.with_name(aside.name + end))
            self.path.replace(aside)
            self._make()
        self._warn(
            f"The store {self.path.name} was damaged ({_plain(why)}) and is set aside as {aside.name}."
        )

    def _still_damaged(self) -> bool:
        try:
            with closing(_connect(self.path)) as db:
                _examine(db, thoroughly=True)
                rows = db.execute("SELECT key, value, digest FROM entries")
                return not all(_intact(*row) for row in rows)
        except _DAMAGE as exc:
            return _is_damage(exc)

    def _warn(self, message: str) -> None:
        if message not in self._warnings and len(self._warnings) < _MAX_WARNINGS:
            self._warnings.append(message)
            _log.warning("%s", message)


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw: a file that vanished in this moment is not made anew with everyone's rights to read it.
    uri = path.absolute().as_uri() + "?mode=rw"
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_MS / 1000)
    db.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def _examine(db: sqlite3.Connection, *, thoroughly: bool = False) -> None:
    """Raises `_Damaged`, or SQLite's own error, for anything but a store of this version."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION_ID:
        raise _Damaged("it is a file of another program")
    if version != SCHEMA_VERSION:
        raise _Damaged(f"it has schema version {version}, not {SCHEMA_VERSION}")
    if thoroughly and (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise _Damaged(str(found).splitlines()[0][:80])


def _is_damage(exc: Exception) -> bool:
    """Damage of the content, as opposed to a disk that is full, locked, read-only or away."""
    if isinstance(exc, sqlite3.OperationalError):
        words = ("no such table", "no such column", "table entries has", "Could not decode")
        return str(exc).startswith(words)
    return not isinstance(exc, sqlite3.Error) or type(exc) is sqlite3.DatabaseError


def _named(key: str, prefix: bool) -> tuple[str, tuple[Any, ...]]:
    return ("substr(key, 1, ?) = ?", (len(key), key)) if prefix else ("key = ?", (key,))


def _digest(key: str, value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=8, key=hashlib.sha256(key.encode()).digest()).digest()


def _intact(key: object, value: object, digest: object) -> bool:
    return isinstance(key, str) and isinstance(value, bytes) and _digest(key, value) == digest


def _plain(exc: Exception) -> str:
    """What went wrong, without addresses of this machine."""
    return (exc.strerror or type(exc).__name__) if isinstance(exc, OSError) else str(exc)


try:
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `<path>.lock`; makes the folder (its owner's alone) where there is none. Raises OSError."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # gives the lock back
