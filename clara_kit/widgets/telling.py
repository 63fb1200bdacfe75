"""What went wrong, told in the language of the page: the errors of the kit say it in English, `errors.yml` in Spanish.

Every widget that shows an error shows `tell(exc, language)`. A message is recognised by its template; what was put into
it is looked up by itself, so that an error within an error is told too. What nobody knows (a vendor's own words) stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import count

from clara_kit import data_files
from clara_kit.core.commands import SwitchTo
from clara_kit.core.errors import ClaraError
from clara_kit.core.events import KeepingFailed, KeepingRecovered, ProviderFailed, ProviderRecovered, ReplyCompleted
from clara_kit.core.records import Record
from clara_kit.widgets.view import HERE
from clara_kit.widgets.words import usual_language

_PLACE = re.compile(r"\{(\d?)\}")
_HELD, _FIRST = "(.*?)", r"((?:(?!: |\. ).)*?)"  # at the beginning it is a name: not the place or sentence before

Lasting = ProviderFailed | KeepingFailed


def tell(trouble: BaseException | Lasting | str, language: str | None = None) -> str:
    """An error, or a failure of a vendor or the disk, with what to do about it; or a text that one left (`why_over`)."""
    if not isinstance(trouble, ClaraError | Lasting):
        return in_language(str(trouble), language)
    message, hint = (in_language(text, language) for text in (trouble.message, trouble.hint))
    what_to_do = "Qué hacer" if (language or usual_language()) == "es" else "What to do"
    return f"{message} {what_to_do}: {hint}" if hint else message


def lasting(records: Iterable[Record], before: Lasting | None = None) -> Lasting | None:
    """A vendor's failure, or the disk's, that nothing has mended yet; `before`: the one that lasted until these records."""
    for record in records:
        if isinstance(record, Lasting):
            before = record
        elif before is not None and _mends(record, before):
            before = None
    return before


def _mends(record: Record, failed: Lasting) -> bool:
    if isinstance(failed, KeepingFailed):
        return isinstance(record, KeepingRecovered) and record.what == failed.what
    if isinstance(record, ProviderRecovered | SwitchTo):  # or something else stands in its place
        return record.service == failed.service or failed.service == "backup"  # and what it did is done by another now
    return isinstance(record, ReplyCompleted) and record.stop_reason != "cancelled" and failed.service == "llm"


def in_language(text: str, language: str | None = None) -> str:
    """The text in Spanish where that is asked for and known, else as it is."""
    return _spanish(text) if (language or usual_language()) == "es" else text


def _spanish(text: str) -> str:
    """The most telling template that fits, filled with what it held, in Spanish too; the text itself where none fits."""
    core = text.strip()
    for template, said in _templates():
        found = template.fullmatch(core)
        if found is not None and core not in found.groups() and all(map(_closed, found.groups())):
            held = [_spanish(one) for one in found.groups()]
            return text.replace(core, said.format(*held))
    return text


def _closed(text: str) -> bool:
    """No bracket of it is left open: what was put in came with both."""
    return text.count("(") == text.count(")")


@cache
def _templates() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Each English text as a pattern, with its Spanish for `format`; more words of its own come first, then fewer places."""
    pairs: dict[str, str] = data_files.data(HERE / "errors.yml")
    ordered = sorted(pairs, key=lambda english: (-len(_PLACE.sub("", english)), english.count("{}")))
    return tuple((_pattern(english), _format(pairs[english])) for english in ordered)


def _pattern(english: str) -> re.Pattern[str]:
    start, *rest = map(re.escape, english.split("{}"))
    return re.compile(_HELD.join([start + _FIRST + rest[0], *rest[1:]] if rest and not start else [start, *rest]), re.S)


def _format(spanish: str) -> str:
    """Numbers for all places, and other braces (`{% if %}`) doubled."""
    number = count()
    texts = re.split(r"(\{\d?\})", spanish)
    return "".join(
        f"{{{text[1:-1] or next(number)}}}" if n % 2 else text.replace("{", "{{").replace("}", "}}")
        for n, text in enumerate(texts)
    )
