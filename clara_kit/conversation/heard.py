"""What really reached the ear: how much of a cut utterance the customer heard.

An avatar tells no playback position, so this is an estimate that says its method and its error. It is cut
down to the end of a word, never rounded up: a history that claims more than was heard misleads the model.
Time goes by what is said («doce mil novecientos noventa pesos»), words by what is written («$12.990»); the list of how
names are said is left out of this, for it changes no length by more than the error.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf

from clara_kit.audio.spoken import spoken
from clara_kit.core.events import SpokenWord

# Characters a second of Spanish speech including pauses, for a voice at speed 1: 15.5 +/- 2.5, an estimate
# from 6 syllables a second and 2.96 characters a syllable (orthography weighted over wordfreq's Spanish list).
CHARS_PER_S = 15.5
CHARS_PER_S_ERROR = 2.5


@dataclass(frozen=True, slots=True)
class Heard:
    """`heard` + `unheard` are the utterance's text. `cut_piece`: the number of the piece that was cut."""

    heard: str
    unheard: str
    method: str
    plus_minus_words: int
    cut_piece: int


def estimate(
    pieces: Sequence[str], played_ms: float, voiced: Sequence[tuple[int, float]] = (), words: Sequence[SpokenWord] = ()
) -> Heard:
    """Split an utterance at the last word that was surely finished `played_ms` after its first sound.

    pieces: its texts in order. voiced: (last piece number, ms of sound up to its end), ascending, as far as
    known. words: ends of written words where the voice knows them. Methods: "word times" (exact but for the playout),
    "length of sound" (even pace within the sound of a known length, one word either way), "speech rate"
    (15.5 characters a second, error growing with the time).
    """
    text = " ".join(pieces)
    if played_ms <= 0 or not text:
        return Heard("", text, "nothing was played", 0, 0)
    if played_ms == inf:
        return Heard(text, "", "the avatar said that it was done", 0, len(pieces))
    known = [(min(last, len(pieces) - 1), ms) for last, ms in voiced if ms > 0]
    if words and words[-1].end_ms >= played_ms:
        chars = max((w.char_end for w in words if w.end_ms <= played_ms), default=0)
        return _split(pieces, text, chars, "word times", 0)
    said = [spoken(piece) for piece in pieces]
    ends = _ends([one.text for one in said])
    spans = _spans(ends, known)

    def until(chars: float) -> int:
        """Where the last written word ends that is over after so many characters of what is said."""
        piece = min(bisect_left(ends, chars), len(pieces) - 1)
        before = ends[piece - 1] + 1 if piece else 0
        written = said[piece].written_end(int(chars) - before)
        return (_ends(pieces)[piece - 1] + 1 if piece else 0) + written

    before = (0, 0.0)
    for chars_end, end_ms in spans:
        if played_ms < end_ms:
            share = (played_ms - before[1]) / (end_ms - before[1])
            return _split(pieces, text, until(before[0] + share * (chars_end - before[0])), "length of sound", 1)
        before = (chars_end, end_ms)
    if before[0] >= ends[-1]:
        return Heard(text, "", "length of sound", 0, len(pieces))
    beyond_s = (played_ms - before[1]) / 1000
    error = int(beyond_s * CHARS_PER_S_ERROR / 5.5) + 1  # 4.52 letters and a space a word, same source
    return _split(pieces, text, until(before[0] + beyond_s * CHARS_PER_S), "speech rate", error)


def _spans(ends: Sequence[int], known: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """(characters said, ms) at the end of each stretch whose sound is complete."""
    spans: list[tuple[int, float]] = []
    for last, ms in known:
        if not spans or (ends[last] > spans[-1][0] and ms > spans[-1][1]):
            spans.append((ends[last], ms))
    return spans


def _split(pieces: Sequence[str], text: str, chars: int, method: str, error: int) -> Heard:
    """Cut at the last word end at or before `chars`."""
    chars = min(max(chars, 0), len(text))
    if chars < len(text) and not text[chars].isspace():
        chars = text.rfind(" ", 0, chars) + 1
    heard = text[:chars].rstrip()
    rest = text[len(heard) :].lstrip()
    return Heard(heard, rest, method, error, bisect_right(_ends(pieces), len(heard)))


def _ends(pieces: Sequence[str]) -> list[int]:
    """Where each piece ends in the text of all."""
    return [end - 1 for end in accumulate(len(piece) + 1 for piece in pieces)]
