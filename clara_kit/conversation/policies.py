"""The index of judgement: ten questions, each with its policies in the order in which they are asked.

The first that has an answer decides, and signs. To add a rule: write it in a file of its own, put its name into one
of these tuples, and, where it must remember something, one small dataclass into `Talk`. To leave one out, leave it
out of the tuple: `STANDARD.without("debounce")`, `STANDARD.first("sound", MY_RULE)`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

from clara_kit.conversation import (
    answering,
    barge_in,
    chunking,
    openers,
    remembering,
    resuming,
    retrying,
    sustained,
    turn_taking,
)
from clara_kit.conversation.backchannel import backchannel
from clara_kit.conversation.echo import echo
from clara_kit.conversation.lexicon import Lexicon
from clara_kit.conversation.min_words import min_words
from clara_kit.conversation.policy import Policy, Question
from clara_kit.conversation.protected import PROTECTED
from clara_kit.conversation.second_thought import second_thought
from clara_kit.conversation.unfinished import unfinished
from clara_kit.conversation.waiting import PATIENT, waiting

_Rules = tuple[Policy, ...]


@dataclass(frozen=True, kw_only=True)
class Policies:
    """Who is asked what. `None` of a policy passes the question on; the last of a tuple must have an answer."""

    # Is this sound an interruption?
    sound: _Rules = (barge_in.SOUNDS_OFF, PATIENT, sustained.EARS, PROTECTED, sustained.SUSTAINED, barge_in.DEBOUNCE)
    words: _Rules = (barge_in.WORDS_OFF, barge_in.ANY_WORD)  # are these words one?
    turn: _Rules = (turn_taking.NO_SPECULATION, turn_taking.HOLD, turn_taking.ENDPOINTING)  # is the turn over?
    answer: _Rules = (answering.PASSED_BY, answering.KEPT, answering.MODEL)  # what answers it?
    begin: _Rules = (openers.WAIT,)  # is something said before that is written?
    trust: _Rules = (answering.CUT_SHORT, answering.TRUSTED)  # is a kept answer trusted less?
    piece: _Rules = (chunking.HALF_SENTENCE, chunking.SPEAK)  # is this piece spoken now?
    # What after a failure?
    failure: _Rules = (retrying.BROKE_OFF, retrying.RECONNECT, retrying.BY_POLICY, retrying.APOLOGY, retrying.GIVE_UP)
    # What after a cut that brought no words?
    quiet: _Rules = (resuming.IN_VAIN, resuming.RESTATE, resuming.RESUME, resuming.END)
    keep: _Rules = (remembering.SAID_ANEW, remembering.HEARD)  # what is remembered?

    def first(self, question: str, *rules: Policy) -> Policies:
        """The same with some rules asked before all others."""
        return replace(self, **{question: (*rules, *getattr(self, question))})

    def without(self, *names: str) -> Policies:
        """The same without the rules of these names."""
        kept = {room: tuple(rule for rule in getattr(self, room) if rule.name not in names) for room in ROOM.values()}
        return replace(self, **kept)

    def to_dict(self) -> dict[str, list[str]]:
        """Names and versions, for a run's manifest."""
        return {room: [str(rule) for rule in getattr(self, room)] for room in ROOM.values()}


ROOM: dict[type, str] = {question: question.__name__.lower() for question in get_args(Question)}

STANDARD = Policies()
"""The kit's own judgement, by somebody who knows no words."""


def knowing(lexicon: Lexicon, knows: str) -> Policies:
    """The kit's own judgement with what short words mean; `knows`: the hash of that."""
    rules = (waiting, backchannel, echo, min_words, second_thought)
    words = (barge_in.WORDS_OFF, *(rule(lexicon, knows) for rule in rules), barge_in.ANY_WORD)
    turn = (turn_taking.NO_SPECULATION, unfinished(lexicon, knows), turn_taking.HOLD, turn_taking.ENDPOINTING)
    return Policies(
        words=words, turn=turn, begin=(openers.opener(lexicon, knows), openers.WAIT),
        trust=(answering.CUT_SHORT, answering.corrected(lexicon, knows), answering.TRUSTED),
    )  # fmt: skip
