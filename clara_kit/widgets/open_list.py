"""What runs in this kernel, whoever began it: so that nothing is left running, and nothing costs, unseen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, get_args

from clara_kit.lab.spending import spent
from clara_kit.measure.run import Run
from clara_kit.runtime.manager import ConversationManager, open_conversations
from clara_kit.runtime.thread import WATCHERS
from clara_kit.widgets.words import Language, mixed

EVERY_S = 1.0


class OpenList:
    """Gives `show` the rows of all conversations that are open: when one begins or ends, and each second while one runs."""

    def __init__(self, show: Callable[[list[dict[str, Any]]], None]) -> None:
        self._show, self._loop = show, asyncio.get_event_loop()
        self._again: asyncio.TimerHandle | None = None
        WATCHERS.add(self)
        self.look()

    def conversations_changed(self) -> None:
        """One has begun or ended, in whatever thread."""
        with contextlib.suppress(RuntimeError):  # the notebook's loop may be closed by now
            self._loop.call_soon_threadsafe(self.look)

    def look(self) -> None:
        """Show what is open now."""
        if self._again is not None:
            self._again.cancel()
        rows = [_row(clara) for clara in open_conversations()]
        self._show(rows)
        self._again = self._loop.call_later(EVERY_S, self.look) if rows else None


def named(key: str) -> ConversationManager | None:
    """The open conversation of a row."""
    return next((clara for clara in open_conversations() if _key(clara) == key), None)


def _key(clara: ConversationManager) -> str:
    return f"{id(clara):x}"


def _row(clara: ConversationManager) -> dict[str, Any]:
    trace = clara.conversation.trace[:]
    cost = spent(trace, clara.began_with, clara.settings)
    return {
        "key": _key(clara),
        "title": clara.title or "–",
        "since": f"{clara.since:%H:%M:%S}" if clara.since else "",
        "mix": Run(inputs={"modes": clara.began_with}, trace=tuple(trace)).mix,
        "live": "live" in clara.services.modes.values(),
        "usd": round(cost.usd, 5),
        "unpriced": list(cost.unknown),
    }


def told(rows: list[dict[str, Any]], here: ConversationManager | None) -> list[dict[str, Any]]:
    """The rows as one desk shows them: the mix in each language, and which conversation is at this desk."""
    return [
        {**one, "mix": {of: mixed(one["mix"], of) for of in get_args(Language)}, "here": one["key"] == f"{id(here):x}"}
        for one in rows
    ]
