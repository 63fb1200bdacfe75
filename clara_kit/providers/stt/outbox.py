"""Sound on its way to a streaming recogniser: what is still to be sent, and what might have to be sent again.

Used by `deepgram.py`. A frame is kept until a final result covers it. After a broken connection everything
that was not covered goes out once more, from the first such frame, so that no word is lost and none is
doubled; the frame ledger then begins a new stream time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import chain

import numpy as np

QUIET_PEAK = 330  # of 32768: -40 dBFS, an estimate of what is surely below speech
LEAD_MS = 300.0  # of quiet kept before the first sound, for a recogniser cuts into a hard start; an estimate


class Outbox:
    """Frames of 16-bit mono. keep_ms: how much is held back or kept at most; the oldest go first."""

    def __init__(self, *, rate_hz: int, keep_ms: float) -> None:
        self.frames = FrameLedger()
        self.lost_ms = 0.0
        """Sound that was dropped unheard, so far."""
        self._rate_hz, self._keep_ms = rate_hz, keep_ms
        self._unsent: deque[tuple[bytes, float]] = deque()
        self._uncertain: deque[tuple[bytes, float, float]] = deque()  # and the stream time at its end
        self.unsent_ms = self._uncertain_ms = 0.0
        """How much waits to be sent; how much might have to be sent again."""

    def add(self, pcm: bytes, captured_ms: float) -> None:
        """A frame to be sent."""
        self._unsent.append((pcm, captured_ms))
        self.unsent_ms += self._ms(pcm)
        while self.unsent_ms > self._keep_ms:
            lost, _ = self._unsent.popleft()
            self.unsent_ms -= self._ms(lost)
            self.lost_ms += self._ms(lost)

    def take(self) -> bytes | None:
        """The next frame, which counts as sent; None where there is none."""
        if not self._unsent:
            return None
        pcm, captured_ms = self._unsent.popleft()
        duration_ms = self._ms(pcm)
        self.unsent_ms -= duration_ms
        self.frames.sent(duration_ms, captured_ms)
        self._uncertain.append((pcm, captured_ms, self.frames.sent_ms))
        self._uncertain_ms += duration_ms
        while self._uncertain_ms > self._keep_ms:
            self._forget()
        return pcm

    def confirm(self, stream_ms: float) -> None:
        """A final result covers everything up to this stream time."""
        while self._uncertain and self._uncertain[0][2] <= stream_ms + 0.5:
            self._forget()

    def rewind(self) -> float:
        """The connection is gone: what was not confirmed waits again, in front. Returns its length in ms.

        Quiet before the first sound is left out: after a break the vendor takes sound hardly faster than it
        was spoken, so that every needless second would be heard as delay.
        """
        again = [(pcm, captured_ms) for pcm, captured_ms, _ in self._uncertain]
        self._uncertain.clear()
        self._uncertain_ms = 0.0
        self._unsent = deque(without_lead(list(chain(again, self._unsent)), self._rate_hz))
        self.unsent_ms = sum(self._ms(pcm) for pcm, _ in self._unsent)
        self.frames = FrameLedger()
        return self.unsent_ms

    def _forget(self) -> None:
        self._uncertain_ms -= self._ms(self._uncertain.popleft()[0])

    def _ms(self, pcm: bytes) -> float:
        return len(pcm) / 2 / self._rate_hz * 1000


def without_lead(frames: list[tuple[bytes, float]], rate_hz: int) -> list[tuple[bytes, float]]:
    """The frames from shortly before the first sound on: quiet before it need not be heard."""
    loud = next((n for n, (pcm, _) in enumerate(frames) if _peak(pcm) > QUIET_PEAK), len(frames))
    kept_ms = 0.0
    while loud > 0 and kept_ms < LEAD_MS:
        loud -= 1
        kept_ms += len(frames[loud][0]) / 2 / rate_hz * 1000
    return frames[loud:]


def _peak(pcm: bytes) -> int:
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2")
    return int(np.abs(samples.astype(np.int32)).max(initial=0))


JUMP_MS = 1.0  # frames whose capture is this far from where the last ended begin a new stretch
STRETCHES = 4096  # how many are remembered


class FrameLedger:
    """Remembers when each stretch of sent sound was captured. Times in ms."""

    def __init__(self) -> None:
        self._stream: list[float] = []
        self._captured: list[float] = []
        self.sent_ms = 0.0

    def sent(self, duration_ms: float, captured_ms: float) -> None:
        """A frame was sent."""
        expected = self._captured[-1] + self.sent_ms - self._stream[-1] if self._stream else None
        if expected is None or abs(captured_ms - expected) > JUMP_MS:
            self._stream.append(self.sent_ms)
            self._captured.append(captured_ms)
            if len(self._stream) > STRETCHES:
                del self._stream[0], self._captured[0]
        self.sent_ms += duration_ms

    def at(self, stream_ms: float) -> float:
        """When the sound at this stream time was captured (before the first frame: as if it went on)."""
        if not self._stream:
            return stream_ms
        n = max(0, bisect_right(self._stream, stream_ms) - 1)
        return round(self._captured[n] + stream_ms - self._stream[n], 3)
