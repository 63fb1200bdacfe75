"""What customers say and when: one documented YAML file, or a plain list of strings.

Read by the simulation, by the twins' scripted customer and by `make demo` alike. The format, with every
field and its default, is documented in `data/scripts/README.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from clara_kit import data_files
from clara_kit.core.checked import Checked
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.world.faults import Fault


class _Part(Checked, frozen=True, kw_only=True):
    error = ScriptError
    what = "A script is wrong"
    hint = "see data/scripts/README.md."


class Pause(_Part, frozen=True, kw_only=True):
    """A silence inside a line, after the given number of words."""

    after_word: Annotated[int, Meta(ge=1)]
    ms: Annotated[float, Meta(gt=0, le=60_000)]


class Line(_Part, frozen=True, kw_only=True):
    """One thing the customer says (or types, or a mere sound).

    When it starts: `after_clara_ms` after Clara has finished (default), or, if `interrupt_after_ms` is
    given, that long after she has begun to speak. If she never speaks, after `at_most_ms`.
    """

    text: str = ""
    typed: bool = False
    sound: Literal["cough", "noise"] | None = None
    sound_ms: Annotated[float, Meta(gt=0, le=60_000)] = 250
    after_clara_ms: Annotated[float, Meta(ge=0, le=600_000)] = 700
    interrupt_after_ms: Annotated[float, Meta(ge=0, le=600_000)] | None = None
    at_most_ms: Annotated[float, Meta(gt=0, le=600_000)] = 15_000
    pauses: tuple[Pause, ...] = ()
    words_per_min: Annotated[float, Meta(ge=60, le=400)] = 165

    def problems(self) -> list[str]:
        """A line has either words or a sound, and pauses lie between words."""
        words = len(self.text.split())
        if not words and self.sound is None:
            return ["a line needs a text or a sound"]
        if self.sound is not None and (words or self.typed):
            return ["a sound has no text"]
        if any(p.after_word >= words for p in self.pauses):
            return [f"a pause must come before the last of the {words} words"]
        return []


class Script(_Part, frozen=True, kw_only=True):
    """A whole customer: lines in order, and what goes wrong meanwhile."""

    title: str = "untitled"
    description: str = ""
    lines: Annotated[tuple[Line, ...], Meta(min_length=1)]
    faults: tuple[Fault, ...] = ()

    @classmethod
    def load(cls, name_or_path: str | Path) -> Script:
        """A script of `data/scripts/` by name, or any YAML file by path; raises `ScriptError`."""
        return data_files.made(data_files.find(name_or_path, DATA / "scripts", "script"), cls._read)

    @classmethod
    def _read(cls, path: Path) -> Script:
        def made(data: Any) -> Script:
            if isinstance(data, str):  # to `of` it would be the name of another
                raise ScriptError("This is one text, and a script is a list of lines or a mapping.")
            return cls.of(data, name=path.stem)

        return data_files.built(path, made, _Part.hint)

    @classmethod
    def of(cls, data: ScriptLike, *, name: str = "untitled") -> Script:
        """A script from itself, a path, parsed YAML, or a plain list of strings; raises `ScriptError`."""
        if isinstance(data, Script):
            return data
        if isinstance(data, str | Path):
            return cls.load(data)
        if isinstance(data, Sequence):
            if all(type(line) is str for line in data):
                return _of_texts(tuple(data), name)
            data = {"lines": list(data)}
        if not isinstance(data, dict):
            raise ScriptError(f"A script is a list of lines or a mapping, not {type(data).__name__}.", hint=_Part.hint)
        lines = each_of(data, "lines", _line, f"Script {name!r}, line {{}}: ")
        faults = each_of(data, "faults", Fault.from_dict)
        return cls.model_validate({"title": name, **data, "lines": lines, "faults": faults})


def each_of(data: dict[str, Any], field: str, make: Callable[[Any], Any], whose: str = "") -> tuple[Any, ...]:
    """Every entry of a list made into what it stands for; an error says which one it is."""
    entries, made, number = data.get(field) or (), [], 0
    try:
        if isinstance(entries, str) or not isinstance(entries, Sequence):
            raise ScriptError(f"{field} is a list, not {type(entries).__name__}.", hint=_Part.hint)
        for entry in entries:
            number += 1
            made.append(make(entry))
    except ScriptError as exc:
        where = f"$.{field}[{number - 1}]{exc.where[1:]}" if number else f"$.{field}"
        told = f"{whose.format(number) if number else ''}{exc.message}"
        raise ScriptError(told, hint=exc.hint, where=where) from exc
    return tuple(made)


def _line(data: Any) -> Line:
    if isinstance(data, Line):
        return data
    if isinstance(data, str):
        return Line(text=data)
    if not isinstance(data, dict):
        raise ScriptError(f"A line is a text or a mapping, not {type(data).__name__}.", hint=_Part.hint)
    return Line.model_validate(data)


@lru_cache(maxsize=64)  # the same lines with many seeds
def _of_texts(lines: tuple[str, ...], name: str) -> Script:
    return Script.of({"lines": lines}, name=name)


ScriptLike: TypeAlias = "Script | str | Path | Sequence[str | dict[str, Any]] | dict[str, Any]"


@dataclass(frozen=True, slots=True)
class WordTime:
    """A word and when it is said, in milliseconds from the beginning of its line."""

    text: str
    start_ms: float
    end_ms: float


@lru_cache(maxsize=1024)
def word_times(line: Line) -> tuple[WordTime, ...]:
    """When each word of a line is said, by its pace and pauses alone (nothing is synthesised).

    A word takes its share of the line's time by its letters plus one; `words_per_min` holds without pauses.
    """
    words = line.text.split()
    if not words:
        return ()
    per_char = 60_000 / line.words_per_min * len(words) / (sum(map(len, words)) + len(words))
    pauses = {p.after_word: p.ms for p in line.pauses}
    times: list[WordTime] = []
    now = 0.0
    for count, word in enumerate(words, start=1):
        end = now + per_char * (len(word) + 0.5)
        times.append(WordTime(word, round(now, 3), round(end, 3)))
        now = end + per_char * 0.5 + pauses.get(count, 0.0)
    return tuple(times)
