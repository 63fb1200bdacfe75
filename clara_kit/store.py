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
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from clara_kit.core.errors import ClaraError, RunLogError

try:
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]

SCHEMA_VERSION = 1
_OURS = 0x436C4B56  # "ClKV": a file of another program is never touched, only set aside
_BUSY_S = 2.0  # a writer holds the file for some milliseconds; who waits longer goes without
_TRIES = 4  # of an operation: the file may be damaged, or another process may be renaming it in this moment
_CLOCK_WRONG_S = 300  # an entry from further in the future was stored while the machine's clock was wrong
# Whoever comes second to an empty file finds all of this, and makes it again to no effect.
_COLUMNS = "key TEXT PRIMARY KEY, value BLOB, digest BLOB, tag TEXT, stored_at REAL, expires_at REAL"
_SCHEMA = f"""BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS entries ({_COLUMNS}) WITHOUT ROWID;
    PRAGMA application_id = {_OURS}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"""
_KIND = """SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)
    FROM pragma_application_id, pragma_user_version"""
_BEGINS = "substr(key, 1, length(?1)) = ?1"
_log = logging.getLogger(__name__)


class _Damaged(Exception):
    """What is in the file is not a store of this version; the text says what it is."""


# A damaged page may also give a number where a text was.
_DAMAGE = (_Damaged, sqlite3.DatabaseError, TypeError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One value that has not expired. `stored_at`: seconds since 1970."""

    value: bytes
    stored_at: float

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
        self._clock, self._checked = clock, False
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong so far, each thing once."""
        return tuple(self._warnings)

    # --- what can be done with it ----------------------------------------------------------------------

    def get(self, key: str) -> Entry | None:
        """The value of a key, None where there is none or no disk."""
        now = self._clock()
        sql = "SELECT value, stored_at, digest FROM entries WHERE key=? AND expires_at>? AND stored_at<?"
        rows = self._rows(sql, key, now, now + _CLOCK_WRONG_S, digest_of=key)
        return Entry(*rows[0][:2]) if rows else None

    def put(self, key: str, value: bytes | Any, *, ttl_s: float, tag: str = "") -> bool:
        """Keep a value (bytes, or anything JSON can write) for `ttl_s`; False where it could not be kept."""
        data, now = value if isinstance(value, bytes) else json.dumps(value).encode(), self._clock()
        self._rows("DELETE FROM entries WHERE expires_at <= ?", now)
        sql = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?) RETURNING 1"
        return bool(self._rows(sql, key, data, _digest(key, data), tag, now, now + ttl_s))

    def renew(self, tag: str, prefix: str, *, ttl_s: float) -> int:
        """Let the entries of a tag whose keys begin with `prefix` live at least `ttl_s` from now."""
        sql = f"UPDATE entries SET expires_at = max(expires_at, ?2) WHERE {_BEGINS} AND tag = ?3 RETURNING 1"
        return len(self._rows(sql, prefix, self._clock() + ttl_s, tag))

    def tags(self, prefix: str) -> frozenset[str]:
        """The tags of all entries whose keys begin so, expired ones too."""
        rows = self._rows(f"SELECT DISTINCT tag FROM entries WHERE {_BEGINS}", prefix)
        return frozenset(str(tag) for (tag,) in rows)

    def items(self, prefix: str = "") -> tuple[tuple[str, Entry], ...]:
        """Every key that begins so, in order, with its value; without those that are not what was stored."""
        now = self._clock()
        sql = f"""SELECT key, value, stored_at, digest FROM entries WHERE {_BEGINS} AND expires_at > ?2 AND stored_at < ?3
            ORDER BY key"""
        rows = self._rows(sql, prefix, now, now + _CLOCK_WRONG_S)
        return tuple((key, Entry(value, at)) for key, value, at, digest in rows if digest == _digest(key, value))

    def delete(self, key: str = "", *, prefix: str = "", tag: str = "") -> int:
        """Delete by key, by the beginning of keys, by tag, or by both; says how many entries went."""
        where = f"{_BEGINS} AND ?2 IN ('', tag)" if prefix or tag else "key = ?1 AND ?2 = ''"
        return len(self._rows(f"DELETE FROM entries WHERE {where} RETURNING 1", prefix or key, tag))

    def clear(self) -> int:
        """Delete everything; says how many entries went."""
        return len(self._rows("DELETE FROM entries RETURNING 1"))

    def shrink(self, prefix: str, most: int) -> int:
        """Delete the oldest entries whose keys begin so, until at most so many are left; says how many went."""
        oldest = f"SELECT key FROM entries WHERE {_BEGINS} ORDER BY stored_at DESC, key LIMIT -1 OFFSET ?2"
        return len(self._rows(f"DELETE FROM entries WHERE key IN ({oldest}) RETURNING 1", prefix, most))

    def stats(self, prefix: str = "") -> StoreStats:
        """How much it holds (under keys that begin with `prefix`)."""
        sql = f"SELECT stored_at FROM entries WHERE {_BEGINS} AND expires_at > ?2 ORDER BY stored_at"
        now = self._clock()
        ages = [max(0.0, now - stored_at) for (stored_at,) in self._rows(sql, prefix, now)]
        size = self.path.stat().st_size if self.path.exists() else 0
        oldest, newest = (ages[0], ages[-1]) if ages else (None, None)
        return StoreStats(entries=len(ages), file_bytes=size, oldest_s=oldest, newest_s=newest)

    # --- the file --------------------------------------------------------------------------------------

    def _rows(self, sql: str, *args: Any, digest_of: str = "") -> list[Any]:
        """What one statement gives, empty where there is no disk; a damaged file is set aside and it is tried anew."""
        # mode=rw: a file that vanished in this moment is not made anew with everyone's rights to read it.
        where = self.path.absolute().as_uri() + "?mode=rw"
        try:
            for _ in range(_TRIES):
                file = self._file()
                try:
                    with closing(sqlite3.connect(where, uri=True, timeout=_BUSY_S)) as db, db:
                        _examine(db, thoroughly=not self._checked)
                        self._checked = True
                        rows = db.execute(sql, args).fetchall()
                        if any(digest_of and row[-1] != _digest(digest_of, row[0]) for row in rows):
                            raise _Damaged("a value is not what was stored")
                        return rows
                except _DAMAGE as exc:
                    if _is_damage(exc):
                        self._set_aside(file, exc)
                    elif self.path.exists():
                        raise
            self._warn(f"The store {self.path.name} stays damaged or vanishes; nothing is kept.")
        except (sqlite3.Error, OSError) as exc:
            self._checked = False
            why = exc.strerror if isinstance(exc, OSError) else exc  # without addresses of this machine
            self._warn(f"The store {self.path.name} cannot be used ({why}); nothing is kept.")
        return []

    def _file(self) -> int:
        """The inode of the file, which is its owner's alone; an empty one is made where there is none."""
        if not self.path.exists():
            with locked(self.path):
                if not self.path.exists():
                    # Beside it first: to close a file of SQLite's would undo all its locks.
                    (fresh := self.path.with_name(self.path.name + ".new")).touch(mode=0o600)
                    fresh.replace(self.path)
        file = self.path.stat()
        if file.st_mode & 0o777 != 0o600:
            self.path.chmod(0o600)  # copied or restored by someone, or made under a stranger umask
        return file.st_ino

    def _set_aside(self, file: int, why: Exception) -> None:
        """Rename the file, with its journal, unless another process has done so in the meantime."""
        self._checked, name = False, self.path.name
        with locked(self.path):
            if not self.path.exists() or self.path.stat().st_ino != file:
                return
            n = 1
            while (aside := self.path.with_name(f"{name}.damaged-{n}")).exists():
                n += 1
            for end in ("-journal", "-wal", "-shm", ""):
                if (one := self.path.with_name(name + end)).exists():
                    one.replace(aside.with_name(aside.name + end))
        self._warn(f"The store {name} was damaged ({why}) and is set aside as {aside.name}.")

    def _warn(self, message: str) -> None:
        if message not in self._warnings:
            self._warnings.append(message)
            _log.warning("%s", message)


