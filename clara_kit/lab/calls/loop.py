"""An event loop in a thread of its own, for what is asked from anywhere: a thread, a worker, a notebook's cell."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from clara_kit.world.pace import loop_factory, only_waits

T = TypeVar("T")


def _live(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


class Loop:
    """An event loop in a thread of its own, which begins when it is needed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._lock = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it there, and wait for it."""
        with self._lock:
            if self._loop is None or self._process != os.getpid():  # a fork takes no threads along
                self._loop, self._process = (loop_factory() or asyncio.new_event_loop)(), os.getpid()
                threading.Thread(target=_live, args=(self._loop,), name="clara-brain", daemon=True).start()
            done: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            with only_waits():
                return done.result()
        except BaseException:
            done.cancel()
            raise

    def close(self) -> None:
        """End it; it begins anew when it is needed."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None and self._process == os.getpid():
            loop.call_soon_threadsafe(loop.stop)
