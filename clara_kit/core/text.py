"""Whole characters: text comes from keyboards, files and models that may cut one in two.

Python holds half a character of two UTF-16 units (an emoji's, say) as a lone surrogate, which no file, socket or hash
takes. Halves that stand together are joined, and one that is alone becomes U+FFFD: wherever text comes in, and before
anything is decided upon it. Whatever is written or sent afterwards needs no thought.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import is_
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from clara_kit.core.events import Event, ReplyDelta

T = TypeVar("T")
LOST = "\ufffd"
DEEPEST = (
    64  # levels of plain data; what people write has five, and Python's own readers and writers bear some hundreds
)
_HALF = re.compile("[\ud800-\udfff]")
_FIRST_HALF = re.compile("[\ud800-\udbff]$")
_NUMBERS = re.compile(r"<class '(?:int|float|bool)'>|(?:int|float|bool)(?: \| (?:int|float|bool|None))*")  # as types
_encode = msgspec.json.Encoder().encode


def whole(value: T, *, deepest: int = DEEPEST) -> T:
    """The same text, record or plain data, made of whole characters; raises `ValueError` for data nested too deeply."""
    found: Any = value
    if isinstance(found, str):
        if found.isascii() or not _HALF.search(found):
            return value
        found = found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    elif isinstance(found, msgspec.Struct):
        parts = ((name, part, whole(part)) for name in found.__struct_fields__ for part in (getattr(found, name),))
        changed = {name: made for name, part, made in parts if made is not part}
        found = replace(found, **changed) if changed else found
    elif isinstance(found, dict | list | tuple):
        if not deepest:
            raise ValueError("it is nested too deeply")
        if isinstance(found, dict):
            return {whole(key): whole(part, deepest=deepest - 1) for key, part in found.items()}  # type: ignore[return-value]
        made = [whole(part, deepest=deepest - 1) for part in found]
        found = found if all(map(is_, made, found)) else type(found)(made)
    return found  # type: ignore[no-any-return]


@lru_cache(maxsize=64)
def _has_text(kind: type) -> bool:
    return not all(_NUMBERS.fullmatch(str(field.type)) for field in msgspec.structs.fields(kind))


class Halves:
    """The events of one conversation in whole characters; a half at the end of a delta waits for the next one."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: tuple[int, str] | None = None  # the reply that it came in, and the half

    def takes(self, event: Event) -> bool:
        """Whether the event is whole as it is, and no half waits. Asked for each: two of three are a delta."""
        if self._held is not None:
            return False
        try:
            if type(event) is ReplyDelta:
                if not event.text.isascii():
                    event.text.encode()
            elif _has_text(type(event)):
                _encode(event)
        except UnicodeEncodeError:
            return False
        except (TypeError, ValueError, OverflowError, RecursionError, AttributeError):
            pass  # not an event of this kit
        return True

    def events(self, event: Event) -> tuple[Event, ...]:
        """The event made whole: usually one; a half whose other never came is told before its reply's end."""
        if self.takes(event):
            return (event,)
        held, reply_id = self._held, getattr(event, "reply_id", None)
        if type(event) is ReplyDelta and isinstance(event.text, str):
            text = (held[1] if held and held[0] == reply_id else "") + event.text
            half = _FIRST_HALF.search(text)
            self._held = (event.reply_id, half.group()) if half else None
            return (replace(event, text=whole(text[:-1] if half else text)),)
        if held is None or held[0] != reply_id:
            return (whole(event),)
        self._held = None
        return (ReplyDelta(at_ms=event.at_ms, reply_id=held[0], text=LOST), whole(event))
