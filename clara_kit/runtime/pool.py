"""Connections that stand before they are needed, where `enable_connection_pool` says so: of model and voice.

Recogniser and avatar are connected from the first moment and kept alive by their providers. A model's connection goes with each
reply that is left before its end, a voice's with a `Clear` that is not confirmed or with the vendor's hour: they are replaced
as soon as that is known, not when the next word waits for them. What cannot be opened shows with the first request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from clara_kit.core import events as ev
from clara_kit.core.outside import place

log = logging.getLogger("clara_kit.runtime")
LOOK_EVERY_S = 30.0  # nobody has published when an idle connection is closed at the other end: an estimate
_MODEL = (ev.ReplyCompleted, ev.ProviderFailed)
_VOICE = (ev.SpeakingEnded, ev.SpeakingInterrupted, ev.ProviderFailed)


class Pool:
    """`model`, `voice`: open what is not there, and replace what is about to go stale."""

    def __init__(self, *, model: Callable[[], Awaitable[None]], voice: Callable[[], Awaitable[None]]) -> None:
        self._warm = {"model": model, "voice": voice}
        self._look = {name: asyncio.Event() for name in self._warm}

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Now, and until cancelled."""
        for name in self._warm:
            self._look[name].set()
            tasks.create_task(self._keep(name))

    def saw(self, event: ev.Event) -> None:
        """A connection may have gone with it."""
        if type(event) in _MODEL:
            self._look["model"].set()
        if type(event) in _VOICE:
            self._look["voice"].set()

    async def _keep(self, name: str) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._look[name].wait()
            self._look[name].clear()
            try:
                await self._warm[name]()
            except Exception as exc:
                log.info("the %s could not be connected before it is needed: %s", name, place(exc))
