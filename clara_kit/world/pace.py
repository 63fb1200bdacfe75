"""A clock that may run faster than the wall's, and event loops that live by it: for tests.

Most of a conversation is waiting: for the next 20 ms of sound, for a voice to end. At a pace of 20 such a wait
takes a twentieth of its time. A figure that came of it is still in the conversation's own milliseconds.

Time runs at the pace only while every loop that lives by it waits, and never past the next moment that one of
them waits for. While any of them works, time runs at `WORKING` of the wall's: a machine that is busy with other
things makes a conversation take longer, and neither later nor different. At a pace of 1 nothing here is used.
"""

from __future__ import annotations

import asyncio
import math
import os
import select
import selectors
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")

VARIABLE = "CLARA_PACE"
WORKING = 0.5  # of the wall's pace, while somebody works
_HELPED_S = 5.0  # so long a job in another thread is work; one that lasts longer waits for something itself
_ANSWER_S = 0.25  # on the wall: so long whoever asked from outside may take to ask again before time flies
_SHORTEST_NAP_S, _LONGEST_NAP_S = 0.0003, 0.002  # after which a loop looks again while others work
_SELECTABLE = 1024  # files with a number beyond cannot be waited for with select()


def usual_pace() -> float:
    """What the environment says (`CLARA_PACE`, for tests: how many times faster than the wall); 1 if nothing."""
    try:
        pace = float(os.environ.get(VARIABLE) or 1)
    except ValueError:
        return 1.0
    return pace if 1 <= pace <= 1000 else 1.0


def loop_factory(pace: float | None = None) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """For `asyncio.Runner`: loops that live at this pace (default: the usual one); None for asyncio's own."""
    pace = usual_pace() if pace is None else pace
    return None if pace == 1 else lambda: PacedLoop(pace)


def now_s(pace: float | None = None) -> float:
    """Seconds on the clock that every loop of this pace shares (default: the usual one)."""
    pace = usual_pace() if pace is None else pace
    return perf_counter() if pace == 1 else _clock(pace).now_s()


