"""Each word of the customer counts once: what was taken from interim results, or comes in two finals, is not new.

Comes before the words are judged. A final that tells its words' times is held against what was counted word by word;
where it tells none, texts decide, and times only say whether both can be the same sound. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import chain

from msgspec import Struct

from clara_kit.conversation.lexicon import plain
from clara_kit.core.events import TranscriptFinal

KEPT = 6  # finals that a later one may repeat; vendors repeat the last
TWICE_MS = 3000.0  # a message that comes again comes soon


class Said(Struct, frozen=True):
    """A final whose words count. `times`: beginning and end of each, none where the recogniser tells none."""

    words: tuple[str, ...]
    from_ms: float
    until_ms: float
    times: tuple[tuple[float, float], ...] = ()


class New(Struct, frozen=True):
    """What is new: its text, when it began, and what of `taken` is still to be confirmed by a final."""

    text: str
    began_ms: float
    taken: tuple[str, ...] = ()


def said(event: TranscriptFinal) -> Said:
    """What a final says, to be held against later ones."""
    tokens = event.text.split()
    times = tuple((w.start_ms, w.end_ms) for w in event.words) if len(event.words) == len(tokens) else ()
    return Said(tuple(map(_bare, tokens)), event.speech_started_ms, event.speech_ended_ms, times)


def new_in(event: TranscriptFinal, counted: Sequence[Said], taken: Sequence[str], taken_until_ms: float) -> New:
    """What of a final was not counted yet. taken: words of interim results, learnt of at `taken_until_ms`."""
    now = said(event)
    again = set(chain.from_iterable(_repeated(now, one) for one in counted))
    rest = tuple(taken)
    if taken and now.from_ms < taken_until_ms:
        early = [n for n in range(len(now.words)) if n not in again and _before(now, n, taken_until_ms)]
        if now.until_ms <= taken_until_ms and not set(taken) & set(now.words):
            count, rest = len(early), ()  # heard otherwise, yet it is the same sound
        else:
            count, rest = _aligned(taken, [now.words[n] for n in early])
        again.update(early[:count])
    if not again:
        return New(event.text.strip(), now.from_ms, rest)
    kept = [n for n in range(len(now.words)) if n not in again]
    if not any(now.words[n] for n in kept):
        return New("", now.until_ms, rest)
    began_ms = now.times[kept[0]][0] if now.times else now.from_ms
    return New(" ".join(event.text.split()[n] for n in kept), began_ms, rest)


def new_in_interim(
    text: str, at_ms: float, sound_ms: float, counted: Sequence[Said], taken: Sequence[str], taken_until_ms: float
) -> New:
    """What of interim words that are taken now was not counted; `taken`: with them. sound_ms: where the last sound began."""
    tokens = text.split()
    words = tuple(map(_bare, tokens))
    last = counted[-1] if counted else None
    if last is not None and words == last.words and sound_ms < last.until_ms and at_ms < last.until_ms + TWICE_MS:
        return New("", at_ms, tuple(taken))
    count = 0
    if sound_ms < taken_until_ms:  # no sound began since: the same words, grown
        count, _ = _aligned(taken, words, strangers=False)
    elif len(words) > len(taken) and words[: len(taken)] == tuple(taken):
        count = len(taken)
    return New(" ".join(tokens[count:]), at_ms, words if count else (*taken, *words))


def _repeated(now: Said, one: Said) -> list[int]:
    """Numbers of the words that another final had already."""
    if not (now.from_ms < one.until_ms and one.from_ms < now.until_ms):
        return []
    if now.times and one.times:
        before = list(zip(one.words, one.times, strict=True))
        return [
            n
            for n, (word, time) in enumerate(zip(now.words, now.times, strict=True))
            if any(word == other and _same_time(time, when) for other, when in before)
        ]
    if now.until_ms <= one.until_ms and f" {' '.join(now.words)} " in f" {' '.join(one.words)} ":
        return list(range(len(now.words)))
    most = min(len(now.words), len(one.words))
    return list(range(next((n for n in range(most, 0, -1) if one.words[-n:] == now.words[:n]), 0)))


def _before(one: Said, number: int, at_ms: float) -> bool:
    return not one.times or one.times[number][0] < at_ms


def _same_time(a: tuple[float, float], b: tuple[float, float]) -> bool:
    common_ms = min(a[1], b[1]) - max(a[0], b[0])
    return common_ms > 0 and 2 * common_ms >= min(a[1] - a[0], b[1] - b[0])


def _aligned(taken: Sequence[str], words: Sequence[str], *, strangers: bool = True) -> tuple[int, tuple[str, ...]]:
    """How many of `words` the taken ones are, revised or not, and which of those are still to come.

    strangers: also where no word is alike, as when a recogniser has thought better of a single word.
    """
    mine = theirs = 0
    for block in SequenceMatcher(None, taken, words, autojunk=False).get_matching_blocks():
        if not block.size or block.b - theirs > block.a - mine + 1:  # so much was not put in: it is new
            break
        mine, theirs = block.a + block.size, block.b + block.size
    if not mine and not strangers:
        return 0, tuple(taken)
    revised = min(len(taken) - mine, len(words) - theirs)
    return theirs + revised, tuple(taken[mine + revised :])


def _bare(token: str) -> str:
    return "".join(plain(token))
