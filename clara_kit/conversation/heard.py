"""What really reached the ear: how much of a cut utterance the customer heard.

An avatar tells no playback position, so this is an estimate that says its method and its error. It is cut
down to the end of a word, never rounded up: a history that claims more than was heard misleads the model.
Time goes by what is said («doce mil novecientos noventa pesos»), words by what is written («$12.990»); the list of how
names are said is left out of this, for it changes no length by more than the error. Nothing counts that had no sound
yet: silence at the head of a sound is none, a sound begins no sooner than its text was handed to the voice, and where
the sound goes through the kit nothing beyond what is complete was heard.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf

from msgspec import Struct

from clara_kit.audio.spoken import spoken
from clara_kit.core.events import SpokenWord

# Characters a second of Spanish speech including pauses, for a voice at speed 1: 15.5 +/- 2.5, an estimate
# from 6 syllables a second and 2.96 characters a syllable (orthography weighted over wordfreq's Spanish list).
CHARS_PER_S = 15.5
CHARS_PER_S_ERROR = 2.5
ERROR_LEFT = 0.8  # of a voice that was measured: how much one sentence differs from another
ESTIMATE_S = 3.0  # of its speech are worth as much as the estimate
CHARS_PER_WORD = 5.5  # 4.52 letters and a space, same source
LEAD_MS = 200.0  # of silence at the head of a sound that is not known yet (Aura's is 150 to 250)


class Voice(Struct, frozen=True):
    """Whose sound it is, at which speed, and how long its last texts took: (text, ms of sound without its silence)."""

    name: str = ""
    speed: float = 1.0
    took: tuple[tuple[str, float], ...] = ()
    lead_ms: float = LEAD_MS

    def pace(self) -> tuple[float, float]:
        """Characters a second, give or take."""
        chars, took_s = 0, 0.0
        for text, ms in self.took:
            chars, took_s = chars + len(spoken(text).text), took_s + ms / 1000
        weight = ESTIMATE_S / (ESTIMATE_S + took_s)
        usual = CHARS_PER_S * self.speed
        measured = min(max(chars / took_s, usual / 2), usual * 2) if took_s else usual
        error = max(ERROR_LEFT, CHARS_PER_S_ERROR * weight) * self.speed
        return usual * weight + measured * (1 - weight), error


class Known(Struct, frozen=True):
    """What is known of a sound, beside how long it is.

    handed_ms: when each piece was handed to the voice, after the first sound; those after that have none yet. Empty: not
    known. seen: it goes through the kit, so that it is known when a piece is complete.
    """

    voice: Voice = Voice(lead_ms=0.0)
    handed_ms: tuple[float, ...] = ()
    seen: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """`heard` + `unheard` are the utterance's text."""

    heard: str
    unheard: str
    method: str
    plus_minus_words: int


_NOTHING = Known()


def estimate(
    pieces: Sequence[str],
    played_ms: float,
    voiced: Sequence[tuple[float, ...]] = (),
    words: Sequence[SpokenWord] = (),
    known: Known = _NOTHING,
) -> Heard:
    """Split an utterance at the last word that was surely finished `played_ms` after its first sound.

    pieces: its texts in order. voiced: (last piece number, ms of sound up to its end, ms of silence at the head of
    what is new in it), ascending, as far as known. words: ends of written words where the voice knows them. Methods:
    "word times" (exact but for the playout), "length of sound" (even pace within the sound of a known length, one word
    either way), "speech rate" (15.5 characters a second and what the voice took so far, error growing with the time).
    """
    text = " ".join(pieces)
    if played_ms <= 0 or not text:
        return Heard("", text, "nothing was played", 0)
    if played_ms == inf:
        return Heard(text, "", "the avatar said that it was done", 0)
    if words and words[-1].end_ms >= played_ms:
        chars = max((w.char_end for w in words if w.end_ms <= played_ms), default=0)
        return _split(text, chars, "word times", 0)
    said = [spoken(piece) for piece in pieces]
    ends = _ends([one.text for one in said])

    def until(chars: float) -> int:
        """Where the last written word ends that is over after so many characters of what is said."""
        piece = min(bisect_left(ends, chars), len(pieces) - 1)
        before = ends[piece - 1] + 1 if piece else 0
        written = said[piece].written_end(int(chars) - before)
        return (_ends(pieces)[piece - 1] + 1 if piece else 0) + written

    sound = _Sound(ends, known.handed_ms)
    for stretch in voiced:
        before = sound.chars
        if not sound.add(*stretch):
            continue
        if played_ms < sound.end_ms:
            share = max(0.0, played_ms - sound.begin_ms) / (sound.end_ms - sound.begin_ms)
            return _split(text, until(before + share * (sound.chars - before)), "length of sound", 1)
    if sound.chars >= ends[-1]:
        return Heard(text, "", "length of sound", 0)
    return _beyond(pieces, text, until, sound, played_ms, known)


class _Sound:
    """How far the sound that is complete reaches: in pieces, in what is said, and in time after the first sound."""

    def __init__(self, ends: Sequence[int], handed_ms: Sequence[float]) -> None:
        self.ends, self._handed_ms = ends, handed_ms
        self.pieces = self.chars = 0
        self.audio_ms = self.begin_ms = self.end_ms = 0.0  # begin: of the last stretch, without its silence

    def add(self, last: float, audio_ms: float, lead_ms: float = 0.0) -> bool:
        """One more stretch is complete; False where it adds nothing."""
        piece = min(int(last), len(self.ends) - 1)
        length_ms = audio_ms - self.audio_ms
        if piece < self.pieces or not length_ms >= 1:
            return False
        self.begin_ms = self.next_ms() + min(lead_ms, length_ms / 2)
        self.end_ms = self.next_ms() + length_ms
        self.pieces, self.chars, self.audio_ms = piece + 1, self.ends[piece], audio_ms
        return True

    def next_ms(self) -> float:
        """The next sound begins no sooner: that before it must be over, and its text be handed to the voice."""
        handed = self._handed_ms[self.pieces : self.pieces + 1]
        return max((self.end_ms, *handed))


def _beyond(
    pieces: Sequence[str], text: str, until: Callable[[float], int], sound: _Sound, played_ms: float, known: Known
) -> Heard:
    """More was played than the sound that is complete: of the next piece, if it has any sound yet."""
    rate, give = known.voice.pace()
    beyond_s = max(0.0, played_ms - sound.next_ms() - known.voice.lead_ms) / 1000
    handed = len(known.handed_ms) or len(pieces)
    if (known.seen and sound.pieces) or handed <= sound.pieces:
        chars, method, beyond_s = float(sound.chars), "length of sound", beyond_s if handed > sound.pieces else 0.0
        error = int(beyond_s * rate / CHARS_PER_WORD) + 1
    else:
        chars = min(sound.chars + beyond_s * rate, sound.ends[min(handed, len(pieces)) - 1])
        error, method = int(beyond_s * give / CHARS_PER_WORD) + 1, "speech rate"
    return _split(text, until(chars), method, error)


def _split(text: str, chars: int, method: str, error: int) -> Heard:
    """Cut at the last word end at or before `chars`."""
    chars = min(max(chars, 0), len(text))
    if chars < len(text) and not text[chars].isspace():
        chars = text.rfind(" ", 0, chars) + 1
    heard = text[:chars].rstrip()
    return Heard(heard, text[len(heard) :].lstrip(), method, error)


def _ends(pieces: Sequence[str]) -> list[int]:
    """Where each piece ends in the text of all."""
    return [end - 1 for end in accumulate(len(piece) + 1 for piece in pieces)]
