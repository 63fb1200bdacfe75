"""The offline Spanish voice as a TTS provider: no key, no socket, and it knows its own word times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from clara_kit.audio.voice import OfflineVoice
from clara_kit.core.events import SpokenWord
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, Voiced

CHUNK_MS = 100.0


class OfflineTTS:
    """See `TTSProvider`. Each piece is spoken as soon as it comes."""

    rate_hz = 24_000

    def __init__(self, voice: OfflineVoice | None = None) -> None:
        self._voice = voice or OfflineVoice()

    @asynccontextmanager
    async def speak(self, pieces: AsyncIterator[str]) -> AsyncIterator[Voiced]:
        """See the Protocol."""
        stream = self._stream(pieces)
        try:
            yield stream
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    async def _stream(self, pieces: AsyncIterator[str]) -> Voiced:
        count, chars, audio_ms = 0, 0, 0.0
        async for piece in pieces:
            speech = await asyncio.to_thread(self._voice.synthesize, piece)
            sound = speech.sound.at_rate(self.rate_hz)
            for chunk in sound.frames(CHUNK_MS):
                yield AudioChunk(chunk.to_bytes())
            words = tuple(SpokenWord(char_end=chars + w.char_end, end_ms=audio_ms + w.end_ms) for w in speech.words)
            count, chars, audio_ms = count + 1, chars + len(piece) + 1, audio_ms + sound.duration_ms
            yield PiecesVoiced(count, audio_ms, words)

    async def aclose(self) -> None:
        """Nothing is kept open."""
