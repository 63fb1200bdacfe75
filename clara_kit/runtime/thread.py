"""The thread in which one conversation lives, and who ends it when nobody does: a notebook's kernel, or the process.

Between `manager.py`, which people hold, and `session.py`. It holds no manager: a conversation whose last name is gone
ends. In a notebook only one that was started without `async with` runs at a time, and an interrupt of the kernel ends
it: what still listens and records, and what nobody can name any more, would do so until the kernel's end.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import sys
import threading
import traceback
import weakref
from collections.abc import Awaitable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import Any, TypeVar

from clara_kit.core.errors import ClaraError
from clara_kit.core.outside import place
from clara_kit.runtime.ending import first_of, worded
from clara_kit.runtime.session import Session, Tell

log = logging.getLogger("clara_kit.runtime")
T = TypeVar("T")

_END_S = 2.0  # for all conversations that end with the process, or by an interrupt
_HELPERS_S = 0.2  # for what threads of a conversation that is over are still at
_WAKE_S = 0.1  # how late a kernel's interrupt may be noticed

WATCHERS: weakref.WeakSet[Any] = weakref.WeakSet()
"""Whose `conversations_changed` is called, in any thread, when one has begun or ended; must return at once and not raise."""


class ConversationThread(threading.Thread):
    """Runs a session in an event loop, which it closes. `kept`: a notebook may start it again without having stopped it."""

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop, tell: Tell, *, kept: bool) -> None:
        super().__init__(name="clara-conversation", daemon=True)
        self.session, self.loop, self._tell = session, loop, tell
        loop.set_default_executor(_Helpers())
        self.kept = kept and notebook() is not None
        self._calls: set[Future[Any]] = set()
        self.over = False
        self.owner: weakref.ref[Any] | None = None
        session.absence.hang_up = self.hang_up

    def run(self) -> None:
        """See `Thread`."""
        session = self.session
        _tell_watchers()
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(session.live(self._tell))
        except BaseException as exc:
            session.error = session.error or worded(exc)
            if not isinstance(first_of(exc), ClaraError):
                log.error("the conversation's thread failed: %s", place(exc))
        self.over = True
        for call in list(self._calls):  # came too late for the loop
            call.cancel()
        self._tell(session.error or ClaraError("The conversation was stopped before it began."))
        _tell_watchers()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Let it do something; cancelled where it ends first."""
        try:
            call = asyncio.run_coroutine_threadsafe(work, self.loop)
        except RuntimeError:  # its loop is closed
            work.close()
            call = Future()
            call.cancel()
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        if self.over:
            call.cancel()
        return call

    def hang_up(self, why: str = "") -> None:
        """Let it end, from any thread. why: for whoever did not ask for it."""
        if why and self.is_alive() and not self.session.why_over:
            self.session.why_over = why
            log.warning("A conversation was ended: %s. Its run: %s", why, self.session.folder)
        with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended
            self.loop.call_soon_threadsafe(self.session.over.set)

    async def ended(self) -> None:
        """Wait until nothing of it runs; in its own thread that cannot be waited for."""
        if threading.current_thread() is not self:
            await awake(asyncio.to_thread(self.join))


class _Helpers(ThreadPoolExecutor):
    """What a conversation does in threads; its end waits for none for long: looking up a name cannot be called off."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `ThreadPoolExecutor`."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        due_s = monotonic() + _HELPERS_S
        for thread in self._threads if wait else ():
            thread.join(max(0.0, due_s - monotonic()))


def notebook() -> Any:
    """The shell of the notebook that this process is the kernel of, or None."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


async def make_room() -> None:
    """In a notebook: end what was started before and is not being waited for; from now on an interrupt ends it too."""
    if (shell := notebook()) is None:
        return
    shell.events.register("post_run_cell", _after_cell)
    while older := running(kept=True):  # asked anew: another may have been started while one was waited for
        older[0].hang_up("another one was started in this notebook («async with» lets several run)")
        await older[0].ended()


def _after_cell(result: Any) -> None:
    error = getattr(result, "error_in_exec", None)
    _let_go(error)
    if result is None or isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        _end_all(kept=True, why="the kernel was interrupted")


def _let_go(error: BaseException | None) -> None:
    """A notebook keeps its last error, whose frames of the manager's methods would be one more name of it."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_globals.get("__name__") == "clara_kit.runtime.manager":
                with contextlib.suppress(RuntimeError):  # it still runs
                    frame.clear()
                    _ = frame.f_locals  # before Python 3.13 a copy, which whoever showed the error has made
        error = error.__cause__ or error.__context__


def _end_all(*, kept: bool = False, why: str = "") -> None:
    threads, due_s = running(kept=kept), monotonic() + _END_S
    for thread in threads:
        thread.hang_up(why)
    for thread in threads:
        thread.join(max(0.0, due_s - monotonic()))


def _tell_watchers() -> None:
    for watcher in list(WATCHERS):
        watcher.conversations_changed()


def running(*, kept: bool = False) -> list[ConversationThread]:
    """Every conversation of this process, or those that only a name in a notebook keeps."""
    return [t for t in threading.enumerate() if isinstance(t, ConversationThread) and t.kept >= kept]


# Before Python closes its executors, which what is being left still needs; `atexit` comes after that.
getattr(threading, "_register_atexit", atexit.register)(_end_all)


async def awake(work: Awaitable[T]) -> T:
    """Wait for something; in a notebook so that an interrupt is heard at once.

    A kernel's signal handler leaves its word in the event loop without waking it (ipykernel 7.4).
    """
    future = asyncio.ensure_future(work)
    try:
        while notebook() is not None and not (await asyncio.wait({future}, timeout=_WAKE_S))[0]:
            pass
        return await future
    finally:
        future.cancel()
