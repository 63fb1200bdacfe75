"""One conversation that is watched, and the file beside its run that says how long each turn took.

Filled by `watching.py`. For people and for other programs: an object a line, names, numbers and times only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clara_kit.core.records import Record
from clara_kit.measure.monitor import Alert, Timed
from clara_kit.measure.run import mix_of
from clara_kit.runtime.kit_log import SmallLog
from clara_kit.runtime.session import Session

LATENCY_FILE = "latency.jsonl"


class Followed:
    """One conversation: how far it was read, and its file."""

    def __init__(self, session: Session, *, log: bool) -> None:
        self.session, self._writes = session, log
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
        if self._writes and self._log is None and self.session.folder is not None:
            self._log = SmallLog(self.session.folder / LATENCY_FILE)
        if self._log is not None:
            facts = self._turn(told) if isinstance(told, Timed) else self._alert(told)
            line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts}
            self._log.line(json.dumps(line, ensure_ascii=False))

    def _alert(self, told: Alert) -> dict[str, Any]:
        numbers = {name: round(n, 1) for name, n in told._asdict().items() if isinstance(n, int | float)}
        about = {"what": "alert", "of": self.run_id, "mix": self.mix({}), "stage": told.stage, "message": str(told)}
        return {**about, **numbers, "raised": told.raised}

    def _turn(self, told: Timed) -> dict[str, Any]:
        turn, usage = told.turn, told.turn.usage
        return {
            "what": "turn", "of": self.run_id, "mix": self.mix(turn.exchanged), "at_ms": round(told.at_ms, 1),
            "turn_id": turn.turn_id, "kind": turn.kind, "model": turn.model,
            "ms": {name: round(ms, 1) for name, ms in told.values.items()},
            "interrupted": turn.interrupted, "backup": turn.backup, "kept": turn.kept, "opener": bool(turn.opener),
            "problem": turn.problem,
            "tokens": usage.tokens if usage is not None else None, "usd": usage.cost_usd if usage is not None else None,
        }  # fmt: skip

    def close(self) -> None:
        """Nothing more will be written."""
        if self._log is not None:
            self._log.close()
