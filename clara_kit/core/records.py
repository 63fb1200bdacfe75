"""What was decided: the records that stand between events and commands in the trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from clara_kit.core.commands import Command
from clara_kit.core.events import Event
from clara_kit.core.states import ConversationState


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged:
    """The state machine made a change."""

    at_ms: float
    turn_id: int
    source: ConversationState
    target: ConversationState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """An event, or a part of it, had no effect, and why."""

    at_ms: float
    event: str  # the name of its class
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardEstimated:
    """How much of a cut utterance reached the customer's ear. Both texts joined are the whole utterance."""

    at_ms: float
    turn_id: int
    utterance_id: int
    heard: str
    unheard: str
    method: str
    plus_minus_words: int


Record: TypeAlias = Event | Command | StateChanged | Ignored | HeardEstimated
