"""What Clara has to say is given to the voice, or to be read; and what was heard of it is remembered.

Mechanics only, right below `speaking`.
"""

from __future__ import annotations

from collections.abc import Sequence

from clara_kit.conversation.pen import Pen
from clara_kit.conversation.policy import Keep, Remember
from clara_kit.conversation.talk import Utterance
from clara_kit.core import commands as do
from clara_kit.core.states import ConversationState as S


def give(pen: Pen, utterance: Utterance, why: str) -> None:
    """To the voice, what it has not got yet; not now where a sound may be an interruption."""
    if utterance.own:
        utterance.given = len(utterance.pieces)
        return
    if utterance.phase == "waiting":
        return
    if utterance.shown or pen.talk.mute:  # to read disturbs nobody
        return _show(pen, utterance, why)
    if _minds_a_sound(pen, utterance):
        return
    signed, pen.by = pen.by, utterance.by or pen.by
    if not utterance.given:
        utterance.asked_ms = pen.talk.now_ms
    for piece_no in range(utterance.given, len(utterance.pieces)):
        if utterance.opener and not utterance.by:
            pen.by = "opener" if piece_no < utterance.opener else signed
        pen.do(
            do.Speak, why,
            turn_id=utterance.turn_id, utterance_id=utterance.utterance_id, piece_no=piece_no,
            text=utterance.pieces[piece_no],
        )  # fmt: skip
    pen.by, utterance.given = signed, len(utterance.pieces)
    if utterance.phase == "sounding" and utterance.opener and not utterance.only_opener:
        answer_begins(pen, utterance)
    if utterance.closed and not utterance.ended:
        utterance.ended = True
        pen.do(do.EndSpeech, why, utterance_id=utterance.utterance_id)


def answer_begins(pen: Pen, utterance: Utterance) -> None:
    """From here on the customer's words are answered; behind an opener, once that has been heard."""
    turn = pen.talk.turn
    if turn.words:
        pen.turn_is_heard()
        if utterance.opener and utterance.voiced:
            turn.answered_ms = max(turn.answered_ms, (utterance.started_ms or 0.0) + utterance.voiced[0][1])


def _show(pen: Pen, utterance: Utterance, why: str) -> None:
    fresh = utterance.pieces[utterance.given :]
    utterance.shown, utterance.given = True, len(utterance.pieces)
    who = {"turn_id": utterance.turn_id, "utterance_id": utterance.utterance_id}
    signed, pen.by = pen.by, utterance.by or pen.by
    for piece in fresh:
        pen.do(do.ShowText, why, text=piece, **who)
    pen.by = signed
    if not utterance.closed:
        return
    pen.end_utterance(utterance)
    pen.cancel_timer("slow", "it is shown")
    pen.turn_is_heard()
    keep(pen, utterance.pieces, utterance.text)
    pen.change(S.IDLE, f"it is shown, for it cannot be said: {why}", S.PROCESSING, S.INTERRUPTED)


def _minds_a_sound(pen: Pen, utterance: Utterance) -> bool:
    """A cough, which only the local ear takes for something, does not delay the answer's beginning; speech does."""
    talk = pen.talk
    return talk.held is not None and talk.settings.duck and (utterance.phase == "sounding" or talk.ears_agree)


def remember(pen: Pen, cut: Utterance, again: int | None = None) -> None:
    """What was heard of what was cut goes into the history; not what is said `again`, from that character on."""
    pen.end_utterance(cut)
    heard = cut.heard_until(cut.cut_ms)
    pen.heard(cut, heard)
    opener = " ".join(cut.pieces[: cut.opener])
    if len(heard.heard) > len(opener):
        return keep(pen, cut.pieces, heard.heard, again)
    turn = pen.talk.turn  # nothing of an answer was heard: what was asked waits for one still
    if cut.opener and not turn.words and pen.talk.history.take_back(turn.answered):
        turn.words = [turn.answered]


def keep(pen: Pen, pieces: Sequence[str], heard: str, again: int | None = None) -> None:
    """Ask what of it is remembered."""
    decision = pen.ask(Keep(tuple(pieces), heard, again), sign=False)
    if isinstance(decision, Remember):
        cut = again is None and len(decision.text) < len(" ".join(pieces))
        pen.talk.history.add_assistant(decision.text, cut=cut)
