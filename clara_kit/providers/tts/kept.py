"""Sound that is kept, so that what Clara often says is heard at once: openers, her greeting, answers to frequent questions.

`SoundStore` keeps it, on disk if wanted; `KeptVoice` stands around any voice, gives what is kept, and lets the voice speak
the rest, in one utterance without a seam. Nothing of the customer's is kept: who says what is worth it is asked (`keep`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from msgspec.structs import replace

from clara_kit.audio.lead import trimmed
from clara_kit.audio.spoken import Pronunciation, spoken
from clara_kit.providers.base import Warms
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, TTSProvider, Voiced
from clara_kit.providers.tts.flushing import Flushed, Flushes
from clara_kit.store import Store

LONGEST_MS = 20_000.0  # of one piece: a longer one is no phrase that is said often
MEMORY_BYTES = 16_000_000  # five and a half minutes
KEPT_DAYS = 90.0
_BEGINS = "sound/1/"  # the number tells how the sound was cut


class SoundStore:
    """The sound of texts as one voice says them, without the silence at its ends; the oldest go first.

    voice: all that makes the sound but the words, such as mode, vendor, name and speed. path: None keeps it in memory.
    most: how many sounds are kept on disk. Never raises for what a disk does (`warnings` tells).
    """

    def __init__(
        self,
        path: Path | None,
        *,
        voice: tuple[str, ...],
        pronunciation: Pronunciation,
        rate_hz: int = 24_000,
        most: int = 300,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rate_hz, self._most, self._pronunciation = rate_hz, most, pronunciation
        self._voice = [*voice, str(rate_hz), repr(pronunciation)]
        self._store = None if path is None else Store(path, clock=clock)
        self._there: set[str] | None = None  # keys of what is on the disk
        self._memory: dict[str, bytes] = {}  # the last used at the end
        self._bytes = 0
        self._lock = threading.Lock()  # of the memory: sound is kept beside what is spoken

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong with the disk."""
        return self._store.warnings if self._store is not None else ()

    def open(self) -> None:
        """Look what there is on the disk; done once, and at the latest when something is asked for."""
        if self._there is None:
            self._there = set(self._store.tags(_BEGINS)) if self._store is not None else set()

    def has(self, text: str) -> bool:
        """Whether the sound of this text is kept, as far as is known without looking at it."""
        self.open()
        key = self._key(text)
        return key in self._memory or key in (self._there or ())

    def get(self, text: str) -> bytes | None:
        """Its sound, 16-bit little-endian mono; None where there is none, or none that is whole."""
        self.open()
        key = self._key(text)
        if (pcm := self._memory.get(key)) is not None:
            self._remember(key, pcm)
            return pcm
        entry = self._store.get(key) if self._store is not None and self._there and key in self._there else None
        if entry is not None and self._fits(entry.value):
            self._remember(key, entry.value)
            return entry.value
        (self._there or set()).discard(key)
        return None

    def put(self, text: str, pcm: bytes) -> bool:
        """Keep the sound of a text; False where nothing is heard in it, or it is too long."""
        self.open()
        key, pcm = self._key(text), trimmed(pcm, self.rate_hz)
        if not key or not self._fits(pcm):
            return False
        self._remember(key, pcm)
        if self._store is not None and self._store.put(key, pcm, ttl_s=KEPT_DAYS * 86_400, tag=key):
            assert self._there is not None
            self._there.add(key)
            if len(self._there) > self._most:
                self._store.shrink(_BEGINS, self._most)
                self._there = set(self._store.tags(_BEGINS))
        return True

    def _fits(self, pcm: bytes) -> bool:
        return 0 < len(pcm) <= LONGEST_MS * self.rate_hz * 2 / 1000 and len(pcm) % 2 == 0

    def _remember(self, key: str, pcm: bytes) -> None:
        with self._lock:
            self._bytes += len(pcm) - len(self._memory.pop(key, b""))
            self._memory[key] = pcm
            while self._bytes > MEMORY_BYTES:
                self._bytes -= len(self._memory.pop(next(iter(self._memory))))

    def _key(self, text: str) -> str:
        """Of what is said, not of what is written; empty where that is nothing."""
        said = spoken(text, self._pronunciation).text
        if not any(map(str.isalnum, said)):
            return ""
        return _BEGINS + hashlib.sha256(json.dumps([*self._voice, said]).encode()).hexdigest()


@runtime_checkable
class SpeaksByRequest(Protocol):
    """A voice that can also speak a text by a request of its own, beside what it is speaking. Optional."""

    def said(self, text: str) -> str: ...
    def rest(self, text: str) -> AsyncIterator[bytes]: ...


