"""WAV files: read with clear errors, written whole, or written while they grow."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from clara_kit.audio.pcm import Samples, Sound
from clara_kit.core.errors import AudioError

_PCM, _EXTENSIBLE = 1, 0xFFFE


def read_wav(path: str | Path, *, rate_hz: int | None = None, allow_truncated: bool = False) -> Sound:
    """A WAV file as mono sound, resampled to `rate_hz` if given; channels are averaged.

    PCM of 8, 16, 24 or 32 bits. Raises `AudioError` for what is no WAV, compressed, empty, or shorter than its
    header says (with `allow_truncated`, what is there is taken).
    """
    try:
        data = Path(path).read_bytes()
    except OSError as exc:
        raise AudioError(f"{path} cannot be read: {exc.strerror}.") from exc
    channels, rate, bits, pcm, announced = _parse(data, str(path))
    frame = channels * bits // 8
    if len(pcm) < announced and not allow_truncated:
        raise AudioError(
            f"{path} is truncated: its header announces {announced} bytes of sound, {len(pcm)} are there.",
            hint="copy it again, or read it with allow_truncated=True to take what is there.",
        )
    pcm = pcm[: len(pcm) // frame * frame]
    if not pcm:
        raise AudioError(f"{path} holds no sound.", hint="was the recording stopped before it began?")
    mixed = _samples(pcm, bits).reshape(-1, channels).mean(axis=1)
    sound = Sound(np.clip(np.rint(mixed), -32768, 32767).astype(np.int16), rate)
    return sound if rate_hz is None else sound.at_rate(rate_hz)


def write_wav(path: str | Path, *channels: Sound) -> None:
    """Write one file with a channel for each sound; shorter ones are filled with silence."""
    if not channels:
        raise AudioError("A WAV file needs at least one channel.")
    rate_hz = channels[0].rate_hz
    rows = [c.at_rate(rate_hz).samples for c in channels]
    longest = max(map(len, rows))
    with WavWriter(path, rate_hz=rate_hz, channels=len(rows)) as writer:
        writer.write(*(np.pad(row, (0, longest - len(row))) for row in rows))


class WavWriter:
    """A WAV file that grows. Its header is brought up to date at least every second of sound, so that a crash
    leaves a file that can be played."""

    def __init__(self, path: str | Path, *, rate_hz: int, channels: int = 1) -> None:
        self._file: BinaryIO = Path(path).open("wb")  # noqa: SIM115 - closed by close()
        self._rate_hz, self._channels = rate_hz, channels
        self._bytes = self._announced = 0
        self._write_header()

    def write(self, *channels: Samples) -> None:
        """Append samples, one row for each channel, all of equal length."""
        if len(channels) != self._channels or len({len(c) for c in channels}) != 1:
            raise AudioError(f"Expected {self._channels} rows of equal length.")
        data = np.stack(channels, axis=1).astype("<i2").tobytes()
        self._file.write(data)
        self._bytes += len(data)
        if self._bytes - self._announced >= self._rate_hz * self._channels * 2:
            self._write_header()

    def close(self) -> None:
        """Bring the header up to date and close. May be called twice."""
        if not self._file.closed:
            self._write_header()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_header(self) -> None:
        width = self._channels * 2
        self._file.seek(0)
        self._file.write(b"RIFF" + struct.pack("<I", 36 + self._bytes) + b"WAVEfmt ")
        self._file.write(
            struct.pack("<IHHIIHH", 16, _PCM, self._channels, self._rate_hz, self._rate_hz * width, width, 16)
        )
        self._file.write(b"data" + struct.pack("<I", self._bytes))
        self._file.seek(0, 2)
        self._file.flush()
        self._announced = self._bytes


def _parse(data: bytes, name: str) -> tuple[int, int, int, bytes, int]:
    """(channels, rate, bits, sound, bytes announced) of a RIFF file."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise AudioError(f"{name} is not a WAV file.", hint="convert it to 16-bit PCM WAV first.")
    at, form = 12, None
    while at + 8 <= len(data):
        tag, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        if tag == b"fmt " and len(body) >= 16:
            form = struct.unpack("<HHIIHH", body[:16])
            if form[0] == _EXTENSIBLE and len(body) >= 26:
                form = (int.from_bytes(body[24:26], "little"), *form[1:])
        elif tag == b"data":
            if form is None:
                raise AudioError(f"{name} has sound before its format.", hint="the file is damaged.")
            code, channels, rate, _, _, bits = form
            if code != _PCM or bits not in (8, 16, 24, 32) or not channels or not rate:
                raise AudioError(
                    f"{name} is not plain PCM (format {code}, {bits} bits, {channels} channels, {rate} Hz).",
                    hint="convert it to 16-bit PCM WAV first.",
                )
            return channels, rate, bits, body, size
        at += 8 + size + size % 2
    raise AudioError(f"{name} is truncated: its header ends before the sound begins.", hint="copy it again.")


def _samples(pcm: bytes, bits: int) -> npt.NDArray[Any]:
    """Samples scaled to 16 bits, as floats."""
    if bits == 8:
        return (np.frombuffer(pcm, dtype=np.uint8).astype(np.float64) - 128) * 256
    if bits == 24:
        triples = np.frombuffer(pcm, dtype=np.uint8).reshape(-1, 3).astype(np.int32)
        whole = (triples[:, 0] << 8) | (triples[:, 1] << 16) | (triples[:, 2] << 24)
        return whole.astype(np.float64) / 65536
    if bits == 32:
        return np.frombuffer(pcm, dtype="<i4").astype(np.float64) / 65536
    return np.frombuffer(pcm, dtype="<i2").astype(np.float64)
