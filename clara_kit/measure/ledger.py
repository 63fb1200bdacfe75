"""Where the milliseconds of each turn went, from a trace alone.

Two views. `LatencyMetrics`: the plan's fields, for continuity. The critical path: eight points, each from
an event of its own, seven stages between them. Every stage is 0 or more and they add up to the total, which
is measured from a ninth record of its own (the change of state); a turn for which that is not so says what
is missing or wrong. Nothing is silently empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import HeardEstimated, Record, StateChanged
from clara_kit.core.states import ConversationState

POINTS = (
    "words_ended",  # TranscriptFinal.speech_ended_ms, or TextTyped
    "turn_decided",  # RequestReply
    "request_sent",  # ReplyStarted
    "first_token",  # ReplyDelta
    "first_piece",  # Speak
    "speech_sent",  # SpeechSent
    "first_audio",  # FirstAudio
    "speaking_started",  # SpeakingStarted
)
STAGES = tuple(f"{a} → {b}" for a, b in zip(POINTS, POINTS[1:], strict=False))
STAGE_LABELS = ("hear", "send", "think", "first sentence", "hand over", "voice", "avatar")
"""What each stage is called in a table, in the order of `STAGES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyMetrics:
    """The plan's fields, in milliseconds; None where the event never came.

    `tts_latency` is avatar_start_speaking - llm_complete, as the plan has it. With sentence-chunked sending
    Clara speaks before the model is done, so that it is then negative.
    """

    user_stop_speaking: float | None
    transcript_received: float | None
    llm_first_token: float | None
    llm_complete: float | None
    avatar_start_speaking: float | None

    @property
    def stt_latency(self) -> float | None:
        """transcript_received - user_stop_speaking."""
        return _minus(self.transcript_received, self.user_stop_speaking)

    @property
    def llm_latency(self) -> float | None:
        """llm_complete - transcript_received."""
        return _minus(self.llm_complete, self.transcript_received)

    @property
    def tts_latency(self) -> float | None:
        """avatar_start_speaking - llm_complete; negative when Clara spoke before the model was done."""
        return _minus(self.avatar_start_speaking, self.llm_complete)

    @property
    def total_latency(self) -> float | None:
        """avatar_start_speaking - user_stop_speaking."""
        return _minus(self.avatar_start_speaking, self.user_stop_speaking)


@dataclass(slots=True, kw_only=True)
class Turn:
    """One turn: what was said on both sides, when, and what became of it."""

    turn_id: int
    kind: str  # "greeting", "spoken" or "typed"
    customer: str = ""
    clara: str = ""
    heard: str | None = None  # None: all of it
    unheard: str = ""
    points: dict[str, float] = field(default_factory=dict)
    total_ms: float | None = None
    llm_complete: float | None = None
    transcript_received: float | None = None
    model: str = ""
    requests: int = 0
    interrupted: bool = False
    usage: ev.Usage | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """The points this kind of turn must have."""
        return POINTS if self.kind != "greeting" else POINTS[4:]

    @property
    def missing(self) -> tuple[str, ...]:
        """The points whose event never came."""
        return tuple(p for p in self.path if p not in self.points)

    @property
    def stages(self) -> dict[str, float]:
        """Milliseconds of each stage whose two ends are known."""
        pairs = zip(POINTS, POINTS[1:], strict=False)
        return {
            f"{a} → {b}": self.points[b] - self.points[a]
            for a, b in pairs
            if a in self.points and b in self.points
        }

    @property
    def problem(self) -> str:
        """Why the ledger of this turn does not add up; empty when it does."""
        if self.missing:
            never = "Clara never spoke" if "speaking_started" in self.missing else "an event never came"
            return f"{never}; missing: {', '.join(self.missing)}"
        negative = [name for name, ms in self.stages.items() if ms < 0]
        if negative:
            return f"negative: {', '.join(negative)}"
        if self.kind != "greeting":
            total = sum(self.stages.values())
            if self.total_ms is None or abs(total - self.total_ms) > 1.0:
                return f"the stages add up to {total:.1f} ms, the total was measured as {self.total_ms} ms"
        return ""

    @property
    def metrics(self) -> LatencyMetrics:
        """The plan's view of the same turn."""
        return LatencyMetrics(
            user_stop_speaking=self.points.get("words_ended"),
            transcript_received=self.transcript_received,
            llm_first_token=self.points.get("first_token"),
            llm_complete=self.llm_complete,
            avatar_start_speaking=self.points.get("speaking_started"),
        )


def turns(trace: Iterable[Record]) -> tuple[Turn, ...]:
    """The ledger of every turn, in order."""
    reader = _Reader()
    for record in trace:
        read = reader.readers.get(type(record))
        if read is not None:
            read(record)
    return tuple(reader.turns.values())


class _Reader:
    """Goes through a trace once and ties each event to its turn by its ids."""

    def __init__(self) -> None:
        self.turns: dict[int, Turn] = {}
        self._of_reply: dict[int, Turn] = {}
        self._of_utterance: dict[int, Turn] = {}
        self._words: dict[str, Any] = {}
        self.readers: dict[type, Callable[[Any], None]] = {
            ev.ReplyDelta: self._delta,
            ev.TranscriptFinal: self._final,
            ev.TextTyped: self._typed,
            do.RequestReply: self._request,
            ev.ReplyStarted: self._reply_started,
            ev.ReplyCompleted: self._reply_completed,
            do.Speak: self._speak,
            ev.SpeechSent: lambda e: self._point(e, "speech_sent"),
            ev.FirstAudio: lambda e: self._point(e, "first_audio"),
            ev.SpeakingStarted: lambda e: self._point(e, "speaking_started"),
            StateChanged: self._state,
            HeardEstimated: self._heard,
        }

    def _final(self, event: ev.TranscriptFinal) -> None:
        if event.text.strip():
            self._words = {"kind": "spoken", "ended": event.speech_ended_ms, "received": event.at_ms}

    def _typed(self, event: ev.TextTyped) -> None:
        self._words = {"kind": "typed", "ended": event.at_ms, "received": event.at_ms}

    def _request(self, command: do.RequestReply) -> None:
        turn = self.turns.get(command.turn_id)
        if turn is None:
            turn = self.turns[command.turn_id] = Turn(
                turn_id=command.turn_id, kind=self._words.get("kind", "spoken")
            )
        turn.customer = command.text
        turn.requests += 1
        if self._words:  # new words: the way begins anew; without them it is a retry, whose waiting counts
            turn.points = {"words_ended": self._words["ended"], "turn_decided": command.at_ms}
            turn.transcript_received, turn.clara, turn.llm_complete = self._words["received"], "", None
            self._words = {}
        else:
            turn.points = {k: v for k, v in turn.points.items() if k in POINTS[:2]}
            turn.points.setdefault("turn_decided", command.at_ms)
        self._of_reply[command.reply_id] = turn

    def _reply_started(self, event: ev.ReplyStarted) -> None:
        turn = self._of_reply.get(event.reply_id)
        if turn is not None:
            turn.points.setdefault("request_sent", event.at_ms)
            turn.model = event.model

    def _delta(self, event: ev.ReplyDelta) -> None:
        turn = self._of_reply.get(event.reply_id)
        if turn is not None and "first_token" not in turn.points:
            turn.points["first_token"] = event.at_ms

    def _reply_completed(self, event: ev.ReplyCompleted) -> None:
        turn = self._of_reply.get(event.reply_id)
        if turn is not None:
            turn.llm_complete, turn.usage = event.at_ms, event.usage

    def _speak(self, command: do.Speak) -> None:
        turn = self.turns.get(command.turn_id)
        if turn is None:
            turn = self.turns[command.turn_id] = Turn(turn_id=command.turn_id, kind="greeting")
        if command.piece_no == 0:
            turn.points.setdefault("first_piece", command.at_ms)
        turn.clara = f"{turn.clara} {command.text}".strip()
        self._of_utterance[command.utterance_id] = turn

    def _point(self, event: Any, name: str) -> None:
        turn = self._of_utterance.get(event.utterance_id)
        if turn is not None:
            turn.points.setdefault(name, event.at_ms)

    def _state(self, record: StateChanged) -> None:
        turn = self.turns.get(record.turn_id)
        if turn is None:
            return
        if (
            record.target is ConversationState.AVATAR_SPEAKING
            and turn.total_ms is None
            and "words_ended" in turn.points
        ):
            turn.total_ms = record.at_ms - turn.points["words_ended"]
        if record.target is ConversationState.INTERRUPTED:
            turn.interrupted = True

    def _heard(self, record: HeardEstimated) -> None:
        turn = self._of_utterance.get(record.utterance_id)
        if turn is not None:
            turn.heard, turn.unheard = record.heard, record.unheard


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
