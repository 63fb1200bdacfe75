"""The customer's sound as it reaches the conversation: 20 ms frames in real time, silence in between.

Comes before the recogniser and the local VAD. Lines are queued as sounds and played on the clock; a real
microphone would push its frames to the same `on_frame`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from clara_kit.audio.pcm import Sound
from clara_kit.core.clock import Clock

FRAME_MS = 20
RATE_HZ = 16_000
FRAME_BYTES = RATE_HZ * FRAME_MS // 1000 * 2
_SILENCE = bytes(FRAME_BYTES)

OnFrame = Callable[[bytes, float], Awaitable[None]]


@dataclass(slots=True)
class _Playing:
    pcm: bytes
    done: asyncio.Future[float] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    at: int = 0


class Microphone:
    """Gives a frame every 20 ms to `on_frame(pcm, captured_ms)` until `run` is cancelled."""

    def __init__(self, clock: Clock, on_frame: OnFrame) -> None:
        self._clock = clock
        self._on_frame = on_frame
        self._queue: deque[_Playing] = deque()
        self._sound = asyncio.Event()
        self.always = True
        """Give silence too while nobody speaks. A real recogniser wants it; a simulated one has no ears."""

    async def play(self, sound: Sound) -> float:
        """Let the customer make this sound; returns when it is over, with that time in ms."""
        playing = _Playing(sound.at_rate(RATE_HZ).to_bytes())
        if not playing.pcm:
            return self._clock.now_ms()
        self._queue.append(playing)
        self._sound.set()
        return await playing.done

    async def run(self) -> None:
        """Play for ever. A frame is due when its last sample would have been heard."""
        began_ms = self._clock.now_ms()
        number = 0
        while True:
            if not self.always and not self._queue:
                self._sound.clear()
                await self._sound.wait()
                began_ms, number = self._clock.now_ms(), 0
            frame = self._next_frame()
            captured_ms = began_ms + number * FRAME_MS
            number += 1
            wait_ms = captured_ms + FRAME_MS - self._clock.now_ms()
            if wait_ms > 0:
                await asyncio.sleep(wait_ms / 1000)
            await self._on_frame(frame, captured_ms)
            self._tell_done()

    def _next_frame(self) -> bytes:
        if not self._queue:
            return _SILENCE
        playing = self._queue[0]
        frame = playing.pcm[playing.at : playing.at + FRAME_BYTES]
        playing.at += FRAME_BYTES
        return frame.ljust(FRAME_BYTES, b"\0")

    def _tell_done(self) -> None:
        if self._queue and self._queue[0].at >= len(self._queue[0].pcm):
            playing = self._queue.popleft()
            if not playing.done.done():
                playing.done.set_result(self._clock.now_ms())
