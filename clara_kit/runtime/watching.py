"""A latency monitor that reads along with conversations that run: what it tells goes to a file beside each run.

Between `session.py`, whose conversations it follows, each in the thread of its own, and `measure/monitor.py`, which knows
neither threads nor files. What it costs a conversation is the reading of each record, a few microseconds; a line is written,
and spans are made, when a turn is over, so that nothing stands between a customer's word and Clara's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from clara_kit.core.events import ConversationStopped
from clara_kit.core.records import Record
from clara_kit.measure.monitor import Alert, LatencyMonitor, Timed
from clara_kit.runtime.latency_log import Followed
from clara_kit.runtime.manager import ConversationManager

if TYPE_CHECKING:
    from clara_kit.runtime.telemetry import Telemetry

T = TypeVar("T")


class Watching:
    """One monitor for as many conversations as are followed.

        watching = Watching()
        watching.follow(clara)

    telemetry: sends what the monitor tells as spans and metrics. told: called with all of it, in the conversation's thread;
    must return at once.
    """

    def __init__(
        self,
        monitor: LatencyMonitor | None = None,
        *,
        telemetry: Telemetry | None = None,
        told: Callable[[Timed | Alert], object] | None = None,
    ) -> None:
        self._monitor = monitor if monitor is not None else LatencyMonitor()
        self._telemetry, self._told = telemetry, told
        self._lock, self._numbers = Lock(), count()
        self._followed: dict[str, Followed] = {}

    def follow(self, clara: ConversationManager, *, log: bool = True) -> None:
        """Read along with this one from its beginning until it is over.

        log: write `latency.jsonl` beside its run, an object a line for each turn and each alert, without a word of what was
        said; rotated as `kit.log` is.
        """
        for of, one in [*self._followed.items()]:
            if one.session.over.is_set():  # it broke, and told nobody
                self._leave(of, one)
        one, of = Followed(clara._session, log=log), f"conversation {next(self._numbers)}"
        self._followed[of] = one
        clara.subscribe(partial(self._saw, of, one))

    def look(self, at: Callable[[LatencyMonitor], T]) -> T:
        """What is found in the monitor, or changed in it, while no conversation is at it."""
        with self._lock:
            return at(self._monitor)

    def _saw(self, of: str, one: Followed, record: Record) -> None:
        """Called in the conversation's thread, for each record once it is in the trace."""
        for fresh in one.fresh():
            if self._telemetry is not None:
                self._telemetry.saw(one, fresh)
            with self._lock:
                found = self._monitor.read(fresh, of)
            for told in found:
                self._tell(told, one)
        if type(record) is ConversationStopped:
            self._leave(of, one)

    def _leave(self, of: str, one: Followed) -> None:
        with self._lock:
            found = self._monitor.leave(of)
        for told in found:
            self._tell(told, one)
        if self._followed.pop(of, None) is not None:
            one.close()

    def _tell(self, told: Timed | Alert, one: Followed) -> None:
        one.write(told)
        if self._telemetry is not None:
            self._telemetry.told(one, told)
        if self._told is not None:
            self._told(told)
