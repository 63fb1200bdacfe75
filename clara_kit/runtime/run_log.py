"""Writes a run while it happens: `data/runs/<run_id>/` with manifest, events, sound, and tables at the end.

What is known of a person may stand in all of it, so that folder and files are their owner's alone. A disk that is full,
whenever and for however long, must not end a conversation: what it did not take is taken back whole and written later.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import platform
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, partial
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from clara_kit.core.commands import Message, RequestReply
from clara_kit.core.errors import RunLogError
from clara_kit.core.paths import DATA
from clara_kit.core.records import Record
from clara_kit.core.text import whole
from clara_kit.measure import codec
from clara_kit.measure.run import WORDS_FILE, Run, experiment_id

try:
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("clara_kit.runtime")
EVENTS_FILE = "events.jsonl"
AT_ONCE = 500  # records: of much that waits, what there is room for is written
FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))  # errors that may pass, while people talk
_ROOM = "make room on the disk, or give another `log_root`."
_ELSEWHERE = "is it a file, or another's? Give another `log_root`."
PACKAGES = ("clara-kit", "anthropic", "deepgram-sdk", "httpx", "websockets", "polars", "pydantic")


class RunLog:
    """One folder. `append` what the trace has new; `close` writes the tables and returns the run.

    root: where the folder is made (default `data/runs`). Raises `RunLogError` where it cannot be; a disk that is full is
    asked again with each `append`, and `trouble` says so meanwhile.
    """

    def __init__(
        self,
        inputs: dict[str, Any],
        *,
        title: str = "",
        note: str = "",
        tags: tuple[str, ...] = (),
        root: Path | str | None = None,
    ) -> None:
        started, root = datetime.now(UTC), Path(root or DATA / "runs")
        self.inputs = json.loads(whole(json.dumps(inputs, ensure_ascii=False)))  # exactly what a reader will get
        at = f"{started:%Y%m%dT%H%M%S}{started.microsecond // 1000:03d}"  # UTC and first, so that names sort by time
        self.folder = root / f"{at}-{experiment_id(self.inputs)}"
        self.facts: dict[str, Any] = whole(
            {
                "run_id": self.run_id,
                "title": title,
                "note": note,
                "tags": list(tags),
                "started": started.isoformat(timespec="milliseconds"),
                "versions": versions(),
                **code(),
            }
        )
        self.trouble: RunLogError | None = None
        """What the disk does not take at present; it waits for the next `append`."""
        self._file: BinaryIO | None = None
        self._made = False  # the folder, and by us
        self._written = self._end_bytes = 0
        self._said: tuple[Message, ...] = ()  # of the last request written
        self._words: dict[str, str] = {}
        self._noted = False  # something that the manifest does not have yet
        self._told = False
        try:
            self._begin()
        except (OSError, ValueError) as exc:
            if not isinstance(exc, OSError) or exc.errno not in FULL:
                where, hint = (self.folder, _ROOM) if self._made else (root, _ELSEWHERE)
                raise _unwritten(where, exc, hint) from exc
            self._failed(exc)

    @property
    def run_id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def sound_path(self) -> Path:
        """Where the recording goes."""
        return self.folder / "conversation.wav"

    def note(self, **facts: Any) -> None:
        """What else the manifest shall tell; written with the next `append`."""
        self.facts |= facts
        self._noted = True

    def append(self, trace: Sequence[Record], words: dict[str, str] | None = None) -> None:
        """Write what trace and `facts` have gained since the last call; what the disk does not take waits for the next.

        `words`: what its placeholders stand for. They lie in a file of their own, which may be deleted: everything else
        works without it.
        """
        try:
            self._append(trace, words or {})
        except OSError as exc:
            self._failed(exc)
        else:
            self.trouble = None

    def _failed(self, exc: OSError) -> None:
        self.trouble = _unwritten(self.folder, exc)
        if not self._told:
            self._told = True
            log.warning("%s", self.trouble)

    def _begin(self) -> None:
        if not self._made:
            self.folder = _new_folder(self.folder)
            self._made, self.facts["run_id"] = True, self.run_id
        self._write_manifest()
        file = private(self.folder / EVENTS_FILE, anew=not self._end_bytes)
        if fcntl is not None:  # held until it is closed, or its process is gone: see `is_being_written`
            with suppress(OSError):  # some disks have no locks
                fcntl.flock(file, fcntl.LOCK_EX)  # whoever asks just now has it for a moment only
        self._file = file

    def _append(self, trace: Sequence[Record], words: dict[str, str]) -> None:
        if self._file is None:
            self._begin()
        assert self._file is not None
        if words != self._words:  # before what needs them
            write_whole(self.folder / WORDS_FILE, json.dumps(words, ensure_ascii=False, indent=1))
            self._words = dict(words)
        while fresh := trace[self._written : self._written + AT_ONCE]:
            lines = codec.to_log(fresh, self._said).encode()
            try:
                self._file.seek(self._end_bytes)
                _write_all(self._file, lines)
            except OSError:
                with suppress(OSError):
                    self._file.truncate(self._end_bytes)  # else half of a line would stand before the next
                raise
            self._end_bytes += len(lines)
            self._written += len(fresh)
            self._said = next((r.messages for r in reversed(fresh) if type(r) is RequestReply), self._said)
        if self._noted:
            self._write_manifest()

    def close(self, trace: Sequence[Record], *, error: str = "", words: dict[str, str] | None = None) -> Run:
        """Write the rest, the tables and the end of the manifest; `words` as in `append`.

        Raises `RunLogError` where the disk does not take one of them, after all others are written; may then be called
        again.
        """
        ended = datetime.now(UTC).isoformat(timespec="milliseconds")  # of the first call
        self.facts |= {"ended": self.facts.get("ended", ended), "error": error, "records": len(trace)}
        run = Run(inputs=self.inputs, facts=self.facts, trace=tuple(trace), folder=self.folder, words=words or {})
        failed: OSError | None = None
        for write in (
            partial(self._append, run.trace, run.words),
            partial(self._write_end, run),
            partial(_write_tables, run),
        ):
            try:
                write()
            except OSError as exc:
                failed = failed or exc
        if self._file is not None:
            self._file.close()
        self._file = None
        if failed is not None:
            raise _unwritten(self.folder, failed) from failed
        return run

    def _write_end(self, run: Run) -> None:
        self.facts["figures"] = run.figures  # so that a shelf of a thousand runs reads no table
        self._write_manifest()

    def _write_manifest(self) -> None:
        manifest = {"schema": codec.SCHEMA, "experiment_id": experiment_id(self.inputs), "inputs": self.inputs}
        text = json.dumps({**manifest, "facts": self.facts}, ensure_ascii=False, indent=1)
        write_whole(self.folder / "manifest.json", text)
        self._noted = False


def _unwritten(where: Path, exc: Exception, hint: str = _ROOM) -> RunLogError:
    return RunLogError(f"The run cannot be written to {where}: {getattr(exc, 'strerror', None) or exc}.", hint=hint)


def _write_tables(run: Run) -> None:
    assert run.folder is not None
    for name, table in (("turns", run.turns), ("events", run.event_table)):
        table.write_parquet(made := io.BytesIO())
        write_whole(run.folder / f"{name}.parquet", made.getvalue())


def private(path: Path, *, anew: bool = True) -> BinaryIO:
    """A new file, or what there is of it; its owner's alone whatever the umask says. Raises `OSError`."""
    flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if anew else 0)
    file = open(os.open(path, flags, 0o600), "r+b", buffering=0)  # noqa: SIM115
    path.chmod(0o600)
    return file


