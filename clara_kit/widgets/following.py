"""Drawing a conversation that still runs: it lives in a thread of its own, what is drawn in the notebook's loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from clara_kit.core.records import Record
from clara_kit.runtime.manager import ConversationManager

REFRESH_S = 0.4  # how often a growing conversation is drawn anew: all of it, each time


def follow(clara: ConversationManager, draw: Callable[[], None]) -> None:
    """Draw now, and in this loop soon after every record until the conversation is over."""
    loop = asyncio.get_event_loop()
    waits = False

    def refresh() -> None:
        nonlocal waits
        waits = False
        if clara.stopping:  # the log is being written: nothing more will be told, so look again
            loop.call_later(REFRESH_S, refresh)
        draw()

    def saw(_record: Record) -> None:
        nonlocal waits
        if not waits:
            waits = True
            with contextlib.suppress(RuntimeError):  # the notebook's loop may be closed by now
                loop.call_soon_threadsafe(loop.call_later, REFRESH_S, refresh)

    clara.subscribe(saw)
    refresh()
