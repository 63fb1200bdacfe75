"""Has the customer finished? Asked with each final transcript; `Conversation` acts on the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from clara_kit.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Finished:
    """Answer now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Give the customer this long to go on."""

    hold_ms: float
    reason: str


Decision: TypeAlias = Finished | Wait


def decide(settings: Settings) -> Decision:
    """The recogniser's endpointing has ended an utterance: is the turn over?

    With `turn_hold_ms` 0, as in the plan, it is. A longer hold costs its time in every turn and spares
    replies to customers who pause in mid-thought.
    """
    if settings.turn_hold_ms > 0:
        return Wait(
            settings.turn_hold_ms,
            f"words are final; waiting {settings.turn_hold_ms:.0f} ms in case more come",
        )
    return Finished(f"words are final after {settings.stt_endpointing_ms} ms of silence")
