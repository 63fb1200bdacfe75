"""Hands: what the customer types, and the button that stops Clara."""

from __future__ import annotations

from clara_kit.conversation import listening, replying, speaking
from clara_kit.conversation.pen import Pen
from clara_kit.core import events as ev
from clara_kit.core.states import ConversationState as S


def typed(pen: Pen, event: ev.TextTyped) -> None:
    """The customer typed: at once, whatever is going on."""
    talk, turn, text, why = pen.talk, pen.talk.turn, event.text.strip(), "the customer typed"
    if not text:
        return pen.ignore(event, "no words in it")
    turn.ended_ms = talk.now_ms
    pen.cancel_timers(why, "no_words", "final_wait", "turn_end")
    pen.forget_sound(why)
    _give_the_floor(pen, why)
    turn.typed = True
    pen.change(S.USER_SPEAKING, "the customer went on by typing", S.PROCESSING)
    pen.add_words(*filter(None, (listening.take_interim(pen) if turn.interim else "", text)))
    replying.answer(pen, why)


def button(pen: Pen, event: ev.InterruptRequested) -> None:
    """Someone pressed the button that stops Clara."""
    talk, why = pen.talk, "the button was pressed"
    if talk.utterance is None and not talk.coming:
        return pen.ignore(event, "Clara is neither speaking nor about to")
    pen.forget_sound(why)
    _give_the_floor(pen, why)
    talk.left_to_say, talk.unfinished = [], False
    pen.turn_is_heard()  # asked, never answered: the next request must still know it
    if talk.state in (S.INTERRUPTED, S.PROCESSING):
        pen.cancel_timer("no_words", why)
        pen.change(S.IDLE, why)


def _give_the_floor(pen: Pen, why: str) -> None:
    pen.change(S.INTERRUPTED, why, S.AVATAR_SPEAKING)
    speaking.silence(pen, why)
    speaking.settle(pen)
