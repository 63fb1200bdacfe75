"""Where each thing that the customer said was heard, and which turns it became: by its words alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import TypeAlias

from clara_kit.conversation.lexicon import plain
from clara_kit.lab.survival.reading import Asked, Heard
from clara_kit.measure.run import Run

ENOUGH = 0.6  # of a thing's words: the others a recogniser may have lost or misheard
Thing: TypeAlias = tuple[str, float | None, float | None]
"""What was said, and when it began and ended, as far as that is known."""


def lines_of(run: Run) -> list[str] | None:
    """What the script lets the customer say, where she says it whatever she hears."""
    script = run.inputs.get("script")
    lines = script.get("lines") if isinstance(script, dict) else None
    if not isinstance(lines, list):
        return None
    return [line["text"] for line in lines if isinstance(line, dict) and line.get("text")]


def timed(texts: list[str], heard: list[Heard]) -> list[Thing]:
    """When each text was said, as far as its words were heard."""
    words = [plain(text) for text in texts]
    flat, whose = [w for own in words for w in own], [n for n, own in enumerate(words) for _ in own]
    came, where = [w for one in heard for w in plain(one.text)], [one for one in heard for _ in plain(one.text)]
    times: list[tuple[float, float] | None] = [None] * len(texts)
    hits: Counter[int] = Counter()
    for a, b, size in SequenceMatcher(None, flat, came, autojunk=False).get_matching_blocks():
        for i in range(size):
            n, one = whose[a + i], where[b + i]
            hits[n] += 1
            before = times[n]
            times[n] = (before[0] if before else one.began_ms, max(before[1], one.ended_ms) if before else one.ended_ms)
    return [
        (text, *(time if time is not None and hits[n] >= ENOUGH * len(words[n]) else (None, None)))
        for n, (text, time) in enumerate(zip(texts, times, strict=True))
    ]


def places(
    things: Sequence[Thing], asked_in: Mapping[int, Sequence[Asked]], question: Mapping[int, str]
) -> list[list[int]]:
    """The turns in whose question each thing's words stand: those that it became first, and those that took it over."""
    words = [plain(text) for text, _, _ in things]
    turns = sorted(asked_in)
    questions = {turn: plain(question[turn]) for turn in turns}
    whose = [n for n, own in enumerate(words) for _ in own]
    where = [turn for turn in turns for _ in questions[turn]]
    flat, asked = [w for own in words for w in own], [w for turn in turns for w in questions[turn]]
    found: list[Counter[int]] = [Counter() for _ in words]
    left = Counter(zip(where, asked, strict=True))
    for a, b, size in SequenceMatcher(None, flat, asked, autojunk=False).get_matching_blocks():
        for i in range(size):
            found[whose[a + i]][where[b + i]] += 1
            left[where[b + i], asked[b + i]] -= 1
    for own, hits, (_, began_ms, _) in zip(words, found, things, strict=True):
        if hits.total() < ENOUGH * len(own):  # a recogniser that was away may tell things in another order
            for turn in turns:
                if began_ms is None or asked_in[turn][-1].at_ms >= began_ms:
                    hits[turn] += (Counter(own) & Counter({word: left[turn, word] for word in own})).total()
    found_in: list[list[int]] = []
    for own, hits in zip(words, found, strict=True):
        if not own or hits.total() < ENOUGH * len(own):
            found_in.append([])
            continue
        first = [turn for turn in sorted(hits) if hits[turn] >= min(2, len(own))] or sorted(hits)
        last = questions[first[-1]]
        later = [t for t in turns if t > first[-1] and questions[t][: len(last)] == last and len(questions[t]) > len(last)]  # fmt: skip
        found_in.append(first + later[:1])
    for n in range(len(words) - 1):  # said twice and asked about once: it is the later that was
        later_ms = things[n + 1][1]
        if words[n] != words[n + 1] or not found_in[n] or found_in[n + 1] or later_ms is None:
            continue
        if asked_in[found_in[n][0]][0].at_ms >= later_ms:
            found_in[n + 1], found_in[n] = found_in[n], []
    return found_in
