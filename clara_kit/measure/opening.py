"""Opens what is left of a run: each part by itself, with what is wrong with it in words.

Before `Run`, which is made of the parts. Folders come from crashes, full disks, editors and other versions of the kit: what
is whole is worth having, so long as nobody takes it for all.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from clara_kit.core.commands import Message, RequestReply
from clara_kit.core.errors import RunLogError
from clara_kit.core.records import Record
from clara_kit.core.text import whole
from clara_kit.measure import codec

WORDS_FILE = "customer_words.json"
TITLE_FILE = "title.txt"  # what it was called afterwards; the manifest stays as it was written

T = TypeVar("T")
_BLANK = b" \t\r\0"  # a crash of the machine may leave NULs where a file had grown
_TOLD = 3  # lines that are named one by one
_KIND = re.compile(rf'\{{"type":"({"|".join(codec.TYPES)})"'.encode())
_WHERE = "give the folder of a run (data/runs/<run_id>), or a file that Run.to_jsonl() wrote."


class Parts(TypedDict, total=False):
    """What a `Run` is made of."""

    inputs: dict[str, Any]
    facts: dict[str, Any]
    trace: tuple[Record, ...]
    folder: Path
    words: dict[str, str]
    problems: tuple[str, ...]


def of_path(path: Path) -> Parts:
    """A folder, or a file of `Run.to_jsonl`. Raises `RunLogError` where nothing of it is whole."""
    try:
        folder = path.is_dir()
    except (OSError, ValueError):  # not to be entered, or no path at all
        folder = False
    if folder:
        return _of_folder(path)
    try:
        raw = _bytes(path)
    except RunLogError as exc:
        raise RunLogError(f"There is no readable run at {path}: {exc.message}", hint=_WHERE) from exc
    return of_lines(raw)


def manifest(folder: Path) -> dict[str, Any]:
    """What stands in a run's manifest. Raises `RunLogError`."""
    return _parse(_bytes(folder / "manifest.json"))


def later_title(folder: Path) -> str:
    """What a run was called after it was recorded; empty where nobody has called it anything."""
    try:
        return " ".join(whole((folder / TITLE_FILE).read_text("utf-8", "replace")).split())
    except OSError:
        return ""


def _of_folder(path: Path) -> Parts:
    """Each part by itself: what is wrong with one costs none of the others."""
    problems: list[str] = []
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError as exc:
        raise RunLogError(f"There is no readable run at {path}: {exc.strerror}.", hint=_WHERE) from exc

    def part(name: str, read: Callable[[bytes], T], without: T) -> T:
        try:
            return read(_bytes(path / name))
        except RunLogError as exc:
            problems.append(f"{name}: {exc.message}")
            return without

    manifest: dict[str, Any] = part("manifest.json", _parse, {})
    inputs: dict[str, Any] = {}
    facts: dict[str, Any] = {"run_id": whole(path.name)}
    if manifest:
        _check_schema(manifest, problems)
        inputs, facts = (_part(manifest, name, problems) for name in ("inputs", "facts"))
        if "ended" not in facts:
            problems.append("It has no end: it still runs, or the process that wrote it was stopped.")
    trace, damage, _ = _records(part("events.jsonl", lambda raw: raw.split(b"\n"), []), first=1)
    problems += [f"events.jsonl: {why}" for why in damage]
    if facts.get("records", len(trace)) != len(trace):
        problems.append(f"events.jsonl: {len(trace)} records can be read, {facts['records']} were written.")
    if not inputs and not trace:
        raise RunLogError(f"There is no readable run at {path}: {' '.join(problems)}", hint=_WHERE)
    kept: dict[str, Any] = part(WORDS_FILE, _parse, {}) if WORDS_FILE in names else {}
    words = {name: word for name, word in kept.items() if isinstance(word, str)}
    if title := later_title(path):
        facts = {**facts, "title": title}
    if len(words) < len(kept):
        problems.append(f"{WORDS_FILE}: some of it are no words.")
    return Parts(inputs=inputs, facts=facts, trace=trace, folder=path, words=words, problems=tuple(problems))


