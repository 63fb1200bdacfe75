"""Simulated services in real time, inside this process: what `sim` means behind a conversation that runs live.

They keep the providers' Protocols and draw their latencies from a profile. No socket, no vendor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.profile import ANONYMOUS
from clara_kit.core.rng import child_rng
from clara_kit.core.settings import Settings
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.tts.base import AudioChunk, TTSProvider
from clara_kit.shop.answer import ShopAnswer
from clara_kit.world.answers import AnswerBook
from clara_kit.world.latency import LatencyProfile, Stage
from clara_kit.world.personas import Persona
from clara_kit.world.script import Line
from clara_kit.world.timelines import answer_tokens, recognised, stretches, token_count


class _Drawn:
    """A profile with a generator for each stage."""

    def __init__(self, profile: LatencyProfile, seed: int) -> None:
        self._profile = profile
        self._rngs = {stage: child_rng(seed, "in_process", stage) for stage in profile.laws}

    def __call__(self, stage: Stage) -> float:
        return self._profile.draw(stage, self._rngs[stage])


async def _until(clock: Clock, at_ms: float) -> None:
    await asyncio.sleep(max(0.0, at_ms - clock.now_ms()) / 1000)


class ScriptedSTT:
    """A recogniser without ears: it is told each line as it is said."""

    rate_hz = 16_000
    needs_sound = False

    def __init__(self, clock: Clock, profile: LatencyProfile, settings: Settings, *, seed: int = 0) -> None:
        self._clock, self._settings = clock, settings
        self._draw = _Drawn(profile, seed)
        self._told: asyncio.Queue[ev.Event | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def expect(self, line: Line, start_ms: float) -> None:
        """The customer begins to say this line now."""
        heard = [
            event
            for words in stretches(line, self._settings.stt_endpointing_ms)
            for event in recognised(words, start_ms, self._settings, self._draw)
        ]
        for event in sorted(heard, key=lambda e: e.at_ms):
            self._told.put_nowait(event)

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """Sound means nothing to it."""

    async def finish(self) -> None:
        """No more lines will be told."""
        self._told.put_nowait(None)

    async def events(self) -> AsyncIterator[ev.Event]:
        """What it makes of the lines, each at its time."""
        while (event := await self._told.get()) is not None:
            await _until(self._clock, event.at_ms)
            yield event


class ScriptedShop:
    """A shop that knows the invented customers of `data/customers/`."""

    def __init__(self, clock: Clock, profile: LatencyProfile, *, seed: int = 0) -> None:
        self._clock = clock
        self._draw = _Drawn(profile, seed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def fetch(self, customer: str) -> ShopAnswer:
        """The profile of a persona by gid or e-mail, after the profile's latency; nothing is known of others."""
        began_ms = self._clock.now_ms()
        await _until(self._clock, began_ms + self._draw("shop_answer"))
        known = next((p for p in Persona.all() if customer in (p.gid, p.email)), None)
        took_ms = self._clock.now_ms() - began_ms
        return ShopAnswer(source="shop", profile=known.profile if known else ANONYMOUS, took_ms=took_ms)


class ScriptedLLM:
    """The scripted brain, token by token at the profile's pace."""

    def __init__(
        self,
        clock: Clock,
        profile: LatencyProfile,
        book: AnswerBook,
        *,
        model: str,
        max_tokens: int = 195,
        seed: int = 0,
    ) -> None:
        self._clock, self._book, self._model, self._max_tokens = clock, book, model, max_tokens
        self._draw = _Drawn(profile, seed)

    @asynccontextmanager
    async def reply(self, request: ReplyRequest) -> AsyncIterator[AsyncIterator[ev.Event]]:
        """One reply; see the Protocol."""
        yield self._events(request)

    async def _events(self, request: ReplyRequest) -> AsyncIterator[ev.Event]:
        now_ms, reply_id = self._clock.now_ms(), request.reply_id
        yield ev.ReplyStarted(
            at_ms=now_ms, reply_id=reply_id, model=self._model, prompt_hash=request.prompt.hash
        )
        due_ms = now_ms + self._draw("llm_first_token")
        per_token_ms = 1000 / self._draw("llm_tokens_per_s")
        first = sum(m.role == "user" for m in request.messages) == 1
        tokens = answer_tokens(self._book, request.messages[-1].text, request.prompt, first=first)
        for token in tokens[: self._max_tokens]:
            await _until(self._clock, due_ms)
            yield ev.ReplyDelta(at_ms=self._clock.now_ms(), reply_id=reply_id, text=token)
            due_ms += per_token_ms
        usage = ev.Usage(
            input_tokens=sum(token_count(m.text) for m in request.messages),
            output_tokens=min(len(tokens), self._max_tokens),
        )
        reason = "max_tokens" if len(tokens) > self._max_tokens else "end_turn"
        yield ev.ReplyCompleted(
            at_ms=self._clock.now_ms(), reply_id=reply_id, stop_reason=reason, usage=usage
        )

    async def aclose(self) -> None:
        """Nothing is kept open."""


