"""Answers that are kept: whether there is one, and what becomes of those that were heard.

Mechanics only, below `replying` and `speaking`. Whether one is looked for, and how far one that was given is trusted afterwards,
is asked; which are kept and for whom is known outside (`clara_kit.cache`).
"""

from __future__ import annotations

from clara_kit.conversation.circumstances import told
from clara_kit.conversation.history import ARRIVAL
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.policy import Distrust, Trust
from clara_kit.conversation.talk import Utterance
from clara_kit.core import commands as do

LOOK_UP_MS = 150.0  # a disk that takes longer is passed by: to ask the model costs the customer less than to wait


def look_up(pen: Pen, question: str, why: str) -> None:
    """Is there an answer? Whoever is asked says so at once."""
    turn = pen.talk.turn
    turn.looked_up = question
    pen.set_timer("look_up", LOOK_UP_MS, "what is kept should be known by then")
    pen.do(do.LookUpAnswer, why, turn_id=turn.turn_id, question=question)


def spoke_again(pen: Pen, words: str) -> None:
    """The customer's next turn is over: what does it say of the answer before?"""
    talk, kept = pen.talk, pen.talk.kept
    if kept is None:
        return
    talk.kept = None
    decision = pen.ask(Trust(words, kept.cut), sign=False)
    if isinstance(decision, Distrust):
        pen.do(do.DistrustAnswer, decision.reason, question=kept.question, answer=kept.answer)


def heard_out(pen: Pen, utterance: Utterance) -> None:
    """An utterance was heard to its end: an answer may be kept, and one that was stands as it did."""
    talk = pen.talk
    if talk.kept is not None and utterance.by == "kept_answer":
        talk.kept.cut = False
    if utterance.whole and talk.settings.flags.enable_response_cache:
        answer = " ".join(utterance.pieces[utterance.opener :])
        before = [m for m in talk.history.said if m.role == "user" and m.text != ARRIVAL]
        if told((m.text for m in before[:-1]), talk.turn.answered):
            return  # whoever asks the same need not be in the same case
        pen.do(
            do.StoreAnswer,
            "it was heard to its end",
            question=talk.turn.answered,
            answer=answer,
            follows=len(before) > 1,
        )
