"""Sound values, WAV files and their bad relatives, the voice activity detector."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from clara_kit.audio.pcm import Sound, concat, cough, silence, white_noise
from clara_kit.audio.vad import speech_spans
from clara_kit.audio.voice import OfflineVoice
from clara_kit.audio.wav import WavWriter, read_wav, write_wav
from clara_kit.core.errors import AudioError


def tone(ms: float = 500, rate_hz: int = 16_000) -> Sound:
    t = np.arange(round(ms * rate_hz / 1000)) / rate_hz
    return Sound((8000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16), rate_hz)


def test_a_wav_file_comes_back_as_it_was_and_at_another_rate(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone())
    assert read_wav(tmp_path / "a.wav") == tone()
    assert read_wav(tmp_path / "a.wav", rate_hz=8000).duration_ms == pytest.approx(500, abs=1)


@pytest.mark.parametrize("bits", [8, 24, 32])
def test_other_sample_widths_are_read(tmp_path: Path, bits: int) -> None:
    samples = tone().samples.astype(np.int64)
    if bits == 8:
        body = ((samples >> 8) + 128).astype(np.uint8).tobytes()
    elif bits == 24:
        body = b"".join(int(s << 8).to_bytes(3, "little", signed=True) for s in samples)
    else:
        body = (samples << 16).astype("<i4").tobytes()
    width = bits // 8
    head = (
        b"RIFF"
        + struct.pack("<I", 36 + len(body))
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 16000 * width, width, bits)
    )
    (tmp_path / "a.wav").write_bytes(head + b"data" + struct.pack("<I", len(body)) + body)
    assert np.abs(read_wav(tmp_path / "a.wav").samples.astype(int) - samples).max() <= 256


def test_a_growing_file_can_be_played_before_it_is_closed(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", rate_hz=16_000, channels=2)
    for _ in range(3):
        writer.write(tone(1000).samples, tone(1000).samples)
    assert read_wav(tmp_path / "a.wav").duration_ms >= 2000
    writer.close()
    assert read_wav(tmp_path / "a.wav").duration_ms == 3000


def test_what_was_written_is_there_after_every_write_whatever_comes_next(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", rate_hz=16_000)
    for n in range(1, 5):
        writer.write(tone(20).samples)
        (tmp_path / "as_a_crash_leaves_it.wav").write_bytes((tmp_path / "a.wav").read_bytes())
        assert read_wav(tmp_path / "as_a_crash_leaves_it.wav").duration_ms == 20 * n


@pytest.mark.parametrize("name", ["a.flac", "a.ogg"])
def test_other_kinds_of_files_are_read(tmp_path: Path, name: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / name, tone().samples, 16_000)
    assert read_wav(tmp_path / name).duration_ms == 500
    assert name == "a.ogg" or read_wav(tmp_path / name) == tone()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a WAV"),
        (b"ID3 an mp3", "not a WAV"),
        (b"RIFF\0\0\0\0WAVEfmt ", "truncated"),
        ("cut", "truncated"),
        ("empty", "no sound"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path: Path, content: bytes | str, says: str) -> None:
    path = tmp_path / "bad.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write_wav(path, tone() if content == "cut" else silence(0, 16_000))
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(AudioError, match=says):
        read_wav(path)
    if content == "cut":
        assert read_wav(path, allow_truncated=True).duration_ms > 0


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(AudioError, match="whole number"):
        Sound.from_bytes(b"abc", 16_000)


def test_the_detector_hears_speech_and_neither_silence_nor_noise_nor_a_cough() -> None:
    speech = OfflineVoice().synthesize("¿Qué limpiador me recomiendas?").sound.at_rate(16_000)
    scene = concat(silence(700, 16_000), speech, silence(700, 16_000))
    ((start, end),) = speech_spans(scene)
    assert start == pytest.approx(700, abs=100)
    assert end == pytest.approx(700 + speech.duration_ms, abs=400)
    for nothing in (silence(1000, 16_000), white_noise(2000, 16_000), cough()):
        assert speech_spans(nothing) == []
