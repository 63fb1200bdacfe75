"""Clara's side: utterances from the first piece to the last sound, and what is remembered of them.

Mechanics only: which utterance is alive, in which order things follow. What is said, and what after a cut, is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from clara_kit.conversation.pen import Pen
from clara_kit.conversation.policy import End, Keep, Quiet, Remember, Resume
from clara_kit.conversation.talk import Utterance
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.states import ConversationState as S

# --- what the other rooms ask for ------------------------------------------------------------------------------


def say(pen: Pen, pieces: Sequence[str], why: str) -> None:
    """Speak fixed text as an utterance of its own."""
    pen.talk.left_to_say = []
    utterance = begin(pen)
    for piece in pieces:
        speak(pen, utterance, piece, why)
    close(pen, why)


def begin(pen: Pen) -> Utterance:
    """A new utterance; it waits where the avatar is just being connected again."""
    return pen.begin_utterance(pen.talk.turn.turn_id, waiting=pen.talk.health("avatar").down == "broken")


def speak(pen: Pen, utterance: Utterance, piece: str, why: str) -> None:
    """The next piece of an utterance."""
    utterance.pieces.append(piece)
    if utterance.phase != "waiting":
        _order(pen, utterance, len(utterance.pieces) - 1, why)


def close(pen: Pen, why: str) -> None:
    """No more pieces will come for what is being said."""
    utterance = pen.talk.utterance
    if utterance is not None and not utterance.closed:
        utterance.closed = True
        if utterance.phase != "waiting":
            pen.do(do.EndSpeech, why, utterance_id=utterance.utterance_id)


def silence(pen: Pen, why: str) -> None:
    """Stop whatever Clara does: sound first, work second."""
    pen.cancel_timers(why, "retry", "retry_voice")
    talk = pen.talk
    utterance = talk.utterance
    if utterance is not None:
        if utterance.phase != "waiting":
            pen.do(do.InterruptAvatar, why, utterance_id=utterance.utterance_id)
        if utterance.started_ms is not None:
            settle(pen)
            pen.cut_utterance(utterance)
        else:
            pen.end_utterance(utterance)
            if not talk.turn.words:
                talk.left_to_say = utterance.pieces
    pen.cancel_reply(why)


def settle(pen: Pen) -> None:
    """Write the heard part of the cut utterance into the history."""
    if (cut := pen.talk.cut) is not None:
        _remember(pen, cut)


def after_false_interruption(pen: Pen, why: str) -> None:
    """Clara was cut off for nothing: resume, or leave it at that."""
    cut = pen.talk.cut
    unheard = [] if cut is None else cut.pieces[cut.heard_until(cut.cut_ms).cut_piece :]
    decision = pen.ask(Quiet(tuple(unheard)))
    if cut is not None:
        _remember(pen, cut, resumes=isinstance(decision, Resume))
    if isinstance(decision, Resume):
        say(pen, decision.pieces, f"{why}; {decision.reason}")
    elif isinstance(decision, End):
        pen.change(S.IDLE, f"{why}; {decision.reason}")


def broke_off(pen: Pen, utterance: Utterance, why: str) -> None:
    """The utterance ended in the middle; nobody wanted it."""
    talk = pen.talk
    pen.cancel_reply(why)
    pen.turn_is_heard()
    if (older := talk.cut) is not None:
        pen.end_utterance(older)  # two cuts without a word in between: only the newer one is remembered
    pen.cut_utterance(utterance)
    settle(pen)
    pen.change(S.INTERRUPTED, why, S.AVATAR_SPEAKING)
    if talk.state in (S.INTERRUPTED, S.PROCESSING):
        pen.cancel_timer("no_words", why)
        pen.change(S.IDLE, why)
    _floor_is_free(pen)


def hold_back(pen: Pen, utterance: Utterance) -> None:
    """What was given and not heard is said again later, under a number of its own: nothing late can be taken for it."""
    pen.end_utterance(utterance)
    later = pen.begin_utterance(utterance.turn_id, waiting=True)
    later.pieces, later.closed = utterance.pieces, utterance.closed


def release(pen: Pen, why: str) -> None:
    """The voice is there (again): say what has waited."""
    utterance = pen.talk.utterance
    if utterance is None or utterance.phase != "waiting":
        return
    utterance.phase = "asked"
    for piece_no in range(len(utterance.pieces)):
        _order(pen, utterance, piece_no, why)
    if utterance.closed:
        pen.do(do.EndSpeech, why, utterance_id=utterance.utterance_id)


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
    for service in ("tts", "avatar"):
        if (health := talk.services.get(service)) is not None:
            health.failures = health.attempt = 0
    if not talk.machine.allows(S.AVATAR_SPEAKING):
        return pen.ignore(event, f"the state is {talk.state}")
    pen.change(S.AVATAR_SPEAKING, "Clara speaks")
    if talk.turn.words:
        pen.turn_is_heard()
        _check_speed(pen)


def ended(pen: Pen, event: ev.SpeakingEnded) -> None:
    """Clara has said it."""
    talk, cut = pen.talk, pen.talk.cut
    if cut is not None and cut.utterance_id == event.utterance_id:
        cut.cut_ms = inf  # it was over before the order to stop arrived: everything was heard
        return
    utterance = current(pen, event)
    if utterance is None:
        return
    pen.end_utterance(utterance)
    pen.turn_is_heard()
    _keep(pen, utterance, utterance.text)
    if talk.reply is not None and not utterance.closed:
        pen.change(S.PROCESSING, "what was ready has been spoken; more of the reply is to come", S.AVATAR_SPEAKING)
    else:
        pen.change(S.IDLE, "Clara is done", S.AVATAR_SPEAKING, S.PROCESSING, S.INTERRUPTED)
    _floor_is_free(pen)


def interrupted(pen: Pen, event: ev.SpeakingInterrupted) -> None:
    """The avatar fell silent: as ordered, or by itself."""
    cut = pen.talk.cut
    if cut is not None and cut.utterance_id == event.utterance_id:
        pen.cut_utterance(cut)
    elif (utterance := current(pen, event)) is not None:
        broke_off(pen, utterance, "the avatar stopped without being asked")


# --- inside ----------------------------------------------------------------------------------------------------


def _order(pen: Pen, utterance: Utterance, piece_no: int, why: str) -> None:
    pen.do(
        do.Speak, why,
        turn_id=utterance.turn_id, utterance_id=utterance.utterance_id, piece_no=piece_no,
        text=utterance.pieces[piece_no],
    )  # fmt: skip


def _remember(pen: Pen, cut: Utterance, *, resumes: bool = False) -> None:
    pen.end_utterance(cut)
    heard = cut.heard_until(cut.cut_ms)
    pen.heard(cut, heard)
    _keep(pen, cut, heard.heard, heard.cut_piece if resumes else None)


def _keep(pen: Pen, utterance: Utterance, heard: str, again: int | None = None) -> None:
    keep = pen.ask(Keep(tuple(utterance.pieces), heard, again), sign=False)
    if isinstance(keep, Remember):
        pen.talk.history.add_assistant(keep.text, cut=len(keep.text) < len(utterance.text))


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


def _floor_is_free(pen: Pen) -> None:
    """Clara is done while a sound is held: it is the customer's turn, not an interruption."""
    talk = pen.talk
    if talk.state is S.IDLE and talk.held is not None:
        pen.forget_sound("Clara is done, there is nothing to interrupt")
        pen.change(S.USER_SPEAKING, "the customer began to speak as Clara ended")
        pen.set_timer("no_words", talk.settings.no_words_timeout_ms, "words should follow the sound")
