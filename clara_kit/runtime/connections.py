"""Keeps the connection of a service open: opens it again after a failure that allows it, or gives the service up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError, ProviderRefused, ProviderUnavailable
from clara_kit.core.settings import Settings

P = TypeVar("P")


class Connections:
    """Of one conversation. Every failure and recovery is fed to it as an event."""

    def __init__(self, clock: Clock, settings: Settings, feed: Callable[[ev.Event], None]) -> None:
        self._clock, self._settings, self._feed = clock, settings, feed

    async def keep(
        self,
        service: ev.Service,
        make: Callable[[], AbstractAsyncContextManager[P]],
        use: Callable[[P], Awaitable[ev.ProviderFailed | None]],
        opened: asyncio.Event,
    ) -> None:
        """Enter what `make` gives and `use` it, over and over.

        `use` ends when the connection does, with the failure if it knows one. Raises `ProviderError` where it
        never opened, or when the retry policy has no attempt left.
        """
        attempt = 0
        while True:
            try:
                async with make() as provider:
                    if opened.is_set():
                        self._feed(ev.ProviderRecovered(at_ms=self._clock.now_ms(), service=service))
                    opened.set()
                    began_ms = self._clock.now_ms()
                    failed = await use(provider)
                if self._clock.now_ms() - began_ms > self._settings.max_retry_delay_ms:
                    attempt = 0  # it worked for a while: the next failure is a new one
                if failed is None:
                    failed = self._closed(service)
            except ProviderError as exc:
                if not opened.is_set():
                    raise  # never worked: the caller of start() must know at once
                failed = self._failed(service, exc)
            attempt += 1
            delay_ms = self._settings.retry.delay_ms(attempt) if failed.retryable else None
            if delay_ms is None:
                error = ProviderUnavailable if failed.retryable else ProviderRefused
                raise error(f"The conversation ended: {failed.message}", hint=failed.hint)
            await asyncio.sleep(delay_ms / 1000)

    async def pump(self, events: AsyncIterator[ev.Event]) -> ev.ProviderFailed | None:
        """Feed a provider's events; returns its last failure that was not of a single utterance."""
        failed: ev.ProviderFailed | None = None
        async for event in events:
            self._feed(event)
            if isinstance(event, ev.ProviderFailed) and event.utterance_id is None:
                failed = event
        return failed

    def _failed(self, service: ev.Service, exc: ProviderError) -> ev.ProviderFailed:
        refused = isinstance(exc, ProviderRefused)
        event = ev.ProviderFailed(
            at_ms=self._clock.now_ms(),
            service=service,
            kind="refused" if refused else "unreachable",
            message=exc.message,
            hint=exc.hint,
            retryable=not refused,
        )
        self._feed(event)
        return event

    def _closed(self, service: ev.Service) -> ev.ProviderFailed:
        event = ev.ProviderFailed(
            at_ms=self._clock.now_ms(),
            service=service,
            kind="cut",
            message=f"The {service} connection was closed.",
            retryable=True,
        )
        self._feed(event)
        return event
