"""So few words take no floor, unless one of them means it."""

from __future__ import annotations

from clara_kit.conversation.backchannel import had_asked, over_clara
from clara_kit.conversation.barge_in import short
from clara_kit.conversation.lexicon import Lexicon, plain
from clara_kit.conversation.policy import Aside, Policy, Words
from clara_kit.conversation.talk import Talk


def min_words(lexicon: Lexicon, knows: str) -> Policy:
    """The policy; the lexicon's words for «stop», and whoever asks, need no company."""

    def decide(talk: Talk, words: Words) -> Aside | None:
        least, said = talk.settings.min_words, plain(words.text)
        if len(said) >= least or not said or "?" in words.text or lexicon.yields_in(words.text):
            return None
        if not over_clara(talk, words.said_ms) or had_asked(talk, words.said_ms):
            return None
        return Aside(reason=f"{short(words.text)} is {len(said)} of the {least} words that take the floor")

    return Policy("min_words", decide, knows=knows)
