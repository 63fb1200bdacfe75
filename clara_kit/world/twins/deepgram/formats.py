"""The formats of `/v1/speak`: what the query asks for, its defaults, and sound written so.

Source: Deepgram's pages on encoding, container, sample rate and bit rate (defaults over REST: MP3 at 22050 Hz; over the
socket: linear16 at 24000 Hz), read 2026-11. AAC is the one that this twin cannot write.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import soundfile  # type: ignore[import-untyped]

from clara_kit.audio.pcm import Sound

_RATES = ("8000", "16000", "24000", "32000", "48000")
_PHONE_RATES = ("8000", "16000")
# encoding: containers (the first is REST's default), rates (the first is the default), content type by container
_ALL: dict[str, tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]] = {
    "linear16": (("wav", "none"), ("24000", *_RATES), {"wav": "audio/wav", "none": "audio/l16"}),
    "mulaw": (("wav", "none"), _PHONE_RATES, {"wav": "audio/wav", "none": "audio/mulaw"}),
    "alaw": (("wav", "none"), _PHONE_RATES, {"wav": "audio/wav", "none": "audio/alaw"}),
    "mp3": (("none",), ("22050",), {"none": "audio/mpeg"}),
    "opus": (("ogg",), ("48000",), {"ogg": "audio/ogg;codecs=opus"}),
    "flac": (("none",), ("48000", "22050", *_RATES), {"none": "audio/flac"}),
}
_WRITTEN = {
    "linear16": "PCM_16",
    "mulaw": "ULAW",
    "alaw": "ALAW",
    "mp3": "MPEG_LAYER_III",
    "opus": "OPUS",
    "flac": "PCM_16",
}
_FILES = {"mp3": "MP3", "opus": "OGG", "flac": "FLAC"}


@dataclass(frozen=True, slots=True)
class Format:
    """One of them. `raw`: samples and nothing else, so that it can be written piece by piece."""

    encoding: str
    container: str
    rate_hz: int

    @property
    def raw(self) -> bool:
        return self.container == "none" and self.encoding not in _FILES

    @property
    def content_type(self) -> str:
        return _ALL[self.encoding][2][self.container]

    def write(self, sound: Sound) -> bytes:
        """The sound, which must be of this rate."""
        if self.raw and self.encoding == "linear16":
            return sound.to_bytes()
        file = io.BytesIO()
        kind = "RAW" if self.raw else _FILES.get(self.encoding, "WAV")
        soundfile.write(file, sound.samples, self.rate_hz, format=kind, subtype=_WRITTEN[self.encoding])
        return file.getvalue()


def format_of(query: Any, *, socket: bool) -> Format | str:
    """What is asked for, or, in the vendor's words, why it is refused."""
    encoding = query.get("encoding", "linear16" if socket else "mp3")
    if encoding not in _ALL or (socket and encoding not in ("linear16", "mulaw", "alaw")):
        return "Unsupported audio format: this encoding is not available here."
    containers, rates, _ = _ALL[encoding]
    container = "none" if socket else query.get("container", containers[0])
    if container not in containers:
        return f"Unsupported audio format: container is not applicable when encoding={encoding}."
    rate = query.get("sample_rate", rates[0])
    if rate not in rates:
        return f"Unsupported audio format: sample_rate must be one of {', '.join(dict.fromkeys(rates))} when encoding={encoding}."
    return Format(encoding, container, int(rate))
