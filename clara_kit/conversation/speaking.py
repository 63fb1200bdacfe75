"""Clara's side: utterances from the first piece to the last sound, and what is remembered of them.

Mechanics only: which utterance is alive, in which order things follow. What is said, and what after a cut, is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from clara_kit.conversation import kept_answers
from clara_kit.conversation.giving import answer_begins, give, keep, remember
from clara_kit.conversation.history import UNKNOWN
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.talk import Utterance
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.events import Service
from clara_kit.core.states import ConversationState as S

# --- what the other rooms ask for ------------------------------------------------------------------------------


def say(pen: Pen, pieces: Sequence[str], why: str, by: str = "") -> None:
    """Speak fixed text as an utterance of its own, or behind the opener of an answer that will not come."""
    open_ = pen.talk.answering
    pen.talk.left_to_say = []
    utterance = open_ if open_ is not None and open_.only_opener and not open_.closed else begin(pen)
    utterance.by = by
    for piece in pieces:
        speak(pen, utterance, piece, why)
    utterance.closed = True
    give(pen, utterance, why)


def begin(pen: Pen) -> Utterance:
    """A new utterance; it waits where the avatar is just being connected again, or the customer has the floor."""
    talk = pen.talk
    waiting = talk.health("avatar").down == "broken" or talk.customers_floor or talk.utterance is not None
    return pen.begin_utterance(talk.turn.turn_id, waiting=waiting)


def say_aside(pen: Pen, text: str, why: str) -> bool:
    """Beside the conversation, where nothing of Clara's is said or waits; False where it cannot be said now."""
    talk = pen.talk
    if not text.strip() or talk.mute or talk.health("avatar").down:
        return True  # nor ever
    if talk.utterance is not None or talk.customers_floor or talk.held is not None or talk.sounding:
        return False
    utterance = pen.begin_utterance(talk.turn.turn_id, waiting=False)
    utterance.aside, utterance.closed, utterance.by = True, True, "aside"
    speak(pen, utterance, text.strip(), why)
    return True


def hold_on(pen: Pen, why: str) -> bool:
    """«Un momento»: once in a turn. False where it has been said."""
    turn = pen.talk.turn
    if turn.held_on == turn.turn_id:
        return False
    turn.held_on = turn.turn_id
    say_aside(pen, pen.talk.settings.hold_phrase, why)
    return True


def watch(pen: Pen) -> None:
    """Something of Clara's should be heard soon: whoever is late is named."""
    if "slow" not in pen.talk.timers and (limit_ms := pen.talk.settings.slow_response_ms):
        pen.set_timer("slow", limit_ms, "Clara should be heard by then")


def speak(pen: Pen, utterance: Utterance, piece: str, why: str) -> None:
    """The next piece of an utterance."""
    utterance.pieces.append(piece)
    if utterance.own:
        utterance.handed_ms.append(pen.talk.now_ms)
    give(pen, utterance, why)


def close(pen: Pen, why: str) -> None:
    """No more pieces will come for what is being said."""
    utterance = pen.talk.answering
    if utterance is not None and not utterance.closed:
        utterance.closed = True
        give(pen, utterance, why)


def silence(pen: Pen, why: str, *, sure: bool = True) -> None:
    """Stop whatever Clara does: sound first, work second. Not `sure`: only the sound; the model writes on."""
    talk = pen.talk
    if sure:
        pen.cancel_timers(why, "retry", "retry_voice", "slow", "backup", "look_up")
    if (aside := talk.utterance) is not None and aside.aside:
        stop(pen, aside, why)
        pen.end_utterance(aside)
        if aside.started_ms is None and aside.pieces == [talk.settings.fallback_notice.strip()]:
            talk.notice = "nobody heard it before"  # said once the floor is free
    utterance = talk.utterance
    if utterance is not None:
        if utterance.own:  # whoever is silenced is not writing any more
            pen.cancel_reply(why)
        if utterance.phase != "waiting":
            stop(pen, utterance, why)
        if utterance.started_ms is not None:
            settle(pen)
            pen.cut_utterance(utterance)
        elif not sure and not utterance.own:
            hold_back(pen, utterance)
        else:
            pen.end_utterance(utterance)
            if not talk.turn.words and not utterance.own:
                talk.left_to_say = utterance.pieces
    if sure:
        pen.cancel_reply(why)


