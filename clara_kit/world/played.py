"""Simulated services in real time, inside this process: what `sim` means behind a conversation that runs live.

They keep the providers' Protocols, take their times and faults from the same timelines as `sim.py`, and play them on a
clock. No socket, no vendor; Clara's and the customer's voices are the offline ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from math import inf
from types import TracebackType
from typing import Any, Self

from clara_kit.audio.pcm import Sound, concat, silence
from clara_kit.audio.voice import OfflineVoice
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError
from clara_kit.core.profile import ANONYMOUS
from clara_kit.core.settings import Settings
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, TTSProvider
from clara_kit.shop.answer import ShopAnswer
from clara_kit.world import mouths, timelines
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.personas import Persona
from clara_kit.world.script import Line

RATE_HZ = 24_000
CHUNK_MS = 100.0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What all played services of a conversation share. voice: None makes silence as long as the words would last."""

    clock: Clock
    settings: Settings
    latency: LatencyProfile
    faults: FaultBox
    draw: timelines.Draw
    voice: OfflineVoice | None = None

    async def until(self, at_ms: float) -> None:
        """Wait for a time on the conversation's clock."""
        await asyncio.sleep(max(0.0, at_ms - self.clock.now_ms()) / 1000)

    def sound(self, text: str) -> Sound:
        """The text spoken."""
        if self.voice is None:
            return silence(mouths.spoken_ms(text, self.settings.tts_speed), RATE_HZ)
        return self.voice.synthesize(text).sound.at_rate(RATE_HZ)

    def length(self, text: str) -> float:
        """How long that lasts, ms."""
        if self.voice is None:
            return mouths.spoken_ms(text, self.settings.tts_speed)
        return self.voice.synthesize(text).sound.duration_ms


class _Entered:
    """Nothing to connect, nothing to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class _Scheduled(_Entered):
    """Events that happen at their time and in their order, unless they are not wanted any more by then."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._out: asyncio.Queue[ev.Event | None] = asyncio.Queue()
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    async def __aexit__(self, *_: object) -> None:
        self._due.clear()

    async def events(self) -> AsyncIterator[ev.Event]:
        """What happens, each at its time."""
        while (event := await self._out.get()) is not None:
            yield event

    def _at(self, at_ms: float, what: Callable[[], object]) -> None:
        if at_ms < inf:
            self._number += 1
            heappush(self._due, (at_ms, self._number, what))
            self._ring()

    def _ring(self) -> None:
        """One timer for what comes next: a loop keeps no order among timers of the same time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due:
            wait_s = max(0.0, self._due[0][0] - self._stage.clock.now_ms()) / 1000
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._happen)

    def _happen(self) -> None:
        while self._due and self._due[0][0] <= self._stage.clock.now_ms():
            heappop(self._due)[2]()
        self._ring()

    def _schedule(self, events: Iterable[ev.Event]) -> None:
        for event in events:
            self._at(event.at_ms, lambda event=event: self._out.put_nowait(event))  # type: ignore[misc]


class PlayedSTT(_Scheduled):
    """A recogniser without ears: it is told each line as it is said."""

    rate_hz = 16_000
    needs_sound = False

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._ear = timelines.Ear(stage.settings, stage.draw)

    def expect(self, line: Line, start_ms: float) -> None:
        """The customer begins to say this line now."""
        for words in self._ear.line(line, self._stage.faults.next_occasion("stt")):
            self._schedule(self._ear.hear(words, start_ms))

    async def reopen(self) -> None:
        """It is connected again: what was said meanwhile is not lost."""
        self._schedule(self._ear.connected(self._stage.clock.now_ms()))

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """Sound means nothing to it."""

    async def finish(self) -> None:
        """No more lines will be told: when the last has been recognised, that is all."""
        last_ms = max((at_ms for at_ms, _, _ in self._due), default=0.0)
        self._at(last_ms, lambda: self._out.put_nowait(None))


class PlayedShop(_Entered):
    """A shop that knows the invented customers of `data/customers/`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def fetch(self, customer: str) -> ShopAnswer:
        """The profile of a persona by gid or e-mail; nothing is known of others. Raises `ProviderError`."""
        stage, began_ms = self._stage, self._stage.clock.now_ms()
        known = next((p.profile for p in Persona.all() if customer in (p.gid, p.email)), ANONYMOUS)
        shown = timelines.shop_answer(known, stage.faults.next_occasion("shop"))
        await stage.until(began_ms + stage.draw("shop_answer") + shown.late_ms)
        if shown.failed is not None:
            raise ProviderError(shown.failed.message, kind=shown.failed.kind, retryable=shown.failed.retryable)
        took_ms = stage.clock.now_ms() - began_ms
        return ShopAnswer(source="shop", profile=shown.profile, took_ms=took_ms, warnings=shown.warnings)


