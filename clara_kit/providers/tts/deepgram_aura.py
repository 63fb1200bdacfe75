"""Deepgram's Aura-2 voice (speak v1) on the vendor's SDK: one socket a conversation, two flushes a reply.

Aura speaks only what is flushed, and allows twenty flushes a minute: the first piece is flushed at once, so
that Clara begins early, and the rest when the reply is complete.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from clara_kit.providers import http
from clara_kit.providers.deepgram_connection import closed, enter, is_open, leave, make_client
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, Voiced

log = logging.getLogger("clara_kit.tts")

MAX_CHARS = 2000  # in one Speak message (Deepgram's limits page)
SOCKET_LIFE_S = 55 * 60  # Deepgram ends a socket after 60 minutes
CLEAR_TIMEOUT_S = 0.3
STALL_TIMEOUT_S = 8.0
COALESCED_S = 1.5  # two quick flushes may be acknowledged as one: how long to wait for the second


class DeepgramAuraTTS:
    """See `TTSProvider`. voice: aura-2-<name>-es. speed: 0.7..1.5 (Deepgram advises 0.9 or more for Spanish)."""

    rate_hz = 24_000

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "https://api.deepgram.com",
        voice: str = "aura-2-celeste-es",
        speed: float = 1.0,
    ) -> None:
        self._client, self._address, self._key = make_client(api_key, base_url), base_url, api_key.strip()
        self._query: dict[str, Any] = {"model": voice, "encoding": "linear16", "sample_rate": self.rate_hz}
        if speed != 1.0:
            self._query["speed"] = speed
        self._connection: Any = None
        self._socket: Any = None
        self._opened_s = 0.0
        self._lock = asyncio.Lock()

    async def warm(self) -> None:
        """Open the socket before it is needed."""
        async with self._lock:
            await self._open()

    async def aclose(self) -> None:
        """Close the socket."""
        await self._drop()

    @asynccontextmanager
    async def speak(self, pieces: AsyncIterator[str]) -> AsyncIterator[Voiced]:
        """See the Protocol. One utterance at a time: a second waits for the first."""
        async with self._lock:
            await self._open()
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
        query = {**self._query, "container": "none", "request_options": {"chunk_size": 4800}}
        failed = None
        for part in _parts(text):
            try:
                async for chunk in self._client.speak.v1.audio.generate(text=part, **query):
                    yield chunk
            except Exception as exc:
                status = getattr(exc, "status_code", None)
                said = f"HTTP {status}" if status else type(exc).__name__
                message = f"Deepgram's voice refused a request ({said})."
                hint = "it was asked because twenty flushes a minute were used up; wait a minute."
                failed = http.failure(http.kind_of(status) if status else "unreachable", message, hint)
            if failed is not None:
                raise failed

    async def _open(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._socket is not None and now_s - self._opened_s < SOCKET_LIFE_S and is_open(self._socket):
            return
        await self._drop()
        connection = self._client.speak.v1.connect(**self._query)
        self._socket = await enter(connection, what="voice", address=self._address, key=self._key)
        self._connection, self._opened_s = connection, now_s

    async def _drop(self) -> None:
        connection, socket = self._connection, self._socket
        self._connection = self._socket = None
        if socket is not None:
            await leave(connection, socket)

    async def _clear(self) -> None:
        """Make the voice forget what it was saying; a socket that does not confirm is dropped."""
        try:
            async with asyncio.timeout(CLEAR_TIMEOUT_S):
                await self._socket.send_clear()
                while getattr(await self._socket.recv(), "type", None) != "Cleared":
                    pass
        except Exception as exc:
            log.info("the voice did not confirm Clear (%s); its socket is dropped", type(exc).__name__)
            await self._drop()


class _Utterance:
    """One utterance on the socket."""

    def __init__(self, voice: DeepgramAuraTTS, socket: Any, pieces: AsyncIterator[str]) -> None:
        self._voice, self._socket, self._pieces = voice, socket, pieces
        self._flushed: deque[int] = deque()  # pieces covered by each flush that is not yet acknowledged
        self._sent: list[str] = []
        self._voiced = 0
        self._bytes = 0
        self.over = False
        """Nothing of it is left on the way."""

    async def feed(self) -> None:
        """Send the pieces: flush after the first and at the end."""
        from deepgram.speak.v1.types import SpeakV1Text

        async for piece in self._pieces:
            self._sent.append(piece)
            for part in _parts(piece):
                await self._socket.send_text(SpeakV1Text(text=part))
            if len(self._sent) == 1:
                await self._flush()
        if len(self._sent) > 1:
            await self._flush()

    async def _flush(self) -> None:
        self._flushed.append(len(self._sent))
        await self._socket.send_flush()

    async def stream(self, feeding: asyncio.Task[None]) -> Voiced:
        """Sound and marks until all pieces have been spoken."""
        while True:
            if feeding.done() and not self._flushed:
                if not feeding.cancelled() and (error := feeding.exception()) is not None:
                    raise closed(error, "voice")
                if self._voiced < len(self._sent):  # the last flush was refused
                    async for part in self._by_rest():
                        yield part
                self.over = True
                return
            message = await self._next(feeding)
            kind = getattr(message, "type", None)
            if isinstance(message, bytes):
                self._bytes += len(message)
                yield AudioChunk(message)
            elif kind == "Flushed" and self._flushed:
                self._voiced = self._flushed.popleft()
                yield self._mark()
            elif kind == "Warning" and "FLUSH" in _code_of(message) and self._flushed:
                self._flushed.pop()  # ignored by the vendor: its text waits for the next flush, or for a request

    def _mark(self) -> PiecesVoiced:
        return PiecesVoiced(self._voiced, self._bytes / 2 / self._voice.rate_hz * 1000)

    async def _next(self, feeding: asyncio.Task[None]) -> Any:
        """The next message; None when the feeder ended meanwhile. Raises `ProviderError` for breaks and stalls."""
        coalescing = bool(self._voiced and self._flushed and feeding.done())
        waiting = asyncio.ensure_future(self._socket.recv())
        others = {waiting} if feeding.done() else {waiting, feeding}
        timeout_s = COALESCED_S if coalescing else STALL_TIMEOUT_S if self._flushed else None
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
            self._flushed = deque([self._flushed[-1]])
            return SimpleNamespace(type="Flushed")
        message = f"Deepgram's voice sent nothing for {timeout_s:.0f} s."
        raise http.failure("stalled", message, "try again; the service may be overloaded.")

    async def _by_rest(self) -> Voiced:
        """Speak what no flush covered by a request instead, and make the socket forget it."""
        await self._voice._clear()
        async for chunk in self._voice.rest(" ".join(self._sent[self._voiced :])):
            self._bytes += len(chunk)
            yield AudioChunk(chunk)
        self._voiced = len(self._sent)
        yield self._mark()


def _code_of(warning: Any) -> str:
    return str(getattr(warning, "warn_code", None) or getattr(warning, "code", None))


def _parts(piece: str) -> list[str]:
    """A piece in parts that one message may hold, cut at spaces; each ends with a space, for Aura joins them as they are."""
    parts: list[str] = []
    rest = piece.strip() + " "
    while len(rest) > MAX_CHARS:
        cut = rest.rfind(" ", 0, MAX_CHARS) + 1 or MAX_CHARS
        parts.append(rest[:cut])
        rest = rest[cut:]
    return [*parts, rest]
