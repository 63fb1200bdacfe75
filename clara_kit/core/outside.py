"""What comes from outside, before anybody sees it: a vendor's words, an address, a text for the terminal. Pure.

A server can repeat whatever it was sent: a key, a header, what a customer said. So none of its words is passed on, not
in an error, a log or a run. What a person needs of them is told in ours: which of the things that we know they speak
of, and an id, a code or a media type of a strict shape. For the same reason no error keeps a library's error as its
cause: that one quotes what was sent and what came.
"""

from __future__ import annotations

import re
import traceback
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from clara_kit.core.text import whole

_REQUEST_ID = re.compile(r"req_[A-Za-z0-9]{8,40}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:-\d{10})?", re.ASCII)
_MEDIA_TYPES = ("application/json", "application/xml", "text/html", "text/plain", "text/event-stream")
_LONGEST_CHARS = 2000  # of what is read: a page can be any length
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def request_id(text: object, *secrets: str) -> str:
    """A vendor's id of a request, to report it by; empty where it has not the shape of one, or is one of `secrets`."""
    found = isinstance(text, str) and _REQUEST_ID.fullmatch(text)
    return found[0] if found and not any(s and s in found[0] for s in secrets) else ""


def speaks_of(words: object, ours: Iterable[str]) -> tuple[str, ...]:
    """Which of these terms of ours stand in a vendor's words."""
    text = str(words or "")[:_LONGEST_CHARS].casefold()
    return tuple(o for o in ours if re.search(rf"(?<![a-z0-9_]){re.escape(o)}(?![a-z0-9_])", text))


def about(words: object, ours: Iterable[str]) -> str:
    """The same within a bracket: «; it speaks of model, language»; empty where there are none."""
    found = speaks_of(words, ours)
    return f"; it speaks of {', '.join(found)}" if found else ""


def media_type(header: str) -> str:
    """What a content type says, if it is a usual one."""
    kind = header.partition(";")[0].strip().lower()
    return kind if kind in _MEDIA_TYPES else "of no known type"


def place(exc: BaseException) -> str:
    """What went wrong where, for a log: the kind of an error and its lines of code, without its words."""
    frames = traceback.extract_tb(exc.__traceback__)[-4:]
    return " < ".join([type(exc).__name__, *(f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in reversed(frames))])


@dataclass(frozen=True, slots=True)
class Address:
    """A base address in its parts; shows its host alone, for the rest may hold a password or a token."""

    url: str = field(repr=False)
    """Without user, password and query, and without a slash at its end."""
    host: str
    """With the port, where there is one; empty: it is no address."""
    login: dict[str, str] = field(default_factory=dict, repr=False)
    """The header of user and password, where the address held them."""

    @classmethod
    def of(cls, url: str) -> Address:
        """Any text; what is no address has no host."""
        try:
            parts = urlsplit(whole(url).strip())
            user, port = parts.username, parts.port
        except ValueError:
            return cls("", "")
        if "@" in parts.query + parts.fragment or (port is not None and "@" in parts.path):
            return cls("", "")  # «user:12#34@host»: of a password that is not escaped, the beginning looks like a port
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        host += f":{port}" if port is not None else ""
        login = f"{unquote(user or '')}:{unquote(parts.password or '')}".encode()
        header = {"Authorization": f"Basic {b64encode(login).decode()}"} if user is not None else {}
        return cls(f"{parts.scheme}://{host}{parts.path.rstrip('/')}" if host else "", host, header)


def printable(text: str) -> str:
    """The text without what steers a terminal or turns its words around: controls, escapes, overrides of direction.

    New lines and tabs stay. Each of the others becomes U+FFFD, so that it is seen that something was there.
    """
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)
