"""Spanish as it is spoken: the few turns of phrase that templates need, as plain functions (their filters).

Every function takes what may be missing and gives text that reads well, or nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from clara_kit.core.profile import SKIN_TYPES

# «e» before the sound i: «e imperfecciones», «e hidratación», but «y hielo», «y hialurónico», «y yogur».
_SOUNDS_I = re.compile(r"[^\w]*(?:h?i(?![aeou])|y(?![aeiou]))")
_SEPARATOR_CHARS = 20
_SAYABLE = re.compile(r"[^\W\d_]+(?:[ -][^\W\d_]+){0,2}")  # one to three words without marks
_SAYABLE_CHARS = 30


def join_es(words: Iterable[str]) -> str:
    """«manchas», «manchas y acné», «manchas, acné e imperfecciones»; empty words are left out."""
    if isinstance(words, str):
        raise TypeError("join_es joins a list, and this is one text")
    words = [w for w in words if w]
    if len(words) < 2:
        return "".join(words)
    both = "e" if _SOUNDS_I.match(_fold(words[-1])) else "y"
    return f"{', '.join(words[:-1])} {both} {words[-1]}"


def join(words: Iterable[str], separator: str = ", ") -> str:
    """The words with a separator (at most 20 characters) between them; empty words are left out."""
    if isinstance(words, str) or len(separator) > _SEPARATOR_CHARS:
        raise TypeError(f"join takes a list, and a separator of at most {_SEPARATOR_CHARS} characters")
    return separator.join(w for w in words if w)


def clp(pesos: float) -> str:
    """Chilean pesos as the shop writes them: 12990 is «$12.990»."""
    return "$" + f"{round(pesos):,}".replace(",", ".")


def skin(skin_type: str | None) -> str:
    """«piel mixta»; empty where the skin is not known."""
    return f"piel {skin_type.lower()}" if skin_type else ""


def skins(skin_types: Sequence[str]) -> str:
    """«piel mixta y grasa»; «todo tipo de piel» for all five, or where none is named."""
    named = {s.lower() for s in skin_types}
    if not named or named >= {s.lower() for s in SKIN_TYPES}:
        return "todo tipo de piel"
    return skin(join_es(sorted(named, key=[s.lower() for s in skin_types].index)))


def days_ago(days: int) -> str:
    """«hoy», «ayer», «hace 12 días», from 60 days on «hace 2 meses», from 365 on «hace un año»."""
    if days < 1:
        return "hoy"
    if days == 1:
        return "ayer"
    if days < 60:
        return f"hace {days} días"
    if days < 365:
        return f"hace {days // 30} meses"
    return "hace un año" if days < 730 else f"hace {days // 365} años"


def one_line(text: str) -> str:
    """Text that can neither begin a line of its own nor close a fence, whatever it was."""
    return " ".join(re.sub(r"[<>\s\ue000-\uf8ff]+", " ", text).split())


def sayable(words: Iterable[str]) -> list[str]:
    """Those of the words that can be said within a sentence: one to three plain words, at most 30 characters."""
    return [w for w in words if len(w) <= _SAYABLE_CHARS and _SAYABLE.fullmatch(w)]


def _fold(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(c))
