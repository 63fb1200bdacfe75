"""Clara's own voice in the customer's microphone: words that are hers, also misheard, take no floor and ask for nothing."""

from __future__ import annotations

from difflib import SequenceMatcher

from clara_kit.conversation.backchannel import audible, over_clara
from clara_kit.conversation.barge_in import short
from clara_kit.conversation.lexicon import Lexicon, plain
from clara_kit.conversation.policy import Ignore, Policy, Words
from clara_kit.conversation.talk import Talk

ALIKE = 0.75  # share of the letters that are hers, in her order; a recogniser mishears about one word in eight
LATEST_MS = 3000.0  # an echo comes at once; the rest is how little is known of where in her words she is
AHEAD_MS = 1000.0  # nor of what she is about to say
LEAST_WORDS = 3  # shorter ones are as likely the customer's, taking up a word of hers,
AT_ONCE_MS = 700.0  # unless they come in the very moment in which she says them
LEAST_LETTERS = 3  # of a run that counts as hers


def echo(lexicon: Lexicon, knows: str) -> Policy:
    """The policy; who says one of the lexicon's words for «stop» is no echo."""

    def decide(talk: Talk, words: Words) -> Ignore | None:
        if not talk.settings.ignore_echo or "?" in words.text:
            return None
        theirs = plain(words.text)
        if not theirs or over_clara(talk, words.said_ms) is None:
            return None
        hers = " ".join(plain(_lately(talk, words.said_ms)))
        if len(theirs) < LEAST_WORDS:
            if lexicon.yields_in(words.text) or f" {' '.join(theirs)} " not in f" {hers} ":
                return None
            if not words.final:
                return Ignore(reason=f"{short(words.text)} may be Clara's own voice: more words will tell")
            if not _at_once(talk, words.said_ms, " ".join(theirs)):
                return None
            return Ignore(reason=f"{short(words.text)} is Clara's own voice: she was just saying it")
        if any(f" {word} " not in f" {hers} " for word in lexicon.yields_in(words.text)):
            return None
        share = alike(hers, " ".join(theirs))
        if share < ALIKE:
            return None
        return Ignore(reason=f"{short(words.text)} is Clara's own voice: {share:.0%} of it is what she is saying")

    return Policy("echo", decide, version=3, knows=knows)


def _lately(talk: Talk, said_ms: float) -> str:
    """What she says from a little before on: whoever takes up what she has long said means it."""
    utterance = audible(talk, said_ms)
    if utterance is None:
        return talk.spoke_text
    until = len(utterance.heard_until(talk.now_ms + AHEAD_MS).heard) if utterance.phase != "cut" else None
    return utterance.text[len(utterance.heard_until(said_ms - LATEST_MS).heard) : until]


def _at_once(talk: Talk, said_ms: float, theirs: str) -> bool:
    """Whether she says this in that very moment, and offers nothing to choose from: who chooses takes up her words at once too."""
    utterance = audible(talk, said_ms)
    if utterance is None or "?" in utterance.text:
        return False
    before, after = (utterance.heard_until(said_ms + ms).heard for ms in (-AT_ONCE_MS, AHEAD_MS))
    return f" {theirs} " in f" {' '.join(plain(utterance.text[len(before) : len(after)]))} "


def alike(hers: str, theirs: str) -> float:
    """How much of `theirs` stands in `hers`, in order (0 to 1)."""
    blocks = SequenceMatcher(None, hers, theirs, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks if block.size >= LEAST_LETTERS) / len(theirs) if theirs else 0.0