def of_lines(raw: bytes) -> Parts:
    """What `Run.to_jsonl` wrote. Raises `RunLogError`, which names the line, where more than its end is damaged."""
    first, *lines = raw.split(b"\n")
    try:
        head = _parse(first)
    except RunLogError as exc:
        raise RunLogError(f"Line 1: {exc.message}", hint=_WHERE) from exc
    if head.get("type") != "Run" or "inputs" not in head:
        raise RunLogError("The first line is not the head of a run.", hint=_WHERE)
    problems: list[str] = []
    _check_schema(head, problems)
    inputs = _part(head, "inputs", problems)
    trace, damage, at_the_end = _records(lines, first=2)
    if not at_the_end:
        raise RunLogError(damage[0], hint="was the file edited? In a copy of it, delete what cannot be read.")
    return Parts(inputs=inputs, trace=trace, problems=(*problems, *damage))


def _records(lines: list[bytes], *, first: int) -> tuple[tuple[Record, ...], list[str], bool]:
    """The records of a log's lines, what is wrong with the other lines, and whether all of those are at the end.

    Where the log is compact, each request gets its history back. What builds on a request that is lost is lost too.
    """
    said: tuple[Message, ...] = ()
    trace: list[Record] = []
    wrong: list[str] = []
    at_the_end = True
    for number, line in enumerate(lines, start=first):
        if not (line := line.strip(_BLANK)):
            continue
        try:
            fresh = codec.from_log(line.decode(), said)
        except (RunLogError, UnicodeDecodeError) as exc:
            why = exc.message if isinstance(exc, RunLogError) else "It is cut inside a letter."
            wrong.append(f"Line {number}: {why}")
            if b"RequestReply" in line or not _KIND.match(line):
                said = ()
            continue
        trace += fresh
        at_the_end = not wrong
        if fresh and type(fresh[-1]) is RequestReply:
            said = fresh[-1].messages
    if len(wrong) > _TOLD:
        wrong[_TOLD:] = [f"{len(wrong) - _TOLD} more lines cannot be read."]
    return tuple(trace), wrong, at_the_end


def _check_schema(head: dict[str, Any], problems: list[str]) -> None:
    schema = head.get("schema", 0)
    if not isinstance(schema, int | float):
        problems.append("Its event schema is no number: it is read as this version's.")
    elif schema > codec.SCHEMA:
        why = f"This run has event schema {schema}; this version reads up to {codec.SCHEMA}."
        raise RunLogError(why, hint="open it with the version of the kit that recorded it, or a newer one.")


def _part(head: dict[str, Any], name: str, problems: list[str]) -> dict[str, Any]:
    found = head.get(name)
    if isinstance(found, dict):
        return found
    problems.append(f"Its {name} are missing." if found is None else f"Its {name} are no JSON object.")
    return {}


def _bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise RunLogError("It is no file.", hint=_WHERE)
        return path.read_bytes().removeprefix(BOM_UTF8)
    except (OSError, ValueError) as exc:  # a path may be none
        raise RunLogError(f"It cannot be read: {getattr(exc, 'strerror', None) or exc}.", hint=_WHERE) from exc


def _has_no_halves(raw: bytes) -> bool:
    """Whether no text in it can hold half a character: a thousand manifests are looked through for that in vain."""
    try:
        return b"\\u" not in raw and b"\0" not in raw and bool(raw.decode())
    except UnicodeDecodeError:
        return False


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        data = json.loads(raw.strip(_BLANK + b"\n"))
        data = data if _has_no_halves(raw) else whole(data)
    except (ValueError, RecursionError) as exc:
        raise RunLogError(f"This is not JSON: {exc}.", hint=codec.CUT) from exc
    if not isinstance(data, dict):
        raise RunLogError("This is no JSON object.", hint=codec.CUT)
    return data