def stop(pen: Pen, utterance: Utterance, why: str) -> None:
    """Order silence; until it is told, whoever speaks by another way than this one waits."""
    pen.do(do.InterruptAvatar, why, utterance_id=utterance.utterance_id)
    if utterance.phase == "sounding":
        pen.talk.stopping = utterance.utterance_id, pen.talk.now_ms


def is_silent(pen: Pen, utterance_id: int | None) -> None:
    """That one is not heard any more; None: none is."""
    if utterance_id in (None, pen.talk.stopping[0]):
        pen.talk.stopping = 0, pen.talk.now_ms


def settle(pen: Pen) -> None:
    """Write the heard part of the cut utterance into the history."""
    if (cut := pen.talk.cut) is not None:
        remember(pen, cut)


def take_back(pen: Pen) -> None:
    """The customer goes on with what Clara has just begun to answer: it is their turn still, and her words were none."""
    talk, cut = pen.talk, pen.talk.cut
    if not talk.history.take_back(talk.turn.answered):
        return settle(pen)
    if cut is not None:
        pen.end_utterance(cut)
        pen.heard(cut, cut.heard_until(cut.cut_ms))
    talk.turn.words = [talk.turn.answered]


def hold_back(pen: Pen, utterance: Utterance) -> None:
    """What was given and not heard is said again later, under a number of its own: nothing late can be taken for it."""
    pen.end_utterance(utterance)
    later = pen.begin_utterance(utterance.turn_id, waiting=True)
    later.pieces, later.closed, later.tries = utterance.pieces, utterance.closed, utterance.tries
    later.aside, later.by, later.opener = utterance.aside, utterance.by, utterance.opener
    later.new, later.whole = utterance.new, utterance.whole


def release(pen: Pen, why: str) -> None:
    """The voice is there (again), or the floor is Clara's: say what has waited."""
    talk, utterance = pen.talk, pen.talk.utterance
    if utterance is None or utterance.phase != "waiting" or talk.health("avatar").down == "broken":
        return
    if not talk.customers_floor:
        utterance.phase = "asked"
        give(pen, utterance, why)
        if not utterance.shown:
            watch(pen)


def mind_the_sound(pen: Pen) -> None:
    """While a sound is held Clara is low, and begins nothing new; afterwards what has waited is said."""
    talk, utterance = pen.talk, pen.talk.utterance
    low = talk.held is not None and talk.settings.duck and utterance is not None and utterance.phase == "sounding"
    if low is not talk.ducked:
        talk.ducked = low
        pen.do(do.Duck, "a sound is heard: it may be an interruption" if low else "no sound is held any more", on=low)
    if talk.held is None and utterance is not None:
        give(pen, utterance, "no sound is held any more")


# --- what the voice and the avatar tell ------------------------------------------------------------------------


def current(pen: Pen, event: Any) -> Utterance | None:
    """The utterance an event speaks of, if it is being spoken; one that was sent is only to be recorded, unless late."""
    utterance = pen.talk.utterances.get(event.utterance_id)
    if utterance is None or utterance.phase in ("cut", "waiting"):
        pen.ignore(event, f"utterance {event.utterance_id} is over or unknown")
        return None
    return utterance


def started(pen: Pen, event: ev.SpeakingStarted) -> None:
    """Clara is heard."""
    talk, utterance = pen.talk, current(pen, event)
    if utterance is None:
        return
    if utterance.started_ms is not None:
        return pen.ignore(event, "it has started already")
    utterance.started_ms, utterance.phase = talk.now_ms, "sounding"
    if talk.services:
        _works(pen)
    if not utterance.aside:
        pen.cancel_timers("Clara is heard", "slow", "backup")
        talk.notice = ""  # she goes on already: there is nothing to announce
    if not talk.machine.allows(S.AVATAR_SPEAKING):
        return pen.ignore(event, f"the state is {talk.state}")
    pen.change(S.AVATAR_SPEAKING, "Clara speaks")
    if talk.turn.words and not utterance.aside:
        if not utterance.only_opener:  # else she has begun to speak, and not to answer
            answer_begins(pen, utterance)
        _check_speed(pen)


