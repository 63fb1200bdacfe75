"""The Protocol of every recogniser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from clara_kit.core.events import Event


class STTProvider(Protocol):
    """Turns a stream of sound into events.

    Entering connects (or raises `ProviderRefused` / `ProviderUnavailable`); leaving closes within a second,
    whatever the far end does. `events()` gives SpeechStarted, TranscriptInterim..., and for each utterance
    exactly one TranscriptFinal with all final segments joined (or one SpeechEnded where no words came; before that
    an empty TranscriptFinal where interim words are withdrawn);
    after a failure one ProviderFailed, then it ends (but see `Reopens`). It is iterated once.
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

    async def finish(self) -> None:
        """No more sound will come: let the recogniser finish what it has; `events()` then ends."""

    def events(self) -> AsyncIterator[Event]: ...


@runtime_checkable
class Reopens(Protocol):
    """A recogniser whose broken connection can be opened again, so that no word is lost. Optional.

    `events()` of such a one tells a break by one ProviderFailed. Is that retryable, then it stays open and
    waits for `reopen()`, which may be called at any time and again after it failed; `send` goes on keeping
    sound. Is it not, or is the recogniser left, then `events()` ends, after a last TranscriptFinal if some
    words of an unfinished utterance were final. When to try and when to give up is the caller's to decide,
    and so is telling ProviderRecovered.
    """

    async def reopen(self) -> None:
        """Connect once more, now, and send again what no final result covers.

        Raises `ProviderError` if it cannot: its `kind` and `retryable` say whether another try may help.
        Returns when connected; where the break came of silence, it first waits (for as long as it takes) for
        somebody to speak. Sound that did not keep is told by ProviderWarned. To be cancelled before leaving.
        """


@runtime_checkable
class Finalizes(Protocol):
    """A recogniser that can be asked for its words before the silence is over. Optional."""

    async def finalize(self, *, over: bool = True) -> None:
        """Give the final words of what has been sent so far; not `over`: as interim words, for more will come.

        Never raises for a broken connection.
        """


async def finalize(stt: STTProvider | None, *, over: bool = True) -> None:
    """Ask a recogniser for its words, if there is one that can be asked."""
    if isinstance(stt, Finalizes):
        await stt.finalize(over=over)


@runtime_checkable
class ToldLines(Protocol):
    """A simulated recogniser: it has no ears and is told what is said. Optional."""

    needs_sound: bool
    """Whether `send` must be given sound even while nobody speaks; every other recogniser does need it."""

    def expect(self, line: Any, start_ms: float) -> None:
        """The customer begins this line (a `world.script.Line`) at `start_ms` on the conversation's clock."""