class PlayedLLM:
    """The scripted brain, token by token at the profile's pace."""

    def __init__(self, stage: Stage, book: AnswerBook) -> None:
        self._stage, self._book = stage, book

    @asynccontextmanager
    async def reply(self, request: ReplyRequest) -> AsyncIterator[AsyncIterator[ev.Event]]:
        """One reply; see the Protocol."""
        yield self._events(request)

    async def _events(self, request: ReplyRequest) -> AsyncIterator[ev.Event]:
        stage, prompt = self._stage, request.prompt
        first = sum(m.role == "user" for m in request.messages) <= 1
        question = request.messages[-1].text
        for event in timelines.reply(
            timelines.answer_tokens(self._book, question, prompt if prompt.text else None, first=first),
            request.messages,
            reply_id=request.reply_id,
            now_ms=stage.clock.now_ms(),
            prompt_hash=prompt.hash,
            settings=stage.settings,
            draw=stage.draw,
            faults=stage.faults.next_occasion("llm"),
        ):
            await stage.until(event.at_ms)
            yield event

    async def aclose(self) -> None:
        """Nothing is kept open."""


class PlayedAvatar(_Scheduled):
    """Voice and avatar together, both simulated; the sound goes to nobody but the recording."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._mouth = mouths.mouth_for(stage.settings, stage.latency, stage.draw, stage.length)
        self._orders: dict[int, list[tuple[int, str] | None]] = {}  # of utterances that wait for the one before
        self.on_audio: Callable[[int, bytes], None] | None = None

    async def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        """The next piece."""
        await asyncio.to_thread(self._stage.length, text)  # synthesised once, outside this loop
        await self._order(utterance_id, (piece_no, text))

    async def end_speech(self, utterance_id: int) -> None:
        """No more pieces."""
        await self._order(utterance_id, None)

    async def interrupt(self, utterance_id: int) -> None:
        """Fall silent, or forget what waits."""
        if utterance_id == self._mouth.utterance_id:
            self._schedule([self._mouth.interrupt(self._stage.clock.now_ms())])
            self._go_on()
        elif self._orders.pop(utterance_id, None) is not None:
            now_ms = self._stage.clock.now_ms()
            self._out.put_nowait(ev.SpeakingInterrupted(at_ms=now_ms, utterance_id=utterance_id))

    async def _order(self, utterance_id: int, order: tuple[int, str] | None) -> None:
        if utterance_id == self._mouth.utterance_id:
            self._do(order)
        elif order is not None and (order[0] == 0 or utterance_id in self._orders):
            self._orders.setdefault(utterance_id, []).append(order)
            self._go_on()
        elif utterance_id in self._orders:
            self._orders[utterance_id].append(order)

    def _go_on(self) -> None:
        """Speak the first of the waiting utterances, unless one is being spoken."""
        if self._mouth.utterance_id >= 0 or not self._orders:
            return
        utterance_id = next(iter(self._orders))
        faults = self._stage.faults
        self._mouth.begin(
            utterance_id,
            (*faults.next_occasion("tts"), *faults.next_occasion("avatar"), *faults.next_occasion("avatar", "token")),
        )
        for order in self._orders.pop(utterance_id):
            self._do(order)

    def _do(self, order: tuple[int, str] | None) -> None:
        now_ms, who = self._stage.clock.now_ms(), self._mouth.utterance_id
        if order is None:
            happens = self._mouth.end(now_ms)
        else:
            happens = self._mouth.speak(*order, now_ms)
            if self.on_audio is not None:
                self.on_audio(who, self._stage.sound(order[1]).to_bytes())
        for event in happens:
            self._at(event.at_ms, lambda event=event: self._happens(event))  # type: ignore[misc]

    def _happens(self, event: Any) -> None:
        if event.utterance_id != self._mouth.utterance_id:
            return
        self._out.put_nowait(event)
        if isinstance(event, ev.SpeakingEnded | ev.ProviderFailed):
            self._mouth.utterance_id = -1
            self._go_on()


class PlayedTTS:
    """A simulated voice for an avatar that is none: the offline voice, as late as the profile says."""

    rate_hz = RATE_HZ

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @asynccontextmanager
    async def speak(self, pieces: AsyncIterator[str]) -> AsyncIterator[AsyncIterator[AudioChunk | PiecesVoiced]]:
        """See the Protocol. Two flushes an utterance: after the first piece, and at its end."""
        yield self._stream(pieces)

    async def _stream(self, pieces: AsyncIterator[str]) -> AsyncIterator[AudioChunk | PiecesVoiced]:
        waiting: list[str] = []
        count, audio_ms = 0, 0.0
        async for piece in pieces:
            waiting.append(piece)
            if count == 0:
                count, audio_ms = 1, 0.0
                async for part in self._flush(waiting, count, audio_ms):
                    audio_ms = part.audio_ms if isinstance(part, PiecesVoiced) else audio_ms
                    yield part
                waiting = []
        if waiting:
            async for part in self._flush(waiting, count + len(waiting), audio_ms):
                yield part

    async def _flush(self, texts: list[str], count: int, before_ms: float) -> AsyncIterator[AudioChunk | PiecesVoiced]:
        stage = self._stage
        sounds = [await asyncio.to_thread(stage.sound, text) for text in texts]
        made = mouths.flush(texts, stage.clock.now_ms(), stage.draw, stage.length)
        sound: Sound = concat(silence(made.lead_ms, RATE_HZ), *sounds)
        for number, chunk in enumerate(sound.frames(CHUNK_MS)):
            share = number * CHUNK_MS / max(sound.duration_ms, CHUNK_MS)
            await stage.until(made.first_ms + share * (made.made_ms - made.first_ms))
            yield AudioChunk(chunk.to_bytes())
        await stage.until(made.made_ms)
        yield PiecesVoiced(count, before_ms + sound.duration_ms)

    async def aclose(self) -> None:
        """Nothing is kept open."""


class PlayedFace(_Scheduled):
    """A simulated avatar for a voice that is none: it speaks the sound that a twin or a vendor makes."""

    def __init__(self, stage: Stage, tts: TTSProvider) -> None:
        super().__init__(stage)
        self._tts = tts
        self._waiting: dict[int, asyncio.Queue[str | None]] = {}  # utterances in order; the first is spoken
        self._speaking: asyncio.Task[None] | None = None
        self.on_audio: Callable[[int, bytes], None] | None = None

    async def __aexit__(self, *_: object) -> None:
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
        silent_ms = self._stage.clock.now_ms() + self._stage.draw("avatar_interrupt")
        self._schedule([ev.SpeakingInterrupted(at_ms=silent_ms, utterance_id=utterance_id)])
        self._go_on()

    def _go_on(self) -> None:
        """Speak the first of the waiting utterances, unless one is being spoken."""
        if self._speaking is None and self._waiting:
            self._speaking = asyncio.create_task(self._utter(*next(iter(self._waiting.items()))))

    def _started(self, utterance_id: int) -> None:
        if utterance_id in self._waiting:  # else it was silenced before
            self._out.put_nowait(ev.SpeakingStarted(at_ms=self._stage.clock.now_ms(), utterance_id=utterance_id))

    async def _utter(self, utterance_id: int, queue: asyncio.Queue[str | None]) -> None:
        try:
            await self._voice(utterance_id, queue)
        except ProviderError as exc:
            now_ms = self._stage.clock.now_ms()
            self._out.put_nowait(ev.ProviderFailed.of(exc, "tts", now_ms, utterance_id=utterance_id))
        del self._waiting[utterance_id]
        self._speaking = None
        self._go_on()

    async def _voice(self, utterance_id: int, queue: asyncio.Queue[str | None]) -> None:
        stage, tell = self._stage, self._out.put_nowait
        now = stage.clock.now_ms
        faults = stage.faults.next_occasion("avatar")

        async def pieces() -> AsyncIterator[str]:
            number = 0
            while (text := await queue.get()) is not None:
                tell(ev.SpeechSent(at_ms=now(), utterance_id=utterance_id, piece_no=number))
                number += 1
                yield text

        start_ms = free_ms = 0.0
        async with self._tts.speak(pieces()) as stream:
            async for part in stream:
                if isinstance(part, PiecesVoiced):
                    tell(
                        ev.SpeechVoiced(
                            at_ms=now(), utterance_id=utterance_id, piece_no=part.pieces - 1,
                            audio_ms=part.audio_ms, words=part.words,
                        )
                    )  # fmt: skip
                    continue
                if not start_ms:
                    tell(ev.FirstAudio(at_ms=now(), utterance_id=utterance_id))
                    start_ms = free_ms = now() + stage.draw("avatar_start")
                    self._at(start_ms, partial(self._started, utterance_id))
                free_ms = max(free_ms, now()) + len(part.pcm) / 2 / self._tts.rate_hz * 1000
                if self.on_audio is not None:
                    self.on_audio(utterance_id, part.pcm)
        end_ms, estimated = mouths.ending(start_ms, free_ms, now(), faults)
        await stage.until(end_ms)
        tell(ev.SpeakingEnded(at_ms=now(), utterance_id=utterance_id, estimated=estimated))
