"""What a question asks, as far as words tell: two questions mean the same where nothing that could matter differs.

Comes before the cache (`responses.py`). Pure. A question becomes a set of marks: what is asked (PRICE, CAN, WHEN…), what
about, numbers with what they count, what is denied, what is past. A word that nobody knows is a mark of its own, so that
whatever is not understood tells two questions apart. That costs hits, and never an answer that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from clara_kit.audio.numbers import words
from clara_kit.cache.counting import counted, tokens
from clara_kit.cache.settled import NAMELESS, Meaning, settled
from clara_kit.cache.vocabulary import END, VERB, Node, Vocabulary

__all__ = ["NAMELESS", "Meaning", "meaning"]

_ENCLITIC = re.compile(r"(.+(?:r|ndo))(?:me|te|se|nos)?(lo|la|los|las|le|les)?")
_CLITICS = frozenset(("me", "te", "se", "nos"))
MOST_CHARS = 300  # of a question; a longer one tells a story
_OBJECTS = frozenset(("lo", "la", "los", "las"))
_SUITS = frozenset(words("servir convenir recomendar aconsejar sugerir resultar ayudar"))
_TAGS = frozenset(("no", "o", "si", "ya", "cierto", "verdad"))
_OPENS = frozenset(("si", "con", "para", "en", "a", "el", "la", "los", "las", "de", "sin", "por", "cual", "que"))
_STATES = frozenset(words("estoy estas esta uno una se tengo hay eres soy estamos"))


def meaning(text: str) -> Meaning:
    """What the text asks. Never raises; an empty text means nothing."""
    return _meaning(text, Vocabulary.load())


@lru_cache(maxsize=8192)
def _meaning(text: str, known: Vocabulary) -> Meaning:
    if len(text) > MOST_CHARS:
        return Meaning(text, frozenset((text,)), (), "it is too long for a frequent question", False)
    said = _courteous(counted(tokens(text), known), known)
    words = [word for _, word in said]
    marks, named, follows = _marks(said, known)
    return (
        settled(" ".join(words), marks, named or follows, known) if words else Meaning("", frozenset(), (), "", False)
    )


def _match(
    root: Node, said: Sequence[tuple[str, str]], at: int, known: Vocabulary
) -> tuple[tuple[str, ...], int] | None:
    """The longest phrase that begins here: what it becomes, and where it ends."""
    best: tuple[int, int, tuple[str, ...]] | None = None
    reach = [
        (root, at, 0, False)
    ]  # a place in the phrase, the next word, how many were only to follow, whether one was skipped
    while reach:
        node, here, stay, skipped = reach.pop()
        if END in node and here > at and not skipped:
            best = max(best or (0, 0, ()), (here - stay, stay, node[END]))
        if here >= len(said):
            continue
        accented, word = said[here]
        for behind, follows in node.get(word, ()):
            reach.append((behind, here + 1, stay + follows, False))
        verb = known.verb(accented, word) or _bound(word, known)[0]
        for behind, follows in node.get(VERB + verb, ()) if verb else ():
            reach.append((behind, here + 1, stay + follows, False))
        if word in _CLITICS and here > at:
            reach.append((node, here + 1, stay, True))
    return (best[2], best[0]) if best else None


def _courteous(said: list[tuple[str, str]], known: Vocabulary) -> list[tuple[str, str]]:
    """Without greetings and what only leads up to a question."""
    edges = known.words("edges")
    kept: list[tuple[str, str]] = []
    at = 0
    while at < len(said):
        found = _match(known.courtesies, said, at, known)
        if found and (found[1] - at > 1 or not kept or found[1] == len(said)):
            at = found[1]
        elif not kept and said[at][1] in edges and len(said) > 1 and not _needed(said, at):
            at += 1
        else:
            kept.append(said[at])
            at += 1
    while len(kept) > 2 and kept[-1][1] in edges | _TAGS and kept[-2][1] not in ("si", "que", "piel", "micelar"):
        kept.pop()
    return kept


def _needed(said: list[tuple[str, str]], at: int) -> bool:
    """«y» that carries a question on: «¿y con tarjeta?», «¿y si llevo dos?»."""
    return said[at][1] == "y" and at + 1 < len(said) and said[at + 1][1] in _OPENS


def _bound(word: str, known: Vocabulary) -> tuple[str, bool]:
    """The verb of «usarlo», «aplicármela», and whether what it is done to hangs on it."""
    if found := _ENCLITIC.fullmatch(word):
        verb = known.forms.get(found[1], "")
        if verb:
            return verb, found[2] in _OBJECTS
    return "", False


def _marks(said: list[tuple[str, str]], known: Vocabulary) -> tuple[list[str], str, str]:
    """The marks in their order; why it needs what was said before, by a word of its own, or by its beginning."""
    stops, follows_words = known.words("stops"), known.words("follows")
    marks: list[str] = []
    follows, named, deny, asked = "", False, "", False
    begins = ""
    if said and said[0][1] == "y":
        begins, said = "it carries on with «y»", said[1:]
    at = 0
    while at < len(said):
        accented, word = said[at]
        after = said[at + 1][1] if at + 1 < len(said) else ""
        why, word_stays = _points(said, at, known, named, follows_words)
        follows = follows or why
        if not word_stays:
            at += 1
            continue
        new: tuple[str, ...]
        found = _match(known.phrases, said, at, known)
        if found and not (found[0] == ("WHEN",) and word == "cuando" and after in _STATES and asked):
            new, at = found
        elif word in ("le", "les") and known.verb(*said[at + 1] if after else ("", "")) in _SUITS:
            new, at = ("le",), at + 1  # «¿le sirve?»: to somebody else
        elif word in ("no", "sin"):
            deny, at = "!" if word == "no" else "-", at + 1
            continue
        elif word == "de" and "enviar" in marks and known.kinds.get(known.noun(after or "-")) == "place":
            new, at = ("desde",), at + 1
        else:
            new, at = (_word(accented, word, after, known, stops, first=at == 0),), at + 1
        if new == ("HAVE",) and any(known.kinds.get(m) == "product" for m in marks) and not {"QUE", "CUAL"} & {*marks}:
            new = ("tener",)  # «¿sus cremas tienen parabenos?»
        for mark in filter(None, new):
            if deny and mark in ("tener", "contener", "llevar", "traer") and deny == "!":
                deny = "-"
                continue
            if mark == "DROP":
                continue
            marks.append(deny + mark)
            deny = ""
            asked = asked or mark[0].isupper() or known.forms.get(mark, "") != ""
            named = named or not (
                mark[0].isupper() or mark[0] == "#" or mark in known.forms or mark in known.nouns("bare")
            )
    if deny:
        marks.append("!no")
    return marks, follows, begins


def _points(
    said: list[tuple[str, str]], at: int, known: Vocabulary, named: bool, follows_words: frozenset[str]
) -> tuple[str, bool]:
    """Why this word needs what was said before (or ""), and whether it stays as a word."""
    _, word = said[at]
    after = said[at + 1] if at + 1 < len(said) else ("", "")
    if word in follows_words:
        return f"«{word}» points at what was said before", True
    if word in ("otro", "otra", "otros", "otras") and after[1] not in known.words("other_ok"):
        return f"«{word}» points at what was said before", True
    if word in ("este", "estos", "estas", "esto") or (word == "esta" and said[at][0] == "esta"):
        if {after[1], after[1].rstrip("s")} & known.words("keys_after_este"):
            return "", True
        if word == "esta" and (not after[1] or _is_state(after, known)):
            return "", True
        if word == "este" and (
            not after[1] or after[1] in ("que", "cuanto", "como", "cuando", "donde", "cual", "el", "la")
        ):
            return "", False  # «este… ¿cuánto cuesta…?»
        return f"«{word}» points at what was said before", True
    verb = known.verb(*after) or ("x" if after[1] in ("puedo", "puede") else "")
    clitic = word in _OBJECTS and verb and after[1] not in known.words("nouns")
    if clitic or _bound(word, known)[1]:
        return ("" if named else f"«{word}» stands for something that was said before"), not clitic
    return "", True


def _is_state(after: tuple[str, str], known: Vocabulary) -> bool:
    """Whether «esta» is rather «está»: «esta disponible», «esta en oferta», «esta la tienda»."""
    word = after[1]
    return word in known.words("stops") | known.words("states") or word.endswith(
        ("ado", "ada", "ido", "ida", "ando", "endo")
    )


def _word(accented: str, word: str, after: str, known: Vocabulary, stops: frozenset[str], *, first: bool) -> str:
    """The mark of a single word, "" for one that says nothing."""
    if word[0] == "#":
        return word
    if word in ("que", "cual", "cuales"):
        asks = (
            word != "que"
            or first
            or known.kinds.get(known.noun(after or "-")) == "product"
            or after in known.words("things")
        )
        return ("QUE" if word == "que" else "CUAL") if asks else ""
    if word == "como":
        return "COMO"
    if word in ("tengo", "teniendo"):
        return "own"
    if word in ("mi", "mis"):
        return (
            ""
            if after in known.words("mine") or known.kinds.get(known.noun(after or "-")) in ("person", "child")
            else "mi"
        )
    if word == "por" and after in known.words("channels"):
        return "por"
    if word in stops:
        return ""
    verb = known.verb(accented, word) or _bound(word, known)[0]
    if not verb:
        return known.noun(word)
    usual = known.raw["usually"].get(verb)
    who = "I" if word.endswith(("o", "mos")) else "you" if word.endswith(("an", "en", "as", "es")) else ""
    return (
        known.noun(verb.rstrip("<")) + "<" * verb.endswith("<") + (f"@{who}" if usual and who and who != usual else "")
    )
