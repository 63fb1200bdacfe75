"""What short words mean in a conversation: which only say «go on», which take the floor, which do not end a clause.

The words themselves are data (`data/turns/`), read outside and handed in; here is how a text is held against them. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from msgspec import Struct

LONGEST_PHRASE = 4  # words of what the lists have
MOST_WORDS = 3  # of a backchannel, a phrase being one; longer ones are a turn, whatever they are made of
_LONG = re.compile(r"([^\W\d_])\1{2,}")
_LETTERS = re.compile(r"[^\W_]+")
_STRESSED = re.compile(r"\b(?:mí|tú|él|sé|sí|té|qué|quién|cómo|cuál|cuándo|dónde)\W*$")  # unlike «mi», «que»
_DOUBLE = re.compile(r"([aeiou])\1")  # «aah», «sii», where no long letter was counted
_VOWELS = frozenset("aeo")  # words of their own, unless somebody is only heard
_EXCLAIMS = re.compile(r"^[^¿]*\bqué\W*$")
_PARTICLE = ("po", "poh", "poo", "pues")  # «ya po», «sí pues»: a Chilean's full stop
_IMPATIENT = 3  # of the same word: «ya, ya, ya»


class Lexicon(Struct, frozen=True, kw_only=True):
    """Words and phrases without accents and capitals. Empty: nothing is a backchannel, every clause is complete."""

    backchannels: frozenset[str] = frozenset()
    phrases: frozenset[str] = frozenset()
    yields: frozenset[str] = frozenset()
    repairs: frozenset[str] = frozenset()
    unfinished: frozenset[str] = frozenset()
    complete: frozenset[str] = frozenset()
    fillers: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    corrections: frozenset[str] = frozenset()
    grave: frozenset[str] = frozenset()
    wonders: frozenset[str] = frozenset()
    openers: tuple[str, ...] = ()  # as they are written: they are said

    def yields_in(self, text: str) -> frozenset[str]:
        """The words and phrases in it that take the floor by themselves."""
        return self.yields & _runs(plain(text))

    def corrections_in(self, text: str) -> frozenset[str]:
        """The words and phrases in it that say that an answer was wrong."""
        return self.corrections & _runs(plain(text))

    def grave_in(self, text: str) -> frozenset[str]:
        """The words and phrases in it behind which the answer may be bad news."""
        return self.grave & _runs(plain(text))

    def wonders_in(self, text: str) -> frozenset[str]:
        """The words and phrases in it that ask for something to think about: «cuál», «qué me recomiendas»."""
        return self.wonders & _runs(plain(text))

    def is_backchannel(self, text: str) -> bool:
        """Only words that ask for nothing: «ajá», «sí, claro», «qué bueno»."""
        words = plain(text)
        if not words or self.yields_in(text):
            return False
        phrases, rest = _phrases(self.phrases, words)
        if phrases + len(rest) > MOST_WORDS:
            return False
        said = " ".join(words)
        if said in self.phrases:
            return True
        if said in self.repairs and "?" in text:
            return False
        if len(words) >= _IMPATIENT and len(set(words)) == 1:
            return False
        if len(words) > 1 and not _VOWELS.isdisjoint(rest):  # «o a Talca» is no «oh, ah»
            return False
        return all(word in self.backchannels or _DOUBLE.sub(r"\1", word) in self.backchannels for word in rest)

    def may_become_backchannel(self, text: str) -> bool:
        """It is one, or would be if its last words go on as a phrase does: «sí, claro que…»."""
        if self.is_backchannel(text):
            return True
        words = plain(text)
        exclaims = _EXCLAIMS.search(unicodedata.normalize("NFC", text.casefold()))  # «¡qué…», «uy, qué…»
        alone = len(words) == 1 and words[0] != "que"  # «de…»; after other words a single one begins too much
        starts = range(len(words) if exclaims or alone else len(words) - 1)
        begun = _begun(self.phrases)
        return any(
            self.is_backchannel(" ".join((*words[:at], phrase)))
            for at in starts for phrase in begun.get(" ".join(words[at:]), ())
        )  # fmt: skip

    def is_call(self, text: str) -> bool:
        """Only whether somebody is there: «¿aló?», «hola, ¿sigues ahí?»."""
        words = plain(text)
        return bool(words) and not _phrases(self.calls, words)[1]

    def goes_on(self, text: str) -> str:
        """The word or phrase at its end after which a clause goes on; empty where it may be complete."""
        if text.rstrip().endswith(("?", "!")):
            return ""
        stressed = _STRESSED.search(unicodedata.normalize("NFC", text.casefold()))
        words = plain(text)
        ends = [" ".join(words[-n:]) for n in (3, 2, 1) if len(words) >= n]
        if self.complete.intersection(ends):
            return ""
        if stressed:
            ends = ends[:-1]  # «saber cuál» goes on, «sé» does not
        return next((end for end in ends if end in self.unfinished or end in self.fillers), "")


@lru_cache(maxsize=512)
def plain(text: str) -> tuple[str, ...]:
    """Its words without accents, capitals, signs, long letters and «po» after a word."""
    letters = unicodedata.normalize("NFD", text.casefold().replace("ñ", "\0"))
    bare = "".join(c for c in letters if unicodedata.category(c) != "Mn").replace("\0", "ñ")
    words = _LETTERS.findall(_LONG.sub(r"\1", bare))
    return tuple(word for n, word in enumerate(words) if not n or word not in _PARTICLE)


@lru_cache(maxsize=8)
def _begun(phrases: frozenset[str]) -> dict[str, list[str]]:
    """Phrases by their beginnings; «no me…» begins too much else."""
    begun: dict[str, list[str]] = {}
    for phrase in sorted(phrases):
        words = phrase.split()
        for n in range(1, len(words) if words[0] != "no" else 0):
            begun.setdefault(" ".join(words[:n]), []).append(phrase)
    return begun


@lru_cache(maxsize=512)
def _runs(words: tuple[str, ...]) -> frozenset[str]:
    """All that stands in it, up to as many words as a phrase has."""
    ends = range(1, LONGEST_PHRASE + 1)
    return frozenset(" ".join(words[at : at + n]) for at in range(len(words)) for n in ends)


def _phrases(phrases: frozenset[str], words: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """How many phrases there are in it, the longer ones first, and the words that stand outside of them."""
    rest, found = f" {' '.join(words)} ", 0
    for phrase in sorted(phrases & _runs(words), key=len, reverse=True):
        found += rest.count(f" {phrase} ")
        rest = rest.replace(f" {phrase} ", " ")
    return found, tuple(rest.split())
