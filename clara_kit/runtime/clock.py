"""The real clock of one conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.world.pace import now_s, usual_pace


class MonotonicClock:
    """Milliseconds since it was made, to the microsecond."""

    __slots__ = ("_began_s", "_now_s")

    def __init__(self, pace: float | None = None) -> None:
        """pace: how many times faster than the wall it may run (default: the usual pace, which is 1)."""
        pace = usual_pace() if pace is None else pace
        self._now_s: Callable[[], float] = perf_counter if pace == 1 else partial(now_s, pace)
        self._began_s = self._now_s()

    def now_ms(self) -> float:
        """Milliseconds on the conversation's clock."""
        return round((self._now_s() - self._began_s) * 1000, 3)


EARLY_MS = 1.2  # how much before its time a timer is looked at: epoll rounds up to whole milliseconds


class Timers:
    """Set and cancelled by commands; feeds `TimerFired` when one is due. Lives in one event loop."""

    def __init__(self, clock: Clock, feed: Callable[[ev.Event], None]) -> None:
        self._clock, self._feed = clock, feed
        self._handles: dict[str, asyncio.Handle] = {}

    def set(self, command: do.SetTimer) -> None:
        """Ring at its time."""
        wait_s = max(0.0, command.due_ms - self._clock.now_ms() - EARLY_MS) / 1000
        loop = asyncio.get_running_loop()
        self._handles[command.timer_id] = loop.call_later(wait_s, self._due, command.timer_id, command.due_ms)

    def cancel(self, timer_id: str) -> None:
        """Forget one that has not fired; others are passed over."""
        handle = self._handles.pop(timer_id, None)
        if handle is not None:
            handle.cancel()

    def close(self) -> None:
        """Forget all."""
        for timer_id in list(self._handles):
            self.cancel(timer_id)

    def _due(self, timer_id: str, due_ms: float) -> None:
        if self._clock.now_ms() < due_ms:
            # The loop's timers are only good to a millisecond: wait the rest out.
            self._handles[timer_id] = asyncio.get_running_loop().call_soon(self._due, timer_id, due_ms)
            return
        self._handles.pop(timer_id, None)
        self._feed(ev.TimerFired(at_ms=self._clock.now_ms(), timer_id=timer_id))
