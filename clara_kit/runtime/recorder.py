"""The conversation as it could be heard: a stereo file, left the customer, right Clara.

The customer's side is what the microphone gave. Clara's side is the sound that was sent to the avatar,
placed where the avatar said that it spoke, and cut where it said that it stopped.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clara_kit.audio.pcm import Sound
from clara_kit.audio.wav import WavWriter
from clara_kit.core.events import SpeakingEnded, SpeakingInterrupted, SpeakingStarted
from clara_kit.core.records import Record
from clara_kit.runtime.microphone import RATE_HZ


class Recorder:
    """Grows with each frame of the microphone; readable at any time, also after a crash."""

    def __init__(self, path: Path) -> None:
        self._writer = WavWriter(path, rate_hz=RATE_HZ, channels=2)
        self._sent: dict[int, bytearray] = {}
        self._rate_hz = 24_000
        self._speaking: int | None = None
        self._began_ms = 0.0
        self.from_ms: float | None = None
        """When the recording begins, on the conversation's clock."""

    def sent(self, utterance_id: int, pcm: bytes, rate_hz: int) -> None:
        """Sound went to the avatar."""
        self._rate_hz = rate_hz
        self._sent.setdefault(utterance_id, bytearray()).extend(pcm)

    def saw(self, record: Record) -> None:
        """The avatar began or stopped."""
        if isinstance(record, SpeakingStarted):
            self._speaking, self._began_ms = record.utterance_id, record.at_ms
        elif (
            isinstance(record, SpeakingEnded | SpeakingInterrupted) and record.utterance_id == self._speaking
        ):
            self._speaking = None
            self._sent.pop(record.utterance_id, None)

    def frame(self, pcm: bytes, captured_ms: float) -> None:
        """Write a frame of both sides."""
        if self.from_ms is None:
            self.from_ms = captured_ms
        left = np.frombuffer(pcm, dtype="<i2")
        right = self._clara(captured_ms, len(left))
        self._writer.write(left, right)

    def _clara(self, at_ms: float, count: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        silence = np.zeros(count, dtype=np.int16)
        if self._speaking is None:
            return silence
        pcm = self._sent.get(self._speaking, b"")
        first = int((at_ms - self._began_ms) * self._rate_hz / 1000)
        last = first + count * self._rate_hz // RATE_HZ
        if first < 0 or first * 2 >= len(pcm):
            return silence
        samples = np.frombuffer(bytes(pcm[first * 2 : last * 2]), dtype="<i2")
        # Frame by frame: the filter's edges are inaudible in speech, and nothing has to be remembered.
        there = Sound(samples, self._rate_hz).at_rate(RATE_HZ).samples[:count]
        return np.concatenate([there, silence[len(there) :]])

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
