"""What comes from another machine in one file: not trusted, opened beside the runs, and there whole or not at all.

Only what the bundle says of itself is opened, file by file, each checked by its hash; `keeping.py` makes one.
"""

from __future__ import annotations

import json
import shutil
import zipfile
import zlib
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Any, BinaryIO

from clara_kit.core.errors import RunLogError
from clara_kit.core.paths import DATA
from clara_kit.runtime.run_log import private

ABOUT = "bundle.json"
FORMAT = 1
MOST_FILES, MOST_BYTES = 20_000, 1 << 30
"""The most that a bundle may hold when it is opened."""
_CHUNK_BYTES = 1 << 20
_THEIRS = "ask who made it for a fresh one; nothing of it was kept."


def unbundle(path: Path | str | BinaryIO, root: Path | str | None = None, *, most_bytes: int = MOST_BYTES) -> Path:
    """Open a bundle under `root` (default `data/runs`, or `data/experiments`): the folder, for `Run.load` to read.

    Every file is checked by its hash before anything is there. A folder of that name with the same content is that one; with
    other content stays, and the new one gets a number. Raises `RunLogError` for what is damaged, larger than `most_bytes`, or
    would be written anywhere else.
    """
    try:
        with zipfile.ZipFile(path) as zipped:
            return _opened(zipped, root, most_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeError) as exc:
        raise RunLogError("This is no bundle, or it is damaged.", hint=_THEIRS) from exc
    except OSError as exc:
        raise RunLogError(
            f"The bundle cannot be opened: {exc.strerror or exc}.", hint="is it there, and is there room?"
        ) from exc


def _opened(zipped: zipfile.ZipFile, root: Path | str | None, most_bytes: int) -> Path:
    about = _about(zipped)
    usual = DATA / ("runs" if about["kind"] == "run" else "experiments")
    place = Path(root or usual)
    held = {info.filename: info for info in zipped.infolist()}
    files: dict[str, list[Any]] = about["files"]
    if len(held) != len(zipped.infolist()) or set(held) != {ABOUT, *(f"files/{name}" for name in files)}:
        raise RunLogError("The bundle does not hold what it says.", hint=_THEIRS)
    if len(files) > MOST_FILES or sum(size for size, _ in files.values()) > most_bytes:
        hint = "if you trust who made it, raise `most_bytes`."
        raise RunLogError(f"The bundle is larger than {most_bytes / 1e6:,.0f} MB, or has too many files.", hint=hint)
    place.mkdir(parents=True, exist_ok=True)
    fresh = Path(mkdtemp(prefix=".opening-", dir=place))  # 0700; the shelf looks at no name that begins so
    try:
        for name, (size, digest) in files.items():
            _copy(zipped, held[f"files/{name}"], fresh / name, size, digest)
        for number in range(1, 1000):
            folder = place / (about["name"] if number == 1 else f"{about['name']}-{number}")
            if not folder.exists():
                fresh.rename(folder)
                return folder
            if all(_digest(folder / name) == digest for name, (_, digest) in files.items()):
                return folder
        raise RunLogError(f"There are too many called {about['name']}.", hint="delete some of them.")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _about(zipped: zipfile.ZipFile) -> dict[str, Any]:
    """What the bundle says of itself, where every name in it is one that may be written."""
    try:
        info = zipped.getinfo(ABOUT)
        about = json.loads(zipped.read(info)) if info.file_size < 8 * _CHUNK_BYTES else None
    except (KeyError, ValueError, RecursionError):
        about = None
    good = (
        isinstance(about, dict)
        and about.get("kind") in ("run", "experiment")
        and plain_name(about.get("name"), parts=1)
        and isinstance(files := about.get("files"), dict)
        and all(plain_name(name) and _is_file(told) for name, told in files.items())
    )
    if not good or not isinstance(about, dict):
        raise RunLogError("This is no bundle, or one that would write where it must not.", hint=_THEIRS)
    if about.get("format") != FORMAT:
        hint = "open it with the version of the kit that made it, or a newer one."
        raise RunLogError("Another version of the kit made this bundle.", hint=hint)
    return about


def plain_name(name: object, parts: int = 6) -> bool:
    """Whether it is a name of a file beneath, on every system: no way up, no root, no drive, nothing hidden."""
    if not isinstance(name, str) or not 0 < len(name) < 250 or not name.isprintable() or set(name) & set('\\:*?"<>|'):
        return False
    steps = name.split("/")
    return len(steps) <= parts and all(s and s[0] != "." and s[-1] not in ". " for s in steps)


def _is_file(told: object) -> bool:
    match told:
        case [int(size), str(digest)]:
            return not isinstance(size, bool) and size >= 0 and len(digest) == 64
    return False


def _copy(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, to: Path, size: int, digest: str) -> None:
    """Not a byte more than was announced is unpacked, whatever the archive's own figures say."""
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    seen, left = sha256(), size
    with zipped.open(info) as source, private(to) as target:
        while left >= 0 and (chunk := source.read(min(_CHUNK_BYTES, left + 1))):
            left -= len(chunk)
            seen.update(chunk)
            target.write(chunk)
    if left != 0 or seen.hexdigest() != digest:
        raise RunLogError(f"{PurePosixPath(info.filename).name} is damaged in this bundle.", hint=_THEIRS)


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
