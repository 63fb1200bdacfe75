"""Customer text is data: whatever a customer could have written is cleaned here before anything reads it.

Comes between the shop's answer and the profile. What is left is one short line without markup, so that it can
neither close the fence it stands in, nor look like a heading, a role or a list, nor hide behind characters that
people do not see. Meaning is not judged: «Ignora tus instrucciones» stays a (strange) name.
"""

from __future__ import annotations

import re
import unicodedata

NAME_CHARS = 40  # longer first names than Spanish ones have; a cut ends at a word
WORD_CHARS = 40  # a concern, a tag
TITLE_CHARS = 80  # a product's title in a past order

_TAGS = re.compile(r"<[^<>]*>")
_MARKUP = re.compile(r"[<>{}\[\]|\\`*_#~=^]+")
_SPACE = re.compile(r"\s+")
_LOOSE_END = re.compile(r"(?i)(?: (?:de|del|la|las|los|el|y|e))+$")  # what a cut leaves of «… del Rosario»
_IN_NAMES = frozenset(" .'’ªº-‐‑·")  # beside letters: María José, O'Higgins, Jean-Luc, Mª, Gal·la
_MOST_MARKS = 3  # on one letter; what has more is no writing
# Marks that nobody sees: they choose between shapes of emoji, or join nothing.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_WORD = re.compile(r"[^ .'’‐‑-]+")


def clean_text(text: object, max_chars: int) -> str:
    """One line of at most `max_chars` characters without markup, control or invisible characters.

    Anything but a string gives an empty text. A cut is made at a word where there is one.
    """
    if not isinstance(text, str):
        return ""
    text = text[: 20 * max_chars]  # whatever is beyond would be cut anyway
    text = "".join(
        c for c in _SPACE.sub(" ", text) if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Me"}
    )
    text = _with_its_marks(unicodedata.normalize("NFC", _INVISIBLE.sub("", text)))
    text = _MARKUP.sub(" ", _TAGS.sub(" ", text))
    return _cut(_SPACE.sub(" ", text).strip(" -–—:;,.\"'"), max_chars)


def clean_name(text: object) -> str:
    """A first name as it can be said aloud; empty where nothing of it can (only emoji, only digits)."""
    text = text.replace("´", "'").replace("`", "'") if isinstance(text, str) else text
    said = (c if c.isalpha() or c in _IN_NAMES or _is_mark(c) else " " for c in clean_text(text, 4 * NAME_CHARS))
    name = _SPACE.sub(" ", _with_its_marks("".join(said))).strip(" .'’-‐‑·")
    if name.islower() or (
        name.isupper() and sum(map(str.isupper, name)) > 1
    ):  # typed without caring: «catalina», «CATALINA»
        name = _WORD.sub(lambda word: unicodedata.normalize("NFC", word[0].capitalize()), name)
    if len(name) > NAME_CHARS:
        name = _LOOSE_END.sub("", _cut(name, NAME_CHARS))
    return name if any(map(str.isalpha, name)) else ""


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Mc")


def _with_its_marks(text: str) -> str:
    """The text with those marks that stand on a letter (José, नमिता, g̃), and not too many of them."""
    kept: list[str] = []
    room = 0
    for char in text:
        if not _is_mark(char):
            room = _MOST_MARKS if char.isalpha() else 0
        elif room:
            room -= 1
        else:
            continue
        kept.append(char)
    return "".join(kept)


def _cut(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    head = text[: max_chars + 1]
    return (head[: head.rindex(" ")] if " " in head else head[:max_chars]).rstrip(" -–—:;,.")
