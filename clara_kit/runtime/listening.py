"""The local ear: a VAD beside the recogniser, so that a short sound can be told from speech at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clara_kit.audio.vad import VoiceActivityDetector
from clara_kit.core.clock import Clock
from clara_kit.core.events import Event, SpeechEnded, SpeechStarted
from clara_kit.runtime.microphone import RATE_HZ

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
