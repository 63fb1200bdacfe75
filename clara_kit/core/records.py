"""What was decided: the records that stand between events and commands in the trace."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from clara_kit.core.commands import Command
from clara_kit.core.events import Event
from clara_kit.core.states import ConversationState


class StateChanged(Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="type"):
    """The state machine made a change."""

    at_ms: float
    turn_id: int
    source: ConversationState
    target: ConversationState
    reason: str
    by: str = ""


class Ignored(Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="type"):
    """An event, or a part of it, had no effect, and why."""

    at_ms: float
    event: str  # the name of its class
    reason: str
    by: str = ""


class HeardEstimated(Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="type"):
    """How much of a cut utterance reached the customer's ear. Both texts joined are the whole utterance."""

    at_ms: float
    turn_id: int
    utterance_id: int
    heard: str
    unheard: str
    method: str
    plus_minus_words: int
    by: str = ""


Record: TypeAlias = Event | Command | StateChanged | Ignored | HeardEstimated
