"""The Protocol of every recogniser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol, Self

from clara_kit.core.events import Event


class STTProvider(Protocol):
    """Turns a stream of sound into events.

    Entering connects (or raises `ProviderRefused` / `ProviderUnavailable`); leaving closes within a second,
    whatever the far end does. `events()` gives SpeechStarted, TranscriptInterim..., and for each utterance
    exactly one TranscriptFinal with all final segments joined (or one SpeechEnded where no words came);
    after a failure one ProviderFailed, then it ends. It is iterated once.
    """

    rate_hz: int
    """Samples per second that `send` expects (16-bit little-endian mono)."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """Give the next frame; `captured_ms` is when its first sample was heard, on the conversation's clock.

        Never raises for a broken connection: that is told once, by `events()`.
        """
        ...

    async def finish(self) -> None:
        """No more sound will come: let the recogniser finish what it has; `events()` then ends."""
        ...

    def events(self) -> AsyncIterator[Event]: ...
