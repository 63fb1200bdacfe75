"""Sound values, WAV files and their bad relatives, the voice activity detector."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clara_kit.audio.pcm import Resampler, Sound, concat, cough, silence, white_noise
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


LIST = b"LIST" + struct.pack("<I", 18) + b"INFOISFT" + struct.pack("<I", 6) + b"Lavf\0\0"
ODD_LIST = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
FORMS: dict[str, dict[str, Any]] = {
    "8 bit": {"bits": 8},
    "16 bit": {},
    "24 bit stereo": {"bits": 24, "channels": 2},
    "32 bit extensible": {"bits": 32, "extensible": True},
    "float": {"bits": 32, "tag": 3},
    "double stereo extensible": {"bits": 64, "tag": 3, "channels": 2, "extensible": True},
    "a list before": {"before": LIST},
    "an odd list before": {"before": ODD_LIST},
    "an odd list that is not filled up": {"before": ODD_LIST[:-1]},
}


def wav(
    *, bits: int = 16, tag: int = 1, channels: int = 1, extensible: bool = False, before: bytes = b"",
    announces: int | None = None, riff: int | None = None, after: bytes = b"",
) -> bytes:  # fmt: skip
    """`tone` as a WAV file; what its header announces may be something else than what is there."""
    samples, width = tone().samples.repeat(channels).astype(np.int64), bits // 8
    if tag == 3:
        body = (samples / 32768).astype(f"<f{width}").tobytes()
    elif bits == 8:
        body = ((samples >> 8) + 128).astype(np.uint8).tobytes()
    else:
        body = b"".join(int(s << bits - 16).to_bytes(width, "little", signed=True) for s in samples)
    kind = 0xFFFE if extensible else tag
    head = struct.pack("<HHIIHH", kind, channels, 16_000, 16_000 * width * channels, width * channels, bits)
    if extensible:
        head += struct.pack("<HHIH", 22, bits, 0, tag) + bytes.fromhex("000000001000800000aa00389b71")
    size = len(body) if announces is None else announces
    rest = b"WAVEfmt " + struct.pack("<I", len(head)) + head + before + b"data" + struct.pack("<I", size) + body + after
    return b"RIFF" + struct.pack("<I", len(rest) if riff is None else riff) + rest


@pytest.mark.parametrize("form", FORMS)
def test_other_kinds_of_wav_are_read_whatever_the_outer_size_says(tmp_path: Path, form: str) -> None:
    for riff in (None, 0, 36, 0xFFFFFFFF):
        (tmp_path / "a.wav").write_bytes(wav(**FORMS[form], riff=riff))
        sound = read_wav(tmp_path / "a.wav")
        assert len(sound.samples) == 8000
        assert np.abs(sound.samples.astype(int) - tone().samples).max() <= 256


@pytest.mark.parametrize(
    ("announces", "riff"),
    [
        (0, 0),
        (0, 36),
        (0, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, None),
        (0x7FFFF000, 0x7FFFF024),
        (10**6, None),
    ],
)
def test_what_a_streaming_writer_left_is_read_to_its_end_when_allowed_and_else_refused(
    tmp_path: Path, announces: int, riff: int | None
) -> None:
    for form in FORMS.values():
        (tmp_path / "a.wav").write_bytes(wav(**form, announces=announces, riff=riff))
        with pytest.raises(AudioError, match=rf"announces {announces} bytes.*allow_truncated"):
            read_wav(tmp_path / "a.wav")
        sound = read_wav(tmp_path / "a.wav", allow_truncated=True)
        assert np.abs(sound.samples.astype(int) - tone().samples).max() <= 256


def test_a_size_of_zero_is_believed_only_where_no_sound_follows_though_the_outer_size_is_right(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(announces=0))
    sound = read_wav(tmp_path / "a.wav", allow_truncated=True)
    assert np.abs(sound.samples.astype(int) - tone().samples).max() <= 256


def test_a_file_cut_within_a_sample_loses_that_sample_and_a_list_behind_the_sound_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(bits=24, channels=2)[:-5])
    assert len(read_wav(tmp_path / "a.wav", allow_truncated=True).samples) == 7999
    (tmp_path / "a.wav").write_bytes(wav(after=LIST))
    assert read_wav(tmp_path / "a.wav") == read_wav(tmp_path / "a.wav", allow_truncated=True) == tone()
    empty = wav()[:40] + bytes(4) + LIST
    (tmp_path / "a.wav").write_bytes(empty[:4] + struct.pack("<I", len(empty) - 8) + empty[8:])
    with pytest.raises(AudioError, match="no sound"):
        read_wav(tmp_path / "a.wav", allow_truncated=True)


def test_floats_that_are_no_numbers_or_too_loud_are_silence_or_full_scale(tmp_path: Path) -> None:
    odd = np.array([0.5, np.nan, np.inf, -np.inf, 2.0], dtype="<f4").tobytes()
    file = wav(bits=32, tag=3)
    (tmp_path / "a.wav").write_bytes(file[:44] + odd)
    samples = read_wav(tmp_path / "a.wav", allow_truncated=True).samples
    assert samples.tolist() == [16384, 0, 32767, -32768, 32767]


RATES = [(22_050, 16_000), (8000, 16_000), (16_000, 8000), (44_100, 16_000), (11_025, 48_000), (48_000, 16_000)]


@pytest.mark.parametrize(("rate_hz", "to_hz"), RATES)
def test_silence_stays_silence_and_a_constant_constant_at_another_rate(rate_hz: int, to_hz: int) -> None:
    assert silence(1000, rate_hz).at_rate(to_hz) == silence(1000, to_hz)
    constant = Sound(np.full(rate_hz, 1000, np.int16), rate_hz).at_rate(to_hz)
    assert set(constant.between(100, 900).samples.tolist()) == {1000}
    scene = concat(silence(500, rate_hz), white_noise(200, rate_hz, dbfs=-6), silence(500, rate_hz)).at_rate(to_hz)
    assert not scene.between(0, 400).samples.any() and not scene.between(800, 1200).samples.any()
    for count in (1, 7, 100, rate_hz // 3):
        resampled = Sound(np.ones(count, np.int16), rate_hz).at_rate(to_hz)
        assert abs(count * to_hz / rate_hz - len(resampled.samples)) <= 0.5


@pytest.mark.parametrize(("rate_hz", "to_hz"), RATES)
def test_pieces_resampled_in_a_stream_are_the_whole_also_after_an_end(rate_hz: int, to_hz: int) -> None:
    sound, stream = white_noise(1237, rate_hz), Resampler(rate_hz, to_hz)
    for ms in (20, 333):
        pieces = [stream.feed(frame.samples) for frame in sound.frames(ms)]
        pieces.append(stream.feed(np.zeros(0, np.int16), last=True))
        assert Sound(np.concatenate(pieces), to_hz) == sound.at_rate(to_hz)


@pytest.mark.parametrize("rate_hz", [0, -1, float("nan")])
def test_a_rate_that_is_none_is_refused(rate_hz: float) -> None:
    with pytest.raises(AudioError, match="Hz"):
        tone().at_rate(rate_hz)  # type: ignore[arg-type]


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