class ScriptedAvatar:
    """An avatar that speaks with a real voice at the pace of sound, to nobody."""

    def __init__(self, clock: Clock, profile: LatencyProfile, tts: TTSProvider, *, seed: int = 0) -> None:
        self._clock, self._tts = clock, tts
        self._draw = _Drawn(profile, seed)
        self._out: asyncio.Queue[ev.Event] = asyncio.Queue()
        self._waiting: dict[
            int, asyncio.Queue[str | None]
        ] = {}  # utterances in their order; the first is spoken
        self._speaking: asyncio.Task[None] | None = None
        self.on_audio: Callable[[int, bytes], None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.clear()
        await self._stop()

    async def _stop(self) -> None:
        task, self._speaking = self._speaking, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        """Queue a piece."""
        self._waiting.setdefault(utterance_id, asyncio.Queue()).put_nowait(text)
        self._go_on()

    async def end_speech(self, utterance_id: int) -> None:
        """No more pieces."""
        if utterance_id in self._waiting:
            self._waiting[utterance_id].put_nowait(None)

    async def interrupt(self, utterance_id: int) -> None:
        """Fall silent."""
        if utterance_id not in self._waiting:
            return
        if utterance_id == next(iter(self._waiting)):
            await self._stop()
        del self._waiting[utterance_id]
        self._emit(ev.SpeakingInterrupted(at_ms=self._clock.now_ms(), utterance_id=utterance_id))
        self._go_on()

    def _go_on(self) -> None:
        """Speak the first of the waiting utterances, unless one is being spoken."""
        if self._speaking is None and self._waiting:
            self._speaking = asyncio.create_task(self._utter(*next(iter(self._waiting.items()))))

    async def events(self) -> AsyncIterator[ev.Event]:
        """What became of each utterance."""
        while True:
            yield await self._out.get()

    def _emit(self, event: ev.Event) -> None:
        self._out.put_nowait(event)

    async def _utter(self, utterance_id: int, queue: asyncio.Queue[str | None]) -> None:
        async def pieces() -> AsyncIterator[str]:
            number = 0
            while (text := await queue.get()) is not None:
                self._emit(
                    ev.SpeechSent(at_ms=self._clock.now_ms(), utterance_id=utterance_id, piece_no=number)
                )
                number += 1
                yield text

        started = False
        sound_ms = 0.0
        end_ms = 0.0
        async with self._tts.speak(pieces()) as stream:
            async for part in stream:
                now_ms = self._clock.now_ms()
                if isinstance(part, AudioChunk):
                    if not started:
                        self._emit(ev.FirstAudio(at_ms=now_ms, utterance_id=utterance_id))
                        await asyncio.sleep(self._draw("avatar_start") / 1000)
                        started = True
                        end_ms = self._clock.now_ms()
                        self._emit(ev.SpeakingStarted(at_ms=end_ms, utterance_id=utterance_id))
                    chunk_ms = len(part.pcm) / 2 / self._tts.rate_hz * 1000
                    sound_ms += chunk_ms
                    end_ms = max(end_ms, self._clock.now_ms()) + chunk_ms
                    if self.on_audio is not None:
                        self.on_audio(utterance_id, part.pcm)
                else:
                    self._emit(
                        ev.SpeechVoiced(
                            at_ms=now_ms,
                            utterance_id=utterance_id,
                            piece_no=part.pieces - 1,
                            audio_ms=part.audio_ms,
                            words=part.words,
                        )
                    )
        await _until(self._clock, end_ms)
        self._emit(ev.SpeakingEnded(at_ms=self._clock.now_ms(), utterance_id=utterance_id))
        del self._waiting[utterance_id]
        self._speaking = None
        self._go_on()
