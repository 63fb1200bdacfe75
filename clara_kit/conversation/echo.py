"""Clara's own voice in the customer's microphone: words that are hers, also misheard, take no floor and ask for nothing."""

from __future__ import annotations

from collections.abc import Sequence
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
SLACK = 6  # letters by which an echo is told longer or shorter
MISHEARD = 0.6  # a word that has more of one of hers is that, heard badly; «grasa» is no «seca», but a customer's word
LONG_WORDS = 6  # of so many, one may be quite another


def echo(lexicon: Lexicon, knows: str) -> Policy:
    """The policy; who says one of the lexicon's words for «stop» is no echo."""

    def decide(talk: Talk, words: Words) -> Ignore | None:
        if not talk.settings.ignore_echo:
            return None
        theirs = plain(words.text)
        few = len(theirs) < LEAST_WORDS
        if not theirs or (few and lexicon.yields_in(words.text)):
            return None
        if not over_clara(talk, words.said_ms):
            return None
        lately = _lately(talk, words.said_ms)
        if any(sign in words.text and sign not in lately for sign in "¿?"):
            return None  # she asks nothing
        hers = " ".join(plain(lately))
        if few:
            if f" {' '.join(theirs)} " not in f" {hers} ":
                return None
            if not words.final:
                return Ignore(reason=f"{short(words.text)} may be Clara's own voice: more words will tell")
            if not _at_once(talk, words.said_ms, " ".join(theirs)):
                return None
            return Ignore(reason=f"{short(words.text)} is Clara's own voice: she was just saying it")
        if any(f" {word} " not in f" {hers} " for word in lexicon.yields_in(words.text)):
            return None
        share = echoed(hers, theirs)
        if share < ALIKE:
            return None
        return Ignore(reason=f"{short(words.text)} is Clara's own voice: {share:.0%} of it is what she is saying")

    return Policy("echo", decide, version=3, knows=knows)


def _lately(talk: Talk, said_ms: float) -> str:
    """What she says from a little before on: whoever takes up what she has long said means it."""
    utterance = audible(talk, said_ms)
    if utterance is None:
        chars = (talk.spoke_until_ms - said_ms + LATEST_MS) / 1000 * talk.voice.pace()[0]
        return talk.spoke_text[-int(chars) :]
    until = len(utterance.heard_until(talk.now_ms + AHEAD_MS).heard)  # were she not cut
    return utterance.text[len(utterance.heard_until(said_ms - LATEST_MS).heard) : until]


def _at_once(talk: Talk, said_ms: float, theirs: str) -> bool:
    """Whether she says this in that very moment, and offers nothing to choose from: who chooses takes up her words at once too."""
    utterance = audible(talk, said_ms)
    if utterance is None or "?" in utterance.text:
        return False
    before, after = (utterance.heard_until(said_ms + ms).heard for ms in (-AT_ONCE_MS, AHEAD_MS))
    return f" {theirs} " in f" {' '.join(plain(utterance.text[len(before) : len(after)]))} "


def echoed(hers: str, theirs: Sequence[str]) -> float:
    """How much of `theirs` is hers (0 to 1): one stretch of it, and no word that the customer must have said."""
    said = " ".join(theirs)
    near = _beside(hers, said)
    return 0.0 if _strange(near, theirs) > (len(theirs) >= LONG_WORDS) else _alike(near, said)


def _beside(hers: str, theirs: str) -> str:
    """The stretch of hers that theirs would be an echo of: around what is longest in both."""
    longest = SequenceMatcher(None, hers, theirs, autojunk=False).find_longest_match()
    start, slack = longest.a - longest.b, max(SLACK, len(theirs) // 5)
    end = hers.find(" ", max(0, start + len(theirs) + slack))
    return hers[hers.rfind(" ", 0, max(0, start - slack)) + 1 : end if end >= 0 else None]


def _alike(hers: str, theirs: str) -> float:
    """How much of `theirs` stands in `hers`, in order (0 to 1)."""
    blocks = SequenceMatcher(None, hers, theirs, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks if block.size >= LEAST_LETTERS) / len(theirs) if theirs else 0.0


def _strange(hers: str, theirs: Sequence[str]) -> int:
    """How many of their words are none of hers, not even misheard; short ones are not told apart, but for «no»."""
    known = hers.split()
    return sum(
        word == "no"
        or (len(word) >= LEAST_LETTERS and max((_likeness(word, other) for other in known), default=0.0) <= MISHEARD)
        for word in theirs
        if word not in known
    )


def _likeness(word: str, other: str) -> float:
    return SequenceMatcher(None, word, other, autojunk=False).ratio()
