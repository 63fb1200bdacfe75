"""Who hears the customer now, and what of her sound nobody has given words for yet.

Between the microphone and the recogniser, or the backup where that is deaf. Whoever comes next is given first what the
one before had left without words, so that nothing the customer said is lost with an ear.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

import numpy as np

KEPT_MS = 30_000.0  # a deaf recogniser is given up after three tries of five seconds and more
QUIET_PEAK = 330  # of 32768: -40 dBFS, an estimate of what is surely below speech
AROUND_MS = 600.0  # of quiet that is heard again before and after a sound: enough for the end of an utterance
WORD_MS = 300.0  # so much before a message of words may not be in it yet: better twice than never
Frame = tuple[bytes, float]


class Ear(Protocol):
    """A recogniser, or a backup that hears."""

    async def send(self, pcm: bytes, captured_ms: float) -> None: ...


class Hearing:
    """`ear`: who hears now; None: nobody, and the sound waits for somebody."""

    def __init__(self) -> None:
        self.ear: Ear | None = None
        self._waits = False
        self._kept: deque[Frame] = deque()
        self._behind: deque[Frame] = deque()
        self._fresh = asyncio.Event()

    def use(self, ear: Ear | None, *, waits: bool = False) -> None:
        """Let this one hear from now on, and first of all what is still without words.

        waits: its `send` may take as long as the sound lasts, which must not hold up the microphone.
        """
        if ear is not self.ear:
            self.ear, self._waits = ear, waits
            self._behind = deque(_sounds(list(self._kept)) if ear is not None else ())
            self._fresh.set()

    def words(self, at_ms: float) -> None:
        """There are words for what was said until now."""
        while self._kept and self._kept[0][1] < at_ms - WORD_MS:
            self._kept.popleft()

    async def frame(self, pcm: bytes, captured_ms: float) -> None:
        """The microphone's next."""
        kept = self._kept
        kept.append((pcm, captured_ms))
        if captured_ms - kept[0][1] > KEPT_MS:
            kept.popleft()
        if self.ear is None:
            return
        if not self._waits and not self._behind:
            await self.ear.send(pcm, captured_ms)
        else:
            self._behind.append((pcm, captured_ms))
            self._fresh.set()

    async def catch_up(self) -> None:
        """Hand over what waits, until cancelled."""
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            while self._behind and self.ear is not None:
                await self.ear.send(*self._behind.popleft())


def _sounds(frames: list[Frame]) -> list[Frame]:
    """Without long quiet: whoever hears it does so hardly faster than it was spoken, and the customer waits."""
    peaks = (np.abs(np.frombuffer(pcm, dtype="<i2").astype(np.int32)).max(initial=0) for pcm, _ in frames)
    loud_ms = np.array([ms for (_, ms), peak in zip(frames, peaks, strict=True) if peak > QUIET_PEAK])
    near = (len(loud_ms) and np.abs(loud_ms - ms).min() <= AROUND_MS for _, ms in frames)
    return [frame for frame, heard in zip(frames, near, strict=True) if heard]
