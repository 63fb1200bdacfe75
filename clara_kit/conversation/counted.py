"""Each word of the customer counts once: what was taken from interim results, or comes in two finals, is not new.

Comes before the words are judged. A final that tells its words' times is held against what was counted word by word;
where it tells none, texts decide, and times only say whether both can be the same sound. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import chain

from msgspec import Struct

from clara_kit.conversation.lexicon import plain
from clara_kit.core.events import TranscriptFinal

KEPT = 6  # finals that a later one may repeat; vendors repeat the last
TWICE_MS = 3000.0  # a message that comes again comes soon


class New(Struct, frozen=True):
    """What is new: its text, when it began, and what of `taken` is still to be confirmed by a final."""

    text: str
    began_ms: float
    taken: tuple[str, ...] = ()


def new_in(
    event: TranscriptFinal, counted: Sequence[TranscriptFinal], taken: Sequence[str], taken_until_ms: float
) -> New:
    """What of a final was not counted yet. taken: words of interim results, learnt of at `taken_until_ms`."""
    near = [one for one in counted if _overlap(event, one)]
    early = taken and event.speech_started_ms < taken_until_ms
    rest = tuple(taken)
    if not near and not early:
        return New(event.text.strip(), event.speech_started_ms, rest)
    words, times = _bare(event.text), _times(event)
    again = set(chain.from_iterable(_repeated(event, one) for one in near))
    if early:
        old = [n for n in range(len(words)) if n not in again and (not times or times[n][0] < taken_until_ms)]
        if event.speech_ended_ms <= taken_until_ms and not set(taken) & set(words):
            count, rest = len(old), ()  # heard otherwise, yet it is the same sound
        else:
            count, rest = _aligned(taken, [words[n] for n in old])
        again.update(old[:count])
    kept = [n for n in range(len(words)) if n not in again]
    if not any(words[n] for n in kept):
        return New("", event.speech_ended_ms, rest)
    tokens, began_ms = event.text.split(), times[kept[0]][0] if times else event.speech_started_ms
    return New(" ".join(tokens[n] for n in kept), began_ms, rest)


def new_in_interim(
    text: str,
    at_ms: float,
    sound_ms: float,
    counted: Sequence[TranscriptFinal],
    taken: Sequence[str],
    taken_until_ms: float,
) -> New:
    """What of interim words, learnt of at `at_ms`, was not counted; `taken`: with them. sound_ms: of the last sound."""
    words = _bare(text)
    for last in counted[-1:]:
        soon = sound_ms < last.speech_ended_ms and at_ms < last.speech_ended_ms + TWICE_MS
        if soon and words == _bare(last.text):
            return New("", at_ms, tuple(taken))
    count = 0
    if sound_ms < taken_until_ms:  # no sound began since: perhaps the same words, grown
        count, _ = _aligned(taken, words, sure=False)
    elif len(words) > len(taken) and words[: len(taken)] == tuple(taken):
        count = len(taken)
    return New(" ".join(text.split()[count:]), at_ms, words if count else (*taken, *words))


def _repeated(event: TranscriptFinal, one: TranscriptFinal) -> Iterable[int]:
    """Numbers of the words that another final had already."""
    words, before, times, when = _bare(event.text), _bare(one.text), _times(event), _times(one)
    if times and when:
        others = list(zip(before, when, strict=True))
        said = enumerate(zip(words, times, strict=True))
        return [n for n, (word, time) in said if any(word == other and _same_time(time, at) for other, at in others)]
    if event.speech_ended_ms <= one.speech_ended_ms and f" {' '.join(words)} " in f" {' '.join(before)} ":
        return range(len(words))
    most = min(len(words), len(before))
    return range(next((n for n in range(most, 0, -1) if before[-n:] == words[:n]), 0))


def _aligned(taken: Sequence[str], words: Sequence[str], *, sure: bool = True) -> tuple[int, tuple[str, ...]]:
    """How many of `words` the taken ones are, revised or not, and which of those are still to come.

    sure: both are the same sound, so that also a word that is not alike is one; else most must be.
    """
    mine = theirs = alike = 0
    for block in SequenceMatcher(None, taken, words, autojunk=False).get_matching_blocks():
        if not block.size or block.b - theirs > block.a - mine + 1:  # so much was not put in: it is new
            break
        mine, theirs, alike = block.a + block.size, block.b + block.size, alike + block.size
    if not sure and 2 * alike <= len(taken):
        return 0, tuple(taken)
    revised = min(len(taken) - mine, len(words) - theirs)
    return theirs + revised, tuple(taken[mine + revised :])


def _overlap(a: TranscriptFinal, b: TranscriptFinal) -> bool:
    mine, theirs = (a.speech_started_ms, a.speech_ended_ms), (b.speech_started_ms, b.speech_ended_ms)
    return mine == theirs or (mine[0] < theirs[1] and theirs[0] < mine[1])


def _same_time(a: tuple[float, float], b: tuple[float, float]) -> bool:
    common_ms = min(a[1], b[1]) - max(a[0], b[0])
    return a == b or (common_ms > 0 and 2 * common_ms >= min(a[1] - a[0], b[1] - b[0]))


def _times(event: TranscriptFinal) -> Sequence[tuple[float, float]]:
    """Beginning and end of each word; none where the recogniser does not tell all."""
    words = event.words
    return [(w.start_ms, w.end_ms) for w in words] if len(words) == len(event.text.split()) else ()


def _bare(text: str) -> tuple[str, ...]:
    """Its words without accents, capitals and signs; as many as there are between spaces."""
    return tuple(["".join(plain(token)) for token in text.split()])
