"""What a LiveAvatar FULL session says, one thing after another: our text repeated, or its own answers.

Used by `full.py`, which owns the session: it hands in what the assistant tells (`take`) and a way to send.

What is decided here, and why:

- **Pieces that wait** while another is spoken go out together: each order costs the vendor's voice a start.
- **A start that never comes** (`start_timeout_ms` after the order) fails the utterance, and it is ordered silent. Where
  nothing whatsoever was told meanwhile, the session is taken to be dead, and ends: the next order would fare no better.
- **An end that never comes** is estimated by the length of the words, and ordered; then nothing can be sounding.
- **An interrupt that is never confirmed** counts as confirmed after `ack_timeout_ms`.
- **A customer who is heard while it speaks** has interrupted it: the vendor stops it by itself, and says only `ended`.
- **An answer to what it heard** may come before anybody has asked for it (`ask(heard=True)`). It is kept, event by event,
  and told when it is asked for. After `_UNASKED_MS` without that, or where something else is to be said, it is silenced.
- **What it says unasked** otherwise, such as an utterance that was given up and starts late, is silenced at once.
- **An end without a beginning** is believed only of the order that it names: it may be that of what was silenced before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Any

from clara_kit.audio.spoken import Pronunciation, spoken
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError
from clara_kit.providers import http
from clara_kit.providers.avatar.full_protocol import Order, Signal
from clara_kit.providers.avatar.full_utterance import Emit, Utterance, VendorEars
from clara_kit.providers.avatar.pacing import Timing

_UNASKED_MS = 4000.0  # longer than a conversation waits for the rest of a sentence
_LATE_WORDS_MS = 500.0  # after the end, for the transcription that should have come before it


class FullSpeaker:
    """Speaks utterances in the order in which they came. `run` is the parent of all its work."""

    def __init__(
        self,
        *,
        clock: Clock,
        timing: Timing,
        pronunciation: Pronunciation,
        send: Callable[..., Awaitable[None]],
        emit: Emit,
        tap: Callable[[int, bytes], None],
        read_back: Callable[[], Awaitable[str]],
    ) -> None:
        """send(order, id, text): a command. read_back: what the vendor wrote down of its last words."""
        self.hears = False
        self._clock, self._timing, self._pronunciation = clock, timing, pronunciation
        self._send, self._emit, self._tap, self._read_back = send, emit, tap, read_back
        self._line: deque[Utterance] = deque()  # the first is being spoken
        self._more = asyncio.Event()
        self._ids = count(1)
        self._past: deque[str] = deque(maxlen=100)  # orders that are over
        self._own: Utterance | None = None  # its answer to what it heard, while nobody has asked for it
        self._own_timer: asyncio.TimerHandle | None = None
        self._own_due = False  # it has heard something, and has not begun to answer
        self._names_orders = False  # what is told of an order names it
        self.ears = VendorEars(emit, clock)
        self._last_words = ""
        self._told = 0  # messages
        self._hushing: set[asyncio.Future[None]] = set()

    # --- what is ordered ----------------------------------------------------------------------------------

    def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        """Queue the next piece. A new id begins a new utterance after those before it."""
        utterance = self._find(utterance_id) or self._queue(self._new(utterance_id))
        if not utterance.closed:
            utterance.pieces.append((piece_no, text))
            utterance.news.set()

    def end_speech(self, utterance_id: int) -> None:
        """No more pieces will come."""
        if utterance := self._find(utterance_id):
            utterance.closed = True
            utterance.news.set()

    def ask(self, reply_id: int, utterance_id: int, text: str, *, heard: bool) -> None:
        """Let it answer; heard: the answer that it gives by itself gets these ids."""
        if not heard or self._own is None:
            self._queue(self._new(utterance_id, reply_id=reply_id, answers=text, heard=heard, closed=True))
            return
        own, self._own = self._own, None
        own.take_ids(reply_id, utterance_id, self._tap)
        self._queue(own)

    async def interrupt(self, utterance_id: int) -> None:
        """Silence this utterance; returns when the order was sent, if one had to be."""
        utterance = self._find(utterance_id)
        if utterance is None or utterance.silenced:
            return
        utterance.silenced = True
        utterance.news.set()
        if utterance is not self._line[0]:
            self._drop(utterance, interrupted=True)
        elif utterance.out:
            with suppress(ProviderError, TimeoutError):  # the session is over: told by events()
                async with asyncio.timeout(self._timing.ack_timeout_ms / 1000):
                    await self._order_silence()

    # --- what it tells ------------------------------------------------------------------------------------

    def take(self, signal: Signal) -> None:
        """What the assistant tells of itself or of the customer."""
        self._told += 1
        if signal.kind.startswith("user_"):
            if self.hears:
                self._own_due = self._own_due or signal.kind == "user_said"
                self.ears.take(signal)
            return
        utterance = self._meant(signal)
        if signal.kind == "started" and (utterance.silenced if utterance else not self._at_it):
            self._hush()
        if utterance is not None:
            utterance.take(signal, customer_speaks=self.ears.speaking)

    @property
    def _at_it(self) -> bool:
        return bool(self._line) and self._line[0].out

    def _meant(self, signal: Signal) -> Utterance | None:
        """The utterance that a signal is about; a new one, where it begins to answer what it heard."""
        if signal.source_id in self._past:
            return None
        current = self._line[0] if self._line else None
        own = self._own or next((u for u in list(self._line)[1:] if u.heard), None)
        if current is not None:
            self._names_orders = self._names_orders or signal.source_id == current.order_id != ""
            late_words = current.ended and signal.kind in ("words", "said")
            if self._passes(current, own, signal):
                if signal.kind == "started":  # it has one mouth
                    self._drop(current, interrupted=True)
                    current.ended = True
                    current.news.set()
            elif current.out or late_words:
                unnamed = self._names_orders and not signal.source_id and not current.heard
                return None if unnamed else current
        if not self.hears or signal.source_id:
            return None
        if signal.kind != "ended" and (own is None or own.takes_no(signal.kind)):
            self._forget_own()  # it has gone on to this by itself
            own = self._own = self._new(None, answers="", heard=True, closed=True)
            self._own_timer = asyncio.get_running_loop().call_later(_UNASKED_MS / 1000, self._unasked)
        return own

    def _passes(self, current: Utterance, own: Utterance | None, signal: Signal) -> bool:
        """Whether it is already at its answer to what it heard, though what was silenced for that is not confirmed."""
        if not current.silenced or signal.source_id or not (own or self._own_due):
            return False
        return signal.kind != "ended" or (own is not None and own.started_ms is not None)

    def hear(self, pcm: bytes) -> None:
        """What is heard of it now."""
        for utterance in (*self._line, self._own):
            if utterance is not None and utterance.sounding:
                utterance.hear(pcm, self._tap)

    def stop_hearing(self) -> None:
        """What it makes of what it heard is of no interest any more."""
        self.hears = self.ears.speaking = False
        self._unasked()

    def _unasked(self) -> None:
        if self._forget_own():
            self._hush()

    def _forget_own(self) -> bool:
        """Nobody will ask for what it answers by itself. Whether it may still be saying it."""
        if self._own_timer is not None:
            self._own_timer.cancel()
        own, due = self._own, self._own_due
        self._own, self._own_due = None, False
        return due if own is None else not own.ended

    # --- speaking -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Speak what comes, until cancelled."""
        while True:
            self._more.clear()
            if not self._line:
                await self._more.wait()
                continue
            utterance = self._line[0]
            await (self._repeat(utterance) if utterance.answers is None else self._answer(utterance))

    async def _repeat(self, utterance: Utterance) -> None:
        """Our text with its voice."""
        while not (utterance.silenced or utterance.cut):
            await utterance.until(lambda: bool(utterance.pieces) or utterance.closed or utterance.silenced)
            if utterance.silenced or not utterance.pieces:
                break
            pieces = list(utterance.pieces)
            utterance.pieces.clear()
            for piece_no, _ in pieces:
                utterance.tell(ev.SpeechSent, piece_no=piece_no)
            text = " ".join(text for _, text in pieces)
            said = (await asyncio.to_thread(spoken, text, self._pronunciation)).text
            if said:
                if not await self._spoken(utterance, "avatar.speak_text", said):
                    return
                utterance.tell_voiced(pieces[-1][0])
        self._drop(utterance, interrupted=utterance.silenced or utterance.cut)

    async def _answer(self, utterance: Utterance) -> None:
        """Its own model's answer."""
        utterance.introduce()
        what: Order | None = None if utterance.heard else "avatar.speak_response"
        if not await self._spoken(utterance, what, utterance.answers or ""):
            return
        words, late_ms = utterance.words, self._now() + _LATE_WORDS_MS
        await utterance.until(lambda: words.whole or utterance.silenced, lambda: late_ms)
        if not words.text and (text := await self._read_back()) != self._last_words:
            utterance.say(words.said(text))
        self._last_words = words.text
        self._drop(utterance, interrupted=utterance.cut)

    async def _spoken(self, utterance: Utterance, what: Order | None, text: str) -> bool:
        """Order it, and wait until it has been spoken. False: it was silenced or has failed, and that is told."""
        if utterance.silenced:
            self._drop(utterance, interrupted=True)
            return False
        now, told = self._now(), self._told
        self._past.append(utterance.order_id or "-")
        utterance.order(f"o{next(self._ids)}", len(text) if utterance.answers is None else utterance.chars)
        if what is not None:
            if self._forget_own():
                await self._order_silence()
            await self._send(what, utterance.order_id, text)
        start_ms = now + self._timing.start_timeout_ms
        begun = await utterance.until(
            lambda: utterance.started_ms is not None or utterance.ended or utterance.silenced, lambda: start_ms
        )
        if not begun:
            stalled = http.failure("stalled", "LiveAvatar's assistant did not begin to speak in time.")
            if self._told == told:
                raise stalled
            utterance.fail(stalled)
            self._drop(utterance)
            await self._order_silence()
            return False
        margin_ms = self._timing.end_margin_ms
        over = await utterance.until(
            lambda: utterance.ended or utterance.silenced, lambda: utterance.longest_ms(now) + margin_ms
        )
        if utterance.silenced:
            ack_ms = self._now() + self._timing.ack_timeout_ms
            ended = await utterance.until(lambda: utterance.ended, lambda: ack_ms)
            self._drop(utterance, interrupted=True, estimated=not ended)
            return False
        if not over:  # of what it may still be saying nobody would know
            await self._order_silence()
        utterance.begin()
        if utterance.started_ms is not None:
            utterance.voiced_ms += self._now() - utterance.started_ms
        return True

    def fail_all(self, error: ProviderError) -> None:
        """The session is over: every utterance that is still open has failed."""
        for utterance in list(self._line):
            utterance.fail(error)
        self._line.clear()

    def forget(self) -> None:
        """Leave nothing behind in the event loop."""
        self._forget_own()
        for order in self._hushing:
            order.cancel()

    def _drop(self, utterance: Utterance, *, interrupted: bool = False, estimated: bool = False) -> None:
        """It is over, and the next may begin."""
        if not utterance.over:
            utterance.finish(interrupted=interrupted, estimated=estimated)
        self._past.append(utterance.order_id or "-")
        if utterance in self._line:
            self._line.remove(utterance)

    async def _order_silence(self) -> None:
        await self._send("avatar.interrupt", f"i{next(self._ids)}")

    def _hush(self) -> None:
        """Order silence from where nobody can wait for it."""
        order = asyncio.ensure_future(self._order_silence())
        self._hushing.add(order)
        order.add_done_callback(self._hushed)

    def _hushed(self, order: asyncio.Future[None]) -> None:
        self._hushing.discard(order)
        if not order.cancelled():
            order.exception()  # the session is over: told by events()

    def _new(self, utterance_id: int | None, **more: Any) -> Utterance:
        return Utterance(emit=self._emit, clock=self._clock, id=utterance_id, **more)

    def _find(self, utterance_id: int) -> Utterance | None:
        return next((u for u in self._line if u.id == utterance_id), None)

    def _queue(self, utterance: Utterance) -> Utterance:
        self._line.append(utterance)
        self._more.set()
        return utterance

    def _now(self) -> float:
        return self._clock.now_ms()
