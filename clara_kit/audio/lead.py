"""The silence at the head of a stretch of sound: how long it is, and the sound without it. A voice's sound begins with some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

AUDIBLE = 330  # of 32768: -40 dBFS
HEAD_MS = 20.0  # so much of it is left at the head of an utterance: what is cut at once clicks
BETWEEN_MS = 80.0  # and so much between two sentences, which nobody says in one breath
TAIL_MS = 100.0  # of the silence at the end of a sound that is kept: that between sentences is heard there too
_SOFT, _SOFT_MS, _STEP_MS = 33, 150.0, 5.0  # -60 dBFS: an «s» begins below what is audible, and belongs to its word
_MOST_MS = (
    600.0  # a longer silence is no head of a sound (150 to 250 ms are published), but meant, or a very soft voice
)


class Lead:
    """Given a stretch chunk by chunk (16-bit little-endian mono), it knows where that becomes audible."""

    def __init__(self, rate_hz: int) -> None:
        self._per_ms = rate_hz / 1000
        self._quiet, self._over = 0, False

    def hear(self, pcm: bytes) -> None:
        """The next chunk; costs nothing once a sound was found."""
        if self._over:
            return
        samples = _samples(pcm)
        loud = _louder(samples, AUDIBLE)
        self._over = bool(loud.any())
        self._quiet += int(loud.argmax()) if self._over else len(samples)

    def end(self) -> float:
        """The stretch is complete: the length of its silence in ms, 0 where it was nothing else. Another begins."""
        quiet_ms = self._quiet / self._per_ms if self._over else 0.0
        self._quiet, self._over = 0, False
        return round(quiet_ms, 3)


class Trimmer:
    """Given a stretch chunk by chunk, it holds back the silence at its head until it is heard, and lets the rest pass.

    A stretch that never becomes audible is let pass whole: it is not for this to say that nothing was said.
    """

    def __init__(self, rate_hz: int) -> None:
        self.cut_ms = 0.0
        """How much was taken away of all stretches so far."""
        self._rate_hz, self._leave_ms = rate_hz, HEAD_MS
        self._held: bytearray | None = bytearray()  # None: it has been heard

    def begin(self, leave_ms: float) -> None:
        """Another stretch, of whose silence so much is left."""
        self._held, self._leave_ms = bytearray(), leave_ms

    def take(self, pcm: bytes) -> bytes:
        """The next chunk: what goes on of what has come."""
        if self._held is None:
            return pcm
        self._held += pcm
        most = round(_MOST_MS * self._rate_hz / 1000)
        samples = _samples(bytes(self._held))[:most]
        begins = _onset(samples, self._rate_hz)
        if begins is None and len(samples) < most:
            return b""
        cut = 0 if begins is None else max(0, begins - round(self._leave_ms * self._rate_hz / 1000))
        self.cut_ms += cut * 1000 / self._rate_hz
        return self.end()[cut * 2 :]

    def end(self) -> bytes:
        """The stretch is complete: what was held back of it."""
        held, self._held = self._held, None
        return bytes(held or b"")


def trimmed(pcm: bytes, rate_hz: int) -> bytes:
    """A whole sound without most of the silence at both its ends; empty where it is nothing else."""
    samples = _samples(pcm)
    begins, ends = _onset(samples, rate_hz), _onset(samples[::-1], rate_hz)
    if begins is None or ends is None:
        return b""
    head, tail = (round(ms * rate_hz / 1000) for ms in (HEAD_MS, TAIL_MS))
    return samples[max(0, begins - head) : len(samples) - max(0, ends - tail)].tobytes()


def _samples(pcm: bytes) -> npt.NDArray[Any]:
    import numpy as np  # here, for the simulation shares this module and has no sound

    return np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2")


def _louder(samples: npt.NDArray[Any], limit: int) -> npt.NDArray[Any]:
    return (samples > limit) | (samples < -limit)


def _onset(samples: npt.NDArray[Any], rate_hz: int) -> int | None:
    """Where the first sound begins that becomes audible, its soft beginning included."""
    loud = _louder(samples, AUDIBLE)
    if not loud.any():
        return None
    at, step = int(loud.argmax()), round(_STEP_MS * rate_hz / 1000)
    first = max(0, at - round(_SOFT_MS * rate_hz / 1000))
    while at > first and _louder(samples[max(0, at - step) : at], _SOFT).any():
        at = max(first, at - step)
    return at
