"""Deepgram's Aura-2 voice (speak v1) on the vendor's SDK: one socket a conversation, few flushes a reply.

Aura speaks only what is flushed, and allows twenty flushes a minute: `flushing.py` says when. It gets what is said
(`audio/spoken.py`), not what is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.audio.spoken import Pronunciation, spoken
from clara_kit.providers import http
from clara_kit.providers.deepgram_connection import HINTS, OPEN_TIMEOUT_S, closed, enter, is_open, leave, make_client
from clara_kit.providers.tts.aura_frames import Frames, code_of, error_of
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, Voiced
from clara_kit.providers.tts.flushing import Flushes, batches, parts

log = logging.getLogger("clara_kit.tts")

SOCKET_LIFE_S = 55 * 60  # Deepgram ends a socket after 60 minutes
RENEWED_S = 50 * 60  # so old, it is replaced where nobody waits for it
CLEAR_TIMEOUT_S = 0.3
LATE_S = 0.02  # once a frame was late, more may be on the way: how long none may come before the next utterance begins
STALL_TIMEOUT_S = 8.0
COALESCED_S = 1.5  # two quick flushes may be acknowledged as one: how long to wait for the second


class DeepgramAuraTTS:
    """See `TTSProvider`. voice: aura-2-<name>-es. speed: 0.7..1.5 (Deepgram advises 0.9 or more for Spanish).

    pronunciation: how names are said (default: `data/pronunciation.csv`).
    """

    rate_hz = 24_000

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "https://api.deepgram.com",
        voice: str = "aura-2-celeste-es",
        speed: float = 1.0,
        pronunciation: Pronunciation | None = None,
        open_timeout_s: float = OPEN_TIMEOUT_S,
    ) -> None:
        self._pronunciation = usual_pronunciation() if pronunciation is None else pronunciation
        self._address, self._key, self._open_timeout_s = base_url, api_key.strip(), open_timeout_s
        self._make_client = partial(make_client, api_key, base_url)
        self._client = self._make_client()
        self._query: dict[str, Any] = {"model": voice, "encoding": "linear16", "sample_rate": self.rate_hz}
        if speed != 1.0:
            self._query["speed"] = speed
        self._connection: Any = None
        self._socket: Any = None
        self._frames = Frames()
        self._opened_s = 0.0
        self.flushes = Flushes()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()

    async def warm(self) -> None:
        """Open the socket before it is needed; one that is about to end is replaced."""
        async with self._here():
            await self._open(RENEWED_S)

    async def aclose(self) -> None:
        """Close the socket."""
        self._here()
        await self._drop()

    def said(self, text: str) -> str:
        """What Aura is given for a written text."""
        return spoken(text, self._pronunciation).text

    @asynccontextmanager
    async def speak(self, pieces: AsyncIterator[str]) -> AsyncIterator[Voiced]:
        """See the Protocol. One utterance at a time: a second waits for the first."""
        async with self._here():
            await self._open()
            self.flushes.begin()
            utterance = _Utterance(self, self._socket, pieces)
            feeding = asyncio.create_task(utterance.feed())
            stream = utterance.stream(feeding)
            try:
                yield stream
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)  # looked at: else asyncio logs the vendor's words
                if not utterance.over:
                    await self._clear()

    async def rest(self, text: str) -> AsyncIterator[bytes]:
        """The same voice by a single request, for what the socket would not flush."""
        self._here()
        query = {**self._query, "container": "none", "request_options": {"chunk_size": 4800}}
        failed = None
        for part in parts(text):
            try:
                async for chunk in self._client.speak.v1.audio.generate(text=part, **query):
                    yield chunk
            except Exception as exc:
                status = getattr(exc, "status_code", None)
                message = f"Deepgram's voice refused a request ({f'HTTP {status}' if status else type(exc).__name__})."
                usual = "it was asked because twenty flushes a minute were used up; wait a minute."
                hint = HINTS[status] if status in (401, 402, 403) else usual
                kind, headers = http.kind_of(status) if status else "unreachable", getattr(exc, "headers", None)
                failed = http.failure(kind, message, hint, headers=headers)
            if failed is not None:
                raise failed

    async def _open(self, life_s: float = SOCKET_LIFE_S) -> None:
        now_s = asyncio.get_running_loop().time()
        usable = self._socket is not None and now_s - self._opened_s < life_s and is_open(self._socket)
        if usable and await self._falls_silent(CLEAR_TIMEOUT_S):
            return
        await self._drop()
        connection = self._client.speak.v1.connect(**self._query)
        where = {"what": "voice", "address": self._address, "key": self._key}
        self._socket = await enter(connection, timeout_s=self._open_timeout_s, **where)
        self._connection, self._opened_s, self._frames = connection, now_s, Frames()

    def _here(self) -> asyncio.Lock:
        """Who may speak. What another event loop has opened is of no use in this one."""
        if self._loop is not (loop := asyncio.get_running_loop()):
            if self._loop is not None:
                self._client, self._connection, self._socket = self._make_client(), None, None
            self._loop, self._lock = loop, asyncio.Lock()
        return self._lock

    async def receive(self) -> Any:
        """The next frame that says something: sound, or what became of a flush or a clear."""
        while True:
            try:
                message = await self._socket.recv()
            except ValueError:  # not JSON
                log.warning("passed over a frame that is not JSON")
            else:
                if self._frames.believe(message):
                    return message

    async def _falls_silent(self, limit_s: float) -> bool:
        """Whether nothing comes any more, after what belongs to no utterance any more has been passed over."""
        quiet_s = 0.0
        try:
            async with asyncio.timeout(limit_s):
                while await self._comes_within(quiet_s):
                    quiet_s = LATE_S
        except Exception as exc:
            log.info("the voice's socket is not to be used again (%s)", type(exc).__name__)
            return False
        self._frames.begin()
        return True

    async def _comes_within(self, time_s: float) -> bool:
        receiving = asyncio.ensure_future(self.receive())
        try:
            await asyncio.wait({receiving}, timeout=time_s)
            return receiving.done() and receiving.result() is not None
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    async def _drop(self) -> None:
        connection, socket = self._connection, self._socket
        self._connection = self._socket = None
        if socket is not None:
            await leave(connection, socket)

    async def _clear(self) -> None:
        """Make the voice forget what it was saying; a socket that does not confirm is dropped."""
        try:
            async with asyncio.timeout(CLEAR_TIMEOUT_S):
                while await self._comes_within(0.0):
                    pass  # no answer to a Clear that is yet to be sent
                await self._socket.send_clear()
                while getattr(await self.receive(), "type", None) != "Cleared":
                    pass
        except Exception as exc:
            log.info("the voice did not confirm Clear (%s); its socket is dropped", type(exc).__name__)
            await self._drop()


class _Utterance:
    """One utterance on the socket."""

    def __init__(self, voice: DeepgramAuraTTS, socket: Any, pieces: AsyncIterator[str]) -> None:
        self._voice, self._socket, self._pieces = voice, socket, pieces
        self._flushed: deque[int] = deque()  # pieces covered by each flush that is not yet acknowledged
        self._sent: list[str] = []  # as they are said
        self._changed = asyncio.Event()  # what is known of the sound
        self._refused = False
        self._patient_ms = 0.0  # until when more sound is waited for
        self._voiced = 0
        self._bytes = 0
        self._coalesced = False  # flushes that were under way when another was acknowledged may have been part of it
        self._guessed = False
        self.over = False
        """Nothing of it is left on the way."""

    async def feed(self) -> None:
        """Send the pieces and flush: the first at once, the others when the sound runs out and at the end."""
        from deepgram.speak.v1.types import SpeakV1Text

        async with aclosing(batches(self._pieces, self._due_s, self._changed)) as together:
            async for batch in together:
                said = [self._voice.said(piece) for piece in batch]
                self._sent += said
                for part in (part for text in said if text for part in parts(text)):
                    await self._socket.send_text(SpeakV1Text(text=part))
                if any(said):
                    await self._flush()

    async def _flush(self) -> None:
        self._progressed()
        self._flushed.append(len(self._sent))
        self._voice.flushes.make(_now_ms())
        await self._socket.send_flush()

    def _progressed(self, sound_ms: float | None = None) -> None:
        """Sound was asked for, all of it came, or so much, which must not come slower than it is played."""
        self._patient_ms = _now_ms() + STALL_TIMEOUT_S * 1000 if sound_ms is None else self._patient_ms + sound_ms

    def _due_s(self) -> float | None:
        """In how many seconds what waits has to be flushed; None while the length of the sound is not known."""
        now_ms = _now_ms()
        due_ms = None if self._flushed or self._refused else self._voice.flushes.due_ms(now_ms)
        return None if due_ms is None else (due_ms - now_ms) / 1000

    async def stream(self, feeding: asyncio.Task[None]) -> Voiced:
        """Sound and marks until all pieces have been spoken."""
        while True:
            if feeding.done() and not self._flushed:
                if not feeding.cancelled() and (error := feeding.exception()) is not None:
                    raise closed(error, "voice")
                if self._voiced < len(self._sent):  # the last flush was refused
                    async for part in self._by_rest():
                        yield part
                self.over = not self._guessed
                return
            message = await self._next(feeding)
            kind = getattr(message, "type", None)
            if isinstance(message, bytes):
                if not self._flushed:
                    continue  # nothing was asked for: it is of an utterance before this one
                self._coalesced = False
                self._bytes += len(message)
                sound_ms = len(message) / 2 / self._voice.rate_hz * 1000
                self._progressed(sound_ms)
                self._voice.flushes.sound(sound_ms, _now_ms())
                yield AudioChunk(message)
            elif kind == "Flushed" and self._flushed:
                self._voiced = self._flushed.popleft()
                self._progressed()
                self._changed.set()
                self._coalesced = bool(self._flushed)
                yield self._mark()
            elif kind == "Error":
                raise error_of(message)
            elif kind == "Warning" and "FLUSH" in code_of(message) and self._flushed:
                self._flushed.pop()  # ignored by the vendor: its text waits for the next flush, or for a request
                self._refused = True

    def _mark(self) -> PiecesVoiced:
        return PiecesVoiced(self._voiced, self._bytes / 2 / self._voice.rate_hz * 1000)

    async def _next(self, feeding: asyncio.Task[None]) -> Any:
        """The next message; None when the feeder ended meanwhile. Raises `ProviderError` for breaks and stalls."""
        coalescing = bool(self._coalesced and self._flushed and feeding.done())
        waiting = asyncio.ensure_future(self._voice.receive())
        others = {waiting} if feeding.done() else {waiting, feeding}
        left_s = max(0.0, min(STALL_TIMEOUT_S, (self._patient_ms - _now_ms()) / 1000))
        timeout_s = COALESCED_S if coalescing else left_s if self._flushed else None
        broken = None
        try:
            await asyncio.wait(others, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
        except Exception as exc:
            broken = closed(exc, "voice")
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        if broken is not None:
            raise broken
        if feeding.done() and len(others) == 2:
            return None
        if coalescing:
            self._flushed, self._guessed = deque([self._flushed[-1]]), True
            return SimpleNamespace(type="Flushed")
        message = f"Deepgram's voice sent nothing for {STALL_TIMEOUT_S:.0f} s, or less than is played in that time."
        raise http.failure("stalled", message, "try again; the service may be overloaded.")

    async def _by_rest(self) -> Voiced:
        """Speak what no flush covered by a request instead, and make the socket forget it."""
        if said := " ".join(filter(None, self._sent[self._voiced :])):
            await self._voice._clear()
            async for chunk in self._voice.rest(said):
                self._bytes += len(chunk)
                yield AudioChunk(chunk)
        self._voiced = len(self._sent)
        yield self._mark()


def _now_ms() -> float:
    return asyncio.get_running_loop().time() * 1000
