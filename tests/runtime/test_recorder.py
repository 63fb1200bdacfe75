"""The recording of a conversation: the customer left, Clara right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from clara_kit.audio.pcm import white_noise
from clara_kit.core.events import SpeakingInterrupted, SpeakingStarted
from clara_kit.runtime.ears import AWAITED, FRAME_BYTES, FRAME_MS, Recorder


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000, 48_000])
def test_clara_is_recorded_frame_by_frame_as_if_at_once(tmp_path: Path, rate_hz: int) -> None:
    sound = white_noise(990, 16_000, dbfs=-12).at_rate(rate_hz)
    recorder = Recorder(tmp_path / "conversation.wav")
    recorder.sent(1, sound.to_bytes(), rate_hz)
    recorder.saw(SpeakingStarted(at_ms=100.0, utterance_id=1))
    for number in range(60):
        recorder.frame(bytes(FRAME_BYTES), 100.0 + number * FRAME_MS)
    recorder.close()
    right = soundfile.read(tmp_path / "conversation.wav", dtype="int16")[0][:, 1].astype(int)
    whole = sound.at_rate(16_000).samples
    assert np.abs(right[: len(whole)] - whole).max() <= 200  # a clipped edge of the filter was 2,000 and more
    assert not right[len(whole) + 16 :].any()


def test_sound_that_is_never_heard_is_not_kept_for_ever(tmp_path: Path) -> None:
    recorder, pcm = Recorder(tmp_path / "conversation.wav"), white_noise(20, 16_000, dbfs=-12).to_bytes()
    recorder.sent(1, pcm, 16_000)
    recorder.saw(SpeakingStarted(at_ms=0.0, utterance_id=1))
    for utterance_id in range(2, 1000):  # each silenced before it began
        recorder.sent(utterance_id, pcm, 16_000)
    assert 1 in recorder._sent and 999 in recorder._sent and len(recorder._sent) == AWAITED
    recorder.saw(SpeakingInterrupted(at_ms=20.0, utterance_id=999))
    assert 999 not in recorder._sent
    recorder.close()
