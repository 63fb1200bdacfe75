"""The Protocol of every avatar."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from clara_kit.core.events import Event


class AvatarProvider(Protocol):
    """Speaks utterances, one at a time, and tells what became of each.

    Entering opens the session (or raises `ProviderRefused` / `ProviderUnavailable`); leaving ends it within
    a second. For each utterance `events()` gives SpeechSent per piece, FirstAudio, SpeechVoiced...,
    SpeakingStarted, and then exactly one of SpeakingEnded, SpeakingInterrupted or
    ProviderFailed(utterance_id). After a failure of the session itself: one ProviderFailed without an
    utterance, then it ends. It is iterated once.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        """Queue the next piece; returns at once. A new utterance id begins a new utterance."""

    async def end_speech(self, utterance_id: int) -> None:
        """No more pieces will come for this utterance."""

    async def interrupt(self, utterance_id: int) -> None:
        """Silence this utterance and drop what of it is on the way. Returns when the order is on its way too."""

    def events(self) -> AsyncIterator[Event]: ...


@runtime_checkable
class TapsAudio(Protocol):
    """An avatar that gets its sound from here, and so can give a copy of it away. Optional."""

    on_audio: Callable[[int, bytes], None] | None
    """`on_audio(utterance_id, pcm)` gets each chunk as it is sent: 16-bit little-endian mono at the voice's
    `rate_hz`. Must return at once and not raise. None: nobody listens."""


@runtime_checkable
class Ducks(Protocol):
    """An avatar whose loudness can be set from here, because its sound is played by this process. Optional.

    LiveAvatar and HeyGen have no message for it: the volume is the viewer's, in the room where it is seen. For them, as for
    whatever `TapsAudio`, whoever plays the sound lowers it (the desk's page, the recording); where nobody does, the
    conversation still holds back the next piece.
    """

    def duck(self, on: bool) -> None:
        """Lower what sounds by about 12 dB within 40 ms, or bring it back within 100 ms. Must return at once and not
        raise; a new utterance begins at its full loudness, and an order when nothing sounds does nothing."""
