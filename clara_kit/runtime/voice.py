"""The voice of one conversation, which may be exchanged for another vendor's while an avatar speaks with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from clara_kit.core.errors import SettingsError
from clara_kit.providers.base import Warms
from clara_kit.providers.tts.base import TTSProvider, Voiced


class ExchangedVoice:
    """A voice that is the first or the other one; whoever began to speak goes on with the voice it began with.

    other: makes the other; raises `SettingsError` where there is none.
    """

    def __init__(self, first: TTSProvider, other: Callable[[], TTSProvider]) -> None:
        self.first = self._now = first
        self._make_other = other
        self._other: TTSProvider | None = None
        self.rate_hz = first.rate_hz

    def exchange(self, *, other: bool) -> None:
        """Every utterance from now on is spoken by this one. Raises `SettingsError`, and changes nothing."""
        if other and self._other is None:
            made = self._make_other()
            if made.rate_hz != self.rate_hz:
                raise SettingsError(f"The other voice gives {made.rate_hz} samples a second, not {self.rate_hz}.")
            self._other = made
        self._now = self._other if other and self._other is not None else self.first

    async def warm(self) -> None:
        """See `Warms`."""
        if isinstance(self._now, Warms):
            await self._now.warm()

    async def probe(self) -> None:
        """Connect the first voice anew, which is not spoken with. Raises `ProviderError`."""
        if isinstance(self.first, Warms):
            await self.first.aclose()  # a socket that stands may be the very one on which nothing comes
            await self.first.warm()

    def speak(self, pieces: AsyncIterator[str]) -> AbstractAsyncContextManager[Voiced]:
        """See the Protocol."""
        return self._now.speak(pieces)

    async def aclose(self) -> None:
        """Close both."""
        for voice in (self.first, self._other):
            if voice is not None:
                await voice.aclose()