def _examine(db: sqlite3.Connection, *, thoroughly: bool) -> None:
    """Makes the table in an empty file. Raises `_Damaged`, or SQLite's own error, for anything but such a store."""
    db.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
    db.execute("PRAGMA synchronous = NORMAL")
    if db.execute(_KIND).fetchone() == (0, 0, 0):
        db.executescript(_SCHEMA)
    ours, version, _ = db.execute(_KIND).fetchone()
    if (ours, version) != (_OURS, SCHEMA_VERSION):
        raise _Damaged(f"schema version {version}" if ours == _OURS else "it is a file of another program")
    if thoroughly and (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise _Damaged(str(found).splitlines()[0][:80])


def _is_damage(exc: Exception) -> bool:
    """Damage of the content, as opposed to a disk that is full, locked, read-only or away."""
    if isinstance(exc, sqlite3.OperationalError):
        return str(exc).startswith(("no such table", "no such column", "table entries has", "Could not decode"))
    return not isinstance(exc, sqlite3.Error) or type(exc) is sqlite3.DatabaseError


def _digest(key: str, value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=8, key=hashlib.sha256(key.encode()).digest()).digest()


_SALT = secrets.token_hex(16)  # of this process, where there is no disk


def own_salt(path: Path) -> str:
    """A secret of this machine, its owner's alone; made when it is first asked for. Never raises for what a disk does."""
    try:
        with locked(path):
            if not path.exists():
                (fresh := path.with_name(path.name + ".new")).touch(mode=0o600)
                fresh.write_text(_SALT, encoding="ascii")
                fresh.replace(path)
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
            return path.read_text(encoding="ascii") or _SALT
    except (OSError, ValueError):
        return _SALT


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `<path>.lock`; makes the folder (its owner's alone) where there is none. Raises OSError."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)  # whatever the umask says
    (lock := path.with_name(path.name + ".lock")).touch(mode=0o600)
    if lock.stat().st_mode & 0o777 != 0o600:
        lock.chmod(0o600)
    with lock.open("r+") as handle, held(handle):
        yield


@contextmanager
def held(file: BinaryIO | TextIO) -> Iterator[None]:
    """Hold a file that is open, where the system knows how: whoever comes second waits. Raises OSError."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_UN)


def append(file: BinaryIO, line: bytes) -> None:
    """Write a line at the end, one of its own even where somebody was cut off in mid-line."""
    if size := file.seek(0, os.SEEK_END):
        file.seek(size - 1)
        line = line if file.read(1) == b"\n" else b"\n" + line
    file.write(line)


@contextmanager
def disk(what: str, hint: str, error: type[ClaraError] = RunLogError) -> Iterator[None]:
    """Whatever a disk does within becomes `error`: «what: why»."""
    try:
        yield
    except OSError as exc:
        raise error(f"{what}: {exc.strerror or exc}.", hint=hint) from exc
