"""The messages of a LiveAvatar FULL session, both ways, and what its assistant is told. Pure: text in, values out.

Commands go to one topic of the media room, answers come on another. A command has an `event_id`; what comes of it names
that as `source_event_id`, or nothing: what the assistant does by itself has no source. Whether a transcription's chunks
are each the whole text so far or only what is new no document says: `Words` understands both. Sources: LiveAvatar's FULL
documents (events, contexts, lifecycle) and its web SDK 0.0.18, read 2026-11.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from clara_kit.core.commands import Message
from clara_kit.core.outside import speaks_of
from clara_kit.core.text import whole

CONTROL, RESPONSE = "agent-control", "agent-response"
TURNS_OPEN, TURNS_CLOSE = "<conversacion>", "</conversacion>"
_WHO = {"user": "Cliente", "assistant": "Clara"}
_REASONS = ("idle", "timeout", "max", "duration", "credits", "error", "user", "disconnected", "server")

Order = Literal["avatar.speak_text", "avatar.speak_response", "avatar.interrupt"]
"""speak_text: say this. speak_response: answer this by your own model. interrupt: fall silent, and forget what waits."""
SignalKind = Literal[
    "started", "ended", "words", "said", "user_started", "user_ended", "user_words", "user_said", "closed"
]
"""words: some of what is being said; said: all of it. The same of the customer, as the assistant hears them."""
_KINDS: dict[str, SignalKind] = {
    "avatar.speak_started": "started",
    "avatar.speak_ended": "ended",
    "avatar.transcription.chunk": "words",
    "avatar.transcription": "said",
    "user.speak_started": "user_started",
    "user.speak_ended": "user_ended",
    "user.transcription.chunk": "user_words",
    "user.transcription": "user_said",
    "session.stopped": "closed",
}


@dataclass(frozen=True, slots=True)
class Signal:
    """What a message means. source_id: of the command that it answers, if it says so."""

    kind: SignalKind
    text: str = ""
    source_id: str = ""


def order(what: Order, event_id: str, session_id: str, text: str | None = None) -> bytes:
    """A command to the assistant."""
    more = {} if text is None else {"text": text}
    return json.dumps({"event_id": event_id, "event_type": what, "session_id": session_id, **more}).encode()


def parse(raw: bytes) -> Signal | None:
    """The meaning of a message, or None where it says nothing that matters (or nothing intelligible)."""
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    kind = message.get("event_type") if isinstance(message, dict) else None
    if not isinstance(kind, str):
        return None
    if kind == "session.state_updated" and message.get("state") in ("closing", "closed"):
        return Signal("closed", "session closing")
    if kind not in _KINDS:
        return None
    if _KINDS[kind] == "closed":  # the documents and the SDK name its reason differently
        why = str(message.get("end_reason") or message.get("stop_reason") or "")
        return Signal("closed", ", ".join(speaks_of(why.replace("_", " ").lower(), _REASONS)) or "no reason given")
    text, source = message.get("text"), message.get("source_event_id")
    return Signal(_KINDS[kind], whole(text) if isinstance(text, str) else "", source if isinstance(source, str) else "")


def told(prompt: str, messages: Iterable[Message]) -> str:
    """The assistant's prompt: ours, and the last turns word for word, so that it goes on where Clara was cut off."""
    turns = "\n".join(f"{_WHO[m.role]}: {_unfenced(m.text)}" for m in messages)
    if turns:
        prompt += (
            "\n\nLa conversación ya empezó. Esto es lo último que se dijo, palabra por palabra; "
            f"sigue desde ahí.\n{TURNS_OPEN}\n{turns}\n{TURNS_CLOSE}"
        )
    return prompt.replace("{{", "{ {")  # two braces would be a variable that the vendor misses


def _unfenced(text: str) -> str:
    """On one line, and unable to end the turns before their end."""
    for fence in (TURNS_OPEN, TURNS_CLOSE):
        text = text.replace(fence, "")
    return " ".join(text.split())


class Words:
    """What a transcription's chunks and its whole text add to what was told before."""

    def __init__(self) -> None:
        self.text = ""  # all that was told
        self._begun = 0  # where in it the present transcription begins
        self.whole = False  # the last transcription has ended

    def chunk(self, text: str) -> str:
        """Some more of it: what is new."""
        if self.whole:
            self.whole, self._begun = False, len(self.text)
        now = self.text[self._begun :].lstrip()
        if now and text.startswith(now):
            return self._add(text[len(now) :], joined=True)
        return self._add(text, joined=bool(now))

    def said(self, text: str) -> str:
        """All of it: what is new. Where it contradicts what was told in chunks, they stand."""
        now = "" if self.whole else self.text[self._begun :].strip()
        if self.whole:
            self._begun = len(self.text)
        self.whole = True
        if not now:
            return self._add(text, joined=False)
        return self._add(text[len(now) :], joined=True) if text.startswith(now) else ""

    def _add(self, text: str, *, joined: bool) -> str:
        if text and not joined and self.text and not self.text[-1].isspace() and not text[0].isspace():
            text = " " + text
        self.text += text
        return text
