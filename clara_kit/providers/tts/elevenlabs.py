"""ElevenLabs' voice, for when Deepgram's is lost: one socket a conversation, a context of its own for each utterance.

The socket (`multi-stream-input`) takes text for several contexts and names the context of each piece of sound. So an
utterance is silenced by closing its context, and what of it still comes is told from the next one's; open contexts are
few (five), so each is closed. Each piece is flushed: there is no limit of flushes, and waiting for more text would cost
the time that a lost voice has cost already. Like Aura it gets what is said (`audio/spoken.py`), so the vendor's own
reading of numbers is off. Where each letter lies in the sound comes with it, and gives the words' times.

Source: ElevenLabs' reference of the socket, and two shipped clients (livekit-plugins-elevenlabs 1.8.9; pipecat), read
2026-11. Not live: only its twin and scripted servers were spoken to.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import logging
from base64 import b64decode
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from itertools import accumulate, count
from math import inf
from typing import Any
from urllib.parse import quote, urlencode

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.audio.spoken import Pronunciation, spoken
from clara_kit.core.errors import ProviderError
from clara_kit.core.events import SpokenWord
from clara_kit.core.settings import KEY_PAGES
from clara_kit.providers import http
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, Voiced
from clara_kit.providers.tts.elevenlabs_protocol import HINTS, closed, failure, letters_of
from clara_kit.providers.vendors import as_http
from clara_kit.providers.websocket import leave, open_socket

log = logging.getLogger("clara_kit.tts")

VOICE = "hpp4J3VqNfWAUOO0d1Us"  # one of the vendor's own, which every account has
MODEL = "eleven_flash_v2_5"  # the quickest that speaks Spanish
IDLE_S = 180  # after so long without text the vendor closes; the most that may be asked for
OPEN_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 0.3
STALL_TIMEOUT_S = 8.0
SLACK_MS = 50.0  # so much the places of letters may be off
SETTLE_S = 0.3  # after a piece's last letter some silence may follow; when so long nothing came, it is complete


class ElevenLabsTTS:
    """See `TTSProvider`. voice: the id of one of the account's. language: two letters; the accent is the voice's.

    speed: 0.7..1.2, which is all that this vendor offers; beyond it the nearest.
    pronunciation: how names are said (default: `data/pronunciation.csv`). Lives in one event loop.
    """

    rate_hz = 24_000

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "https://api.elevenlabs.io",
        voice: str = VOICE,
        model: str = MODEL,
        language: str = "es",
        speed: float = 1.0,
        pronunciation: Pronunciation | None = None,
        open_timeout_s: float = OPEN_TIMEOUT_S,
    ) -> None:
        key = http.checked_key(api_key, "ELEVENLABS_API_KEY", KEY_PAGES["elevenlabs_api_key"])
        address = http.checked_address(base_url, "ELEVENLABS_BASE_URL")
        query = {
            "model_id": model, "language_code": language, "output_format": f"pcm_{self.rate_hz}", "auto_mode": "true",
            "sync_alignment": "true", "apply_text_normalization": "off", "inactivity_timeout": str(IDLE_S),
        }  # fmt: skip
        place = f"/v1/text-to-speech/{quote(voice, safe='')}/multi-stream-input?{urlencode(query)}"
        self._url = f"ws{as_http(address.url)[4:]}{place}"
        self._headers = {**address.login, "xi-api-key": key}
        self._manner = {} if speed == 1.0 else {"voice_settings": {"speed": min(max(speed, 0.7), 1.2)}}
        self._pronunciation = usual_pronunciation() if pronunciation is None else pronunciation
        self._open_timeout_s = open_timeout_s
        self._socket: ClientConnection | None = None
        self._lock = asyncio.Lock()
        self._names = count(1)

    async def warm(self) -> None:
        """Open the socket before it is needed."""
        async with self._lock:
            await self._open()

    async def aclose(self) -> None:
        """Close the socket."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await leave(socket)

    @asynccontextmanager
    async def speak(self, pieces: AsyncIterator[str]) -> AsyncIterator[Voiced]:
        """See the Protocol. One utterance at a time: a second waits for the first."""
        async with self._lock:
            name = f"u{next(self._names)}"
            utterance = _Utterance(await self._open(), name, pieces, self._pronunciation, self._manner)
            working = asyncio.create_task(utterance.work())
            try:
                yield utterance.stream()
            finally:
                working.cancel()
                await asyncio.wait({working})
                await utterance.close()
                if utterance.broken:
                    await self.aclose()

    async def _open(self) -> ClientConnection:
        if self._socket is None or self._socket.close_code is not None:
            await self.aclose()
            self._socket = await open_socket(
                self._url, "ElevenLabs", setting="ELEVENLABS_BASE_URL", timeout_s=self._open_timeout_s, hints=HINTS,
                headers=self._headers, max_size=2**24, max_queue=None,
            )  # fmt: skip
        return self._socket