def is_being_written(folder: Path) -> bool:
    """Whether a process of this machine still writes this run; False where that cannot be known."""
    try:
        with open(folder / EVENTS_FILE, "rb") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def write_whole(path: Path, content: str | bytes) -> None:
    """The whole file, its owner's alone, or, where the disk does not take it, the one that was there. Raises `OSError`."""
    fresh = path.with_name(path.name + ".new")
    try:
        with private(fresh) as file:
            _write_all(file, content if isinstance(content, bytes) else whole(content + "\n").encode())
        os.replace(fresh, path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


def _write_all(file: BinaryIO, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def _new_folder(wanted: Path) -> Path:
    """A folder that nobody has yet: equal conversations may begin in the same millisecond."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        folder.chmod(0o700)
        return folder
    raise AssertionError("count() does not end")


@cache
def versions() -> dict[str, str]:
    """Versions of Python, the kit and the packages that shape a run."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@cache  # it is the code that was loaded which counts, and asking takes a while
def code() -> dict[str, str]:
    """The `commit` of the kit, and the `patch` where the tree was dirty; empty outside a checkout."""

    def git(*args: str) -> str:
        done = subprocess.run(("git", *args), cwd=DATA.parent, capture_output=True, timeout=10, check=True)
        return done.stdout.decode(errors="replace")  # a file of the tree may be no text

    try:
        return {
            "commit": git("rev-parse", "HEAD").strip(),
            "patch": git("diff", "HEAD", "--", "clara_kit", "data")[:200_000],
        }
    except (OSError, subprocess.SubprocessError):
        return {"commit": "", "patch": ""}
