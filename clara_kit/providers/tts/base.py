"""The Protocol of every voice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from clara_kit.core.events import SpokenWord
from clara_kit.providers.base import Warms as Warms


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Some sound of the utterance, in order: 16-bit little-endian mono at the voice's `rate_hz`."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class PiecesVoiced:
    """All sound of the first `pieces` pieces has been given; together they last `audio_ms`.

    `words` (only from voices that know) cover the pieces since the last such mark; `char_end` counts in
    the utterance's pieces joined by single spaces, `end_ms` from the utterance's first sample.
    """

    pieces: int
    audio_ms: float
    words: tuple[SpokenWord, ...] = ()


Voiced: TypeAlias = AsyncIterator[AudioChunk | PiecesVoiced]
"""The stream of one utterance."""


class TTSProvider(Protocol):
    """Speaks one utterance from pieces of text that may still be arriving.

    The stream yields AudioChunk and PiecesVoiced and ends when all pieces have been spoken. It raises
    `ProviderError` on failure. Leaving the context early (barge-in) stops the voice at once.
    """

    rate_hz: int

    def speak(self, pieces: AsyncIterator[str]) -> AbstractAsyncContextManager[Voiced]: ...

    async def aclose(self) -> None:
        """Close kept connections."""
