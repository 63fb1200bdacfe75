"""Simulated services in real time, inside this process: what `sim` means behind a conversation that runs live.

They keep the providers' Protocols, take their times and faults from the same timelines as `sim.py`, and play them on a
clock. No socket, no vendor; Clara's and the customer's voices are the offline ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from heapq import heappop, heappush
from math import inf
from types import TracebackType
from typing import Self

from clara_kit.audio.pcm import Sound, silence
from clara_kit.audio.spoken import Pronunciation
from clara_kit.audio.voice import OfflineVoice
from clara_kit.conversation.history import without_notes
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError
from clara_kit.core.settings import Settings
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.world import mouths, timelines
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import DOORS, Fault, FaultBox, find
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.script import Line

RATE_HZ = 24_000
CHUNK_MS = 100.0
Order = tuple[int, str] | do.AskBackup | None
"""A piece with its number, a question, or the end of the pieces."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What all played services of a conversation share. voice: None makes silence as long as the words would last."""

    clock: Clock
    settings: Settings
    latency: LatencyProfile
    faults: FaultBox
    draw: timelines.Draw
    pronunciation: Pronunciation = ()
    voice: OfflineVoice | None = None
    opened: set[ev.Service] = field(default_factory=set)
    """Who has been connected once: the first time is before the conversation begins, and takes none of its time."""

    recognisers: list[PlayedSTT] = field(default_factory=list)  # that are connected

    @cached_property
    def ear(self) -> timelines.Ear:
        """The recogniser's, however often it is connected: what was said to nobody waits in it."""
        return timelines.Ear(self.settings, self.draw)

    async def until(self, at_ms: float) -> None:
        """Wait for a time on the conversation's clock."""
        await asyncio.sleep(max(0.0, at_ms - self.clock.now_ms()) / 1000)

    def sound(self, text: str) -> Sound:
        """The text spoken."""
        if self.voice is None:
            return silence(self.length(text), RATE_HZ)
        return self.voice.synthesize(text).sound.at_rate(RATE_HZ)

    async def opens(self, service: ev.Service) -> None:
        """A session of the avatar's vendor is opened. Raises `ProviderError` where it is refused."""
        began_ms = self.clock.now_ms()
        doors = (fault for door in DOORS for fault in self.faults.next_occasion(service, door))
        if service == "avatar" and service not in self.opened:
            return self.opened.add(service)
        if (refused := find(doors, "refuse")) is not None:
            await self.until(began_ms + refused.after_ms)
            raise error_of(timelines.failed(refused, began_ms))
        await self.until(began_ms + self.draw("avatar_open"))

    def length(self, text: str) -> float:
        """How long that lasts, ms."""
        if self.voice is None:
            return mouths.spoken_ms(text, self.settings.tts_speed, self.pronunciation)
        return self.voice.synthesize(text).sound.duration_ms


def error_of(failed: ev.ProviderFailed) -> ProviderError:
    """What a provider raises, of what it would have told."""
    wait_ms = failed.retry_after_ms
    return ProviderError(failed.message, kind=failed.kind, retryable=failed.retryable, retry_after_ms=wait_ms)


