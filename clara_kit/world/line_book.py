"""The ear of the recogniser's twin: knows a line by the sound it was made from.

Not a speech recogniser. Every learnt line is kept as a row of spectral frames; a stretch of sound is laid
along all of them, and the best place tells the line and where in it the stretch lies. What fits no line
well is nobody's: unknown speech is answered with nothing, never with the nearest line.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clara_kit.audio.pcm import Sound
from clara_kit.audio.voice import Speech, WordTime

Frames = npt.NDArray[np.float32]

RATE_HZ = 16_000
HOP = 160  # 10 ms
WINDOW = 400  # 25 ms
BANDS = 40
HOP_MS = 10.0
# Mean cosine similarity of the voiced frames above which a stretch is taken for a line. On twelve lines: the same
# sound resampled, 20 dB softer, shifted, clipped by 300 ms, halved, or with white noise 15 dB below stays at 0.81
# or more; other sentences of the same or another voice reach 0.62 at most (tests/audio/test_line_book.py).
THRESHOLD = 0.72
FLOOR = 0.03  # -15 dB
# A stretch below 300 ms is like a bit of some line too easily: it must be a whole short line, and clearly.
SHORT_FRAMES = 30
SHORT_THRESHOLD = 0.85
REMEMBERED = 256  # lines: a long conversation teaches new ones for hours, and each is laid along what was heard
MIN_FRAMES = 12  # 120 ms of sound: less tells nothing


@dataclass(frozen=True, slots=True)
class Match:
    """A stretch is this line from `offset_ms` on. `words` are those that lie in it, timed from the stretch's start."""

    text: str
    offset_ms: float
    score: float
    words: tuple[WordTime, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    text: str
    words: tuple[WordTime, ...]
    frames: Frames


class LineBook:
    """The last lines that were taught. Thread-safe: lines may be learnt while others are looked up."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, bytes], _Line] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._lines)

    def learn(self, text: str, speech: Speech) -> None:
        """Know this text by this sound from now on. A text may be known by several sounds."""
        sound = speech.sound.at_rate(RATE_HZ)
        if not len(sound.samples) or not speech.words:
            return
        key = (text, sound.to_bytes()[:64_000:97])
        with self._lock:
            known = self._lines.pop(key, None)
            self._lines[key] = known or _Line(speech.text, speech.words, _frames(sound))
            if len(self._lines) > REMEMBERED:
                del self._lines[next(iter(self._lines))]

    def match(self, sound: Sound) -> Match | None:
        """The line that a stretch of speech is (a part of), or None."""
        sound = sound.at_rate(RATE_HZ)
        query = _frames(sound)
        voiced = np.flatnonzero(_voiced(query))
        if len(voiced) < MIN_FRAMES:
            return None
        first = int(voiced[0])
        core = query[first : int(voiced[-1]) + 1]
        # A stretch begins anywhere between two frames of its line. In a long one that hardly shows; a short one is
        # laid along the lines from half a frame later as well, which lifts «Hola» at its worst from 0.83 to 0.89.
        cores = [core]
        if len(core) < SHORT_FRAMES:
            cores.append(_frames(Sound(sound.samples[HOP // 2 :], RATE_HZ))[first : first + len(core)])
        with self._lock:
            lines = list(self._lines.values())
        places = ((*_place(one, line.frames), line) for line in lines for one in cores)
        score, at, line = max(places, key=lambda place: place[0], default=(0.0, 0, None))
        if line is None or score < THRESHOLD:
            return None
        whole = _voiced(line.frames).sum() <= 2 * len(voiced)
        if len(core) < SHORT_FRAMES and not (score >= SHORT_THRESHOLD and whole):
            return None
        offset_ms = (at - first) * HOP_MS
        end_ms = (at + len(core)) * HOP_MS
        words = tuple(
            WordTime(w.word, w.start_ms - offset_ms, w.end_ms - offset_ms, w.char_start, w.char_end)
            for w in line.words
            if _said(w, at * HOP_MS, end_ms)
        )
        return Match(line.text, offset_ms, score, words)


def _said(word: WordTime, start_ms: float, end_ms: float) -> bool:
    """Whether at least three fifths of a word lie in a stretch of its line."""
    inside = min(word.end_ms, end_ms) - max(word.start_ms, start_ms)
    return inside >= 0.6 * max(1.0, word.end_ms - word.start_ms)


def _place(query: Frames, line: Frames) -> tuple[float, int]:
    """(best mean similarity, where the query begins in the line). The query may overhang the line's ends a little."""
    overhang = min(30, len(query) // 4)
    padded = np.pad(line, ((overhang, overhang), (0, 0)))
    count = len(padded) - len(query) + 1
    if count <= 0:
        return 0.0, 0  # the query is longer than the line: it holds something unknown
    # Of similarities (frame of the query, frame of the line) each place is a diagonal.
    shifted = np.lib.stride_tricks.sliding_window_view(query @ padded.T, count, axis=1)
    scores = shifted.diagonal().sum(axis=1) / max(1, int(_voiced(query).sum()))
    at = int(np.argmax(scores))
    return float(scores[at]), at - overhang


def _frames(sound: Sound) -> Frames:
    """Log-mel frames, each without its mean and of length 1: loudness does not count, shape does."""
    samples = sound.samples.astype(np.float32)
    samples = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    spectra = np.fft.rfft(windows * np.hanning(WINDOW).astype(np.float32), 512, axis=1)
    power = (np.abs(spectra) ** 2) @ _MEL
    # The floor is relative, so that gain does not count and noise 15 dB below the voice hardly does.
    loud = np.log(power + FLOOR * np.percentile(power.max(axis=1), 90) + 1e-3)
    shape = loud - loud.mean(axis=1, keepdims=True)
    length = np.linalg.norm(shape, axis=1, keepdims=True)
    # Frames far below the loudest are pauses, which fit anything and so count for nothing.
    counts = (length > 1e-3) & (loud.max(axis=1, keepdims=True) >= loud.max() - 3.5)
    return np.where(counts, shape / np.maximum(length, 1e-3), 0.0).astype(np.float32)


def _voiced(frames: Frames) -> npt.NDArray[np.bool_]:
    """Which frames are not quiet."""
    return np.asarray(np.any(frames != 0, axis=1))


def _mel() -> npt.NDArray[np.float32]:
    """A bank of BANDS triangular filters from 100 to 7600 Hz, evenly spaced in mel."""

    def to_mel(hz: float) -> float:
        return float(2595 * np.log10(1 + hz / 700))

    edges = 700 * (10 ** (np.linspace(to_mel(100), to_mel(7600), BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(512, 1 / RATE_HZ)
    rising = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


_MEL = _mel()
