"""How similar two questions are, and what tells them apart. Similarity proposes; only a difference of nothing decides."""

from __future__ import annotations

from clara_kit.cache.meaning import Meaning
from clara_kit.cache.vocabulary import Vocabulary

_LIGHT = 0.5  # what a mark of asking weighs beside one of what is asked about


def similarity(a: Meaning, b: Meaning) -> float:
    """0..1: how much of what both say they share."""
    shared, either = sum(map(_weight, a.marks & b.marks)), sum(map(_weight, a.marks | b.marks))
    return shared / either if either else 0.0


def differences(asked: Meaning, kept: Meaning) -> tuple[tuple[str, ...], str]:
    """The kinds of what differs (see `faq.Kind`), the weightiest first, and a sentence; empty where nothing does."""
    if asked.follows:
        return ("follows",), asked.follows
    here, there = asked.marks - kept.marks, kept.marks - asked.marks
    if not here and not there:
        if asked.key == kept.key:
            return (), "it asks the same"
        return ("comparison",), "the same words stand in another order"
    kinds = {mark: _kind(mark) for mark in (*here, *there)}
    weightiest_first = tuple(sorted({*kinds.values()}, key=_ORDER.index))
    parts = []
    for kind in weightiest_first:
        mine, theirs = (sorted(m for m in side if kinds[m] == kind) for side in (here, there))
        parts.append(f"{kind} ({', '.join(map(_shown, mine)) or '–'} against {', '.join(map(_shown, theirs)) or '–'})")
    return weightiest_first, "what differs is " + ", ".join(parts)


_ORDER = (
    "negation", "pregnancy", "child", "condition", "number", "date", "ingredient", "product", "place", "person", "skin",
    "comparison", "tense", "verb", "topic", "follows",
)  # fmt: skip


def _kind(mark: str) -> str:
    known = Vocabulary.load()
    if mark[0] in "!-":
        return "negation"
    if mark[0] == "#":
        return "child" if mark.endswith(":year") else "number"
    if mark.endswith("<"):
        return "tense"
    return known.kinds.get(mark) or ("verb" if mark[0].isupper() or mark in known.raw["verbs"] else "topic")


def _shown(mark: str) -> str:
    return mark.lstrip("#").replace("_", " ").replace(":", " ")


def _weight(mark: str) -> float:
    return _LIGHT if mark[0].isupper() else 1.0
