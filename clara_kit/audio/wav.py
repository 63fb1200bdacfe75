"""Sound files: read with clear errors; WAV files written whole, or written while they grow."""

from __future__ import annotations

import io
import struct
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clara_kit.audio.pcm import Samples, Sound, clipped
from clara_kit.core.errors import AudioError

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")  # RIFF, its size, WAVE, fmt, its size and seven fields, data, its size


def read_wav(path: str | Path, *, rate_hz: int | None = None, allow_truncated: bool = False) -> Sound:
    """A WAV (FLAC, OGG) file as mono sound, resampled to `rate_hz` if given; channels are averaged.

    Raises `AudioError` for what cannot be read or is no such file, is empty, or where the extra `audio` is not
    installed; and for a WAV that is shorter than its header says, or whose header was never finished, as streaming
    writers leave it (with `allow_truncated`, what is there is taken).
    """
    frames, rate = _frames(path, allow_truncated)
    return clipped(np.clip(np.nan_to_num(frames), -1, 1).mean(axis=1) * 32768, rate).at_rate(
        rate if rate_hz is None else rate_hz
    )


def read_channels(path: str | Path) -> tuple[Sound, ...]:
    """Each channel of a sound file by itself; of one that was cut, what is there. Raises `AudioError` as `read_wav` does."""
    frames, rate = _frames(path, allow_truncated=True)
    return tuple(clipped(np.clip(np.nan_to_num(one), -1, 1) * 32768, rate) for one in frames.T)


def _frames(path: str | Path, allow_truncated: bool) -> tuple[npt.NDArray[np.float64], int]:
    """The frames of a sound file, one row each, and how many there are a second."""
    try:
        import soundfile  # type: ignore[import-untyped]

        data = Path(path).read_bytes()
        is_wav = data[:4] == b"RIFF" and data[8:12] == b"WAVE"
        data = _plain_wav(path, data, allow_truncated) if is_wav else data
        frames, rate = soundfile.read(io.BytesIO(data), always_2d=True)
    except ImportError as exc:
        raise AudioError("Reading sound needs soundfile.", hint='pip install "clara-kit[audio]".') from exc
    except OSError as exc:
        raise AudioError(
            f"{path} cannot be read: {exc.strerror or exc}.", hint="give the path of a sound file."
        ) from exc
    except (RuntimeError, ValueError) as exc:  # soundfile's own errors are of the first
        kind = "damaged, truncated or compressed" if is_wav else "not a WAV file"
        raise AudioError(f"{path} cannot be used: it is {kind}.", hint="convert it to 16-bit PCM WAV first.") from exc
    if not len(frames):
        raise AudioError(f"{path} holds no sound.", hint="was the recording stopped before it began?")
    return frames, int(rate)


def _plain_wav(path: str | Path, data: bytes, allow_truncated: bool) -> bytes:
    """The format and the sound of a WAV alone, with true sizes: libsndfile trusts the header, whatever it says."""
    kept, at = b"", 12
    while at + 8 <= len(data):
        name, size, begin = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little"), at + 8
        if name == b"data":
            there = len(data) - begin
            whole = int.from_bytes(data[4:8], "little") + 8 == len(data) and _is_chunk(data, begin)
            unfinished = size == 0 < there and not whole
            if (unfinished or size > there) and not allow_truncated:
                raise AudioError(
                    f"{path} is truncated, or was never finished: its header announces {size} bytes of sound, {there} "
                    "are there.",
                    hint="copy it again, or read it with allow_truncated=True to take what is there.",
                )
            sound = data[begin : None if unfinished else begin + size]
            body = b"WAVE" + kept + b"data" + len(sound).to_bytes(4, "little") + sound
            return b"RIFF" + len(body).to_bytes(4, "little") + body
        if name in (b"fmt ", b"fact"):
            kept += data[at : begin + size]
        at = begin + size
        at += size % 2 and data[at : at + 1] == b"\0"  # odd chunks are filled up, but not by all writers
    return data


def _is_chunk(data: bytes, at: int) -> bool:
    """Whether another chunk begins there, rather than sound: some writers finish one of the two sizes only."""
    name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
    return len(name) == 4 and name.isascii() and name.decode().isprintable() and at + 8 + size <= len(data)


def write_wav(path: str | Path, *channels: Sound) -> None:
    """Write one file with a channel for each sound; shorter ones are filled with silence."""
    if not channels:
        raise AudioError("A WAV file needs at least one channel.")
    rows = [c.at_rate(channels[0].rate_hz).samples for c in channels]
    with WavWriter(path, rate_hz=channels[0].rate_hz, channels=len(rows)) as writer:
        writer.write(*(np.pad(row, (0, max(map(len, rows)) - len(row))) for row in rows))


def wav_bytes(*channels: Sound) -> bytes:
    """Sounds of equal length and rate as a WAV file that is in no folder: for a page to play."""
    data = np.stack([one.samples for one in channels], axis=1).astype("<i2").tobytes()
    return _header(channels[0].rate_hz, len(channels), len(data)) + data


def _header(rate_hz: int, channels: int, data_bytes: int) -> bytes:
    frame_bytes, size = 2 * channels, min(data_bytes, 0xFFFFFFFF - _HEADER.size)
    form = (16, 1, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, 16)
    return _HEADER.pack(b"RIFF", _HEADER.size - 8 + size, b"WAVE", b"fmt ", *form, b"data", size)


class WavWriter(AbstractContextManager["WavWriter"]):
    """A WAV file that grows. Sound and then header are on their way to the disk after each `write`, so that a crash
    at any moment leaves a file that can be played."""

    def __init__(self, path: str | Path, *, rate_hz: int, channels: int = 1) -> None:
        self._file = Path(path).open("wb", buffering=0)  # noqa: SIM115 - closed by close()
        self._rate_hz, self._channels, self._data_bytes = rate_hz, channels, 0
        with suppress(OSError):  # a full disk; it is written again with each sound
            self._put(0, _header(self._rate_hz, self._channels, self._data_bytes))

    def write(self, *channels: Samples) -> None:
        """Append samples, one row for each channel, all of equal length.

        Raises `OSError` where the disk does not take them; what is written later keeps its time, after silence.
        """
        if len(channels) != self._channels or len({len(c) for c in channels}) != 1:
            raise AudioError(f"Expected {self._channels} rows of equal length.")
        data, at = np.stack(channels, axis=1).astype("<i2").tobytes(), _HEADER.size + self._data_bytes
        self._data_bytes += len(data)
        self._put(at, data)
        self._put(0, _header(self._rate_hz, self._channels, self._data_bytes))

    def skip(self, count: int) -> None:
        """So many samples of silence, which take no room on most disks; they count once something follows them."""
        self._data_bytes += 2 * self._channels * count

    def _put(self, at: int, data: bytes) -> None:
        self._file.seek(at)
        while data:
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._file.close()

    def __exit__(self, *_: object) -> None:
        self.close()