def ended(pen: Pen, event: ev.SpeakingEnded) -> None:
    """Clara has said it."""
    talk, cut = pen.talk, pen.talk.cut
    is_silent(pen, event.utterance_id)
    if cut is not None and cut.utterance_id == event.utterance_id:
        cut.cut_ms = inf  # it was over before the order to stop arrived: everything was heard
        return
    utterance = current(pen, event)
    if utterance is None:
        return
    if utterance.aside:
        return aside_over(pen, utterance, "it is said")
    if utterance.own and not utterance.pieces:
        utterance.pieces, utterance.given = [UNKNOWN], 1
    pen.end_utterance(utterance)
    given, held_back = utterance.pieces[: utterance.given], utterance.pieces[utterance.given :]
    if not utterance.only_opener:
        pen.turn_is_heard()
        keep(pen, given, " ".join(given))
        if not held_back and utterance.closed:
            kept_answers.heard_out(pen, utterance)
    if held_back:  # a sound is held
        later = begin(pen)
        later.pieces, later.closed = held_back, utterance.closed
    if held_back or (talk.coming and not utterance.closed):
        pen.change(S.PROCESSING, "what was ready has been spoken; more of the reply is to come", S.AVATAR_SPEAKING)
        pen.wake("more of the reply is to come")
        watch(pen)
    else:
        pen.change(S.IDLE, "Clara is done", S.AVATAR_SPEAKING, S.PROCESSING, S.INTERRUPTED)
    floor_is_free(pen)


def aside_over(pen: Pen, utterance: Utterance, why: str) -> None:
    """What was said beside the conversation is over, one way or the other: on with what it was said beside."""
    talk = pen.talk
    pen.end_utterance(utterance)
    if talk.coming or talk.turn.words or talk.utterance is not None:
        pen.change(S.PROCESSING, f"{why}; the answer is on its way", S.AVATAR_SPEAKING, S.INTERRUPTED)
        if talk.coming:
            watch(pen)
    else:
        pen.change(S.IDLE, why, S.AVATAR_SPEAKING, S.INTERRUPTED, S.PROCESSING)
    release(pen, why)
    floor_is_free(pen)


def show(pen: Pen, utterance: Utterance, why: str) -> None:
    """It cannot be said: let the customer read it, the rest of it too when it comes."""
    if utterance.aside:
        return aside_over(pen, utterance, why)
    utterance.shown, utterance.phase, utterance.given = True, "asked", 0
    give(pen, utterance, why)


# --- inside ----------------------------------------------------------------------------------------------------


def _works(pen: Pen) -> None:
    """Whoever is behind Clara's voice now has spoken."""
    backs = pen.talk.switched and pen.talk.health("avatar").target == "backup"
    services: tuple[Service, ...] = ("backup",) if backs else ("tts", "avatar")
    for service in services:
        if (health := pen.talk.services.get(service)) is not None:
            health.attempt = 0
            if not health.target and pen.fallback.reset_failure_count(service):
                pen.do(do.Notify, f"the {service} works again", message=f"The {service} is trusted again.")


def _check_speed(pen: Pen) -> None:
    talk = pen.talk
    ended_ms, talk.turn.ended_ms = talk.turn.ended_ms, None
    if ended_ms is None:
        return
    total_ms, limit_ms = talk.now_ms - ended_ms, talk.settings.slow_response_ms
    if total_ms > limit_ms:
        pen.do(
            do.RaiseAlert, f"the limit is {limit_ms:.0f} ms", name="slow_response",
            message=f"{total_ms:.0f} ms from the customer's last word to Clara's first sound",
        )  # fmt: skip


def floor_is_free(pen: Pen) -> None:
    """Clara is done while a sound is held: it is the customer's turn, not an interruption."""
    talk = pen.talk
    if talk.state is S.IDLE and talk.held is not None:
        pen.forget_sound("Clara is done, there is nothing to interrupt")
        pen.change(S.USER_SPEAKING, "the customer began to speak as Clara ended")
        pen.set_timer("no_words", talk.settings.no_words_timeout_ms, "words should follow the sound")