class Entered:
    """Nothing to connect, nothing to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Scheduled(Entered):
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


class PlayedSTT(Scheduled):
    """A recogniser without ears: it is told each line as it is said."""

    rate_hz = 16_000
    needs_sound = False

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._ear = stage.ear

    async def __aenter__(self) -> Self:
        if self._ear.closed:
            await self.reopen()
        self._stage.recognisers.append(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stage.recognisers.remove(self)
        self._ear.disconnected(self._stage.clock.now_ms())
        await super().__aexit__()

    def hear(self, events: Iterable[ev.Event]) -> None:
        """The ear is given something to hear again."""
        self._schedule(events)

    def expect(self, line: Line, start_ms: float) -> None:
        """The customer begins to say this line now."""
        for words in self._ear.line(line, self._stage.faults.next_occasion("stt")):
            self._schedule(self._ear.hear(words, start_ms))

    def _schedule(self, events: Iterable[ev.Event]) -> None:
        for event in events:
            self._at(event.at_ms, lambda event=event: self._out.put_nowait(event) if self._ear.tells(event) else None)  # type: ignore[misc]

    async def finalize(self, *, over: bool = True) -> None:
        """The last words are wanted before the silence is over, or the words so far."""
        self._schedule(self._ear.finalize(self._stage.clock.now_ms(), over=over))

    async def reopen(self) -> None:
        """It is connected again: what was said meanwhile is not lost. Raises `ProviderError`."""
        stage, now_ms = self._stage, self._stage.clock.now_ms()
        refused = self._ear.connects(now_ms, stage.faults.next_occasion("stt"))
        if refused is not None:
            await stage.until(refused.at_ms)
            raise error_of(refused)
        self._schedule(self._ear.connected(now_ms))

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """Sound means nothing to it."""

    async def finish(self) -> None:
        """No more lines will be told: when the last has been recognised, that is all."""
        last_ms = max((at_ms for at_ms, _, _ in self._due), default=0.0)
        self._at(last_ms, lambda: self._out.put_nowait(None))


class PlayedLLM:
    """The scripted brain, token by token at the profile's pace."""

    def __init__(self, stage: Stage, book: AnswerBook) -> None:
        self._stage, self._book = stage, book
        self.on_cancelled: Callable[[ev.ReplyCompleted], object] | None = None

    @asynccontextmanager
    async def reply(self, request: ReplyRequest) -> AsyncIterator[AsyncIterator[ev.Event]]:
        """One reply; see the Protocol."""
        told: list[ev.Event] = []
        try:
            yield self._events(request, told)
        finally:
            written = sum(isinstance(event, ev.ReplyDelta) for event in told)
            over = told and isinstance(told[-1], ev.ReplyCompleted | ev.ProviderFailed)
            if written and not over and self.on_cancelled is not None:
                now_ms, usage = self._stage.clock.now_ms(), timelines.dropped(request.messages, written)
                who = request.reply_id
                self.on_cancelled(ev.ReplyCompleted(at_ms=now_ms, reply_id=who, stop_reason=ev.CANCELLED, usage=usage))

    async def _events(self, request: ReplyRequest, told: list[ev.Event]) -> AsyncIterator[ev.Event]:
        stage, prompt = self._stage, request.prompt
        first, said = timelines.how_asked(request.messages)
        asked = (without_notes(m.text, asides=False) for m in reversed(request.messages) if m.role == "user")
        question = next(filter(None, asked), "")
        for event in timelines.reply(
            timelines.answer_tokens(self._book, question, prompt if prompt.text else None, first=first, said=said),
            request.messages,
            reply_id=request.reply_id,
            now_ms=stage.clock.now_ms(),
            prompt_hash=prompt.hash,
            settings=stage.settings,
            draw=stage.draw,
            faults=stage.faults.next_occasion("llm"),
        ):
            await stage.until(event.at_ms)
            told.append(event)
            yield event

    async def aclose(self) -> None:
        """Nothing is kept open."""


