"""What is kept, what is found, and where to look: one entry of the cache, its ways of asking, hits and misses.

Comes before `responses.py`, which keeps and finds. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from clara_kit.cache.faq import Curated
from clara_kit.cache.meaning import Meaning, meaning
from clara_kit.cache.scope import NAMES


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer that is kept. depends: names of `Scope` with the values under which it holds.

    trust: 1, less where it was interrupted or corrected. expires_at: seconds since 1970, None for never.
    """

    id: str
    question: str
    answer: str
    depends: tuple[tuple[str, tuple[str, ...]], ...] = ()
    origin: Literal["curated", "learnt"] = "learnt"
    trust: float = 1.0
    expires_at: float | None = None
    days: tuple[str, str] = ("", "")
    ways: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Near:
    """The way of asking that is most similar. similarity: 0..1; differs: what the guard noticed, empty where nothing."""

    entry: Entry
    asked: str
    similarity: float
    differs: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Hit:
    """This answer may be given, and why."""

    answer: str
    why: str
    entry: Entry
    trust: float = 1.0


@dataclass(frozen=True, slots=True)
class Miss:
    """No kept answer may be given, and why."""

    why: str
    nearest: Near | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """Whether an answer was kept, and why (not). True where it was."""

    kept: bool
    why: str

    def __bool__(self) -> bool:
        return self.kept


@dataclass(slots=True)
class Index:
    """Entries by what their ways of asking mean, and those ways by the rarest words in them."""

    same: dict[Any, list[tuple[Entry, str]]] = field(default_factory=dict)
    by_mark: dict[str, list[tuple[Entry, str]]] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        for way in dict.fromkeys((entry.question, *entry.ways)):
            meant = meaning(way)
            self.same.setdefault(key_of(meant), []).append((entry, way))
            self.same.setdefault(meant.words, []).append((entry, way))
            for mark in meant.marks:
                self.by_mark.setdefault(mark, []).append((entry, way))

    def remove(self, entry: Entry) -> None:
        for way in dict.fromkeys((entry.question, *entry.ways)):
            meant = meaning(way)
            for ways in (self.same.get(key_of(meant)), self.same.get(meant.words), *map(self.by_mark.get, meant.marks)):
                if ways and (entry, way) in ways:
                    ways.remove((entry, way))


def curated_entry(one: Curated) -> Entry:
    """A curated question as an entry."""
    depends = one.written_for + ((("skin", one.skin),) if one.skin else ())
    return Entry(one.id, one.question, one.answer, depends, "curated", days=one.days, ways=one.asked)


def key_of(meant: Meaning) -> Any:
    """Equal for what asks the same."""
    return meant.whole, meant.key  # what is only named is another thing than a question about it


def read_entry(id_: str, held: Any) -> Entry | None:
    """An entry as it was written, None for one of another shape."""
    try:
        if not isinstance(held, Mapping):
            return None
        depends = tuple((str(name), tuple(map(str, values))) for name, values in held["depends"])
        if any(name not in NAMES for name, _ in depends):
            return None
        return Entry(id_, str(held["question"]), str(held["answer"]), depends, expires_at=float(held["until"]))
    except (KeyError, TypeError, ValueError):
        return None
