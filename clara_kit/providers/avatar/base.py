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


class Backup(AvatarProvider, Protocol):
    """The avatar vendor's own assistant, for the time when ours fails: it answers, speaks, and if it must it hears.

    It was told our prompt and the last turns when its session was opened. `speak` repeats our text with the vendor's
    voice, as every avatar does. For what it is asked, `events()` gives ReplyStarted, ReplyDelta..., ReplyCompleted of
    the reply; SpeechSent, FirstAudio (estimated) and SpeakingStarted of the utterance, whose one piece is number 0; and
    then one of SpeakingEnded, SpeakingInterrupted or ProviderFailed(service="backup", reply_id, utterance_id). All
    words come before SpeakingEnded. While it `hears`, also SpeechStarted and SpeechEnded (source "vendor") and one
    TranscriptFinal for each thing the customer says. After a failure of the session: one ProviderFailed
    (service="backup") without ids, then it ends.
    """

    hears: bool
    """Whether it listens to the customer. May be set at any time; what it still says of her after that is not told."""

    async def ask(self, turn_id: int, reply_id: int, utterance_id: int, text: str, *, heard: bool = False) -> None:
        """Let it answer `text` aloud, as this reply and this utterance; returns when the order is on its way.

        heard: it has heard the customer say so, and answers already; its answer gets these ids, whenever it comes.
        An answer to what it heard that is asked for by nobody is silenced after a while.
        """

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """The customer's sound, 16 kHz, 16-bit little-endian mono; passed over unless it `hears`. Never raises for a
        broken connection: that is told once, by `events()`."""


@runtime_checkable
class TapsAudio(Protocol):
    """An avatar that gets its sound from here, and so can give a copy of it away. Optional."""

    on_audio: Callable[[int, bytes], None] | None
    """`on_audio(utterance_id, pcm)` gets each chunk as it is sent: 16-bit little-endian mono at the voice's
    `rate_hz`. Must return at once and not raise. None: nobody listens."""


@runtime_checkable
class Foretold(Protocol):
    """An avatar that is told before which texts are spoken from kept sound: a simulated one cannot look. Optional."""

    foretell: Callable[[str], object]
    """`foretell(text)`: the next piece of these words has its sound at once."""


@runtime_checkable
class Wakes(Protocol):
    """An avatar that can begin with silence, before there is anything to say. Optional.

    Whether a vendor's begins the sooner for it is not published.
    """

    def wake(self, on: bool) -> None:
        """Begin with silence, as the next utterance, or stop that, for nothing will come. Must return at once and not raise;
        while it speaks, and where it was woken already, an order to begin does nothing."""


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
