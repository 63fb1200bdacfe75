"""Who is late, and what was forgotten: the two looks at what does not happen.

Mechanics only, above `trouble.py`: whoever is too slow is named, passed by where something else can stand in, and has failed
in the end though nobody said so.
"""

from __future__ import annotations

from msgspec.structs import replace

from clara_kit.conversation import backup_trouble, speaking, switching, trouble
from clara_kit.conversation.pen import Pen
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.events import Service
from clara_kit.core.states import ConversationState as S

_CREEPS_CHARS = 15  # of a reply that writes fewer in `slow_response_ms` no sentence is to be expected


def late(pen: Pen, event: ev.TimerFired) -> None:
    """Clara should have been heard by now: who is it that is late, and since when?"""
    talk, limit_ms = pen.talk, pen.talk.settings.slow_response_ms
    who, since_ms = switching.late(talk)
    if not who:
        return
    if talk.customers_floor:  # it is their time, not hers
        return pen.set_timer("slow", limit_ms, "the customer has the floor")
    if talk.now_ms < since_ms + limit_ms:
        return pen.set_timer_at("slow", since_ms + limit_ms, f"the {who} has until then")
    why = f"nothing useful came of the {who} in {talk.now_ms - since_ms:.0f} ms"
    pen.do(do.RaiseAlert, why, name=f"slow_{who}", message=f"{why}; the limit is {limit_ms:.0f} ms.")
    if switching.for_the_time_being(pen, who, why):
        return
    reply = talk.reply
    writes = reply is not None and reply.chunker.chars >= reply.seen_chars + _CREEPS_CHARS
    waited_ms = talk.now_ms - (talk.since_sound_ms if who == "backup" else since_ms)
    if waited_ms > talk.settings.turn_deadline_ms and not writes:
        return _never_came(pen, who, why)
    held_on = who in ("llm", "backup") and speaking.hold_on(pen, why)
    if not held_on and who == "llm" and reply is not None and reply.seen_chars and not writes:
        pen.end_reply(reply.reply_id)
        pen.do(do.CancelReply, why, reply_id=reply.reply_id)
        spoken = reply.said_something and talk.answering is not None
        return trouble.answer_failed(
            pen, trouble.ours(pen, "llm", "stalled", f"The model is too slow: {why}."), why, spoken=spoken
        )
    if reply is not None:
        reply.seen_chars = reply.chunker.chars
    pen.set_timer("slow", limit_ms, "it is looked at again then")


def _never_came(pen: Pen, who: Service, why: str) -> None:
    """Nobody told of a failure, and nothing came: it has failed."""
    talk, reply, utterance = pen.talk, pen.talk.reply, pen.talk.utterance
    event = trouble.ours(pen, who, "stalled", f"Nothing came of it: {why}.")
    if who == "backup" and reply is not None:
        ids = {"reply_id": reply.reply_id, "utterance_id": utterance.utterance_id if utterance is not None else None}
        pen.do(do.CancelReply, why, reply_id=reply.reply_id)
        if utterance is not None:
            speaking.stop(pen, utterance, why)
        return backup_trouble.failed(pen, replace(event, **ids))
    if reply is not None and who == "llm":
        pen.end_reply(reply.reply_id)
        pen.do(do.CancelReply, why, reply_id=reply.reply_id)
        return trouble.answer_failed(pen, event, why, spoken=reply.said_something and talk.answering is not None)
    if utterance is not None:
        speaking.stop(pen, utterance, why)
        trouble.voice_failed(pen, replace(event, utterance_id=utterance.utterance_id))


def answered_at_all(pen: Pen) -> None:
    """The net under all rules: a question that nobody works at is at least heard of."""
    talk = pen.talk
    if talk.replies or talk.utterances or talk.over or talk.left_to_say or talk.state is not S.IDLE:
        return
    pen.do(do.RaiseAlert, "nobody is at it", name="unanswered", message="Something the customer said has no answer.")
    pen.turn_is_heard()
