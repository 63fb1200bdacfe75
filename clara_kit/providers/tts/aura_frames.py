"""Which of the frames that come from Aura are believed: what is late, doubled or unintelligible reaches no utterance.

Used by `deepgram_aura.py`, one for each socket. A socket outlives an utterance, and no frame of sound says whose it is:
so nothing may be taken for the end of an utterance that is not, or its sound would be the next one's.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from clara_kit.core.errors import ProviderError
from clara_kit.providers import http

log = logging.getLogger("clara_kit.tts")

_CODE = re.compile(r"[A-Z][A-Z0-9_-]{1,39}")


class Frames:
    """Of one socket."""

    def __init__(self) -> None:
        self._seen: set[Any] = set()  # numbers of acknowledged flushes
        self._fresh: set[Any] = set()  # since the last Clear, after which they may begin anew
        self._sound = False  # some came since the last flush was acknowledged

    def begin(self) -> None:
        """A new utterance: what came until now is not its own."""
        self._sound = False

    def believe(self, message: Any) -> bool:
        """Whether a message means something for the utterance that is being spoken."""
        kind = getattr(message, "type", None)
        if isinstance(message, bytes):
            self._sound = self._sound or bool(message)
            return bool(message)
        if kind == "Flushed":
            number = getattr(message, "sequence_id", None)
            return not self._doubled(number if isinstance(number, int | str) else None)
        if kind == "Cleared":
            self._sound, self._fresh = False, set()
        elif kind == "Warning" and "FLUSH" not in code_of(message):
            log.warning("Deepgram's voice warns (%s)", code_of(message))
            return False
        elif kind not in ("Warning", "Error"):
            if kind != "Metadata":
                log.warning("passed over a frame of an unknown type")
            return False
        return True

    def _doubled(self, number: int | str | None) -> bool:
        """Whether a flush was acknowledged before. Not every server counts: then only sound tells one from the next."""
        counts = number in self._fresh and len(self._fresh) > 1
        doubled = number is not None and number in self._seen and (counts or not self._sound)
        if doubled:
            log.warning("passed over a Flushed that came twice")
        else:
            self._sound = False
            self._seen.add(number)
            self._fresh.add(number)
        return doubled


def code_of(message: Any) -> str:
    """The vendor's code in a Warning or an Error; empty where it holds none that looks like one."""
    for name in ("warn_code", "err_code", "code"):
        if isinstance(code := getattr(message, name, None), str) and _CODE.fullmatch(code):
            return code
    return ""


def error_of(message: Any) -> ProviderError:
    """What an Error frame means."""
    code = code_of(message)
    said = f"Deepgram's voice reported an error{code and f' ({code})'}."
    if code.startswith(("DATA-", "BIG-")):
        return http.failure("bad_input", said, "what was sent is not what may be sent; check length and pace.")
    return http.failure("unknown", said, "try again; https://status.deepgram.com tells more.")
