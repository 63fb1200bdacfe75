"""A voice without the silence at the head of its sound, which the avatar would have to play before anybody hears a word.

Around any voice. What is held back is told of by nobody, so the first sound of an utterance is the first that can be heard.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from msgspec.structs import replace

from clara_kit.audio.lead import BETWEEN_MS, HEAD_MS, Trimmer
from clara_kit.providers.base import Warms
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, TTSProvider, Voiced
from clara_kit.providers.tts.flushing import Flushed, Flushes


class TrimmedVoice:
    """See `TTSProvider`. 20 ms of silence are left before an utterance, 80 ms before each later flush of it."""

    def __init__(self, inner: TTSProvider) -> None:
        self.inner, self.rate_hz = inner, inner.rate_hz
        self._flushes = inner.flushes if isinstance(inner, Flushed) else Flushes()

    async def warm(self) -> None:
        """See `Warms`."""
        if isinstance(self.inner, Warms):
            await self.inner.warm()

    async def aclose(self) -> None:
        """See the Protocol."""
        await self.inner.aclose()

    @asynccontextmanager
    async def speak(self, pieces: AsyncIterator[str]) -> AsyncIterator[Voiced]:
        """See the Protocol."""
        async with self.inner.speak(pieces) as sound, aclosing(_trimmed(sound, self.rate_hz, self._flushes)) as heard:
            yield heard


async def _trimmed(sound: Voiced, rate_hz: int, flushes: Flushes) -> AsyncGenerator[AudioChunk | PiecesVoiced]:
    trimmer, leave_ms = Trimmer(rate_hz), HEAD_MS
    async for item in sound:
        if isinstance(item, AudioChunk):
            before_ms = trimmer.cut_ms
            pcm, leave_ms = trimmer.take(item.pcm), BETWEEN_MS
            flushes.cut(trimmer.cut_ms - before_ms)
        else:
            pcm = trimmer.end()
        if pcm:
            yield AudioChunk(pcm)
        if isinstance(item, PiecesVoiced):
            cut_ms = trimmer.cut_ms
            words = tuple(replace(word, end_ms=max(0.0, word.end_ms - cut_ms)) for word in item.words)
            yield PiecesVoiced(item.pieces, max(0.0, item.audio_ms - cut_ms), words)
            trimmer.begin(leave_ms)
    if pcm := trimmer.end():
        yield AudioChunk(pcm)
