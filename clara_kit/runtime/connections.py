"""The line to one service: opened, listened to, opened again when it is told to. Decides nothing.

Between a provider and the session. What breaks is told as `ProviderFailed`, what works again as `ProviderRecovered`;
whether and when to connect again comes back as a command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError, ProviderUnavailable
from clara_kit.providers.stt.base import Reopens


class Connection:
    """make: a provider, not yet entered. entered: shown each one as soon as it is connected; None: it is gone.

    One task enters and leaves every provider, for what it opened may belong to the task that opened it.
    """

    def __init__(
        self,
        service: ev.Service,
        make: Callable[[], AbstractAsyncContextManager[Any]],
        entered: Callable[[Any], None],
        feed: Callable[[ev.Event], object],
        clock: Clock,
    ) -> None:
        self._service: ev.Service = service
        self._make, self._entered, self._feed, self._clock = make, entered, feed, clock
        self._provider: Any = None
        self._again = asyncio.Event()
        self._hears = False  # the provider's events have not ended
        self._told = False  # why it is not connected
        self._reopening: asyncio.Task[None] | None = None
        self.opened = asyncio.Event()
        """It has been connected once."""

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Connect for the first time, and live until cancelled; a failure of that first time ends the group."""
        self._tasks = tasks
        self._task = tasks.create_task(self._live())

    def connect(self) -> None:
        """Connect again now."""
        if self._hears and isinstance(self._provider, Reopens):
            self._reopening = self._tasks.create_task(self._reopen(self._provider))
        else:
            self._again.set()

    def disconnect(self) -> None:
        """Give it up."""
        self._task.cancel()

    async def _live(self) -> None:
        while True:
            try:
                async with self._make() as provider:
                    self._provider = provider
                    self._entered(provider)
                    self._connected()
                    try:
                        await self._hear(provider)
                    finally:  # nothing may still be connecting what is being left
                        if self._reopening is not None:
                            self._reopening.cancel()
                if not self._told:
                    message = f"The {self._service} connection was closed."
                    self._failed(ProviderUnavailable(message, kind="cut"))
            except ProviderError as exc:
                if not self.opened.is_set():
                    raise  # it never worked: whoever starts the conversation must know at once
                self._failed(exc)
            finally:
                self._provider = None
                self._entered(None)
            await self._again.wait()
            self._again.clear()

    async def _hear(self, provider: Any) -> None:
        self._hears = True
        try:
            async for event in provider.events():
                if isinstance(event, ev.ProviderFailed) and event.utterance_id is None:
                    self._told = True
                self._feed(event)
        finally:
            self._hears = False

    async def _reopen(self, provider: Reopens) -> None:
        try:
            await provider.reopen()
        except ProviderError as exc:
            self._failed(exc)
        else:
            self._connected()

    def _connected(self) -> None:
        self._told = False
        if self.opened.is_set():
            self._feed(ev.ProviderRecovered(at_ms=self._clock.now_ms(), service=self._service))
        self.opened.set()

    def _failed(self, error: ProviderError) -> None:
        self._told = True
        self._feed(ev.ProviderFailed.of(error, self._service, self._clock.now_ms()))
