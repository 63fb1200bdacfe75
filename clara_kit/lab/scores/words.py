"""Reads `data/checks/es-419.yml`: what the checks of an answer know of words, as patterns for texts without accents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clara_kit import data_files
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.core.placeholders import fold

FILE = DATA / "checks" / "es-419.yml"
_HINT = "the lists of data/checks/es-419.yml are words, or regular expressions without accents."


class _Lists(msgspec.Struct, forbid_unknown_fields=True):
    names: list[str]
    names_that_are_words: list[str]
    brands: list[str]
    not_ours: str
    kinds: list[str]
    others: str
    formal: list[str]
    formal_unless_others: list[str]
    formal_first: list[str]
    formal_asking: str
    foreign: list[str]
    foreign_alone: list[str]
    claims: list[str]
    claims_always: list[str]
    diagnoses: str
    pregnancy: tuple[str, str]
    negations: str
    questions: list[tuple[str, str, str]]
    honest: str
    asks_back: str


@dataclass(frozen=True)
class Words:
    """The lists as patterns, each for whole words of a folded text."""

    names: frozenset[str]
    """Folded."""
    also_words: frozenset[str]
    kinds: frozenset[str]
    foreign: frozenset[str]
    foreign_alone: frozenset[str]
    brands: re.Pattern[str]
    not_ours: re.Pattern[str]
    others: re.Pattern[str]
    formal: re.Pattern[str]
    formal_unless_others: re.Pattern[str]
    formal_first: re.Pattern[str]
    formal_asking: re.Pattern[str]
    claims: re.Pattern[str]
    claims_always: re.Pattern[str]
    diagnoses: re.Pattern[str]
    pregnant: re.Pattern[str]
    retinol: re.Pattern[str]
    negations: re.Pattern[str]
    questions: tuple[tuple[str, re.Pattern[str], re.Pattern[str]], ...]
    honest: re.Pattern[str]
    asks_back: re.Pattern[str]


def usual_words() -> Words:
    """The kit's own; read anew when the file has changed. Raises `ScriptError`."""
    return data_files.made(FILE, _read)


def _read(path: Path) -> Words:
    return data_files.built(path, lambda data: _words(msgspec.convert(data, _Lists)), _HINT)


def _words(lists: _Lists) -> Words:
    one = {name: _any(getattr(lists, name)) for name in (
        "formal", "formal_unless_others", "claims", "claims_always", "not_ours", "others", "honest", "diagnoses", "negations",
    )}  # fmt: skip
    first = {name: _any(getattr(lists, name), before="") for name in ("formal_first", "formal_asking", "asks_back")}
    pregnant, retinol = (_any(pattern, before=r"\b", after="") for pattern in lists.pregnancy)
    return Words(
        names=frozenset(map(fold, (*lists.names, *lists.names_that_are_words))), also_words=frozenset(map(fold, lists.names_that_are_words)),
        kinds=frozenset(lists.kinds), foreign=frozenset(map(fold, lists.foreign)), foreign_alone=frozenset(map(fold, lists.foreign_alone)),
        brands=_any(re.escape(fold(name)) for name in sorted(lists.brands, key=len, reverse=True)),
        questions=tuple((what, _any(asks), _any(needs, before="")) for what, asks, needs in lists.questions),
        pregnant=pregnant, retinol=retinol, **one, **first,
    )  # fmt: skip


def _any(patterns: str | Iterable[str], before: str = r"(?<!\w)", after: str = r"(?!\w)") -> Any:
    """Any of the patterns, as whole words."""
    either = "|".join([patterns] if isinstance(patterns, str) else patterns)
    try:
        return re.compile(f"{before}(?:{either}){after}")
    except re.error as exc:
        raise ScriptError(f"{either[:60]!r} is no regular expression: {exc}.", hint=_HINT) from exc
