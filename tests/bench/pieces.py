"""What the benchmark puts in the place of the vendors: services that answer at once, and note when they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from clara_kit import Settings, compose
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.runtime.compose import Services

DELTAS = ("Sí", ", des", "pacha", "mos a", " todo ", "Chile", ".", " Demo", "ra de ", "tres", " a cinco días", ".")
QUESTION = "¿Hacen despachos a regiones?"


@dataclass
class Times:
    """When things happened, in seconds of `perf_counter`."""

    final: float = 0.0
    request: float = 0.0
    sentence: float = 0.0
    speech: float = 0.0
    sound: float = 0.0
    silenced: float = 0.0
    spoke: asyncio.Event = field(default_factory=asyncio.Event)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)


class Ear:
    """A recogniser that hears what the benchmark tells it."""

    rate_hz = 16_000
    needs_sound = False

    def __init__(self) -> None:
        self.told: asyncio.Queue[ev.Event] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        return None

    async def finish(self) -> None:
        return None

    async def events(self) -> AsyncIterator[ev.Event]:
        while True:
            yield await self.told.get()


class Brain:
    """A model that has its whole answer ready."""

    def __init__(self, clock: Clock, times: Times) -> None:
        self._clock, self._times = clock, times

    @asynccontextmanager
    async def reply(self, request: ReplyRequest) -> AsyncIterator[AsyncIterator[ev.Event]]:
        self._times.request = perf_counter()
        yield self._events(request.reply_id)

    async def _events(self, reply_id: int) -> AsyncIterator[ev.Event]:
        now_ms = self._clock.now_ms
        yield ev.ReplyStarted(at_ms=now_ms(), reply_id=reply_id, model="bench")
        for text in DELTAS:
            if text == " Demo":
                self._times.sentence = perf_counter()  # this delta shows that the sentence before it is whole
            yield ev.ReplyDelta(at_ms=now_ms(), reply_id=reply_id, text=text)
            await asyncio.sleep(0)
        yield ev.ReplyCompleted(at_ms=now_ms(), reply_id=reply_id, stop_reason="end_turn")

    async def aclose(self) -> None:
        return None


class Mouth:
    """An avatar that speaks for ever, or until it is stopped; if `hasty`, it is done as soon as it has every word."""

    def __init__(self, clock: Clock, times: Times, *, hasty: bool = False) -> None:
        self._clock, self._times, self._hasty = clock, times, hasty
        self._out: asyncio.Queue[ev.Event] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        if piece_no == 0:
            self._times.speech = perf_counter()
            self._out.put_nowait(ev.SpeechSent(at_ms=self._clock.now_ms(), utterance_id=utterance_id, piece_no=0))
            self._out.put_nowait(ev.FirstAudio(at_ms=self._clock.now_ms(), utterance_id=utterance_id))
            self._out.put_nowait(ev.SpeakingStarted(at_ms=self._clock.now_ms(), utterance_id=utterance_id))
            self._times.spoke.set()

    async def end_speech(self, utterance_id: int) -> None:
        if self._hasty:
            self._out.put_nowait(ev.SpeakingEnded(at_ms=self._clock.now_ms(), utterance_id=utterance_id))

    async def interrupt(self, utterance_id: int) -> None:
        self._times.silenced = perf_counter()
        self._out.put_nowait(ev.SpeakingInterrupted(at_ms=self._clock.now_ms(), utterance_id=utterance_id))
        self._times.quiet.set()

    async def events(self) -> AsyncIterator[ev.Event]:
        while True:
            yield await self._out.get()


def composed(settings: Settings) -> Services:
    """What the kit composes for the simulation."""
    return compose("sim", settings=settings, profile="fast")


class BenchServices(Services):
    """In-process services behind the real `ConversationManager`. Fits builds whose `latency` was called `profile`."""

    def __init__(self, settings: Settings, *, hasty: bool = False, base: Services | None = None) -> None:
        base = base or composed(settings)  # many at once share one, for composing is not what they measure
        laws = getattr(base, "latency", None) or base.profile
        super().__init__(modes=base.modes, settings=settings, prompt=base.prompt, profile=laws, seed=0, keys=base.keys)
        self.times = Times()
        self._hasty = hasty
        self.ear: Any = None

    def stt(self, clock: Clock) -> Any:
        self.ear = Ear()
        return self.ear

    def llm(self, clock: Clock) -> Any:
        return Brain(clock, self.times)

    def avatar(self, clock: Clock, tts: Any) -> Any:
        return Mouth(clock, self.times, hasty=self._hasty)
