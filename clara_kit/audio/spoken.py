"""How written words are said aloud: prices, factors and percentages, which espeak would misread.

"$12.990" is twelve thousand nine hundred and ninety pesos in Chile, where the point groups thousands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A written word, its place in the text, and what is said for it."""

    written: str
    spoken: str
    char_start: int
    char_end: int


_PRICE = re.compile(r"\$\s?(\d{1,3}(?:\.\d{3})+|\d+)")
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3}(?:\.\d{3})+)(?![\d,])")
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bSPF\b|\bFPS\b"), "factor"),
    (re.compile(r"(\d)\s?\+"), r"\1 más"),
    (re.compile(r"(\d)\s?%"), r"\1 por ciento"),
    (re.compile(r"\bml\b"), "mililitros"),
    (re.compile(r"\bc/u\b"), "cada uno"),
    (re.compile(r"[*_#`~|<>\\{}\[\]^]"), " "),
)


def spoken_words(text: str) -> list[SpokenWord]:
    """Every white-space separated word that has something to say, in order."""
    words = []
    for found in re.finditer(r"\S+", text):
        spoken = _say(found.group())
        if any(c.isalnum() for c in spoken):
            words.append(SpokenWord(found.group(), spoken, found.start(), found.end()))
    return words


def _say(word: str) -> str:
    said = _PRICE.sub(lambda m: f"{m.group(1).replace('.', '')} pesos", word)
    said = _THOUSANDS.sub(lambda m: m.group(1).replace(".", ""), said)
    for pattern, replacement in _RULES:
        said = pattern.sub(replacement, said)
    return " ".join(said.split())