class KeptVoice:
    """See `TTSProvider`. keep: whether the sound of a piece is to be kept that was spoken for the first time, and alone."""

    def __init__(
        self, inner: TTSProvider, sounds: SoundStore, *, keep: Callable[[str], bool] = lambda text: False
    ) -> None:
        self.inner, self.sounds, self.rate_hz = inner, sounds, inner.rate_hz
        self.flushes = inner.flushes if isinstance(inner, Flushed) else Flushes()
        self._keep = keep
        self._keeping: set[asyncio.Future[bool]] = set()

    async def warm(self) -> None:
        """See `Warms`; also looks what is kept."""
        await asyncio.to_thread(self.sounds.open)
        if isinstance(self.inner, Warms):
            await self.inner.warm()

    async def aclose(self) -> None:
        """See the Protocol."""
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await self.inner.aclose()

    async def prepare(self, texts: Iterable[str]) -> int:
        """Make the sound of those that are not kept yet, and keep it: how many were made. Raises `ProviderError`.

        A voice that `SpeaksByRequest` can do so while it speaks; another is held up.
        """
        made = 0
        for text in dict.fromkeys(texts):
            if not await asyncio.to_thread(self.sounds.has, text):
                sound = await self._sound_of(text)
                made += await asyncio.to_thread(self.sounds.put, text, sound)
        return made

    async def _sound_of(self, text: str) -> bytes:
        if isinstance(self.inner, SpeaksByRequest):
            said = self.inner.said(text)
            return b"".join([chunk async for chunk in self.inner.rest(said)]) if said else b""
        async with self.inner.speak(_only(text)) as sound:
            return b"".join([item.pcm async for item in sound if isinstance(item, AudioChunk)])

    @asynccontextmanager
    async def speak(self, pieces: AsyncIterator[str]) -> AsyncIterator[Voiced]:
        """See the Protocol. The voice is not even connected for what is kept."""
        async with aclosing(self._stream(pieces)) as sound:
            yield sound

    async def _stream(self, pieces: AsyncIterator[str]) -> AsyncGenerator[AudioChunk | PiecesVoiced]:
        sounds, done, chars, audio_ms = self.sounds, 0, 0, 0.0
        piece = await anext(pieces, None)
        while piece is not None:
            if (pcm := await asyncio.to_thread(sounds.get, piece)) is not None:  # a disk may take its time
                done, chars = done + 1, chars + len(piece) + 1
                audio_ms += len(pcm) / 2 / self.rate_hz * 1000
                yield AudioChunk(pcm)
                yield PiecesVoiced(done, audio_ms)
                piece = await anext(pieces, None)
                continue
            run = _Run(pieces, piece, sounds.has)
            ends_ms = audio_ms
            async with self.inner.speak(run.pieces()) as voiced, aclosing(self._keeping_of(voiced, run)) as sound:
                async for item in sound:
                    if isinstance(item, PiecesVoiced):
                        ends_ms = audio_ms + item.audio_ms
                        words = (
                            replace(w, char_end=chars + w.char_end, end_ms=audio_ms + w.end_ms) for w in item.words
                        )
                        item = PiecesVoiced(done + item.pieces, ends_ms, tuple(words))
                    yield item
            done, chars = done + len(run.given), chars + sum(len(text) + 1 for text in run.given)
            audio_ms, piece = ends_ms, run.next

    async def _keeping_of(self, voiced: Voiced, run: _Run) -> AsyncGenerator[AudioChunk | PiecesVoiced]:
        """The same; what is worth it is kept, where it is known of which piece it is."""
        pcm, marked = bytearray(), 0
        async for item in voiced:
            if isinstance(item, AudioChunk):
                pcm += item.pcm
            else:
                if item.pieces == marked + 1 and self._keep(text := run.given[marked]):
                    loop = asyncio.get_running_loop()
                    keeping = loop.run_in_executor(None, self.sounds.put, text, bytes(pcm))
                    self._keeping.add(keeping)
                    keeping.add_done_callback(self._keeping.discard)
                pcm, marked = bytearray(), item.pieces
            yield item


class _Run:
    """Pieces one after the other of which none is kept: what the voice speaks at a stretch. `next`: the first after them."""

    def __init__(self, coming: AsyncIterator[str], first: str, kept: Callable[[str], bool]) -> None:
        self.given: list[str] = []
        self.next: str | None = first
        self._coming, self._kept = coming, kept

    async def pieces(self) -> AsyncIterator[str]:
        while self.next is not None and not self._kept(self.next):
            self.given.append(self.next)
            yield self.next
            self.next = await anext(self._coming, None)


async def _only(text: str) -> AsyncIterator[str]:
    yield text
