"""The sound value used everywhere: 16-bit mono samples and their rate."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clara_kit.core.errors import AudioError

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Mono sound. samples: int16, shape (n,). rate_hz: samples per second."""

    samples: Samples
    rate_hz: int

    def __post_init__(self) -> None:
        if self.samples.dtype != np.int16 or self.samples.ndim != 1 or not self.rate_hz > 0:
            raise AudioError(
                f"A sound is int16 samples in one row and a rate; got {self.samples.dtype}, {self.samples.ndim} "
                f"dimensions, {self.rate_hz} Hz."
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sound):
            return NotImplemented
        return self.rate_hz == other.rate_hz and np.array_equal(self.samples, other.samples)

    @property
    def duration_ms(self) -> float:
        """Its length."""
        return len(self.samples) * 1000 / self.rate_hz

    @property
    def rms_dbfs(self) -> float:
        """Loudness: root mean square in dB below full scale; -inf for silence."""
        if not len(self.samples):
            return float("-inf")
        power = float(np.mean(self.samples.astype(np.float64) ** 2)) / 32768.0**2
        return float(10 * np.log10(power)) if power > 0 else float("-inf")

    def to_bytes(self) -> bytes:
        """Little-endian 16-bit samples, without a header."""
        return self.samples.astype("<i2").tobytes()

    @classmethod
    def from_bytes(cls, pcm: bytes, rate_hz: int) -> Sound:
        """The sound of raw little-endian 16-bit samples; raises `AudioError` for half a sample."""
        if len(pcm) % 2:
            raise AudioError(f"{len(pcm)} bytes are not a whole number of 16-bit samples.", hint="was the sound cut?")
        return cls(np.frombuffer(pcm, dtype="<i2").astype(np.int16), rate_hz)

    def at_rate(self, rate_hz: int) -> Sound:
        """The same sound at another rate, as long to half a sample; silence stays silence."""
        if rate_hz == self.rate_hz or not len(self.samples) or not rate_hz > 0:
            return Sound(self.samples, rate_hz)
        return Sound(Resampler(self.rate_hz, rate_hz).feed(self.samples, last=True), rate_hz)

    def gain(self, db: float) -> Sound:
        """Louder (or softer) by `db`; what is too loud is clipped."""
        return clipped(self.samples.astype(np.float64) * 10 ** (db / 20), self.rate_hz)

    def between(self, start_ms: float, end_ms: float) -> Sound:
        """The part from `start_ms` to `end_ms`; what lies outside is not there."""
        first, last = (max(0, round(ms * self.rate_hz / 1000)) for ms in (start_ms, end_ms))
        return Sound(self.samples[first:last], self.rate_hz)

    def frames(self, ms: float) -> Iterator[Sound]:
        """Cut into frames of `ms`; the last may be shorter."""
        step = max(1, round(ms * self.rate_hz / 1000))
        for at in range(0, len(self.samples), step):
            yield Sound(self.samples[at : at + step], self.rate_hz)

    def wav_bytes(self) -> bytes:
        """A WAV file in memory."""
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setparams((1, 2, self.rate_hz, 0, "NONE", ""))
            file.writeframes(self.to_bytes())
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.wav_bytes()).decode()
        return f'<audio controls src="data:audio/wav;base64,{data}"></audio>'

    def __repr__(self) -> str:
        return f"<Sound {self.duration_ms / 1000:.2f} s, {self.rate_hz} Hz>"


class Resampler:
    """Sound from one rate to another, piece by piece: the pieces joined are `Sound.at_rate` of the whole.

    It holds back up to 100 ms until it has heard what follows, or that nothing does (`last`).
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        try:
            import soxr
        except ImportError as exc:
            raise AudioError("Resampling needs soxr.", hint='pip install "clara-kit[audio]".') from exc
        # In floats: soxr dithers what comes and goes as integers, so that silence would be a faint noise.
        self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")
        self._to_hz = to_hz

    def feed(self, samples: Samples, *, last: bool = False) -> Samples:
        """What is ready. last: nothing follows, so all that was held back; what comes then is another sound."""
        ready = self._stream.resample_chunk(samples.astype(np.float32), last=last)
        if last:
            self._stream.clear()
        return clipped(ready, self._to_hz).samples


def clipped(samples: npt.NDArray[Any], rate_hz: int) -> Sound:
    """The sound of samples of any kind; what is too loud is clipped."""
    return Sound(np.clip(np.rint(samples), -32768, 32767).astype(np.int16), rate_hz)


def silence(ms: float, rate_hz: int) -> Sound:
    """Nothing, for `ms`."""
    return Sound(np.zeros(round(ms * rate_hz / 1000), dtype=np.int16), rate_hz)


def concat(*sounds: Sound) -> Sound:
    """One after the other, at the rate of the first."""
    if not sounds:
        raise AudioError("There is nothing to join.")
    rate_hz = sounds[0].rate_hz
    return Sound(np.concatenate([s.at_rate(rate_hz).samples for s in sounds]), rate_hz)


def mix(a: Sound, b: Sound) -> Sound:
    """Both at once, as long as the longer, at the rate of the first; what is too loud is clipped."""
    other = b.at_rate(a.rate_hz)
    total = np.zeros(max(len(a.samples), len(other.samples)), dtype=np.int32)
    total[: len(a.samples)] += a.samples
    total[: len(other.samples)] += other.samples
    return clipped(total, a.rate_hz)


def white_noise(ms: float, rate_hz: int, *, dbfs: float = -30.0, seed: int = 0) -> Sound:
    """White noise of the given loudness. Equal seeds give equal samples."""
    wanted = 32768 * 10 ** (dbfs / 20)
    noise = np.random.default_rng(seed).normal(0.0, wanted, round(ms * rate_hz / 1000))
    return clipped(noise, rate_hz)


def cough(ms: float = 250.0, rate_hz: int = 16_000, *, dbfs: float = -14.0, seed: int = 0) -> Sound:
    """A cough: a burst of low-passed noise over a falling pitch, loud at once and dying away."""
    count = round(ms * rate_hz / 1000)
    t = np.arange(count) / rate_hz
    rng = np.random.default_rng(seed)
    noise = np.convolve(rng.normal(0.0, 1.0, count), np.hanning(9) / 4, mode="same")
    pitch = sum(np.sin(2 * np.pi * (220 - 300 * t) * k * t) / k for k in range(1, 12))
    shape = np.minimum(t / 0.008, 1.0) * np.exp(-t / max(0.03, ms / 2500))
    burst = (0.6 * noise + 0.8 * pitch) * shape
    burst *= 32768 * 10 ** (dbfs / 20) / max(1e-9, float(np.sqrt(np.mean(burst**2))))
    return clipped(burst, rate_hz)
