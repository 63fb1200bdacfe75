"""A latency monitor that reads along with conversations that run: what it tells goes to a file beside each run.

Between `session.py`, whose conversations it follows, each in the thread of its own, and `measure/monitor.py`, which knows
neither threads nor files. What it costs a conversation is the reading of each record, a few microseconds; a line is written,
and spans are made, when a turn is over, so that nothing stands between a customer's word and Clara's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from clara_kit.core.events import ConversationStopped
from clara_kit.core.records import Record
from clara_kit.measure.monitor import Alert, LatencyMonitor, Timed
from clara_kit.measure.run import mix_of
from clara_kit.runtime.kit_log import SmallLog
from clara_kit.runtime.manager import ConversationManager
from clara_kit.runtime.session import Session

if TYPE_CHECKING:
    from clara_kit.runtime.telemetry import Telemetry

T = TypeVar("T")
LATENCY_FILE = "latency.jsonl"


class Watching:
    """One monitor for as many conversations as are followed.

        watching = Watching()
        watching.follow(clara)

    log: write `latency.jsonl` beside each run, an object a line for each turn and each alert, without a word of what was
    said; rotated as `kit.log` is. telemetry: sends the same as spans and metrics. told: called with all that the monitor
    tells, in the conversation's thread; must return at once.
    """

    def __init__(
        self,
        monitor: LatencyMonitor | None = None,
        *,
        log: bool = True,
        telemetry: Telemetry | None = None,
        told: Callable[[Timed | Alert], object] | None = None,
    ) -> None:
        self._monitor = monitor if monitor is not None else LatencyMonitor()
        self._logs, self._telemetry, self._told = log, telemetry, told
        self._lock, self._numbers = Lock(), count()
        self._followed: dict[str, Followed] = {}

    def follow(self, clara: ConversationManager) -> None:
        """Read along with this one, from its beginning, until it is over."""
        for of, one in [*self._followed.items()]:
            if one.session.over.is_set():  # it broke, and told nobody
                self._leave(of, one)
        one, of = Followed(clara._session), f"conversation {next(self._numbers)}"
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
        if self._logs:
            one.write(told)
        if self._telemetry is not None:
            self._telemetry.told(one, told)
        if self._told is not None:
            self._told(told)


class Followed:
    """One conversation: how far it was read, and its file."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.began_with = session.services.modes
        self._read = 0
        self._log: SmallLog | None = None

    @property
    def run_id(self) -> str:
        """The name of its run."""
        return self.session.folder.name if self.session.folder is not None else ""

    def mix(self, exchanged: Mapping[str, Any]) -> str:
        """Whose the figures of a turn are. exchanged: the services that were exchanged before it."""
        return mix_of({**self.began_with, **exchanged})

    def fresh(self) -> list[Record]:
        """What its trace has gained since the last time."""
        trace = self.session.conversation.trace
        fresh, self._read = trace[self._read :], len(trace)
        return fresh

    def write(self, told: Timed | Alert) -> None:
        """A line of its file."""
        if self._log is None and self.session.folder is not None:
            self._log = SmallLog(self.session.folder / LATENCY_FILE)
        if self._log is not None:
            facts = self._turn(told) if isinstance(told, Timed) else self._alert(told)
            line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts}
            self._log.line(json.dumps(line, ensure_ascii=False))

    def _alert(self, told: Alert) -> dict[str, Any]:
        numbers = {name: round(n, 1) for name, n in told._asdict().items() if isinstance(n, int | float)}
        return {
            "what": "alert",
            "of": self.run_id,
            "stage": told.stage,
            "message": str(told),
            **numbers,
            "raised": told.raised,
        }

    def _turn(self, told: Timed) -> dict[str, Any]:
        turn, usage = told.turn, told.turn.usage
        return {
            "what": "turn", "of": self.run_id, "mix": self.mix(turn.exchanged), "at_ms": round(told.at_ms, 1),
            "turn_id": turn.turn_id, "kind": turn.kind, "model": turn.model,
            "ms": {name: round(ms, 1) for name, ms in told.values.items()},
            "interrupted": turn.interrupted, "problem": turn.problem, "notes": [*turn.notes],
            "tokens": usage.tokens if usage is not None else None, "usd": usage.cost_usd if usage is not None else None,
        }  # fmt: skip

    def close(self) -> None:
        """Nothing more will be written."""
        if self._log is not None:
            self._log.close()
