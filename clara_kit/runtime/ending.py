"""The end of a conversation: what it holds is let go, and what went wrong is put into words.

Used by `session.py` and `thread.py`. Nothing here may fail, or wait long for anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.providers.llm.base import LLMProvider
from clara_kit.providers.tts.base import TTSProvider

_BY_CUSTOMER = frozenset(
    (ev.ConversationStarted, ev.TextTyped, ev.TranscriptInterim, ev.TranscriptFinal, ev.InterruptRequested)
)
ABSENT = "no word of the customer"
CLOSE_S = 0.1  # for model and voice: the avatar has taken most of a second by then


class Absence:
    """How long no word has come of the customer, by the wall: a closed page is no customer, and a sound is no word.

    Counted from when both are on the line: connecting may take its time.
    """

    def __init__(self) -> None:
        self._since_s = monotonic()
        self.hang_up: Callable[[str], object]
        """Ends the conversation, with the reason."""

    def saw(self, event: ev.Event) -> None:
        """Something happened."""
        if type(event) in _BY_CUSTOMER:
            self._since_s = monotonic()

    async def lasts(self, limit_ms: float) -> None:
        """Hang up once it has lasted so long; never for 0."""
        while limit_ms and (rest_s := self._since_s + limit_ms / 1000 - monotonic()) > 0:
            await asyncio.sleep(max(rest_s, 0.1))
        if limit_ms:
            self.hang_up(f"{ABSENT} for {limit_ms / 60_000:g} minutes (ABSENCE_MS)")


async def let_go(*providers: LLMProvider | TTSProvider) -> None:
    """Close model and voice; what one of them does not close in time goes with the event loop."""
    closing = [asyncio.ensure_future(provider.aclose()) for provider in providers]
    _, late = await asyncio.wait(closing, timeout=CLOSE_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*closing, return_exceptions=True)


def first_of(error: BaseException) -> BaseException:
    """The error itself; of a group the first that is in it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def worded(error: BaseException) -> ClaraError:
    """Whatever ended a conversation, as an error that says what to do."""
    cause = first_of(error)
    if isinstance(cause, ClaraError):
        return cause
    told = ClaraError(f"A mistake in the kit ended it ({type(cause).__name__}: {cause}).", hint="see the log.")
    if isinstance(cause, OSError):
        told = ClaraError(f"It could not be kept: {cause}.", hint="see to the disk's space and to your rights there.")
    told.__cause__ = cause
    return told
