"""Deepgram's streaming recogniser (listen v1) on the vendor's SDK.

Comes after the microphone, before the conversation. Joins all final segments of an utterance until
`speech_final`, or `UtteranceEnd` where that came without one; tells when the last word *ended*, not when its
message arrived. Decides nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self

from clara_kit.core.clock import Clock
from clara_kit.core.errors import SettingsError
from clara_kit.core.events import (
    Event,
    ProviderFailed,
    SpeechEnded,
    SpeechStarted,
    TranscriptFinal,
    TranscriptInterim,
    Word,
)
from clara_kit.providers.deepgram_connection import closed, enter, leave, make_client
from clara_kit.providers.stt.frames import FrameLedger

log = logging.getLogger("clara_kit.stt")

QUEUED_FRAMES = (
    500  # ten seconds of 20 ms frames; beyond it the oldest are dropped, for late words help nobody
)
KEEP_ALIVE_S = 4.0  # Deepgram closes after 10 s without a sign and asks for one every 3 to 5 s


class DeepgramStreamingSTT:
    """See `STTProvider`. base_url may be http(s) or ws(s). keyterms: nova-3 only, at most 500 tokens together."""

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
        self._frames = FrameLedger()
        self._queue: deque[tuple[bytes, float]] = deque()
        self._fresh = asyncio.Event()
        self._finishing = False
        self._out: asyncio.Queue[Event | None] = asyncio.Queue()
        self._utterance = _Utterance()
        self.passed_over = 0
        """Messages that no document describes, so far."""

    async def __aenter__(self) -> Self:
        self._connection = self._client.listen.v1.connect(**self._query)
        self._socket = await enter(
            self._connection, what="recogniser", address=self._address, timeout_s=self._open_timeout_s
        )
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await leave(self._connection, self._socket)
        await asyncio.wait(self._tasks, timeout=0.5)
        self._out.put_nowait(None)

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """See the Protocol. Never waits; more than ten seconds of unsent sound lose their oldest frames."""
        if self._finishing:
            return
        if len(self._queue) >= QUEUED_FRAMES:
            self._queue.popleft()
        self._queue.append((pcm, captured_ms))
        self._fresh.set()

    async def finish(self) -> None:
        """See the Protocol."""
        self._finishing = True
        self._fresh.set()

    async def events(self) -> AsyncIterator[Event]:
        """See the Protocol."""
        while (event := await self._out.get()) is not None:
            yield event

    # --- out -------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        try:
            while True:
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        await self._fresh.wait()
                except TimeoutError:
                    await self._socket.send_keep_alive()
                    continue
                self._fresh.clear()
                while self._queue:
                    pcm, captured_ms = self._queue.popleft()
                    self._frames.sent(len(pcm) / 2 / self.rate_hz * 1000, captured_ms)
                    await self._socket.send_media(pcm)
                if self._finishing:
                    await self._socket.send_close_stream()
                    return
        except Exception as exc:  # the reader sees the same break and tells it
            log.debug("sending stopped: %s", type(exc).__name__)

    # --- in --------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            messages = aiter(self._socket)
            while True:
                try:
                    message = await anext(messages)
                except StopAsyncIteration:
                    break
                except ValueError:  # not JSON
                    self._pass_over("unreadable")
                    messages = aiter(self._socket)
                    continue
                self._understand(message)
            self._end_utterance(None)
            if not self._finishing:
                self._fail(None)
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            self._end_utterance(None)
            if not self._finishing:
                self._fail(exc)
        finally:
            self._out.put_nowait(None)

    def _understand(self, message: Any) -> None:
        kind = getattr(message, "type", None)
        try:
            if kind == "Results":
                self._results(message)
            elif kind == "SpeechStarted":
                self._utterance.sound = True
                sound_at_ms = self._frames.at(message.timestamp * 1000)
                self._emit(
                    SpeechStarted(at_ms=self._clock.now_ms(), source="vendor", sound_at_ms=sound_at_ms)
                )
            elif kind == "UtteranceEnd":
                if self._utterance.parts:
                    self._end_utterance(message.last_word_end * 1000)
            elif kind != "Metadata":
                self._pass_over(str(kind))
        except (AttributeError, TypeError, IndexError) as exc:
            self._pass_over(f"{kind} without {exc}")

    def _results(self, message: Any) -> None:
        best = message.channel.alternatives[0]
        text = (best.transcript or "").strip()
        utterance = self._utterance
        if not message.is_final:
            self._interim(" ".join([*utterance.parts, text]).strip())
            return
        if text:
            utterance.parts.append(text)
            utterance.words += self._words(best, message)
            utterance.end_ms = (message.start + message.duration) * 1000
        if message.speech_final or (getattr(message, "from_finalize", False) and self._finishing):
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
                    start_ms=self._frames.at((message.start if start is None else start) * 1000),
                    end_ms=self._frames.at((message.start + message.duration if end is None else end) * 1000),
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
            ended = words[-1].end_ms if words else self._frames.at(last_word_end_ms or utterance.end_ms)
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
                SpeechEnded(at_ms=now_ms, source="vendor", sound_at_ms=min(self._frames.at(until_ms), now_ms))
            )

    def _fail(self, exc: Exception | None) -> None:
        kind, message, hint, retryable = closed(exc or EOFError(), "recogniser")
        now_ms = self._clock.now_ms()
        self._emit(
            ProviderFailed(
                at_ms=now_ms, service="stt", kind=kind, message=message, hint=hint, retryable=retryable
            )
        )

    def _emit(self, event: Event) -> None:
        self._out.put_nowait(event)

    def _pass_over(self, what: str) -> None:
        self.passed_over += 1
        log.info("passed over a message: %s", what)


class _Utterance:
    """What has come of the utterance so far."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.words: list[Word] = []
        self.told = ""
        self.sound = False
        self.end_ms = 0.0
