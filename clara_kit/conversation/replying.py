"""The reply: asked for when a turn is over, cut into pieces as it is written, handed on to be spoken."""

from __future__ import annotations

from clara_kit.conversation import speaking
from clara_kit.conversation.chunking import chunker_for
from clara_kit.conversation.history import GO_ON
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.policy import Answer, Drop, Piece, Request, Speak
from clara_kit.conversation.talk import Reply
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.states import ConversationState as S


def answer(pen: Pen, why: str) -> None:
    """The customer's turn is over."""
    talk = pen.talk
    pen.cancel_timers(why, "no_words", "final_wait", "turn_end")
    pen.change(S.PROCESSING, why)
    talk.left_to_say, talk.unfinished, talk.turn.over_ms = [], False, talk.now_ms
    pen.health("llm").attempt = 0
    decision = pen.ask(Answer(talk.turn.question, why))
    if isinstance(decision, Request):
        request(pen, decision.reason)


def request(pen: Pen, why: str) -> None:
    """Ask the model for the customer's words so far; where they were answered in part, for the rest of that."""
    talk, question = pen.talk, pen.talk.turn.question
    messages = talk.history.messages(question or GO_ON)
    question, reply = question or talk.turn.answered, pen.begin_reply(chunker_for(talk.settings))
    pen.do(do.RequestReply, why, turn_id=talk.turn.turn_id, reply_id=reply.reply_id, text=question, messages=messages)


def delta(pen: Pen, event: ev.ReplyDelta) -> None:
    """Some more text."""
    reply = pen.talk.replies.get(event.reply_id)  # not through `awaited`: two events of three come this way
    if reply is None:
        return pen.ignore(event, f"reply {event.reply_id} is not awaited")
    for piece in reply.chunker.feed(event.text):
        _piece(pen, reply, Piece(piece, "a sentence is complete"))


def completed(pen: Pen, event: ev.ReplyCompleted) -> None:
    """The model is done."""
    reply = awaited(pen, event)
    if reply is None:
        return
    rest = [Piece(text, "the reply is complete") for text in reply.chunker.flush()]
    if rest and event.stop_reason == "max_tokens" and reply.said_something:
        rest[-1] = Piece(rest[-1].text, rest[-1].why, cut_off=True)
        decision = pen.ask(rest[-1])
        if isinstance(decision, Drop):
            pen.ignore(event, decision.reason)
            del rest[-1]
    for piece in rest:
        _piece(pen, reply, piece)
    pen.end_reply(reply.reply_id)
    pen.health("llm").failures = 0
    if reply.said_something:
        speaking.close(pen, "the reply is complete")
    elif event.stop_reason == "refusal":
        speaking.say(pen, [pen.talk.settings.apology], "the model refused to answer")
    else:
        nothing_to_say(pen, "the reply is empty")


def nothing_to_say(pen: Pen, why: str) -> None:
    """The turn stays without an answer."""
    pen.turn_is_heard()
    pen.change(S.IDLE, why, S.PROCESSING)


def awaited(pen: Pen, event: ev.ReplyStarted | ev.ReplyDelta | ev.ReplyCompleted) -> Reply | None:
    """The reply an event speaks of; one that has begun is only to be recorded, unless it is late."""
    reply = pen.talk.replies.get(event.reply_id)
    if reply is None:
        pen.ignore(event, f"reply {event.reply_id} is not awaited")
    return reply


def _piece(pen: Pen, reply: Reply, piece: Piece) -> None:
    decision = pen.ask(piece)
    if isinstance(decision, Speak):
        reply.said_something = True
        utterance = pen.talk.utterance or speaking.begin(pen)
        speaking.speak(pen, utterance, piece.text, decision.reason)
