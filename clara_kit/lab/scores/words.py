"""Reads `data/checks/es-419.yml`: what the checks of an answer know of words, as patterns for texts without accents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

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


class Words:
    """The lists as patterns, each for whole words of a folded text; names and foreign words as folded sets."""

    def __init__(self, lists: _Lists) -> None:
        self.also_words = frozenset(map(fold, lists.names_that_are_words))
        self.names = frozenset(map(fold, lists.names)) | self.also_words
        self.kinds = frozenset(lists.kinds)
        self.foreign, self.foreign_alone = (frozenset(map(fold, one)) for one in (lists.foreign, lists.foreign_alone))
        self.brands = _any(re.escape(fold(name)) for name in sorted(lists.brands, key=len, reverse=True))
        self.not_ours, self.others, self.honest = _any(lists.not_ours), _any(lists.others), _any(lists.honest)
        self.formal, self.formal_unless_others = _any(lists.formal), _any(lists.formal_unless_others)
        self.formal_first, self.formal_asking = (
            _any(one, before="") for one in (lists.formal_first, lists.formal_asking)
        )
        self.claims, self.claims_always = _any(lists.claims), _any(lists.claims_always)
        self.diagnoses, self.negations = _any(lists.diagnoses), _any(lists.negations)
        self.pregnant, self.retinol = (_any(one, before=r"\b", after="") for one in lists.pregnancy)
        self.questions = tuple((what, _any(asks), _any(needs, before="")) for what, asks, needs in lists.questions)
        self.asks_back = _any(lists.asks_back, before="")


def usual_words() -> Words:
    """The kit's own; read anew when the file has changed. Raises `ScriptError`."""
    return data_files.made(FILE, _read)


def _read(path: Path) -> Words:
    return data_files.built(path, lambda data: Words(msgspec.convert(data, _Lists)), _HINT)


def _any(patterns: str | Iterable[str], before: str = r"(?<!\w)", after: str = r"(?!\w)") -> re.Pattern[str]:
    """Any of the patterns, as whole words."""
    either = "|".join([patterns] if isinstance(patterns, str) else patterns)
    try:
        return re.compile(f"{before}(?:{either}){after}")
    except re.error as exc:
        raise ScriptError(f"{either[:60]!r} is no regular expression: {exc}.", hint=_HINT) from exc
