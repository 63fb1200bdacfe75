"""What customers say and when: one documented YAML file, or a plain list of strings.

Read by the simulation, by the twins' scripted customer and by `make demo` alike. The format, with every
field and its default, is documented in `data/scripts/README.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from clara_kit import data_files
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.world.faults import Fault


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pause(_Part):
    """A silence inside a line, after the given number of words."""

    after_word: int = Field(ge=1)
    ms: float = Field(gt=0, le=60_000)


class Line(_Part):
    """One thing the customer says (or types, or a mere sound).

    When it starts: `after_clara_ms` after Clara has finished (default), or, if `interrupt_after_ms` is
    given, that long after she has begun to speak. If she never speaks, after `at_most_ms`.
    """

    text: str = ""
    typed: bool = False
    sound: Literal["cough", "noise"] | None = None
    sound_ms: float = Field(default=250, gt=0, le=60_000)
    after_clara_ms: float = Field(default=700, ge=0, le=600_000)
    interrupt_after_ms: float | None = Field(default=None, ge=0, le=600_000)
    at_most_ms: float = Field(default=15_000, gt=0, le=600_000)
    pauses: tuple[Pause, ...] = ()
    words_per_min: float = Field(default=165, ge=60, le=400)

    @model_validator(mode="after")
    def _has_content(self) -> Line:
        if not self.text.strip() and self.sound is None:
            raise ValueError("a line needs a text or a sound")
        if self.sound is not None and (self.text.strip() or self.typed):
            raise ValueError("a sound has no text")
        words = len(self.text.split())
        if any(p.after_word >= words for p in self.pauses):
            raise ValueError(f"a pause must come before the last of the {words} words")
        return self


class Script(_Part):
    """A whole customer: lines in order, and what goes wrong meanwhile."""

    title: str = "untitled"
    description: str = ""
    lines: tuple[Line, ...] = Field(min_length=1)
    faults: tuple[Fault, ...] = ()

    @classmethod
    def load(cls, name_or_path: str | Path) -> Script:
        """A script of `data/scripts/` by name, or any YAML file by path; raises `ScriptError`."""
        return data_files.made(data_files.find(name_or_path, DATA / "scripts", "script"), cls._read)

    @classmethod
    def _read(cls, path: Path) -> Script:
        data = data_files.data(path)
        if isinstance(data, str):  # to `of` it would be the name of another
            raise ScriptError(f"{path.name} is one text, and a script is a list of lines or a mapping.")
        return cls.of(data, name=path.stem)

    @classmethod
    def of(cls, data: ScriptLike, *, name: str = "untitled") -> Script:
        """A script from itself, a path, parsed YAML, or a plain list of strings; raises `ScriptError`."""
        if isinstance(data, Script):
            return data
        if isinstance(data, str | Path):
            return cls.load(data)
        if isinstance(data, Sequence):
            data = {"lines": list(data)}
        if not isinstance(data, dict):
            raise ScriptError(f"A script is a list of lines or a mapping, not {type(data).__name__}.")
        lines = [{"text": line} if isinstance(line, str) else line for line in data.get("lines") or ()]
        faults = [Fault.from_dict(entry) for entry in data.get("faults") or ()]
        try:
            return cls.model_validate({"title": name, **data, "lines": lines, "faults": faults})
        except ValidationError as exc:
            rows = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
            raise ScriptError(f"Script {name!r}: {rows}.", hint="see data/scripts/README.md.") from exc


ScriptLike: TypeAlias = "Script | str | Path | Sequence[str | dict[str, Any]] | dict[str, Any]"


@dataclass(frozen=True, slots=True)
class WordTime:
    """A word and when it is said, in milliseconds from the beginning of its line."""

    text: str
    start_ms: float
    end_ms: float


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
