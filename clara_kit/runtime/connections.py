"""The line to one service: opened, listened to, opened again when it is told to. Decides nothing.

Between a provider and the session. What breaks is told as `ProviderFailed`, what works again as `ProviderRecovered`;
whether and when to connect again comes back as a command.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ClaraError, ProviderError, ProviderRefused, ProviderUnavailable
from clara_kit.core.outside import place
from clara_kit.providers.stt.base import Reopens

log = logging.getLogger("clara_kit.runtime")


def as_failure(exc: Exception, service: str) -> ProviderError:
    """What went wrong with something that a conversation goes on without, also where the mistake is ours."""
    if isinstance(exc, ProviderError):
        return exc
    if isinstance(exc, ClaraError):
        return ProviderRefused(exc.message, hint=exc.hint)
    log.error("the %s failed in the kit itself: %s", service, place(exc))
    return ProviderError(
        f"The {service} failed in the kit itself ({type(exc).__name__}).", hint="see the log.", retryable=False
    )


class Connection:
    """make: a provider, not yet entered. entered: shown each one as soon as it is connected; None: it is gone.

    needed: a failure of the first time is one of whoever begins; spared: unless another try may help, or another service.
    quiet: that it works is told to nobody.
    Each provider is entered and left by one task, for what it opened may belong to the task that opened it.
    """

    def __init__(
        self,
        service: ev.Service,
        make: Callable[[], AbstractAsyncContextManager[Any]],
        entered: Callable[[Any], None],
        feed: Callable[[ev.Event], object],
        clock: Clock,
        *,
        needed: bool = False,
        spared: bool = False,
        quiet: bool = False,
    ) -> None:
        self._service: ev.Service = service
        self._make, self._entered, self._feed, self._clock = make, entered, feed, clock
        self._needed, self._spared, self._quiet = needed, spared, quiet
        self._again = asyncio.Event()
        self._line: asyncio.Task[None] | None = None
        self._provider: Any = None
        self._hears = False  # the provider's events have not ended
        self._told = False  # why it is not connected
        self._left = False  # on purpose
        self._reopening: asyncio.Task[None] | None = None
        self.opened = asyncio.Event()
        """It has been connected once, or the conversation begins without it."""

    @property
    def works(self) -> bool:
        """It is connected, and nothing else was heard of it."""
        return self._hears and not self._told and not self._left

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Live until cancelled, and connect when it is told to."""
        self._tasks = tasks
        tasks.create_task(self._live())

    def connect(self) -> None:
        """Connect, or connect again, now."""
        if self._hears and isinstance(self._provider, Reopens):
            self._reopening = self._tasks.create_task(self._reopen(self._provider))
        else:
            self._again.set()

    def disconnect(self) -> None:
        """Leave it, until it is to be connected again; nothing is told of it any more."""
        self._again.clear()
        self._left = True
        if self._line is not None:
            self._line.cancel()

    async def _live(self) -> None:
        while True:
            await self._again.wait()
            self._again.clear()
            self._left = False
            self._line = self._tasks.create_task(self._connect())
            await asyncio.wait({self._line})

    async def _connect(self) -> None:
        try:
            async with self._make() as provider:
                self._provider = provider
                self._entered(provider)
                self._connected()
                try:
                    await self._hear(provider)
                finally:  # nothing may still be connecting what is being left
                    self._gone()
                    if self._reopening is not None:
                        self._reopening.cancel()
            if not self._told and not self._left:
                message = f"The {self._service} connection was closed."
                self._failed(ProviderUnavailable(message, kind="cut"))
        except Exception as exc:
            self._gone()
            goes_on = isinstance(exc, ProviderError) and (self.opened.is_set() or (self._spared and exc.retryable))
            if self._needed and not goes_on:
                raise  # it never worked: whoever starts the conversation must know at once
            self._failed(as_failure(exc, self._service))
            self.opened.set()

    def _gone(self) -> None:
        if self._provider is not None:
            self._provider = None
            self._entered(None)

    async def _hear(self, provider: Any) -> None:
        self._hears = True
        try:
            async for event in provider.events():
                if self._left:  # a queue that is not empty does not see that it was cancelled
                    return
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
        if (self.opened.is_set() or not self._needed) and not self._quiet:
            self._feed(ev.ProviderRecovered(at_ms=self._clock.now_ms(), service=self._service))
        self.opened.set()

    def _failed(self, error: ProviderError) -> None:
        self._told = True
        self._feed(ev.ProviderFailed.of(error, self._service, self._clock.now_ms()))
