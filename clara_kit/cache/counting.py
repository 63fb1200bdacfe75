"""The words of a question, with its numbers as numbers: «treinta y cinco mil», «30 lucas», «un mes».

Comes before `meaning.py`. Pure. A recogniser writes numbers in words or in digits, as it likes.
"""

from __future__ import annotations

import re

from clara_kit.audio.numbers import words
from clara_kit.cache.vocabulary import Vocabulary, plain

Said = tuple[str, str]
"""A word as it was written, and without accents."""
_TOKEN = re.compile(r"\d+|[^\W\d_]+|[%€£]")
_GROUPED = re.compile(r"(?<=\d)[.\u00a0](?=\d{3}(?!\d))")
_COUNTED = frozenset(words("dia semana mes ano year hora minuto vez gota luca"))


def tokens(text: str) -> list[Said]:
    """(as written, without accents) of each word."""
    written = _TOKEN.findall(_GROUPED.sub("", text.casefold()))
    return [(w, "porciento" if w == "%" else plain(w)) for w in written]


def counted(said: list[Said], known: Vocabulary) -> list[Said]:
    """The same, without words that say nothing; a number is «#35000», whatever way it was said."""
    noise = known.words("noise")
    said = [one for one in said if one[1] not in noise]
    found: list[Said] = []
    at = 0
    while at < len(said):
        number, end = _number(said, at, known)
        if end == at:
            found.append(said[at])
            at += 1
            continue
        found.append((f"#{number}",) * 2)
        at = end + (end < len(said) and said[end][1] in ("peso", "pesos"))
    return found


def _number(said: list[Said], at: int, known: Vocabulary) -> tuple[int, int]:
    """The number that begins here, and where it ends; it ends where it begins if there is none."""
    total = current = 0
    begun, numbers = at, known.numbers
    while at < len(said):
        word, seen = said[at][1], at > begun
        after = said[at + 1][1] if at + 1 < len(said) else ""
        if word in ("mil", "luca", "lucas") and (not total or not seen):
            total, current = max(current, 1) * 1000, 0
        elif word.isdecimal() and not seen:
            current = int(word)
        elif word in numbers and (not current or _goes_on(current, numbers[word])):
            current += numbers[word]
        elif word in ("un", "una", "uno") and not seen and after and known.noun(after) in _COUNTED:
            current = 1
        elif word in ("uno", "una", "un") and seen and said[at - 1][1] == "y":
            current += 1
        elif word == "y" and current % 10 == 0 and current % 100 > 20 and (after in numbers or after in ("uno", "una")):
            pass  # «treinta y cinco»
        else:
            break
        at += 1
    return total + current, at


def _goes_on(so_far: int, number: int) -> bool:
    """Whether one is said behind the other: «ciento veinte», «treinta (y) cinco», but not «dos, tres»."""
    return (so_far % 100 == 0 and number < 100) or (so_far % 10 == 0 and so_far % 100 > 20 and number < 10)