class _Utterance:
    """One utterance, as one context of the socket."""

    def __init__(
        self, socket: ClientConnection, name: str, pieces: AsyncIterator[str], pronunciation: Pronunciation,
        manner: dict[str, Any],
    ) -> None:  # fmt: skip
        self._manner = manner
        self._socket, self._name, self._pieces, self._pronunciation = socket, name, pieces, pronunciation
        self._out: asyncio.Queue[AudioChunk | PiecesVoiced | Exception | None] = asyncio.Queue()
        self._patience: asyncio.Timeout | None = None  # without a deadline nothing is due
        self._patient_s = 0.0
        # Places in the text are counted in letters and digits: blanks and signs may come back otherwise than they went.
        self._ends: list[int] = []  # of each piece
        self._words: list[tuple[int, int]] = []  # where each said word ends, and the written one that it stands for
        self._chars = self._letters = self._voiced = self._marked = self._timed = 0
        self._times: list[SpokenWord] = []  # since the last mark
        self._coming: deque[float] = deque()  # when the next letters will have sounded
        self._from_ms = self._at_ms = 0.0  # from where their times are counted; when the last has sounded
        self._bytes, self._half = 0, b""
        self._settling: asyncio.TimerHandle | None = None
        self._opened = self._closed = False
        self.broken = False
        """The socket is of no use any more."""

    async def work(self) -> None:
        """Send the pieces as they come, and take what comes of them, until all are spoken or it is cancelled."""
        hearing = asyncio.create_task(self._guarded(self._hear()))
        try:
            await self._guarded(self._feed())
            await hearing
        finally:
            hearing.cancel()
            await asyncio.wait({hearing})
            self._unsettle()

    async def stream(self) -> Voiced:
        """See `TTSProvider`."""
        while (item := await self._out.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    async def close(self) -> None:
        """Let the vendor forget what is not yet said of it; a socket that does not take that is broken."""
        if self._closed or not self._opened:
            return
        self._closed = True
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._send(close_context=True)
        except (ConnectionClosed, TimeoutError):
            self.broken = True

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ConnectionClosed as exc:
            failed: Exception = closed(exc)
        except Exception as exc:
            failed = exc
        else:
            return
        self.broken = self.broken or isinstance(failed, ProviderError)
        self._out.put_nowait(failed)

    # --- out -------------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        async for piece in self._pieces:
            if said := self._take(piece):
                if not self._opened:
                    self._opened = True
                    await self._send(text=" ", **self._manner)
                await self._send(text=f"{said} ", flush=True)
                self._expect()
        if self._opened:
            await self.close()
            self._expect()
        else:
            self._end()

    def _take(self, piece: str) -> str:
        """What is said of a piece, of which the places are noted."""
        said = spoken(piece, self._pronunciation)
        letters = [*accumulate((char.isalnum() for char in said.text), initial=0)]
        self._words += [(self._letters + letters[p.said_end], self._chars + p.char_end) for p in said.map]
        self._letters, self._chars = self._letters + letters[-1], self._chars + len(piece) + 1
        self._ends.append(self._letters)
        return said.text if letters[-1] else ""

    async def _send(self, **message: Any) -> None:
        await self._socket.send(json.dumps({**message, "context_id": self._name}))

    def _expect(self, sound_s: float = 0.0) -> None:
        """Something is due: sound that was asked for, or more of it, which must not come slower than it is played."""
        now_s = asyncio.get_running_loop().time()
        due_s = self._patient_s + sound_s if sound_s else now_s + STALL_TIMEOUT_S
        self._patient_s = min(due_s, now_s + STALL_TIMEOUT_S)
        if self._patience is not None:
            self._patience.reschedule(self._patient_s)

    # --- in --------------------------------------------------------------------------------------------

    async def _hear(self) -> None:
        try:
            async with asyncio.timeout(None) as self._patience:
                while not self._read(await self._socket.recv()):
                    pass
            return
        except TimeoutError:
            message = f"ElevenLabs sent nothing for {STALL_TIMEOUT_S:.0f} s, or less than is played in that time."
            stalled = http.failure("stalled", message, "try again; the service may be overloaded.")
        finally:
            self._patience = None
        raise stalled

    def _read(self, raw: str | bytes) -> bool:
        """Take a message; whether it is the last of this utterance."""
        try:
            message = json.loads(raw)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            log.warning("passed over a frame that is not JSON")
            return False
        name = message.get("context_id") or message.get("contextId")  # it was seen to write either
        if (error := message.get("error")) and name in (None, self._name):
            raise failure("ElevenLabs reported an error", f"{error} {message.get('message')}")
        if name != self._name:
            return False  # of an utterance before this one
        if audio := message.get("audio"):
            self._sound(audio, message.get("alignment") or message.get("normalizedAlignment"))
        if not message.get("isFinal"):
            return False
        if not self._closed or not self._bytes:
            what = "gave no sound" if self._closed else "ended before all was said"
            raise http.failure("cut", f"ElevenLabs {what}.", "say it again.")
        self._end()
        return True

    def _sound(self, audio: Any, alignment: Any) -> None:
        try:
            pcm = self._half + b64decode(audio, validate=True)
        except (binascii.Error, TypeError, ValueError):
            log.warning("passed over sound that is not base64")
            return
        self._unsettle()
        if letters := letters_of(alignment):
            self._mark(bisect_right(self._ends, self._voiced))  # what is new is of the next piece
        whole, before_ms = len(pcm) // 2 * 2, self._sound_ms
        pcm, self._half = pcm[:whole], pcm[whole:]
        self._bytes += whole
        if pcm:
            self._out.put_nowait(AudioChunk(pcm))
        # The reference counts from the beginning of a message's sound; one client takes it from the utterance's.
        if letters and self._from_ms + letters[0][0] < before_ms - SLACK_MS:
            self._from_ms = before_ms
        self._coming += (self._from_ms + end_ms for _, end_ms in letters)
        self._count(self._sound_ms + SLACK_MS)
        loop, pieces = asyncio.get_running_loop(), bisect_right(self._ends, self._voiced)
        self._settling = loop.call_later(SETTLE_S, self._mark, pieces)
        if self._closed or (self._voiced < self._letters and letters):
            self._expect(len(pcm) / 2 / ElevenLabsTTS.rate_hz)
        elif self._patience is not None:  # it may be all: more is due when the next piece was sent
            self._patience.reschedule(None)

    def _count(self, until_ms: float) -> None:
        """The letters that have sounded by then, and the words that they complete."""
        while self._coming and self._coming[0] <= until_ms:
            self._at_ms = max(self._at_ms, min(self._coming.popleft(), self._sound_ms))
            self._voiced = min(self._voiced + 1, self._letters)
            while self._timed < len(self._words) and self._words[self._timed][0] <= self._voiced:
                self._times.append(SpokenWord(char_end=self._words[self._timed][1], end_ms=self._at_ms))
                self._timed += 1

    def _unsettle(self) -> None:
        if self._settling is not None:
            self._settling.cancel()

    @property
    def _sound_ms(self) -> float:
        return self._bytes / 2 / ElevenLabsTTS.rate_hz * 1000

    def _mark(self, pieces: int) -> None:
        """All sound of so many pieces has come."""
        if pieces > self._marked:
            self._marked = pieces
            self._out.put_nowait(PiecesVoiced(pieces, self._sound_ms, tuple(self._times)))
            self._times = []

    def _end(self) -> None:
        self._unsettle()
        self._count(inf)
        self._mark(len(self._ends))
        self._out.put_nowait(None)