class PlayedAvatar(Scheduled):
    """Voice and avatar together, both simulated; the sound goes to nobody but the recording."""

    def __init__(self, stage: Stage, mouth: mouths.Mouth | None = None) -> None:
        super().__init__(stage)
        self._mouth = mouth or mouths.mouth_for(stage.settings, stage.latency, stage.draw, stage.length)
        self._orders: dict[int, list[Order]] = {}  # of utterances that wait for the one before
        self._kept: set[str] = set()  # texts whose sound is kept, till they are spoken
        self.foretell: Callable[[str], object] = self._kept.add
        self._session: ev.Service = "avatar"
        self.on_audio: Callable[[int, bytes], None] | None = None

    async def __aenter__(self) -> Self:
        await self._stage.opens(self._session)
        return self

    async def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        """The next piece."""
        if self._stage.voice is not None:
            await asyncio.to_thread(self._stage.length, text)  # synthesised once, outside this loop
        await self._order(utterance_id, (piece_no, text))

    def wake(self, on: bool) -> None:
        """See `Wakes`."""
        self._mouth.wake(on, self._stage.clock.now_ms())

    async def end_speech(self, utterance_id: int) -> None:
        """No more pieces."""
        await self._order(utterance_id, None)

    async def interrupt(self, utterance_id: int) -> None:
        """Fall silent, or forget what waits."""
        if utterance_id == self._mouth.utterance_id:
            self._schedule(self._silenced())
            self._go_on()
        elif self._orders.pop(utterance_id, None) is not None:
            now_ms = self._stage.clock.now_ms()
            self._out.put_nowait(ev.SpeakingInterrupted(at_ms=now_ms, utterance_id=utterance_id))

    def _silenced(self) -> list[ev.Event]:
        return [self._mouth.interrupt(self._stage.clock.now_ms())]

    async def _order(self, utterance_id: int, order: Order) -> None:
        if utterance_id == self._mouth.utterance_id:
            self._do(order)
        elif order is not None and (isinstance(order, do.AskBackup) or order[0] == 0 or utterance_id in self._orders):
            self._orders.setdefault(utterance_id, []).append(order)
            self._go_on()
        elif utterance_id in self._orders:
            self._orders[utterance_id].append(order)

    def _go_on(self) -> None:
        """Speak the first of the waiting utterances, unless one is being spoken."""
        if self._mouth.utterance_id >= 0 or not self._orders:
            return
        utterance_id = next(iter(self._orders))
        orders = self._orders.pop(utterance_id)
        later = partial(self._stage.faults.next_occasion, "tts") if self._is_kept(orders[0]) else None
        self._mouth.begin(utterance_id, self._faults_of(orders[0]), later)
        for order in orders:
            self._do(order)

    def _faults_of(self, order: Order) -> tuple[Fault, ...]:
        """What goes wrong with an utterance."""
        faults = self._stage.faults
        doors = (fault for door in DOORS for fault in faults.next_occasion("avatar", door))
        return (*(() if self._is_kept(order) else faults.next_occasion("tts")), *faults.next_occasion("avatar"), *doors)

    def _is_kept(self, order: Order) -> bool:
        return isinstance(order, tuple) and order[1] in self._kept and self._mouth.keeps

    def _do(self, order: Order) -> None:
        now_ms, who = self._stage.clock.now_ms(), self._mouth.utterance_id
        assert not isinstance(order, do.AskBackup)
        if order is None:
            happens = self._mouth.end(now_ms)
        else:
            happens = self._mouth.say(*order, now_ms, kept=self._is_kept(order))
            self._kept.discard(order[1])
            self._at(self._mouth.due_ms(now_ms), self._go_on_speaking)
            self._sounds(who, order[1])
        self._await(happens)

    def _sounds(self, who: int, text: str) -> None:
        if self.on_audio is not None:
            self.on_audio(who, self._stage.sound(text).to_bytes())

    def _go_on_speaking(self) -> None:
        self._await(self._mouth.go_on(self._stage.clock.now_ms()))

    def _await(self, events: Iterable[ev.Event]) -> None:
        who = self._mouth.utterance_id
        for event in events:
            if isinstance(event, ev.ProviderFailed) and event.utterance_id is None:
                self._at(event.at_ms, lambda event=event: self._lost(event))  # type: ignore[misc]
            else:
                self._at(event.at_ms, lambda event=event: self._happens(event, who))  # type: ignore[misc]

    def _lost(self, event: ev.Event) -> None:
        """The session broke: that is told, and it is over."""
        self._out.put_nowait(event)
        self._out.put_nowait(None)
        self._orders.clear()
        self._due.clear()

    def _happens(self, event: ev.Event, who: int) -> None:
        if who != self._mouth.utterance_id:
            return
        self._out.put_nowait(event)
        if isinstance(event, ev.SpeakingEnded | ev.ProviderFailed):
            self._mouth.utterance_id = -1
            self._go_on()
