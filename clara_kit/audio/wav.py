"""Sound files: read with clear errors; WAV files written whole, or written while they grow."""

from __future__ import annotations

import io
import wave
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from clara_kit.audio.pcm import Samples, Sound, clipped
from clara_kit.core.errors import AudioError


def read_wav(path: str | Path, *, rate_hz: int | None = None, allow_truncated: bool = False) -> Sound:
    """A WAV (FLAC, OGG) file as mono sound, resampled to `rate_hz` if given; channels are averaged.

    Raises `AudioError` for what cannot be read or is no such file, is empty, or shorter than its header says (with
    `allow_truncated`, what is there is taken), and where the extra `audio` is not installed.
    """
    try:
        import soundfile  # type: ignore[import-untyped]

        data = Path(path).read_bytes()
        is_wav = data[:4] == b"RIFF" and data[8:12] == b"WAVE"
        frames, rate = soundfile.read(io.BytesIO(data), always_2d=True)
    except ImportError as exc:
        raise AudioError("Reading sound needs soundfile.", hint='pip install "clara-kit[audio]".') from exc
    except OSError as exc:
        raise AudioError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    except (RuntimeError, ValueError) as exc:  # soundfile's own errors are of the first
        kind = "damaged, truncated or compressed" if is_wav else "not a WAV file"
        raise AudioError(f"{path} is {kind}.", hint="convert it to 16-bit PCM WAV first.") from exc
    if is_wav and len(data) < int.from_bytes(data[4:8], "little") + 8 and not allow_truncated:
        hint = "copy it again, or read it with allow_truncated=True to take what is there."
        raise AudioError(f"{path} is truncated: its header announces more than is there.", hint=hint)
    if not len(frames):
        raise AudioError(f"{path} holds no sound.", hint="was the recording stopped before it began?")
    return clipped(frames.mean(axis=1) * 32768, rate).at_rate(rate if rate_hz is None else rate_hz)


def write_wav(path: str | Path, *channels: Sound) -> None:
    """Write one file with a channel for each sound; shorter ones are filled with silence."""
    if not channels:
        raise AudioError("A WAV file needs at least one channel.")
    rows = [c.at_rate(channels[0].rate_hz).samples for c in channels]
    with WavWriter(path, rate_hz=channels[0].rate_hz, channels=len(rows)) as writer:
        writer.write(*(np.pad(row, (0, max(map(len, rows)) - len(row))) for row in rows))


def wav_bytes(sound: Sound) -> bytes:
    """The sound as a WAV file that is in no folder: for a page to play."""
    file = io.BytesIO()
    with wave.open(file, "wb") as made:
        made.setparams((1, 2, sound.rate_hz, 0, "NONE", ""))
        made.writeframes(sound.to_bytes())
    return file.getvalue()


class WavWriter(AbstractContextManager["WavWriter"]):
    """A WAV file that grows. Sound and then header are on their way to the disk after each `write`, so that a crash
    at any moment leaves a file that can be played."""

    def __init__(self, path: str | Path, *, rate_hz: int, channels: int = 1) -> None:
        self._file, self._channels = Path(path).open("wb"), channels  # noqa: SIM115 - closed by close()
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115
        self._wave.setparams((channels, 2, rate_hz, 0, "NONE", ""))
        self.write(*[np.zeros(0, np.int16)] * channels)

    def write(self, *channels: Samples) -> None:
        """Append samples, one row for each channel, all of equal length."""
        if len(channels) != self._channels or len({len(c) for c in channels}) != 1:
            raise AudioError(f"Expected {self._channels} rows of equal length.")
        self._wave.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())
        self._file.flush()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._wave.close()
        self._file.close()

    def __exit__(self, *_: object) -> None:
        self.close()