def here_s() -> float:
    """Seconds on the clock of the loop that runs here; without one, on the usual clock."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return now_s()


class _Clock:
    """The time that all loops of one pace share. Its loops may live in several threads."""

    def __init__(self, pace: float) -> None:
        self.pace = pace
        self._lock = threading.Lock()
        self._now_s = self._wall_s = perf_counter()
        self._due: dict[_PacedSelector, float | None] = {}  # until when each waits; None: it works
        self._sending: set[_PacedSelector] = set()  # whose words the other end has no room for
        self._helped: dict[object, float] = {}  # jobs in other threads, and since when on the wall
        self._flies = False
        self._held_until_s = 0.0  # on the wall

    def now_s(self) -> float:
        with self._lock:
            return self._advance()

    def works(self, loop: _PacedSelector) -> None:
        """It has something to do."""
        with self._lock:
            self._advance()
            self._due[loop] = None
            self._flies = False

    def waits(self, loop: _PacedSelector, until_s: float, *, sending: bool = False) -> tuple[float, bool]:
        """It has nothing to do until then, or until something comes. What is left, and whether time flies."""
        with self._lock:
            now_s = self._advance()
            self._due[loop] = until_s
            self._sending.add(loop) if sending else self._sending.discard(loop)
            self._flies = self._all_wait(loop)
            return until_s - now_s, self._flies

    def leaves(self, loop: _PacedSelector) -> None:
        """It has stopped running."""
        with self._lock:
            self._advance()
            self._due.pop(loop, None)
            self._sending.discard(loop)

    def helped(self, job: object, begins: bool, *, since_s: float | None = None) -> None:
        """A job in another thread begins or ends."""
        with self._lock:
            self._advance()
            if begins:
                self._helped[job] = perf_counter() if since_s is None else since_s
                self._flies = False
            else:
                self._helped.pop(job, None)

    def hold(self, wall_s: float) -> None:
        """Somebody outside is about to do something: time does not fly for so long."""
        with self._lock:
            self._advance()
            self._held_until_s = perf_counter() + wall_s
            self._flies = False

    def _all_wait(self, loop: _PacedSelector) -> bool:
        if self._sending or any(due is None for due in self._due.values()):
            return False
        if perf_counter() < self._held_until_s:
            return False
        if self._helped and perf_counter() - max(self._helped.values()) < _HELPED_S:
            return False
        others = [other.bell for other in self._due if other is not loop and 0 <= other.bell < _SELECTABLE]
        # Something may have come for one that the machine has not let run yet.
        return not others or not select.select(others, [], [], 0)[0]

    def _advance(self) -> float:
        wall_s = perf_counter()
        passed_s, self._wall_s = wall_s - self._wall_s, wall_s
        if self._flies:
            next_s = min((due for due in self._due.values() if due is not None), default=math.inf)
            flown_s = max(0.0, min(passed_s * self.pace, next_s - self._now_s))
            self._now_s += flown_s
            passed_s -= flown_s / self.pace
        self._now_s += passed_s * WORKING
        return self._now_s


_CLOCKS: dict[float, _Clock] = {}
_CLOCKS_LOCK = threading.Lock()


def _clock(pace: float) -> _Clock:
    with _CLOCKS_LOCK:
        return _CLOCKS.setdefault(pace, _Clock(pace))


class _PacedSelector(selectors.DefaultSelector):
    """Waits for files as asyncio wants it, but for as long as the clock of a pace says."""

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self.clock = clock
        fileno = getattr(self, "fileno", None)  # epoll and kqueue are files themselves: readable if one of theirs is
        self.bell: int = fileno() if fileno is not None else -1
        self._rings = 0 <= self.bell < _SELECTABLE

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What has come; waits for it `timeout` seconds of the clock, or for ever."""
        came = super().select(0)
        if came or (timeout is not None and timeout <= 0):
            return came
        until_s = math.inf if timeout is None else self.clock.now_s() + timeout
        # What the kernel holds back until the other end has room is late by the wall's clock, not by this one.
        sending = any(key.events & selectors.EVENT_WRITE for key in self.get_map().values())
        try:
            while not came:
                left_s, flies = self.clock.waits(self, until_s, sending=sending)
                if left_s <= 0:
                    break
                came = self._nap(None if timeout is None else self._nap_s(left_s, flies))
        finally:
            self.clock.works(self)
        return came

    def _nap_s(self, left_s: float, flies: bool) -> float:
        wall_s = left_s / self.clock.pace
        return wall_s if flies else min(_LONGEST_NAP_S, max(_SHORTEST_NAP_S, wall_s))

    def _nap(self, wall_s: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self._rings:
            return super().select(wall_s)
        if select.select([self.bell], [], [], wall_s)[0]:  # to the microsecond; epoll's own wait is to the millisecond
            return super().select(0)
        return []


class PacedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time, and so every sleep and timeout in it, keeps a pace."""

    def __init__(self, pace: float) -> None:
        self._paced = _PacedSelector(_clock(pace))
        super().__init__(self._paced)

    def time(self) -> float:
        """Seconds on the clock of this pace."""
        return self._paced.clock.now_s()

    def run_forever(self) -> None:
        """Run, and take part in the clock meanwhile."""
        self._paced.clock.works(self._paced)
        try:
            super().run_forever()
        finally:
            self._paced.clock.leaves(self._paced)

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run it in another thread, where it counts as work for a while."""
        clock = self._paced.clock
        asked = func.args[0] if isinstance(func, partial) and func.args else func  # to_thread runs it in a context
        if getattr(asked, "__func__", None) is threading.Thread.join:
            return super().run_in_executor(executor, func, *args)
        job = object()
        clock.helped(job, True)

        def work() -> T:
            _HERE.job = (clock, job)
            try:
                return func(*args)
            finally:
                _HERE.job = None

        done = super().run_in_executor(executor, work)
        done.add_done_callback(lambda _: clock.helped(job, False))  # when its result is here, not before
        return done


def asked(work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """Work for a paced loop, asked for from the loop that runs here, which may be a notebook's and know no pace."""
    return work if isinstance(asyncio.get_running_loop(), PacedLoop) else _asked_from_outside(work)


async def _asked_from_outside(work: Coroutine[Any, Any, T]) -> T:
    paced = getattr(asyncio.get_running_loop(), "_paced", None)
    if paced is None:
        return await work
    paced.clock.hold(0)
    try:
        return await work
    finally:
        paced.clock.hold(_ANSWER_S)


_HERE = threading.local()  # job: the one that this thread does for a paced loop, and its clock


@contextmanager
def surely_works() -> Iterator[None]:
    """Around what a job does that may take long, and waits for nobody: time does not fly meanwhile, however long that is."""
    job = getattr(_HERE, "job", None)
    if job is not None:
        job[0].helped(job[1], True, since_s=math.inf)
    try:
        yield
    finally:
        if job is not None:
            job[0].helped(job[1], True)


@contextmanager
def only_waits() -> Iterator[None]:
    """Around what blocks this thread because it waits for another: it is no work, for a loop or for a job of one."""
    try:
        loop: Any = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    paced, job = getattr(loop, "_paced", None), getattr(_HERE, "job", None)
    if paced is not None:
        paced.clock.waits(paced, math.inf)
    if job is not None:
        job[0].helped(job[1], False)
    try:
        yield
    finally:
        if paced is not None:
            paced.clock.works(paced)
        if job is not None:
            job[0].helped(job[1], True)
