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
# Letters (with marks), and what stands inside names: María José, O'Higgins, Jean-Luc, Mª.
_LOOSE_END = re.compile(r"(?i)(?: (?:de|del|la|las|los|el|y|e))+$")  # what a cut leaves of «… del Rosario»
_NOT_IN_NAMES = re.compile(r"[^\w .'’ªº-]|[\d_]")


def clean_text(text: object, max_chars: int) -> str:
    """One line of at most `max_chars` characters without markup, control or invisible characters.

    Anything but a string gives an empty text. A cut is made at a word where there is one.
    """
    if not isinstance(text, str):
        return ""
    text = text[: 20 * max_chars]  # whatever is beyond would be cut anyway
    text = unicodedata.normalize("NFC", _SPACE.sub(" ", text))
    text = "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me"})
    text = _MARKUP.sub(" ", _TAGS.sub(" ", text))
    return _cut(_SPACE.sub(" ", text).strip(" -–—:;,.\"'"), max_chars)


def clean_name(text: object) -> str:
    """A first name as it can be said aloud; empty where nothing of it can (only emoji, only digits)."""
    name = _SPACE.sub(" ", _NOT_IN_NAMES.sub(" ", clean_text(text, 4 * NAME_CHARS))).strip(" .'’-")
    if name.islower() or (name.isupper() and len(name) > 1):
        name = name.title()  # typed without caring: «catalina», «CATALINA»
    if len(name) > NAME_CHARS:
        name = _LOOSE_END.sub("", _cut(name, NAME_CHARS))
    return name if any(map(str.isalpha, name)) else ""


def _cut(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    head = text[: max_chars + 1]
    return (head[: head.rindex(" ")] if " " in head else head[:max_chars]).rstrip(" -–—:;,.")
