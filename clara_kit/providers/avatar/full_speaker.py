"""What a LiveAvatar FULL session says, one thing after another: our text repeated, or its own answers.

Used by `full.py`, which owns the session: it hands in what the assistant tells (`take`) and a way to send.

What is decided here, and why:

- **Pieces that wait** while another is spoken go out together: each order costs the vendor's voice a start.
- **A start that never comes** (`start_timeout_ms` after the order) fails the utterance, and it is ordered silent.
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
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from clara_kit.audio.spoken import Pronunciation, spoken
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError
from clara_kit.providers import http
from clara_kit.providers.avatar.full_protocol import Order, Signal, SignalKind, Words
from clara_kit.providers.avatar.pacing import Timing

MODEL = "liveavatar: its own"
_UNASKED_MS = 4000.0  # longer than a conversation waits for the rest of a sentence
_LATE_WORDS_MS = 500.0  # after the end, for the transcription that should have come before it
_SLOWEST_CHARS_PER_S = 8.0  # about half the pace of Spanish speech
_REPEATED_MS, _ANSWERED_MS = 8000.0, 30_000.0  # what is being said may take so long, whatever is known of its words
_REPLY = (ev.ReplyStarted, ev.ReplyDelta, ev.ReplyCompleted)


@dataclass(eq=False, kw_only=True)
class Utterance:
    """`id` None: an answer that nobody has asked for yet, whose events wait in `held`. `answers`: to what it answers."""

    id: int | None
    reply_id: int | None = None
    answers: str | None = None
    heard: bool = False
    pieces: deque[tuple[int, str]] = field(default_factory=deque)
    closed: bool = False
    held: list[tuple[Callable[..., ev.Event], dict[str, Any]]] = field(default_factory=list)
    held_sound: list[bytes] = field(default_factory=list)
    words: Words = field(default_factory=Words)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    order_id: str = ""  # of what is being spoken now
    started_ms: float | None = None  # of that
    ended: bool = False  # that
    chars: int = 0  # of that
    introduced: bool = False
    begun: bool = False  # something of the utterance has sounded
    voiced_ms: float = 0.0
    silenced: bool = False
    cut: bool = False  # by the customer, whom it heard
    over: bool = False

    def said(self, kind: SignalKind) -> bool:
        """Whether such a signal can only belong to what is said after it."""
        return self.started_ms is not None if kind == "started" else self.ended and self.words.whole


class FullSpeaker:
    """Speaks utterances in the order in which they came. `run` is the parent of all its work."""

    def __init__(
        self,
        *,
        clock: Clock,
        timing: Timing,
        pronunciation: Pronunciation,
        send: Callable[..., Awaitable[None]],
        emit: Callable[[ev.Event], None],
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
        self._last_words = ""
        self._customer_speaks = False
        self._heard_from_ms: float | None = None
        self._heard_until_ms: float | None = None
        self._interim = Words()
        self._strays: set[asyncio.Future[None]] = set()

    # --- what is ordered ----------------------------------------------------------------------------------

    def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        """Queue the next piece. A new id begins a new utterance after those before it."""
        utterance = self._find(utterance_id) or self._queue(Utterance(id=utterance_id))
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
        own = self._own
        if not heard or own is None:
            answering = Utterance(id=utterance_id, reply_id=reply_id, answers=text, heard=heard, closed=True)
            self._queue(answering)
            return
        self._own = None
        own.id, own.reply_id = utterance_id, reply_id
        for kind, more in own.held:
            self._tell(own, kind, **more)
        for pcm in own.held_sound:
            self._tap(utterance_id, pcm)
        self._queue(own)

    async def interrupt(self, utterance_id: int) -> None:
        """Silence this utterance; returns when the order was sent, if one had to be."""
        if utterance := self._find(utterance_id):
            await self._silence(utterance)

    async def _silence(self, utterance: Utterance) -> None:
        if utterance.silenced or utterance.over:
            return
        utterance.silenced = True
        utterance.news.set()
        if utterance is self._line[0] and (utterance.order_id or utterance.heard) and not utterance.ended:
            with suppress(ProviderError, TimeoutError):  # the session is over: told by events()
                async with asyncio.timeout(self._timing.ack_timeout_ms / 1000):
                    await self._send("avatar.interrupt", f"i{next(self._ids)}")
        elif utterance is not self._line[0]:
            self._finish(utterance, ev.SpeakingInterrupted)

    # --- what it tells ------------------------------------------------------------------------------------

    def take(self, signal: Signal) -> None:
        """What the assistant tells of itself or of the customer."""
        if signal.kind.startswith("user_"):
            self._customer(signal)
            return
        utterance = self._meant(signal)
        if signal.kind == "started" and (utterance is None or utterance.silenced):
            self._hush()
        if utterance is None:
            return
        utterance.news.set()
        if signal.kind == "started" and utterance.started_ms is None:
            utterance.started_ms = self._now()
            self._began(utterance)
        elif signal.kind == "ended" and (utterance.started_ms is not None or signal.source_id):
            utterance.ended = True
            utterance.cut = self._customer_speaks
        elif signal.kind in ("words", "said") and utterance.answers is not None:
            take = utterance.words.chunk if signal.kind == "words" else utterance.words.said
            utterance.chars += len(text := take(signal.text))
            self._delta(utterance, text)

    def _meant(self, signal: Signal) -> Utterance | None:
        """The utterance that a signal is about; a new one, where it begins to answer what it heard."""
        if signal.source_id in self._past:
            return None  # what has a source and is not past is of what was ordered last
        current = self._line[0] if self._line else None
        if current is not None and (current.order_id or current.heard):
            late_words = current.ended and signal.kind in ("words", "said")
            if not current.ended or late_words:
                return current
        if not self.hears:
            return None
        if signal.kind != "ended" and (self._own is None or self._own.said(signal.kind)):
            self._forget_own()
            self._own = Utterance(id=None, answers="", heard=True, closed=True)
            self._own_timer = asyncio.get_running_loop().call_later(_UNASKED_MS / 1000, self._forget_own)
        return self._own

    def hear(self, pcm: bytes) -> None:
        """What is heard of it now."""
        sounding = next((u for u in (*self._line, self._own) if u and u.started_ms is not None and not u.ended), None)
        if sounding is None or sounding.silenced:
            return
        if sounding.id is None:
            sounding.held_sound.append(pcm)
        else:
            self._tap(sounding.id, pcm)

    def _forget_own(self) -> None:
        """Nobody has asked for what it is answering, or something else is to be said."""
        if self._own_timer is not None:
            self._own_timer.cancel()
        own, self._own = self._own, None
        if own is not None and not own.ended:
            self._hush()

    def _customer(self, signal: Signal) -> None:
        """The customer, as the assistant hears them."""
        if not self.hears:
            return
        now = self._now()
        if signal.kind == "user_started":
            self._customer_speaks, self._heard_from_ms, self._heard_until_ms = True, now, None
            self._interim = Words()
            self._emit(ev.SpeechStarted(at_ms=now, source="vendor", sound_at_ms=now))
        elif signal.kind == "user_ended":
            self._customer_speaks, self._heard_until_ms = False, now
            self._emit(ev.SpeechEnded(at_ms=now, source="vendor", sound_at_ms=now))
        elif signal.kind == "user_words":
            self._interim.chunk(signal.text)
            self._emit(ev.TranscriptInterim(at_ms=now, text=self._interim.text))
        else:
            from_ms, until_ms = self._heard_from_ms, self._heard_until_ms
            until_ms = now if until_ms is None else until_ms
            told = ev.TranscriptFinal(
                at_ms=now,
                text=signal.text,
                speech_started_ms=until_ms if from_ms is None else from_ms,
                speech_ended_ms=until_ms,
            )
            self._emit(told)
            self._heard_from_ms = self._heard_until_ms = None
            self._interim = Words()

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
            await self._until(utterance, lambda: bool(utterance.pieces) or utterance.closed or utterance.silenced)
            if utterance.silenced or not utterance.pieces:
                break
            pieces = list(utterance.pieces)
            utterance.pieces.clear()
            for piece_no, _ in pieces:
                self._tell(utterance, ev.SpeechSent, piece_no=piece_no)
            text = " ".join(text for _, text in pieces)
            said = (await asyncio.to_thread(spoken, text, self._pronunciation)).text
            if said and not utterance.silenced:
                if not await self._spoken(utterance, "avatar.speak_text", said):
                    return
                voiced = {"piece_no": pieces[-1][0], "audio_ms": utterance.voiced_ms}
                self._tell(utterance, ev.SpeechVoiced, **voiced)
        stopped = utterance.silenced or utterance.cut
        self._finish(utterance, ev.SpeakingInterrupted if stopped else ev.SpeakingEnded)

    async def _answer(self, utterance: Utterance) -> None:
        """Its own model's answer."""
        self._introduce(utterance)
        if not await self._spoken(utterance, None if utterance.heard else "avatar.speak_response", utterance.answers):
            return
        words = utterance.words
        if not words.whole:
            late_ms = self._now() + _LATE_WORDS_MS
            await self._until(utterance, lambda: words.whole or utterance.silenced, lambda: late_ms)
        if not words.text and (text := await self._read_back()) != self._last_words:
            self._delta(utterance, words.said(text))
        self._last_words = words.text
        self._finish(utterance, ev.SpeakingInterrupted if utterance.cut else ev.SpeakingEnded)

    async def _spoken(self, utterance: Utterance, what: Order | None, text: str | None) -> bool:
        """Order it, and wait until it has been spoken. False: it was silenced or has failed, and that is told."""
        if utterance.silenced:
            self._finish(utterance, ev.SpeakingInterrupted)
            return False
        now = self._now()
        if what is not None:
            self._forget_own()
            self._past.append(utterance.order_id or "-")
            utterance.started_ms, utterance.ended = None, False
            utterance.chars = len(text or "") if utterance.answers is None else 0
        utterance.order_id = f"o{next(self._ids)}"
        if what is not None:
            await self._send(what, utterance.order_id, text)
        start_ms = now + self._timing.start_timeout_ms
        began = lambda: utterance.started_ms is not None or utterance.ended or utterance.silenced  # noqa: E731
        if not await self._until(utterance, began, lambda: start_ms):
            self._fail(utterance, http.failure("stalled", "LiveAvatar's assistant did not begin to speak in time."))
            self._hush()
            return False
        over = lambda: utterance.ended or utterance.silenced  # noqa: E731
        if not await self._until(utterance, over, lambda: self._longest_ms(utterance, now)):
            self._hush()  # of what it may still be saying nobody would know
        if utterance.silenced:
            ack_ms = self._now() + self._timing.ack_timeout_ms
            ended = await self._until(utterance, lambda: utterance.ended, lambda: ack_ms)
            self._finish(utterance, ev.SpeakingInterrupted, estimated=not ended)
            return False
        self._began(utterance)
        if utterance.started_ms is not None:
            utterance.voiced_ms += self._now() - utterance.started_ms
        return True

    def _longest_ms(self, utterance: Utterance, ordered_ms: float) -> float:
        begun_ms = ordered_ms if utterance.started_ms is None else utterance.started_ms
        by_words_ms = utterance.chars / _SLOWEST_CHARS_PER_S * 1000 + self._timing.end_margin_ms
        return begun_ms + max(_REPEATED_MS if utterance.answers is None else _ANSWERED_MS, by_words_ms)

    async def _until(
        self, utterance: Utterance, true: Callable[[], bool], limit_ms: Callable[[], float] | None = None
    ) -> bool:
        """Wait for something about an utterance; whether it came before the limit."""
        while not true():
            left_s = None if limit_ms is None else (limit_ms() - self._now()) / 1000
            if left_s is not None and left_s <= 0:
                return False
            utterance.news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await utterance.news.wait()
        return True

    # --- telling ------------------------------------------------------------------------------------------

    def _introduce(self, utterance: Utterance) -> None:
        if not utterance.introduced:
            utterance.introduced = True
            self._tell(utterance, ev.ReplyStarted, model=MODEL)
            self._tell(utterance, ev.SpeechSent, piece_no=0)

    def _began(self, utterance: Utterance) -> None:
        if not utterance.begun and not utterance.silenced:
            utterance.begun = True
            if utterance.answers is not None:
                self._introduce(utterance)
            self._tell(utterance, ev.FirstAudio, estimated=True)
            self._tell(utterance, ev.SpeakingStarted, estimated=utterance.started_ms is None)

    def _delta(self, utterance: Utterance, text: str) -> None:
        if text:
            self._introduce(utterance)
            self._tell(utterance, ev.ReplyDelta, text=text)

    def _tell(self, utterance: Utterance, kind: Callable[..., ev.Event], **more: Any) -> None:
        if utterance.id is None:
            utterance.held.append((kind, more))
        elif not utterance.over:
            ids = {"reply_id": utterance.reply_id} if kind in _REPLY else {"utterance_id": utterance.id}
            self._emit(kind(at_ms=self._now(), **ids, **more))

    def _finish(self, utterance: Utterance, last: Callable[..., ev.Event], *, estimated: bool = False) -> None:
        """Its last event, and the next may begin."""
        if utterance.answers is not None:
            self._tell(utterance, ev.ReplyCompleted, stop_reason="end_turn")
        self._tell(utterance, last, estimated=estimated)
        self._drop(utterance)

    def _fail(self, utterance: Utterance, error: ProviderError) -> None:
        if utterance.id is not None and not utterance.over:
            ids = {"utterance_id": utterance.id, "reply_id": utterance.reply_id}
            self._emit(ev.ProviderFailed.of(error, "backup", self._now(), **ids))
        self._drop(utterance)

    def fail_all(self, error: ProviderError) -> None:
        """The session is over: every utterance that is still open has failed."""
        for utterance in list(self._line):
            self._fail(utterance, error)

    def stop_hearing(self) -> None:
        """What it makes of what it heard is of no interest any more."""
        self.hears = self._customer_speaks = False
        self._forget_own()

    def _drop(self, utterance: Utterance) -> None:
        utterance.over = True
        self._past.append(utterance.order_id or "-")
        if utterance in self._line:
            self._line.remove(utterance)

    def _hush(self) -> None:
        """Order silence, whatever it is saying."""
        order = asyncio.ensure_future(self._send("avatar.interrupt", f"i{next(self._ids)}"))
        self._strays.add(order)
        order.add_done_callback(self._hushed)

    def _hushed(self, order: asyncio.Future[None]) -> None:
        self._strays.discard(order)
        if not order.cancelled():
            order.exception()

    def forget(self) -> None:
        """Leave nothing behind in the event loop."""
        for order in self._strays:
            order.cancel()
        if self._own_timer is not None:
            self._own_timer.cancel()

    def _find(self, utterance_id: int) -> Utterance | None:
        return next((u for u in self._line if u.id == utterance_id), None)

    def _queue(self, utterance: Utterance) -> Utterance:
        self._line.append(utterance)
        self._more.set()
        return utterance

    def _now(self) -> float:
        return self._clock.now_ms()
