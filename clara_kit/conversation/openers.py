"""The opener: a word or two that are ready, said while the answer is being written, so that the customer is not left waiting.

Nobody knows yet what the answer will be. So one is said only where something is asked that may be thought about, never where it
may be bad news or the customer tells of trouble, and never the same one twice in a row.
"""

from __future__ import annotations

from clara_kit.conversation.barge_in import short
from clara_kit.conversation.lexicon import Lexicon, plain
from clara_kit.conversation.policy import Begin, Ignore, Policy, Say
from clara_kit.conversation.talk import Talk

_FEWEST = 3  # words of a question that is worth a thought


def opener(lexicon: Lexicon, knows: str) -> Policy:
    """The policy. Which one: by the turn, so that equal conversations are equal."""

    def decide(talk: Talk, begin: Begin) -> Say | None:
        if not talk.settings.openers or not lexicon.openers:
            return None
        words = plain(begin.question)
        if len(words) < _FEWEST or not lexicon.wonders_in(begin.question) or lexicon.grave_in(begin.question):
            return None
        others = [text for text in lexicon.openers if text != talk.opener] or [*lexicon.openers]
        text = others[talk.turn.turn_id % len(others)]
        return Say(text, reason=f"{short(begin.question)} is thought about aloud")

    return Policy("opener", decide, knows=knows)


def _nothing(talk: Talk, begin: Begin) -> Ignore:
    return Ignore(reason="the answer is waited for")


WAIT = Policy("no_opener", _nothing)
