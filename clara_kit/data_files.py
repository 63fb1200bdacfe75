"""The one reader of data files: YAML, JSON and text, and whatever is made of them, once for each state of the files.

Above `core`, beneath every room that has files of its own. An edit shows at the next load: what was made is kept only
while every file that was read for it (a template's parts too) has the time, the size and the inode that it had then.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
import yaml

from clara_kit.core.errors import ClaraError, ScriptError
from clara_kit.core.text import whole

T = TypeVar("T")
N = TypeVar("N")
log = logging.getLogger("clara_kit")
_Stamp = tuple[int, int, int]
_IN_C_DEEP = 5_000  # very deep nesting is more than libyaml's own stack bears; Python's loader raises instead
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # as JSON writes an emoji, half by half; libyaml takes none
_MOST = 256  # things kept; whoever loads more than that loads them anew
_STEP = re.compile(r"\[(\d+)\]|\.([^.\[\s]+)|unknown field `([^`]+)`")
_ODD_TAGS = tuple(f"tag:yaml.org,2002:{tag}" for tag in ("set", "omap", "pairs", "binary"))  # nobody means one of these
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


class BadData(ValueError):
    """A text that holds no data. `line`: from 1; 0 where no line is to blame."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(why)
        self.line = line


def data(path: Path) -> Any:
    """What a YAML or JSON file holds, new for each who asks. Raises `ScriptError` for any that cannot be read."""
    kind = "JSON" if path.suffix == ".json" else "YAML"
    try:
        return whole(json.loads(text(path))) if kind == "JSON" else yaml_of(text(path))
    except OSError as exc:
        raise ScriptError(f"{path.name} cannot be read: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:
        line, why = getattr(exc, "line", getattr(exc, "lineno", 0)), str(exc)
        if isinstance(exc, UnicodeDecodeError):
            line, why = exc.object.count(b"\n", 0, exc.start) + 1, "it is not UTF-8 text; save it as UTF-8"
        at = f", line {line}" if line else ""
        raise ScriptError(f"{path.name} is not valid {kind}{at}: {why}.") from exc


def built(path: Path, make: Callable[[Any], T], hint: str) -> T:
    """`make(data)` of a YAML file. Its `ClaraError`, or msgspec's, becomes a `ScriptError` that names file and line."""
    held = data(path)
    try:
        return make(held)
    except msgspec.ValidationError as exc:
        error: ClaraError = wrong(exc, hint)
        cause: Exception = exc
    except ClaraError as exc:
        error = cause = exc
    line = _line(text(path), error.where)
    raise ScriptError(f"{path.name}, line {line}: {error.message}", hint=error.hint or hint) from cause


def wrong(exc: msgspec.ValidationError, hint: str) -> ScriptError:
    """What msgspec found, and where."""
    says, _, where = str(exc).partition(" - at `")
    where = where.rstrip("`")
    return ScriptError(
        f"{where.removeprefix('$').removeprefix('.') or 'the file'} is malformed: {says}.",
        hint=hint,
        where=f"{where} {says}",
    )


def _line(source: str, where: str) -> int:
    """The line of a place like `$.lines[2].text`, or of what it stands in."""
    try:
        node = yaml_nodes(source)
    except RecursionError:
        node = None
    line = node.start_mark.line + 1 if node is not None else 1
    for number, name, unknown in _STEP.findall(where):
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == (name or unknown)]
        else:  # a plain list stands for the lines of a script
            pairs = [(one, one) for one in node.value[int(number) :]] if number and node is not None else []
        for key, value in pairs[:1]:
            line, node = key.start_mark.line + 1, value
    return line


def yaml_of(source: str) -> Any:
    """What a YAML text holds; every name of a mapping is a text and stands there once. Raises `BadData`."""
    try:
        return yaml.load(source, _loader(source))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        raise BadData(exc.problem or exc.context or "it makes no sense", mark.line + 1 if mark else 0) from exc
    except (yaml.YAMLError, RecursionError) as exc:
        odd = yaml.reader.Reader.NON_PRINTABLE.search(source)
        why = "there is a character that no text has" if odd else "it is nested too deep"
        raise BadData(why, source.count("\n", 0, odd.start()) + 1 if odd else 0) from exc


def yaml_nodes(source: str) -> Any:
    """The nodes of a YAML text that was read before, each with its place; None where it is empty."""
    return yaml.compose(source, _loader(source))


def _loader(source: str) -> Any:
    deep = sum(map(source.count, "[{")) + 2 * max(map(len, source.splitlines()), default=0)  # at the most
    if _HALF.search(source):
        return _WithHalves
    return _IN_C if deep < _IN_C_DEEP else _IN_PYTHON


def _strict(base: Any) -> Any:
    """A loader that names the line of whatever it cannot build, and takes no name twice."""

    class Strict(base):  # type: ignore[misc]
        yaml_constructors: ClassVar = {
            tag: make for tag, make in base.yaml_constructors.items() if tag not in _ODD_TAGS
        }

        def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep)
            except (yaml.YAMLError, RecursionError):
                raise
            except Exception as exc:  # «2026-13-45»: yaml lets through whatever Python says to it
                why = f"{str(node.value)[:40]!r} is not what it looks like ({type(exc).__name__}: {exc})"
                raise yaml.constructor.ConstructorError(None, None, why, node.start_mark) from exc

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
            names = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    key.tag = "tag:yaml.org,2002:str"  # `on` is the name of a field, and no truth
                    if key.value in names:
                        why = f"{key.value!r} stands there twice"
                        raise yaml.constructor.ConstructorError(None, None, why, key.start_mark)
                    names.add(key.value)
            return super().construct_mapping(node, deep)

    return Strict


_IN_C = _strict(getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # where libyaml is there: ten times as fast
_IN_PYTHON = _strict(yaml.SafeLoader)


class _WithHalves(_IN_PYTHON):  # type: ignore[misc, valid-type]
    """Takes half characters, and joins them."""


_WithHalves.add_constructor("tag:yaml.org,2002:str", lambda loader, node: whole(loader.construct_scalar(node)))


def each(names: Iterable[N], load: Callable[[N], T]) -> tuple[tuple[T, ...], dict[N, ClaraError]]:
    """What can be loaded, and why the rest cannot: one bad file hides no other."""
    good: list[T] = []
    bad: dict[N, ClaraError] = {}
    for name in names:
        try:
            good.append(load(name))
        except ClaraError as exc:
            bad[name] = exc
            log.warning("%s", exc)
    return tuple(good), bad


def find(name: str | Path, folder: Path, what: str) -> Path:
    """The file of this name in the folder, or the YAML file at this path; `ScriptError` with the names there are."""
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = folder / f"{name}.yaml"
    if not os.path.isfile(path):
        though = " (it is a folder)" if os.path.isdir(path) else ""
        raise ScriptError(f"There is no {what} {str(name)!r}{though}.", hint=f"use one of: {', '.join(known(folder))}.")
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
