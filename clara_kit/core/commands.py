"""What is to be done: the commands that `Conversation.handle` gives and only the runtime carries out.

A command is a frozen value in the imperative. Each carries its `reason` in plain words with the numbers,
so that any moment of a conversation can be asked why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clara_kit.core.events import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Something to do, decided at `at_ms` (the time of the event that led to it)."""

    at_ms: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of the history as a model wants it: roles alternate and the first is the user's."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartListening(Command):
    """Let the customer's sound reach the recogniser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopListening(Command):
    """Stop sending the customer's sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadProfile(Command):
    """Ask the shop what it knows of this customer; `customer_key` as in `ConversationStarted`."""

    customer_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReply(Command):
    """Ask the model to answer `text`, the customer's turn; `messages` ends with that turn."""

    turn_id: int
    reply_id: int
    text: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelReply(Command):
    """Stop the model in mid-reply."""

    reply_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak(Command):
    """Give the avatar the next piece of an utterance. Pieces of one utterance count from 0."""

    turn_id: int
    utterance_id: int
    piece_no: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSpeech(Command):
    """No more pieces will come for this utterance."""

    utterance_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptAvatar(Command):
    """Silence this utterance now, and drop whatever of it is still on the way."""

    utterance_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimer(Command):
    """Send `TimerFired(timer_id)` at `due_ms`. Ids are never used twice."""

    timer_id: str
    due_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTimer(Command):
    """Forget a timer that has not fired."""

    timer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUpAnswer(Command):
    """Is there a kept answer to this turn's question?"""

    turn_id: int
    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAnswer(Command):
    """Keep this answer for the next who asks the same."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchTo(Command):
    """Let `target` stand behind a service from now on."""

    service: Service
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePrimary(Command):
    """Try whether the service that was switched away from works again."""

    service: Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify(Command):
    """Tell the people in front of the screen (never the customer) something they should know."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseAlert(Command):
    """A limit was crossed; monitoring should know."""

    name: str
    message: str
