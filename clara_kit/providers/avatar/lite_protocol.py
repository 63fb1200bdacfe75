"""The messages of LiveAvatar's LITE socket, both ways. Pure: text in, values out.

Two dialects tell the same things. The documented one speaks of utterances (`agent.speak_started`, `_ended`,
`_interrupted`); the other, seen in shipped clients, of the avatar and its buffer (`agent.state_updated`,
`agent.audio_buffer_cleared`). A session may use either or both. What is about the connection
(`session.*`) never says anything about speaking. Source: LiveAvatar's LITE documents and pipecat's and
LiveKit's clients, read 2026-11-23.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Literal

from clara_kit.core.outside import speaks_of

_TERMS = (
    "video_starvation", "starvation", "audio", "video", "sample rate", "format", "size", "too large", "event_id",
    "session", "idle", "timeout", "limit", "credits", "internal",
)  # fmt: skip
RATE_HZ = 24_000  # 16-bit little-endian mono, no header; another rate is played garbled, without an error
BYTES_PER_MS = RATE_HZ * 2 // 1000

SignalKind = Literal["connected", "closed", "started", "ended", "interrupted", "cleared", "error"]


@dataclass(frozen=True, slots=True)
class Signal:
    """What a message means. `from_state`: told by the avatar's state, which names no utterance."""

    kind: SignalKind
    event_ids: frozenset[str] = frozenset()
    task_id: str | None = None
    from_state: bool = False
    detail: str = ""


_SPEAKING: dict[str, SignalKind] = {
    "agent.speak_started": "started",
    "agent.speak_ended": "ended",
    "agent.speak_interrupted": "interrupted",
    "agent.audio_buffer_cleared": "cleared",
}
_AVATAR = {
    "talking": Signal("started", from_state=True),
    "idle": Signal("ended", from_state=True),
    "listening": Signal("ended", from_state=True),
}
_SESSION = {
    "connected": Signal("connected"),
    "closing": Signal("closed", detail="session closing"),
    "closed": Signal("closed", detail="session closed"),
}


def speak(event_id: str, pcm: bytes) -> str:
    """Sound to speak; one event id for all of an utterance."""
    return json.dumps({"type": "agent.speak", "event_id": event_id, "audio": b64encode(pcm).decode("ascii")})


def order(what: Literal["agent.speak_end", "agent.interrupt", "session.keep_alive"], event_id: str) -> str:
    """speak_end: no more sound for this utterance; without it the avatar never stops talking. interrupt: fall silent
    now and forget the sound that is waiting. keep_alive: the session is wanted (it ends after five idle minutes)."""
    return json.dumps({"type": what, "event_id": event_id})


def parse(raw: str | bytes) -> Signal | None:
    """The meaning of a message, or None where it says nothing that matters (or nothing intelligible)."""
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    kind = message.get("type")
    if kind == "session.state_updated":
        return _SESSION.get(str(message.get("state")))
    if kind == "agent.state_updated":
        return _AVATAR.get(str(message.get("new_state")))
    if kind == "error":
        return Signal("error", detail=_error_text(message.get("error")))
    if not isinstance(kind, str) or kind not in _SPEAKING:
        return None
    ids = (message.get("event_id"), message.get("source_event_id"))
    task = message.get("task")
    task_id = task.get("id") if isinstance(task, dict) else None
    return Signal(
        _SPEAKING[kind],
        event_ids=frozenset(i for i in ids if isinstance(i, str) and i),
        task_id=task_id if isinstance(task_id, str) and task_id else None,
    )


def _error_text(error: Any) -> str:
    """What it speaks of, in our words: its own might repeat what was sent."""
    words = " ".join(str(error.get(k) or "") for k in ("type", "message")) if isinstance(error, dict) else ""
    return ", ".join(speaks_of(words, _TERMS)) or "unknown error"
