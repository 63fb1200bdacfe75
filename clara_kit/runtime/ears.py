"""The customer's sound as it reaches the conversation: 20 ms frames in real time, silence in between.

Comes before the recogniser and the local VAD. Lines are queued as sounds and played on the clock; a real
microphone would push its frames to the same `on_frame`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import shutil
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from clara_kit.audio.pcm import Samples, Sound
from clara_kit.audio.vad import VoiceActivityDetector
from clara_kit.audio.wav import WavWriter
from clara_kit.core.clock import Clock
from clara_kit.core.commands import Duck, InterruptAvatar
from clara_kit.core.errors import RunLogError
from clara_kit.core.events import Event, SpeakingEnded, SpeakingInterrupted, SpeakingStarted, SpeechEnded, SpeechStarted
from clara_kit.core.records import Record
from clara_kit.runtime.run_log import FULL, private

log = logging.getLogger("clara_kit.runtime")
_NO_SOUND = "make room on the disk, or go without (`record=False`)."
FRAME_MS = 20
RATE_HZ = 16_000
FRAME_BYTES = RATE_HZ * FRAME_MS // 1000 * 2
_SILENCE = bytes(FRAME_BYTES)
DUCKED = 0.25  # -12 dB, as the desk's page plays it
DOWN_PER_MS, UP_PER_MS = 0.75 / 40, 0.75 / 100  # of its full loudness: within 40 ms, back within 100

LEFT_BYTES = 8_000_000  # of a disk: two minutes of sound, or a thousand turns
AWAITED = 8  # utterances whose sound is kept until they are heard

OnFrame = Callable[[bytes, float], Awaitable[None]]


class Microphone:
    """Gives a frame every 20 ms to `on_frame(pcm, captured_ms)` until `run` is cancelled."""

    def __init__(self, clock: Clock, on_frame: OnFrame) -> None:
        self._clock = clock
        self._on_frame = on_frame
        self._frames: deque[tuple[bytes, asyncio.Future[float] | None]] = deque()  # each with the end of its sound
        self._sound = asyncio.Event()
        self.always = True
        """Give silence too while nobody speaks. A real recogniser wants it; a simulated one has no ears."""

    async def play(self, sound: Sound) -> float:
        """Let the customer make this sound; returns when it is over, with that time in ms. Cancelled, the rest is not made."""
        pcm = sound.at_rate(RATE_HZ).to_bytes()
        if not pcm:
            return self._clock.now_ms()
        over: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        frames = [pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0") for at in range(0, len(pcm), FRAME_BYTES)]
        self._frames += [(frame, over) for frame in frames]
        self._sound.set()
        try:
            return await over
        finally:
            self._frames = deque(one for one in self._frames if one[1] is not over)

    async def run(self) -> None:
        """Play for ever. A frame is due when its last sample would have been heard."""
        began_ms = self._clock.now_ms()
        number = 0
        while True:
            if not self.always and not self._frames:
                self._sound.clear()
                await self._sound.wait()
                began_ms, number = self._clock.now_ms(), 0
            frame, over = self._frames.popleft() if self._frames else (_SILENCE, None)
            captured_ms = began_ms + number * FRAME_MS
            number += 1
            wait_ms = captured_ms + FRAME_MS - self._clock.now_ms()
            if wait_ms > 0:
                await asyncio.sleep(wait_ms / 1000)
            await self._on_frame(frame, captured_ms)
            if over is not None and not over.done() and not (self._frames and self._frames[0][1] is over):
                over.set_result(self._clock.now_ms())


MIN_SPEECH_MS = 64  # two frames of Silero's 32 ms: one alone is often a click
HANG_MS = 64  # short, for it decides within the 100 ms of the debounce


class LocalVad:
    """Gives SpeechStarted and SpeechEnded with source "vad" to `feed`."""

    def __init__(self, clock: Clock, feed: Callable[[Event], None]) -> None:
        self._clock = clock
        self._feed = feed
        self._vad = VoiceActivityDetector(rate_hz=RATE_HZ, min_speech_ms=MIN_SPEECH_MS, hang_ms=HANG_MS)
        self._began_ms: float | None = None

    def hear(self, pcm: bytes, captured_ms: float) -> None:
        """The next frame of the microphone (0.2 ms of work for each 32 ms of sound)."""
        if self._began_ms is None:
            self._began_ms = captured_ms
        for event in self._vad.feed(np.frombuffer(pcm, dtype="<i2")):
            kind = SpeechStarted if event.kind == "speech_started" else SpeechEnded
            sound_at_ms = self._began_ms + event.sound_at_ms
            self._feed(kind(at_ms=self._clock.now_ms(), source="vad", sound_at_ms=sound_at_ms))


class Recorder:
    """Grows with each frame of the microphone; its owner's alone, and readable at any time, also after a crash.

    Raises `RunLogError` where there can be no such file. What a full disk does not take is silence, and `trouble` says so
    meanwhile; the last megabytes of a disk are left to what was said, of which a minute takes what a second takes of this.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble: RunLogError | None = None
        """What the disk does not take at present."""
        self._writer: WavWriter | None = None
        self._next_look_ms = -math.inf
        self._has_room = True
        self._told = False
        self._sent: dict[int, bytearray] = {}
        self._rate_hz = 24_000
        self._speaking: int | None = None
        self._began_ms = 0.0
        self._stopping: int | None = None
        self._gain = self._aim = 1.0  # of her loudness: what it is, and what it is on its way to
        self._aim_ms = 0.0  # since when
        self.from_ms: float | None = None
        """When the recording begins, on the conversation's clock."""
        try:
            self._begin()
        except OSError as exc:
            if exc.errno not in FULL and path.parent.is_dir():  # a full disk may have no folder for it yet
                raise self._unwritten(exc) from exc
            self._failed(exc)

    def _begin(self) -> None:
        private(self.path).close()
        self._writer = WavWriter(self.path, rate_hz=RATE_HZ, channels=2)

    def _unwritten(self, exc: OSError) -> RunLogError:
        return RunLogError(f"The sound cannot be written to {self.path}: {exc.strerror}.", hint=_NO_SOUND)

    def _failed(self, exc: OSError) -> None:
        self.trouble = self._unwritten(exc)
        if not self._told:
            self._told = True
            log.warning("The recording has gaps. %s", self.trouble)

    def sent(self, utterance_id: int, pcm: bytes, rate_hz: int) -> None:
        """Sound went to the avatar."""
        self._rate_hz = rate_hz
        if (
            utterance_id not in self._sent and len(self._sent) >= AWAITED
        ):  # of what was never heard nobody tells the end
            del self._sent[next(who for who in self._sent if who != self._speaking)]
        self._sent.setdefault(utterance_id, bytearray()).extend(pcm)

    def saw(self, record: Record) -> None:
        """The avatar began or stopped; or her sound is to be lowered, to come back, to end."""
        if isinstance(record, SpeakingStarted):
            self._speaking, self._began_ms = record.utterance_id, record.at_ms
            self._gain = self._aim = 1.0
        elif isinstance(record, SpeakingEnded | SpeakingInterrupted):
            self._sent.pop(record.utterance_id, None)
            self._speaking = None if record.utterance_id == self._speaking else self._speaking
        elif isinstance(record, InterruptAvatar):
            self._stopping = record.utterance_id
        elif isinstance(record, Duck) and (record.on or self._stopping != self._speaking):  # what stops does not rise
            self._aim, self._aim_ms = (DUCKED if record.on else 1.0), record.at_ms

    def frame(self, pcm: bytes, captured_ms: float) -> None:
        """Write a frame of both sides."""
        try:
            if captured_ms >= self._next_look_ms:  # each second, also for whether there is room again
                self._next_look_ms = captured_ms + 1000
                self._has_room = shutil.disk_usage(self.path.parent).free >= LEFT_BYTES
                if self._writer is None:
                    self._begin()
            left = np.frombuffer(pcm, dtype="<i2")
            if self._writer is None:
                return
            if self.from_ms is None:
                self.from_ms = captured_ms
            right = self._clara(captured_ms, len(left))
            if not self._has_room:
                self._writer.skip(len(left))
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._writer.write(left, right)
        except OSError as exc:
            self._failed(exc)
        else:
            self.trouble = None

    def _clara(self, at_ms: float, count: int) -> Samples:
        silence = np.zeros(count, dtype=np.int16)
        if self._speaking is None:
            return silence
        pcm = self._sent.get(self._speaking, b"")
        first = int((at_ms - self._began_ms) * self._rate_hz / 1000)
        last = first + count * self._rate_hz // RATE_HZ
        if first < 0 or first * 2 >= len(pcm):
            return silence
        # Frame by frame, with its neighbours: where a sound begins or ends the filter rings, fifty times a second here.
        begin = max(0, first - (last - first))
        samples = np.frombuffer(bytes(pcm[begin * 2 : (2 * last - first) * 2]), dtype="<i2")
        skipped = round((first - begin) * RATE_HZ / self._rate_hz)
        there = Sound(samples, self._rate_hz).at_rate(RATE_HZ).samples[skipped : skipped + count]
        return self._lowered(np.concatenate([there, silence[len(there) :]]), at_ms)

    def _lowered(self, samples: Samples, at_ms: float) -> Samples:
        if self._gain == self._aim == 1.0:
            return samples
        since_ms = np.clip(at_ms + np.arange(1, len(samples) + 1) * 1000 / RATE_HZ - max(at_ms, self._aim_ms), 0, None)
        if self._aim < self._gain:
            gain = np.maximum(self._aim, self._gain - DOWN_PER_MS * since_ms)
        else:
            gain = np.minimum(self._aim, self._gain + UP_PER_MS * since_ms)
        self._gain = float(gain[-1])
        return (samples * gain).astype(np.int16)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
