"""Deepgram's streaming recogniser (listen v1) on the vendor's SDK.

Comes after the microphone, before the conversation. Joins all final segments of an utterance until
`speech_final`, or `UtteranceEnd` where that came without one; tells when the last word *ended*, not when its
message arrived. A connection that breaks is told once and can be opened again (the SDK never does it): what no
final result covers is then sent once more. One that takes sound and sends nothing back counts as broken, for
Deepgram answers to silence, too. When to try, and when to give up, is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from math import inf
from typing import Any, Self

from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError, ProviderUnavailable, SettingsError
from clara_kit.core.events import Event, ProviderFailed, ProviderWarned
from clara_kit.providers import http
from clara_kit.providers.deepgram_connection import OPEN_TIMEOUT_S, closed, enter, leave, make_client
from clara_kit.providers.stt.deepgram_results import Results
from clara_kit.providers.stt.outbox import Outbox

log = logging.getLogger("clara_kit.stt")

KEEP_MS = 15_000.0  # sound held back or kept for sending again; late words help nobody
CATCH_UP = 1.25  # Deepgram takes sound at most this much faster than real time (its page on recovering)
HEAD_START_MS = 500.0  # of that pace, so that a short break is made good at once
KEEP_ALIVE_S = 4.0  # Deepgram closes after 10 s without a sign and asks for one every 3 to 5 s
# An answer to sound comes about every second, with or without words in it. The limits are estimates.
UNANSWERED_MS = 2000.0  # so much sound without an answer is odd
DEAF_S = 5.0  # and means that none will come when this has passed, too
_HEARS = ("Results", "SpeechStarted", "UtteranceEnd")  # whatever else may come is no answer to sound
LAST_WORDS_S = 0.8  # for final words that were asked for; a result takes 150 to 350 ms
FAREWELL_S = 15.0  # for all that is still to come when no more sound is sent


class DeepgramStreamingSTT:
    """See `STTProvider` and `Reopens`. base_url may be http(s) or ws(s).

    keyterms: nova-3 only, at most 500 tokens together. open_timeout_s: for connecting, each time.
    """

    rate_hz = 16_000

    def __init__(
        self,
        *,
        api_key: str,
        clock: Clock,
        base_url: str = "https://api.deepgram.com",
        model: str = "nova-3",
        language: str = "es-419",
        endpointing_ms: int = 300,
        utterance_end_ms: int = 1000,
        keyterms: Sequence[str] = (),
        open_timeout_s: float = OPEN_TIMEOUT_S,
    ) -> None:
        if keyterms and not model.startswith("nova-3"):
            raise SettingsError(
                f"Keyterms need nova-3; the model is {model}.", hint="leave STT_KEYTERMS empty or use nova-3."
            )
        self._client = make_client(api_key, base_url)
        self._clock, self._address, self._key = clock, base_url, api_key.strip()
        self._open_timeout_s = open_timeout_s
        self._query: dict[str, Any] = {
            "model": model,
            "language": language,
            "encoding": "linear16",
            "sample_rate": self.rate_hz,
            "channels": 1,
            "interim_results": True,
            "smart_format": True,
            "endpointing": endpointing_ms,
            "utterance_end_ms": utterance_end_ms,
            "vad_events": True,
            **({"keyterm": list(keyterms)} if keyterms else {}),
        }
        self._outbox = Outbox(rate_hz=self.rate_hz, keep_ms=KEEP_MS)
        self._fresh = asyncio.Event()
        self._finishing = False
        self._flushing = False
        self._broken: ProviderError | None = None  # the connection is gone and may be opened again
        self._lost_ms = 0.0  # as far as it was told
        self._again = False  # this connection is not the first
        self._unanswered_ms = 0.0  # sound that was sent since the last message came
        self._farewell_due_s = inf
        self._out: asyncio.Queue[Event | None] = asyncio.Queue()
        self._emit = self._out.put_nowait
        self._results = Results(clock, self._outbox, self._emit, self._ask_for_words)
        self._asked: asyncio.TimerHandle | None = None

    @property
    def passed_over(self) -> int:
        """Messages that no document describes, so far."""
        return self._results.passed_over

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        if self._asked is not None:
            self._asked.cancel()
        await leave(self._connection, self._socket)
        await asyncio.wait({self._running}, timeout=0.5)
        # Given up: what was understood until then is the customer's all the same.
        if self._broken is not None:
            self._broken = None
            self._results.take_told()
        self._out.put_nowait(None)

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """See the Protocol. Never waits; more than fifteen seconds of unsent sound lose their oldest frames."""
        if not self._finishing:
            self._outbox.add(pcm, captured_ms)
            self._fresh.set()

    async def finalize(self, *, over: bool = True) -> None:
        """Ask for the words of what has been sent so far, without waiting for a silence; not `over`: more will come.

        A word that is just being said may then be cut in two; so it is asked only where no word has come yet.
        """
        self._results.asked.append(over)
        self._flushing = True
        self._fresh.set()

    def _ask_for_words(self) -> None:
        """An utterance is over whose words are not final: ask once, and take what was told if nothing comes."""
        self._flushing = True
        self._fresh.set()
        self._asked = asyncio.get_running_loop().call_later(LAST_WORDS_S, self._results.take_asked)

    async def finish(self) -> None:
        """See the Protocol."""
        self._finishing = True
        self._fresh.set()

    async def events(self) -> AsyncIterator[Event]:
        """See the Protocol."""
        while (event := await self._out.get()) is not None:
            yield event
        self._out.put_nowait(None)  # for whoever asks once more

    async def reopen(self) -> None:
        """See `Reopens`. Cancelling it changes nothing; where nothing is broken it does nothing."""
        if (broken := self._broken) is None:
            return
        await leave(self._connection, self._socket)
        if broken.kind == "stalled" and not self._outbox.unsent_ms and not self._finishing:
            await self._fresh.wait()  # nobody speaks: an open connection would be closed again
        self._outbox.rewind()  # once more: without the quiet that came meanwhile
        self._again = True
        await self._connect()
        if (lost_ms := self._outbox.lost_ms - self._lost_ms) > 0:
            gone = f"{lost_ms:.0f} ms of sound were lost: the break was longer than is kept."
            self._emit(ProviderWarned(at_ms=self._clock.now_ms(), service="stt", message=gone))
        self._fresh.set()

    # --- the connection --------------------------------------------------------------------------------

    async def _connect(self) -> None:
        connection = self._client.listen.v1.connect(**self._query)
        where = {"what": "recogniser", "address": self._address, "key": self._key}
        self._socket = await enter(connection, timeout_s=self._open_timeout_s, **where)
        self._connection, self._broken = connection, None
        self._running = asyncio.create_task(self._run(), name="deepgram")

    async def _run(self) -> None:
        """Use the connection until it ends, and tell how it ended."""
        broken = await self._use()
        if broken is None or not broken.retryable:
            self._results.take_told()
        else:
            self._lost_ms = self._outbox.lost_ms
            self._outbox.rewind()
            self._broken = broken
        if broken is not None:
            self._emit(ProviderFailed.of(broken, "stt", self._clock.now_ms()))
        if self._broken is None:
            self._out.put_nowait(None)

    async def _use(self) -> ProviderError | None:
        """Send and hear until the connection ends; returns what broke it, None for a good end."""
        self._unanswered_ms, self._farewell_due_s = 0.0, inf
        writing = asyncio.create_task(self._write(), name="deepgram sound")
        try:
            async with asyncio.timeout(None) as self._patience:
                await self._read()
            return None if self._finishing else closed(EOFError(), "recogniser")
        except TimeoutError:
            return self._unheard()
        except Exception as exc:
            return closed(exc, "recogniser")
        finally:
            writing.cancel()
            await asyncio.wait({writing})

    # --- out -------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        try:
            began_s = asyncio.get_running_loop().time()
            while True:
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        await self._fresh.wait()
                except TimeoutError:
                    await self._socket.send_keep_alive()
                    continue
                self._fresh.clear()
                while (pcm := self._outbox.take()) is not None:
                    self._expect_answer(len(pcm) / 2 / self.rate_hz * 1000)
                    await self._socket.send_media(pcm)
                    if self._again:
                        await self._slow_down(began_s)
                if self._flushing:
                    self._flushing = False
                    await self._socket.send_finalize()
                if self._finishing:
                    self._farewell_due_s = asyncio.get_running_loop().time() + FAREWELL_S
                    self._answered()
                    await self._socket.send_close_stream()
                    return
        except Exception as exc:  # the reader sees the same break and tells it
            log.debug("sending stopped: %s", type(exc).__name__)

    async def _slow_down(self, began_s: float) -> None:
        """After a break: catch up no faster than the vendor takes it."""
        elapsed_ms = (asyncio.get_running_loop().time() - began_s) * 1000
        ahead_ms = self._outbox.frames.sent_ms - HEAD_START_MS - CATCH_UP * elapsed_ms
        if ahead_ms > 0:
            await asyncio.sleep(ahead_ms / CATCH_UP / 1000)

    def _expect_answer(self, sound_ms: float) -> None:
        self._unanswered_ms += sound_ms
        if self._unanswered_ms >= UNANSWERED_MS and self._patience.when() is None:
            self._patience.reschedule(asyncio.get_running_loop().time() + DEAF_S)

    # --- in --------------------------------------------------------------------------------------------

    def _answered(self) -> None:
        """It hears. Nothing more need come now, unless it is to say goodbye."""
        self._unanswered_ms, leaving = 0.0, self._farewell_due_s < inf
        due_s = min(asyncio.get_running_loop().time() + DEAF_S, self._farewell_due_s)
        self._patience.reschedule(due_s if leaving else None)

    def _unheard(self) -> ProviderError:
        if self._farewell_due_s < inf:  # nobody need open it again for a goodbye
            message = "Deepgram's recogniser did not answer to the end of the sound; the last words may be missing."
            return ProviderUnavailable(message, hint="try again.", kind="stalled", retryable=False)
        message = f"Deepgram's recogniser takes sound and has sent nothing back for {DEAF_S:.0f} s and more."
        return http.failure("stalled", message, "a new connection may hear; https://status.deepgram.com tells more.")

    async def _read(self) -> None:
        while True:
            try:
                async for message in self._socket:
                    if getattr(message, "type", None) in _HEARS:
                        self._answered()
                    self._results.take(message)
                return
            except ValueError:  # not JSON; the next message may be
                self._results.pass_over("a message that is not JSON")
