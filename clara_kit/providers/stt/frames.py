"""The frame ledger: from the vendor's stream time to the conversation's clock."""

from __future__ import annotations

from bisect import bisect_right

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
