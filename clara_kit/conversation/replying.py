"""The reply: asked for when a turn is over, cut into pieces as it is written, handed on to be spoken."""

from __future__ import annotations

from clara_kit.conversation import backup, kept_answers, speaking
from clara_kit.conversation.chunking import chunker_for
from clara_kit.conversation.history import GO_ON
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.policy import Answer, Begin, Drop, HandOver, LookUp, Piece, Say, Speak
from clara_kit.conversation.talk import Kept, Reply
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.states import ConversationState as S


def answer(pen: Pen, why: str) -> None:
    """The customer's turn is over."""
    talk = pen.talk
    kept_answers.spoke_again(pen, talk.turn.question)
    pen.cancel_timers(why, "no_words", "final_wait", "turn_end")
    pen.change(S.PROCESSING, why)
    talk.left_to_say, talk.unfinished, talk.turn.over_ms = [], False, talk.now_ms
    pen.health("llm").attempt = 0
    request(pen, why)


def request(pen: Pen, why: str) -> None:
    """Ask for an answer to the customer's words so far; where they were answered in part, for the rest of that."""
    talk, question, open_ = pen.talk, pen.talk.turn.question, pen.talk.answering
    decision = pen.ask(Answer(question or talk.turn.answered, why))
    if isinstance(decision, HandOver):
        return backup.ask(pen, decision.reason)
    pen.cancel_timer("retry", "it is asked now")
    if isinstance(decision, LookUp):
        return kept_answers.look_up(pen, question, decision.reason)
    goes_on = open_ is not None and not open_.closed and not open_.only_opener
    if open_ is not None and goes_on:
        messages = talk.history.messages_after(question, open_.text)
    else:
        messages = talk.history.messages(question or GO_ON)
    fresh = bool(question) and open_ is None
    question, reply = question or talk.turn.answered, pen.begin_reply(chunker_for(talk.settings))
    reply.said_something = goes_on
    ids = {"turn_id": talk.turn.turn_id, "reply_id": reply.reply_id}
    pen.do(do.RequestReply, decision.reason, text=question, messages=messages, **ids)
    if fresh:
        _open(pen, question)
    pen.wake("an answer is being written")
    speaking.watch(pen)


def _open(pen: Pen, question: str) -> None:
    """Something that is ready is said while the answer is being written, where nothing speaks against it."""
    talk = pen.talk
    if not talk.settings.openers or talk.switched or talk.health("avatar").down or talk.health("llm").attempt:
        return
    if talk.settings.avatar_vendor == "heygen":  # each piece waits there for the one before: the answer would be late
        return
    if talk.utterance is not None or talk.customers_floor or talk.held is not None or talk.sounding:
        return
    decision = pen.ask(Begin(question))
    if isinstance(decision, Say):
        utterance = speaking.begin(pen)
        utterance.opener, talk.opener = 1, decision.text
        speaking.speak(pen, utterance, decision.text, decision.reason)


def found(pen: Pen, event: ev.AnswerFound) -> None:
    """An answer is kept: it is said as any other."""
    talk, text = pen.talk, event.text.strip()
    if not _asked_for(pen, event):
        return
    if not text:
        return request(pen, "the kept answer is empty")
    why = f"an answer is kept: {event.why}" if event.why else "an answer is kept"
    chunker = chunker_for(talk.settings)
    talk.kept = Kept(talk.turn.question, text)
    speaking.say(pen, [*chunker.feed(text), *chunker.flush()], why, by="kept_answer")
    speaking.watch(pen)


def not_found(pen: Pen, event: ev.AnswerNotFound) -> None:
    """None is: the model is asked."""
    if _asked_for(pen, event):
        request(pen, f"no answer is kept: {event.why}")


def not_known(pen: Pen, event: ev.TimerFired) -> None:
    """Nobody said whether one is."""
    request(pen, f"whether an answer is kept was not known within {kept_answers.LOOK_UP_MS:.0f} ms")


def _asked_for(pen: Pen, event: ev.AnswerFound | ev.AnswerNotFound) -> bool:
    if event.turn_id == pen.talk.turn.turn_id and pen.cancel_timer("look_up", "it is known"):
        return True
    pen.ignore(event, "no kept answer was asked for")
    return False


def delta(pen: Pen, event: ev.ReplyDelta) -> None:
    """Some more text."""
    reply = pen.talk.replies.get(event.reply_id)  # not through `awaited`: two events of three come this way
    if reply is None:
        return pen.ignore(event, f"reply {event.reply_id} is not awaited")
    if reply.by_backup:  # it tells what it says as it says it
        if text := event.text.strip():
            _piece(pen, reply, Piece(text, "the backup says it"))
        return
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
    open_ = pen.talk.answering
    if open_ is not None and open_.new and event.stop_reason == "end_turn":
        open_.whole = True
    if reply.said_something or reply.by_backup:
        if pen.fallback.reset_failure_count("backup" if reply.by_backup else "llm"):
            pen.do(do.Notify, "the model works again", message="The llm is trusted again.")
        speaking.close(pen, "the reply is complete")
    elif event.stop_reason == "refusal":
        apologise(pen, "the model refused to answer")


def apologise(pen: Pen, why: str) -> None:
    """No answer will come, and that is said; where there is no word for it, somebody is told."""
    apology = pen.talk.settings.apology
    if apology.strip():
        return speaking.say(pen, [apology], why, by="apology")
    pen.do(do.RaiseAlert, why, name="unanswered", message=f"The customer was not answered: {why}.")
    pen.cancel_timers(why, "slow", "backup")
    pen.turn_is_heard()
    pen.change(S.IDLE, why, S.PROCESSING)


def broke(pen: Pen, why: str) -> None:
    """The rest of a reply does not come, and that is said."""
    talk, text = pen.talk, pen.talk.settings.broken_reply.strip()
    pen.do(do.RaiseAlert, why, name="broken_reply", message=f"An answer was not finished: {why}.")
    open_ = talk.answering
    if text and open_ is not None and not open_.closed:
        speaking.speak(pen, open_, text, why)
    elif text and open_ is None:
        speaking.say(pen, [text], why)
    speaking.close(pen, why)
    pen.cancel_timer("slow", why)
    if talk.utterance is None:
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
        utterance = pen.talk.answering or speaking.begin(pen)
        if not reply.said_something:
            reply.said_something, utterance.new = True, len(utterance.pieces) == utterance.opener
        speaking.speak(pen, utterance, piece.text, decision.reason)
