"""What the LiveAvatar twin tells its client, in either of two dialects.

Used by `liveavatar_session.py`, which knows when something happened; here is how it is said, and how a fault
of the utterance spoils it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from clara_kit.world.faults import find
from clara_kit.world.twins.liveavatar.player import Cut, Utterance

Dialect = Literal["speak_events", "state_updates", "both"]
"""speak_events: the documented answers, about utterances. state_updates: those about the avatar's state and
its buffer, which shipped clients know too. both: a session that uses either."""

Pose = Literal["idle", "listening", "talking"]


class Teller:
    """Says what happens. `say` sends one message, or drops it where nobody is connected."""

    def __init__(self, dialect: Dialect, say: Callable[[dict[str, Any]], None]) -> None:
        self.pose: Pose = "idle"
        self._speaks = dialect != "state_updates"
        self._shows = dialect != "speak_events"
        self._say = say
        self._ended_early: set[str] = set()

    def session(self, state: str) -> None:
        self._say({"type": "session.state_updated", "state": state})

    def error(self, message: str, event_id: str | None, kind: str = "invalid_request_error") -> None:
        self._say({"type": "error", "error": {"type": kind, "message": message, "event_id": event_id}})

    def warning(self, message: str) -> None:
        self._say({"type": "warning", "warning": {"type": "unknown_event", "message": message}})

    def appended(self, utterance: Utterance, event_id: str | None) -> None:
        self._buffer("appended", event_id or utterance.event_id, utterance)

    def committed(self, utterance: Utterance) -> None:
        self._buffer("committed", utterance.event_id, utterance)

    def started(self, utterance: Utterance) -> None:
        self._speak("started", utterance)
        self.turn("talking")

    def ended(self, utterance: Utterance, *, early: bool = False) -> None:
        """It was played to its end, or (early) a fault says so before that is true."""
        if early:
            self._ended_early.add(utterance.task_id)
        elif utterance.task_id in self._ended_early:
            return
        self._end("ended", utterance)

    def cleared(self, cut: Cut, utterances: tuple[Utterance, ...]) -> None:
        """An interrupt took effect."""
        if not any(find(u.faults, "no_end") for u in utterances):
            self._buffer("cleared", cut.command_id, None)
        for utterance in utterances:
            self._end("interrupted", utterance, source_event_id=cut.command_id)

    def turn(self, pose: Pose, *, again: bool = False) -> None:
        """The avatar takes a pose. again: say it even if it has it already."""
        before, self.pose = self.pose, pose
        if self._shows and (before != pose or again):
            self._say({"type": "agent.state_updated", "previous_state": before, "new_state": pose})

    def _end(self, what: str, utterance: Utterance, **more: Any) -> None:
        if find(utterance.faults, "no_end"):
            self.pose = "idle"
            return
        twice = find(utterance.faults, "duplicate") is not None
        for _ in range(2 if twice else 1):
            self._speak(what, utterance, **more)
            self.turn("idle", again=twice)

    def _speak(self, what: str, utterance: Utterance, **more: Any) -> None:
        if self._speaks:
            task = {"id": utterance.task_id}
            self._say({"type": f"agent.speak_{what}", "event_id": utterance.event_id, "task": task, **more})

    def _buffer(self, what: str, event_id: str | None, utterance: Utterance | None) -> None:
        if self._shows:
            task = {"task": {"id": utterance.task_id}} if utterance else {}
            self._say({"type": f"agent.audio_buffer_{what}", "event_id": event_id, **task})
