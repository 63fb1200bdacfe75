"""Has the customer finished? Asked with each final transcript, and when a recogniser expects the end of a turn."""

from __future__ import annotations

from clara_kit.conversation.policy import Finished, Ignore, Policy, Turn, Wait
from clara_kit.conversation.talk import Talk


def _no_speculation(talk: Talk, turn: Turn) -> Ignore | None:
    return None if turn.occasion == "final" else Ignore(reason="replies are not begun before the turn is over")


def _hold(talk: Talk, turn: Turn) -> Wait | None:
    """A hold costs its time in every turn and spares replies to customers who pause in mid-thought."""
    hold_ms = talk.settings.turn_hold_ms
    return Wait(hold_ms, reason=f"words are final; waiting {hold_ms:.0f} ms in case more come") if hold_ms > 0 else None


def _endpointing(talk: Talk, turn: Turn) -> Finished:
    """The recogniser's endpointing has ended an utterance: as in the plan, the turn is over."""
    return Finished(reason=f"words are final after {talk.settings.stt_endpointing_ms} ms of silence")


NO_SPECULATION = Policy("no_speculation", _no_speculation)
HOLD = Policy("hold", _hold)
ENDPOINTING = Policy("endpointing", _endpointing)
