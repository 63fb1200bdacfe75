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
# or more; other sentences of the same or another voice reach 0.62 at most (tests/audio/test_recognise.py).
THRESHOLD = 0.72
FLOOR = 0.03  # -15 dB
SHORT_FRAMES = 30  # a stretch below 300 ms is like a bit of some line too easily: it must be a whole short line,
SHORT_THRESHOLD = 0.85  # and clearly
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
    speech: Speech
    frames: Frames

    @property
    def voiced(self) -> int:
        """How many of its frames are not quiet."""
        return int(np.any(self.frames != 0, axis=1).sum())


class LineBook:
    """The lines that are known. Thread-safe: lines may be learnt while others are looked up."""

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
            if key not in self._lines:
                self._lines[key] = _Line(speech, _frames(sound))

    def match(self, sound: Sound) -> Match | None:
        """The line that a stretch of speech is (a part of), or None."""
        query = _frames(sound.at_rate(RATE_HZ))
        voiced = np.flatnonzero(_loudness(sound.at_rate(RATE_HZ)))
        if len(voiced) < MIN_FRAMES:
            return None
        first, last = int(voiced[0]), min(int(voiced[-1]) + 1, len(query))
        core = query[first:last]
        with self._lock:
            lines = list(self._lines.values())
        best: tuple[float, int, _Line] | None = None
        for line in lines:
            score, at = _place(core, line.frames)
            if best is None or score > best[0]:
                best = (score, at, line)
        if best is None or best[0] < THRESHOLD:
            return None
        score, at, line = best
        if last - first < SHORT_FRAMES and not (score >= SHORT_THRESHOLD and line.voiced <= 2 * len(voiced)):
            return None
        offset_ms = (at - first) * HOP_MS
        end_ms = (at + len(core)) * HOP_MS
        words = tuple(
            WordTime(w.word, w.start_ms - offset_ms, w.end_ms - offset_ms, w.char_start, w.char_end)
            for w in line.speech.words
            if _said(w, at * HOP_MS, end_ms)
        )
        return Match(line.speech.text, offset_ms, score, words)


def _said(word: WordTime, start_ms: float, end_ms: float) -> bool:
    """Whether at least three fifths of a word lie in a stretch of its line."""
    inside = min(word.end_ms, end_ms) - max(word.start_ms, start_ms)
    return inside >= 0.6 * max(1.0, word.end_ms - word.start_ms)


def _place(query: Frames, line: Frames) -> tuple[float, int]:
    """(best mean similarity, where the query begins in the line). The query may overhang the line's ends a little."""
    overhang = min(30, len(query) // 4)
    padded = np.concatenate([np.zeros((overhang, BANDS), np.float32), line, np.zeros((overhang, BANDS), np.float32)])
    count = len(padded) - len(query) + 1
    if count <= 0:
        return 0.0, 0  # the query is longer than the line: it holds something unknown
    similarity = query @ padded.T
    strided = np.lib.stride_tricks.as_strided(
        np.ascontiguousarray(similarity),
        shape=(count, len(query)),
        strides=(similarity.strides[1], similarity.strides[0] + similarity.strides[1]),
        writeable=False,
    )
    scores = strided.sum(axis=1) / max(1, int(np.any(query != 0, axis=1).sum()))
    at = int(np.argmax(scores))
    return float(scores[at]), at - overhang


def _frames(sound: Sound) -> Frames:
    """Log-mel frames, each without its mean and of length 1: loudness does not count, shape does."""
    samples = sound.samples.astype(np.float32)
    if len(samples) < WINDOW:
        samples = np.pad(samples, (0, WINDOW - len(samples)))
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * np.hanning(WINDOW).astype(np.float32)
    power = (np.abs(np.fft.rfft(windows, 512, axis=1)) ** 2) @ _MEL
    # The floor is relative, so that gain does not count and noise 15 dB below the voice hardly does.
    loud = np.log(power + FLOOR * np.percentile(power.max(axis=1), 90) + 1e-3)
    shape = loud - loud.mean(axis=1, keepdims=True)
    length = np.linalg.norm(shape, axis=1, keepdims=True)
    quiet = _quiet(loud)
    shape = np.where((length > 1e-3) & ~quiet[:, None], shape / np.maximum(length, 1e-3), 0.0)
    return shape.astype(np.float32)


def _quiet(loud: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Frames far below the loudest: pauses, which fit anything and so count for nothing."""
    level = loud.max(axis=1)
    quiet: npt.NDArray[np.bool_] = level < level.max() - 3.5
    return quiet


def _loudness(sound: Sound) -> npt.NDArray[np.bool_]:
    """Which frames are not quiet."""
    voiced: npt.NDArray[np.bool_] = np.any(_frames(sound) != 0, axis=1)
    return voiced


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
