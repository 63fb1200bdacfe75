"""Whether a text says something: whole words, without regard to case and accents, as written or as said aloud. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

from clara_kit.audio.spoken import spoken
from clara_kit.core.errors import ScriptError
from clara_kit.core.placeholders import fold

_NO_ACCENTS = str.maketrans("áéíóúüñÁÉÍÓÚÜÑ", "aeiouunAEIOUUN")


@lru_cache(maxsize=4096)  # the same answers to many customers
def said(says: tuple[str, ...], text: str) -> str:
    """The words of the text that are one of these; empty where none is. Raises `ScriptError` for what cannot be sought.

    One in /slashes/ is a regular expression.
    """
    either = pattern(says)
    for words in (text, spoken(text).text):
        if found := either.search(fold(words)):
            return words[found.start() : found.end()]
    return ""


def sought(field: str, says: tuple[str, ...]) -> list[str]:
    """What is wrong with texts that are to be sought, as `Checked.problems` has it."""
    try:
        pattern(says)
    except ScriptError as exc:
        return [f"{field}: {exc.message.rstrip('.')}"]
    return []


@lru_cache(maxsize=4096)
def pattern(says: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the texts. Raises `ScriptError` for a regular expression that is none."""
    parts = []
    for one in says:
        if len(one) > 2 and one[0] == one[-1] == "/":
            parts.append(f"(?:{one[1:-1].translate(_NO_ACCENTS)})")
        else:
            words = r"\s+".join(map(re.escape, fold(one).split()))
            parts.append(rf"(?<!\w){words}(?!\w)")
        try:
            re.compile(parts[-1])
        except re.error as exc:
            raise ScriptError(
                f"{one} is no regular expression: {exc}.", hint="mend it, or leave the slashes out."
            ) from exc
    return re.compile("|".join(parts), re.IGNORECASE)
