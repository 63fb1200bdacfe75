"""The customer goes on as Clara has just begun to answer: her answer is taken back, and both parts are answered once."""

from __future__ import annotations

from clara_kit.conversation.barge_in import short
from clara_kit.conversation.lexicon import Lexicon, plain
from clara_kit.conversation.policy import Policy, Words, Yield
from clara_kit.conversation.talk import Talk

_ORDER = 2  # words at the most: «espera», «no, para» stop her, and go on with nothing


def second_thought(lexicon: Lexicon, knows: str) -> Policy:
    """The policy. Nobody reacts to her so soon: a sound made until then was on its way when she began."""

    def decide(talk: Talk, words: Words) -> Yield | None:
        turn, within_ms = talk.turn, talk.settings.taken_back_ms
        since_ms = words.said_ms - turn.answered_ms
        if not (within_ms and turn.answered and since_ms <= within_ms) or (talk.utterance or talk.cut) is None:
            return None
        if len(plain(words.text)) <= _ORDER and lexicon.yields_in(words.text):
            return None
        when = f"{since_ms:.0f} ms after Clara began" if since_ms >= 0 else "before Clara began"
        return Yield(joins=True, reason=f"{short(words.text)} came {when} and goes on with the same turn")

    return Policy("second_thought", decide, knows=knows)
