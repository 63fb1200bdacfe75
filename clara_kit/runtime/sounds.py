"""The sound that is kept of what Clara often says, for the voices of one conversation: what is worth it, and when it is made.

Used by `services.py`, which makes the voices, and by `kept.py`, which knows the answers. What is kept is `providers/tts/kept.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from clara_kit.audio.spoken import Pronunciation
from clara_kit.core.errors import ProviderError
from clara_kit.core.outside import place

if TYPE_CHECKING:
    from clara_kit.providers.tts.base import TTSProvider
    from clara_kit.providers.tts.kept import KeptVoice, SoundStore

log = logging.getLogger("clara_kit.runtime")


class Sounds:
    """`voice`: the one that was made last. kept_in: a folder; None: what is kept is forgotten with this."""

    def __init__(self, kept_in: Path | None, often: Iterable[str] = ()) -> None:
        """often: what is worth keeping whenever it is spoken."""
        self._path = None if kept_in is None else kept_in / "sounds.sqlite3"
        self._often = set(often)
        self._stores: dict[tuple[str, ...], SoundStore] = {}
        self.voice: KeptVoice | None = None
        self._making = asyncio.Lock()

    def keeping(self, voice: TTSProvider, name: tuple[str, ...], pronunciation: Pronunciation) -> TTSProvider:
        """The same voice, which gives what is kept at once. name: all that makes its sound but the words."""
        from clara_kit.providers.tts.kept import KeptVoice, SoundStore

        if name not in self._stores:
            self._stores[name] = SoundStore(self._path, voice=name, pronunciation=pronunciation, rate_hz=voice.rate_hz)
        self.voice = KeptVoice(voice, self._stores[name], keep=self._often.__contains__)
        return self.voice

    def worth(self, pieces: Iterable[str]) -> None:
        """Keep the sound of these when they are spoken."""
        self._often.update(pieces)

    async def prepare(self, pieces: Iterable[str]) -> None:
        """Let the sound of these be made now, one after the other. What cannot be made is made when it is spoken."""
        if (voice := self.voice) is None:
            return
        async with self._making:
            try:
                await voice.prepare(pieces)
            except ProviderError as exc:
                log.info("sound could not be made before it is needed: %s", exc.message)
            except Exception as exc:
                log.error("preparing sound failed: %s", place(exc))
