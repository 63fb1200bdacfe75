"""The silence at the head of a stretch of sound, measured as the sound passes. A voice's sound begins with some."""

from __future__ import annotations

import numpy as np

AUDIBLE = 330  # of 32768: -40 dBFS


class Lead:
    """Given a stretch chunk by chunk (16-bit little-endian mono), it knows where that becomes audible."""

    def __init__(self, rate_hz: int) -> None:
        self._per_ms = rate_hz / 1000
        self._quiet, self._over = 0, False

    def hear(self, pcm: bytes) -> None:
        """The next chunk; costs nothing once a sound was found."""
        if self._over:
            return
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2")
        loud = (samples > AUDIBLE) | (samples < -AUDIBLE)
        self._over = bool(loud.any())
        self._quiet += int(loud.argmax()) if self._over else len(samples)

    def end(self) -> float:
        """The stretch is complete: the length of its silence in ms, 0 where it was nothing else. Another begins."""
        quiet_ms = self._quiet / self._per_ms if self._over else 0.0
        self._quiet, self._over = 0, False
        return round(quiet_ms, 3)
