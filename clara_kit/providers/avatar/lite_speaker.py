"""Utterances through the LITE socket, one after another: voice, pace, and what becomes of each.

Used by `liveavatar.py`, which owns the connection: it hands in what the avatar says (`take`) and a way to
send. Nothing here knows how a session is opened or closed.

The walk of an utterance: `speak` queues pieces; the voice pulls them (SpeechSent) and gives sound
(FirstAudio, SpeechVoiced); the sound goes out in chunks, at most `max_ahead_ms` ahead of what is being
played; the avatar says that it started and ended. The next utterance begins when the one before is over, so
that a message that names no utterance can only mean the one in flight.

What is decided here, and why:

- **A start that never comes** (`start_timeout_ms` after the first sound) fails the utterance as stalled and
  interrupts it: without the avatar's word nobody may claim that the customer heard anything.
- **An end that never comes** is estimated: the sound's length after the start, plus `end_margin_ms`.
- **An interrupt that is never confirmed** counts as confirmed after `ack_timeout_ms`, as an estimate: a conversation
  cannot wait for it, and no document promises it. Whatever end follows an interrupt is SpeakingInterrupted.
- **A premature `speak_ended`** (before our `speak_end`) is believed: SpeakingEnded is given, the rest is not
  sent, `speak_end` still is. An idle *state* before our `speak_end` is only a gap in the sound, and is not.
- **A voice that fails** in mid-utterance: the sound that came is played, `speak_end` follows, then the
  failure is told; the next utterance waits until the avatar is done.
- **A waking** gives the avatar some silence under the name of the next utterance, so that it has begun when there is sound.
  Nobody is said to speak before real sound is heard. Where it ends by itself before that, the utterance begins as any other.
- **An `error` message** on the socket ends nothing by itself (video starvation is one); its words are kept
  for the failure that may follow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any

from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError, ProviderUnavailable
from clara_kit.core.events import Event, ProviderFailed, SpeakingEnded, SpeakingInterrupted, SpeakingStarted
from clara_kit.providers.avatar import lite_protocol
from clara_kit.providers.avatar.lite_protocol import Signal
from clara_kit.providers.avatar.pacing import Timing
from clara_kit.providers.avatar.utterance import WAKE_MS, Utterance, Waking, give_voice, length_ms
from clara_kit.providers.tts.base import TTSProvider


class Speaker:
    """Speaks utterances in the order of their first pieces. `run` is the parent of all its tasks."""

    def __init__(
        self,
        *,
        tts: TTSProvider,
        clock: Clock,
        timing: Timing,
        send: Callable[[str], Awaitable[None]],
        emit: Callable[[Event], None],
        tap: Callable[[int, bytes], None],
    ) -> None:
        self.connected = asyncio.Event()
        self.last_error = ""
        """What the avatar last complained about."""
        self._tts, self._clock, self._timing = tts, clock, timing
        self._send, self._emit, self._tap = send, emit, tap
        self._line: asyncio.Queue[Utterance] = asyncio.Queue()
        self._open: dict[int, Utterance] = {}
        self._closed_ids: set[int] = set()
        self._past_task_ids: set[str] = set()
        self._current: Utterance | None = None
        self._orders: set[asyncio.Future[None]] = set()
        self._waking: Waking | None = None  # with what the next utterance begins
        self._names = count(1)

    @property
    def last_words(self) -> str:
        """The same as the end of a message; empty if it never did."""
        return f" Its last error: {self.last_error}." if self.last_error else ""

    def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        """Queue the next piece; returns at once. A new id begins a new utterance and ends the one before."""
        if utterance_id in self._closed_ids:
            return
        if (utterance := self._open.get(utterance_id)) is None:
            for other in self._open.values():
                other.end_pieces()
            utterance = self._open[utterance_id] = Utterance(id=utterance_id, timing=self._timing)
            self._line.put_nowait(utterance)
        utterance.add_piece(piece_no, text)

    def end_speech(self, utterance_id: int) -> None:
        """No more pieces will come for this utterance."""
        if utterance := self._open.get(utterance_id):
            utterance.end_pieces()

    async def interrupt(self, utterance_id: int) -> None:
        """Silence this utterance; returns when the order was sent, at the latest when its confirmation would be due.

        What is over, or was never begun, is left alone. What has sent nothing yet is dropped without a word
        to the avatar.
        """
        utterance = self._open.get(utterance_id)
        if utterance is None or utterance.silenced:
            return
        utterance.silenced = True  # looked at right before each send: from here on nothing of it goes out
        utterance.end_pieces()
        if utterance.task is not None:
            utterance.task.cancel()
        if not utterance.out:
            self._interrupted(utterance)
            return
        later, ack_s = asyncio.get_running_loop().call_later, self._timing.ack_timeout_ms / 1000
        utterance.ack_timer = later(ack_s, partial(self._interrupted, utterance, estimated=True))
        order = self._post(lite_protocol.order("agent.interrupt", utterance.event_id))
        await asyncio.wait({order}, timeout=ack_s)  # a socket that takes nothing holds up nobody

    def wake(self, *, on: bool) -> None:
        """Let the avatar begin with silence, if it has nothing to say; or end that, for nothing will come."""
        if on and self._waking is None and not self._open and self.connected.is_set():
            self._waking = Waking(event_id=f"w{next(self._names)}")
            self._post(lite_protocol.speak(self._waking.event_id, bytes(int(WAKE_MS) * lite_protocol.BYTES_PER_MS)))
        elif not on and self._waking is not None:
            waking, self._waking = self._waking, None
            self._post(lite_protocol.order("agent.interrupt", waking.event_id))

    def _post(self, message: str) -> asyncio.Future[None]:
        """Send it from where nobody can wait for that."""
        order = asyncio.ensure_future(self._send(message))
        self._orders.add(order)
        order.add_done_callback(self._ordered)
        return order

    def _ordered(self, order: asyncio.Future[None]) -> None:
        self._orders.discard(order)
        if not order.cancelled():
            order.exception()  # the session is over: told by events()

    def fail_all(self, error: ProviderError) -> None:
        """The session is over: every utterance that is still open has failed."""
        for utterance in list(self._open.values()):
            self._fail(utterance, error)

    def forget(self) -> None:
        """Leave nothing behind in the event loop."""
        for order in self._orders:
            order.cancel()
        for utterance in self._open.values():
            utterance.stop_timers()

    def take(self, signal: Signal) -> None:
        """What the avatar says of an utterance; what is about none, or about one that is over, is dropped."""
        if self._current is None and self._waking is not None and not self._waking.goes_on(signal, self._now()):
            self._waking = None
        if (current := self._current) and current.is_meant_by(signal, self._past_task_ids):
            if signal.kind == "started":
                self._started(current, signal)
            elif signal.kind == "ended":
                self._ended_by_avatar(current, signal)
            elif current.silenced or signal.kind == "interrupted":
                self._interrupted(current)

    def _started(self, utterance: Utterance, signal: Signal) -> None:
        if utterance.started.is_set():
            return
        utterance.task_id = signal.task_id
        if utterance.waking is not None:
            utterance.waking.started_ms = utterance.waking.started_ms or self._now()
            if utterance.sent:
                self._is_heard_soon(utterance)
            return
        self._is_heard(utterance)

    def _is_heard_soon(self, utterance: Utterance) -> None:
        """It was woken, and its sound follows upon the silence."""
        if utterance.waking is None or utterance.waking.started_ms is None or utterance.start_timer is not None:
            return
        wait_s = (utterance.waking.heard_ms(now_ms := self._now()) - now_ms) / 1000
        utterance.start_timer = asyncio.get_running_loop().call_later(wait_s, self._is_heard, utterance)

    def _is_heard(self, utterance: Utterance) -> None:
        if utterance.started.is_set() or utterance.over.is_set():
            return
        utterance.playhead.start(self._now())
        utterance.started.set()
        utterance.woken.set()
        self._tell(utterance, SpeakingStarted)

    def _ended_by_avatar(self, utterance: Utterance, signal: Signal) -> None:
        if utterance.silenced:
            self._interrupted(utterance)
            return
        if signal.from_state and not utterance.end_sent.is_set():
            return  # a gap in the sound, not the end of the utterance
        if utterance.waking is not None and not utterance.sent:
            utterance.waking = None  # it has had enough of silence
            return
        if not utterance.started.is_set():
            self._tell(utterance, SpeakingStarted, estimated=True)
        self._ended(utterance)

    def _interrupted(self, utterance: Utterance, *, estimated: bool = False) -> None:
        utterance.silenced = True
        self._finish(utterance, SpeakingInterrupted, estimated=estimated)

    async def run(self) -> None:
        """Speak what comes, until cancelled."""
        while True:
            utterance = await self._line.get()
            if utterance.over.is_set():
                continue
            self._current = utterance
            utterance.waking, self._waking = self._waking, None
            utterance.task = task = asyncio.create_task(self._utter(utterance), name=utterance.event_id)
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
                await asyncio.wait({task})
                error = None if task.cancelled() else task.exception()  # also where the session ends
            if error is not None:
                raise error
            await utterance.over.wait()
            if utterance.out and not utterance.end_sent.is_set() and not utterance.silenced:
                await self._send(lite_protocol.order("agent.speak_end", utterance.event_id))
            if utterance.task_id:
                self._past_task_ids.add(utterance.task_id)
            self._current = None

    async def _utter(self, utterance: Utterance) -> None:
        async with asyncio.TaskGroup() as group:
            voice = give_voice(utterance, self._tts, self._tell, self._now)
            work = (voice, self._send_sound(utterance), self._watch(utterance))
            tasks = [group.create_task(w) for w in work]
            await utterance.over.wait()
            for task in tasks:
                task.cancel()

    async def _send_sound(self, utterance: Utterance) -> None:
        await self.connected.wait()
        while (chunk := await self._next_chunk(utterance)) is not None:
            if utterance.silenced:
                return
            utterance.playhead.send(length_ms(chunk), self._now())
            utterance.first_sent.set()
            self._tap(utterance.id, chunk)
            self._is_heard_soon(utterance)
            await self._send(lite_protocol.speak(utterance.event_id, chunk))
        if utterance.silenced:
            return
        utterance.end_sent.set()
        await self._send(lite_protocol.order("agent.speak_end", utterance.event_id))
        if error := utterance.voice_error:
            self._tell(utterance, ProviderFailed.of, error=error, service="tts")
            utterance.told = True
        if not utterance.sent:
            self._ended(utterance, estimated=True)

    async def _next_chunk(self, utterance: Utterance) -> bytes | None:
        """The next chunk when its time has come, or None after the last."""
        utterance.woken.clear()
        while (chunk := utterance.next_chunk(now_ms := self._now())) is None:
            if utterance.voice_done:
                return None
            await utterance.wake_up(utterance.wants_sound_in_ms(now_ms))
            utterance.woken.clear()
        while wait_ms := utterance.playhead.wait_ms(length_ms(chunk), self._now()):
            utterance.woken.clear()
            await utterance.wake_up(wait_ms)
        return chunk

    async def _watch(self, utterance: Utterance) -> None:
        """Close the utterance if the avatar never says that it started, or that it ended."""
        await utterance.first_sent.wait()
        try:
            async with asyncio.timeout(self._timing.start_timeout_ms / 1000):
                await utterance.started.wait()
        except TimeoutError:
            utterance.silenced = True
            await self._send(lite_protocol.order("agent.interrupt", utterance.event_id))
            message = f"The avatar did not begin to speak within {self._timing.start_timeout_ms / 1000:g} s."
            hint = "say it again, or open a new session."
            self._fail(utterance, ProviderUnavailable(message + self.last_words, hint=hint, kind="stalled"))
            return
        await utterance.end_sent.wait()
        while (left_ms := utterance.playhead.ends_ms + self._timing.end_margin_ms - self._now()) > 0:
            await asyncio.sleep(left_ms / 1000)
        self._ended(utterance, estimated=True)

    def _ended(self, utterance: Utterance, *, estimated: bool = False) -> None:
        self._finish(utterance, SpeakingEnded, estimated=estimated)

    def _fail(self, utterance: Utterance, error: ProviderError) -> None:
        self._finish(utterance, ProviderFailed.of, error=error, service="avatar")

    def _finish(self, utterance: Utterance, last: Callable[..., Event], **more: Any) -> None:
        """The avatar is done with it; its last event is given unless another was."""
        utterance.stop_timers()
        if utterance.over.is_set():
            return
        if not utterance.told:
            utterance.told = True
            self._emit(last(at_ms=self._now(), utterance_id=utterance.id, **more))
        self._open.pop(utterance.id, None)
        self._closed_ids.add(utterance.id)
        utterance.over.set()

    def _tell(self, utterance: Utterance, kind: Callable[..., Event], **more: Any) -> None:
        """Something on the way; of no interest to anyone after an interrupt, or after the last event."""
        if not utterance.silenced and not utterance.told:
            self._emit(kind(at_ms=self._now(), utterance_id=utterance.id, **more))

    def _now(self) -> float:
        return self._clock.now_ms()
