"""Deepgram's streaming recogniser (listen v1) on the vendor's SDK.

Comes after the microphone, before the conversation. Joins all final segments of an utterance until
`speech_final`, or `UtteranceEnd` where that came without one; tells when the last word *ended*, not when its
message arrived. A connection that breaks is opened again by itself (the SDK never does), and what no final
result covers is sent once more. Decides nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self

from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError, ProviderRefused, SettingsError
from clara_kit.core.events import (
    Event,
    FailureKind,
    ProviderFailed,
    ProviderRecovered,
    ProviderWarned,
    SpeechEnded,
    SpeechStarted,
    TranscriptFinal,
    TranscriptInterim,
    Word,
)
from clara_kit.core.retry import RetryPolicy
from clara_kit.providers.deepgram_connection import closed, enter, leave, make_client
from clara_kit.providers.stt.outbox import Outbox

log = logging.getLogger("clara_kit.stt")

KEEP_MS = 15_000.0  # sound held back or kept for sending again; late words help nobody
CATCH_UP = 1.25  # Deepgram takes sound at most this much faster than real time (its page on recovering)
HELD_MS = 5_000.0  # a connection that lasted this long was a good one
HEAD_START_MS = 500.0  # of that pace, so that a short break is made good at once
KEEP_ALIVE_S = 4.0  # Deepgram closes after 10 s without a sign and asks for one every 3 to 5 s


RECONNECT = RetryPolicy(max_retries=4, initial_delay_ms=250, multiplier=2, max_delay_ms=2000)


class DeepgramStreamingSTT:
    """See `STTProvider`. base_url may be http(s) or ws(s). keyterms: nova-3 only, at most 500 tokens together.

    reconnect: delays between attempts to open a broken connection again, the first of which is made at once;
    None gives up at the first break. A break tells `ProviderWarned`, then `ProviderRecovered` or `ProviderFailed`.
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
        open_timeout_s: float = 5.0,
        reconnect: RetryPolicy | None = RECONNECT,
    ) -> None:
        if keyterms and not model.startswith("nova-3"):
            raise SettingsError(
                f"Keyterms need nova-3; the model is {model}.", hint="leave STT_KEYTERMS empty or use nova-3."
            )
        self._client = make_client(api_key, base_url)
        self._clock, self._address, self._open_timeout_s = clock, base_url, open_timeout_s
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
        }
        if keyterms:
            self._query["keyterm"] = list(keyterms)
        self._reconnect = reconnect
        self._outbox = Outbox(rate_hz=self.rate_hz, keep_ms=KEEP_MS)
        self._fresh = asyncio.Event()
        self._finishing = False
        self._flushing = False
        self._again = False  # this connection is not the first
        self._out: asyncio.Queue[Event | None] = asyncio.Queue()
        self._utterance = _Utterance()
        self.passed_over = 0
        """Messages that no document describes, so far."""

    async def __aenter__(self) -> Self:
        await self._connect()
        self._running = asyncio.create_task(self._run(), name="deepgram")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.cancel()
        await leave(self._connection, self._socket)
        await asyncio.wait({self._running}, timeout=0.5)
        self._out.put_nowait(None)

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """See the Protocol. Never waits; more than fifteen seconds of unsent sound lose their oldest frames."""
        if not self._finishing:
            self._outbox.add(pcm, captured_ms)
            self._fresh.set()

    async def finalize(self) -> None:
        """Ask for the final words of what has been sent so far, without waiting for a silence."""
        self._flushing = True
        self._fresh.set()

    async def finish(self) -> None:
        """See the Protocol."""
        self._finishing = True
        self._fresh.set()

    async def events(self) -> AsyncIterator[Event]:
        """See the Protocol."""
        while (event := await self._out.get()) is not None:
            yield event

    # --- the connection --------------------------------------------------------------------------------

    async def _connect(self) -> None:
        self._connection = self._client.listen.v1.connect(**self._query)
        self._socket = await enter(
            self._connection, what="recogniser", address=self._address, timeout_s=self._open_timeout_s
        )

    async def _run(self) -> None:
        """Hold a connection until it has said everything, or cannot be held any more."""
        attempt = 0
        try:
            while True:
                began_ms = self._clock.now_ms()
                broken = await self._use()
                if broken is None:
                    break
                if self._clock.now_ms() - began_ms > HELD_MS:
                    attempt = 0  # it worked for a while: this break is a new one
                attempt = await self._open_again(broken, attempt)
            self._end_utterance(None)
        except _GivenUp as given_up:
            self._end_utterance(None)
            self._emit(given_up.failed)
        finally:
            self._out.put_nowait(None)

    async def _use(self) -> Exception | None:
        """Send and hear until the connection ends; returns what broke it, None for a good end."""
        writing = asyncio.create_task(self._write(), name="deepgram sound")
        try:
            await self._read()
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            return exc
        finally:
            writing.cancel()
            await asyncio.wait({writing})
        return None if self._finishing else EOFError()

    async def _open_again(self, broken: Exception, attempt: int) -> int:
        """Connect once more, with patience; returns how many attempts it took. Raises `_GivenUp`."""
        kind, message, hint, retryable = closed(broken, "recogniser")
        failed = self._failure(kind, message, hint, retryable)
        if not retryable or self._reconnect is None:
            raise _GivenUp(failed)
        lost_ms, waits_ms = self._outbox.lost_ms, self._outbox.rewind()
        self._emit(
            ProviderWarned(
                at_ms=self._clock.now_ms(),
                service="stt",
                message=f"{message} Connecting again; {waits_ms:.0f} ms of sound wait to be sent once more.",
            )
        )
        await leave(self._connection, self._socket)
        if kind == "stalled" and not waits_ms and not self._finishing:
            await self._fresh.wait()  # nobody speaks: an open connection would be closed again
        while True:
            delay_ms = 0.0 if attempt == 0 else self._reconnect.delay_ms(attempt)
            if delay_ms is None:
                raise _GivenUp(failed)
            attempt += 1
            await asyncio.sleep(delay_ms / 1000)
            try:
                await self._connect()
                break
            except ProviderRefused as exc:
                raise _GivenUp(self._failure("refused", exc.message, exc.hint, False)) from exc
            except ProviderError as exc:
                failed = self._failure("unreachable", exc.message, exc.hint, True)
        self._again = True
        self._emit(ProviderRecovered(at_ms=self._clock.now_ms(), service="stt"))
        if self._outbox.lost_ms > lost_ms:
            gone = f"{self._outbox.lost_ms - lost_ms:.0f} ms of sound were lost: the break was longer than is kept."
            self._emit(ProviderWarned(at_ms=self._clock.now_ms(), service="stt", message=gone))
        self._fresh.set()
        return attempt

    def _failure(self, kind: FailureKind, message: str, hint: str, retryable: bool) -> ProviderFailed:
        return ProviderFailed(
            at_ms=self._clock.now_ms(),
            service="stt",
            kind=kind,
            message=message,
            hint=hint,
            retryable=retryable,
        )

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
                    await self._socket.send_media(pcm)
                    if self._again:
                        await self._slow_down(began_s)
                if self._flushing:
                    self._flushing = False
                    await self._socket.send_finalize()
                if self._finishing:
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

    # --- in --------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        messages = aiter(self._socket)
        while True:
            try:
                message = await anext(messages)
            except StopAsyncIteration:
                return
            except ValueError:  # not JSON
                self._pass_over("unreadable")
                messages = aiter(self._socket)
                continue
            self._understand(message)

    def _understand(self, message: Any) -> None:
        kind = getattr(message, "type", None)
        try:
            if kind == "Results":
                self._results(message)
            elif kind == "SpeechStarted":
                self._utterance.sound = True
                sound_at_ms = self._outbox.frames.at(message.timestamp * 1000)
                self._emit(
                    SpeechStarted(at_ms=self._clock.now_ms(), source="vendor", sound_at_ms=sound_at_ms)
                )
            elif kind == "UtteranceEnd":
                if self._utterance.parts:
                    self._end_utterance(message.last_word_end * 1000)
            elif kind != "Metadata":
                self._pass_over(str(kind))
        except (AttributeError, TypeError, ValueError, LookupError, ArithmeticError) as exc:
            self._pass_over(f"{kind}: {type(exc).__name__}")

    def _results(self, message: Any) -> None:
        best = message.channel.alternatives[0]
        text = (best.transcript or "").strip()
        utterance = self._utterance
        if message.is_final:
            self._outbox.confirm((message.start + message.duration) * 1000)
        else:
            self._interim(" ".join([*utterance.parts, text]).strip())
            return
        if text:
            utterance.parts.append(text)
            utterance.words += self._words(best, message)
            utterance.end_ms = (message.start + message.duration) * 1000
        if message.speech_final or getattr(message, "from_finalize", False):
            self._end_utterance(None, (message.start + message.duration) * 1000)
        elif text:
            self._interim(" ".join(utterance.parts))

    def _words(self, best: Any, message: Any) -> list[Word]:
        words = []
        for word in best.words or ():
            start, end = getattr(word, "start", None), getattr(word, "end", None)
            words.append(
                Word(
                    text=getattr(word, "punctuated_word", None) or word.word,
                    start_ms=self._outbox.frames.at((message.start if start is None else start) * 1000),
                    end_ms=self._outbox.frames.at(
                        (message.start + message.duration if end is None else end) * 1000
                    ),
                    confidence=getattr(word, "confidence", None) or 0.0,
                )
            )
        return words

    def _interim(self, text: str) -> None:
        if text and text != self._utterance.told:
            self._utterance.told = text
            self._emit(TranscriptInterim(at_ms=self._clock.now_ms(), text=text))

    def _end_utterance(self, last_word_end_ms: float | None, until_ms: float | None = None) -> None:
        """The utterance is over: one final with everything, or the end of a sound without words."""
        utterance, self._utterance = self._utterance, _Utterance()
        now_ms = self._clock.now_ms()
        if utterance.parts:
            words = tuple(utterance.words)
            ended = (
                words[-1].end_ms if words else self._outbox.frames.at(last_word_end_ms or utterance.end_ms)
            )
            self._emit(
                TranscriptFinal(
                    at_ms=now_ms,
                    text=" ".join(utterance.parts),
                    speech_started_ms=words[0].start_ms if words else ended,
                    speech_ended_ms=min(ended, now_ms),
                    confidence=min((w.confidence for w in words), default=0.0),
                    words=words,
                )
            )
        elif utterance.sound and until_ms is not None:
            self._emit(
                SpeechEnded(
                    at_ms=now_ms, source="vendor", sound_at_ms=min(self._outbox.frames.at(until_ms), now_ms)
                )
            )

    def _emit(self, event: Event) -> None:
        self._out.put_nowait(event)

    def _pass_over(self, what: str) -> None:
        self.passed_over += 1
        log.info("passed over a message: %s", what)


class _GivenUp(Exception):
    """Never leaves this module."""

    def __init__(self, failed: ProviderFailed) -> None:
        super().__init__(failed.message)
        self.failed = failed


class _Utterance:
    """What has come of the utterance so far."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.words: list[Word] = []
        self.told = ""
        self.sound = False
        self.end_ms = 0.0
