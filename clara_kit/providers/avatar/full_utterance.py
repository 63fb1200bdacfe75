"""One thing that LiveAvatar's own assistant says, and what was told of it; and what it hears of the customer.

State and events for `full_speaker.py`, which alone decides. Nothing here sends anything.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError
from clara_kit.providers.avatar.full_protocol import Signal, SignalKind, Words
from clara_kit.providers.avatar.room import MIC_RATE_HZ

MODEL = "liveavatar: its own"
_SLOWEST_CHARS_PER_S = 8.0  # about half the pace of Spanish speech
_REPEATED_MS, _ANSWERED_MS = 8000.0, 30_000.0  # what is being said may take so long, whatever is known of its words
_LOUD, _PAUSE_MS = 800, 800.0  # of 32768: a quiet room is below; a shorter silence is within what is being said
_REPLY = (ev.ReplyStarted, ev.ReplyDelta, ev.ReplyCompleted)
Emit = Callable[[ev.Event], None]


@dataclass(eq=False, kw_only=True)
class Utterance:
    """`id` None: an answer that nobody has asked for yet, of which all waits until `take_ids`."""

    emit: Emit
    clock: Clock
    id: int | None
    reply_id: int | None = None
    answers: str | None = None  # what it answers by itself; None: our text is repeated
    heard: bool = False  # by the assistant itself: nothing is ordered
    pieces: deque[tuple[int, str]] = field(default_factory=deque)
    closed: bool = False  # no piece will come any more
    news: asyncio.Event = field(default_factory=asyncio.Event)
    words: Words = field(default_factory=Words)
    order_id: str = ""  # of what is being spoken now
    started_ms: float | None = None  # of that
    ended: bool = False  # that
    chars: int = 0  # of that
    voiced_ms: float = 0.0
    silenced: bool = False  # by us
    cut: bool = False  # by the customer, whom it heard
    over: bool = False
    _introduced: bool = False
    _begun: bool = False
    _held: list[tuple[Callable[..., ev.Event], dict[str, Any]]] = field(default_factory=list)
    _held_sound: list[bytes] = field(default_factory=list)

    @property
    def sounding(self) -> bool:
        """Whether it is heard now."""
        return self.started_ms is not None and not (self.ended or self.silenced)

    @property
    def out(self) -> bool:
        """Whether the assistant may be at it."""
        return bool(self.order_id or self.heard) and not self.ended

    def takes_no(self, kind: SignalKind) -> bool:
        """Whether such a signal can only belong to what is said after it."""
        return self.started_ms is not None if kind == "started" else self.ended and self.words.whole

    def order(self, order_id: str, chars: int) -> None:
        """The next of it is being ordered."""
        self.order_id, self.chars = order_id, chars
        if not self.heard:
            self.started_ms, self.ended = None, False

    def take(self, signal: Signal, *, customer_speaks: bool) -> None:
        """What the assistant tells of it."""
        self.news.set()
        if signal.kind == "started" and self.started_ms is None:
            self.started_ms = self.clock.now_ms()
            self.begin()
        elif signal.kind == "ended" and (self.started_ms is not None or signal.source_id):
            self.ended, self.cut = True, customer_speaks
        elif signal.kind in ("words", "said") and self.answers is not None:
            new = self.words.chunk(signal.text) if signal.kind == "words" else self.words.said(signal.text)
            self.chars += len(new)
            self.say(new)

    def hear(self, pcm: bytes, tap: Callable[[int, bytes], None]) -> None:
        """Some of its sound."""
        if self.id is None:
            self._held_sound.append(pcm)
        else:
            tap(self.id, pcm)

    def take_ids(self, reply_id: int, utterance_id: int, tap: Callable[[int, bytes], None]) -> None:
        """It is asked for: what has waited is told."""
        self.id, self.reply_id = utterance_id, reply_id
        for kind, more in self._held:
            self.tell(kind, **more)
        for pcm in self._held_sound:
            tap(utterance_id, pcm)

    async def until(self, true: Callable[[], bool], limit_ms: Callable[[], float] | None = None) -> bool:
        """Wait for something about it; whether it came before the limit."""
        while not true():
            left_s = None if limit_ms is None else (limit_ms() - self.clock.now_ms()) / 1000
            if left_s is not None and left_s <= 0:
                return False
            self.news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self.news.wait()
        return True

    def longest_ms(self, ordered_ms: float) -> float:
        """Until when what is being said must be over, as far as its words are known."""
        begun_ms = ordered_ms if self.started_ms is None else self.started_ms
        by_words_ms = self.chars / _SLOWEST_CHARS_PER_S * 1000
        return begun_ms + max(_REPEATED_MS if self.answers is None else _ANSWERED_MS, by_words_ms)

    # --- telling ------------------------------------------------------------------------------------------

    def introduce(self) -> None:
        """The answer is on its way."""
        if not self._introduced and self.answers is not None:
            self._introduced = True
            self.tell(ev.ReplyStarted, model=MODEL)
            self.tell(ev.SpeechSent, piece_no=0)

    def begin(self) -> None:
        """It sounds, or has sounded."""
        if not self._begun and not self.silenced:
            self._begun = True
            self.introduce()
            self.tell(ev.FirstAudio, estimated=True)
            self.tell(ev.SpeakingStarted, estimated=self.started_ms is None)

    def say(self, text: str) -> None:
        """Some more words of the answer."""
        if text:
            self.introduce()
            self.tell(ev.ReplyDelta, text=text)

    def tell_voiced(self, piece_no: int) -> None:
        """All up to this piece has been spoken."""
        self.tell(ev.SpeechVoiced, piece_no=piece_no, audio_ms=self.voiced_ms, first_ms=self.started_ms)

    def tell(self, kind: Callable[..., ev.Event], **more: Any) -> None:
        """An event of it, or of its reply."""
        if self.id is None:
            self._held.append((kind, more))
        elif not self.over:
            ids = {"reply_id": self.reply_id} if kind in _REPLY else {"utterance_id": self.id}
            self.emit(kind(at_ms=self.clock.now_ms(), **ids, **more))

    def finish(self, *, interrupted: bool, estimated: bool = False) -> None:
        """Its last event."""
        if self.answers is not None:
            self.tell(ev.ReplyCompleted, stop_reason="end_turn")
        self.tell(ev.SpeakingInterrupted if interrupted else ev.SpeakingEnded, estimated=estimated)
        self.over = True

    def fail(self, error: ProviderError) -> None:
        """Its last event, where nothing will come of it."""
        if self.id is not None and not self.over:
            ids = {"utterance_id": self.id, "reply_id": self.reply_id}
            self.emit(ev.ProviderFailed.of(error, "backup", self.clock.now_ms(), **ids))
        self.over = True


class VendorEars:
    """The customer, as the assistant hears them.

    It gives no times of sound, and tells that they are silent when it has waited for more: so those are taken from how
    loud the sound is that it was sent, and where none was, from when it told.
    """

    def __init__(self, emit: Emit, clock: Clock) -> None:
        self.speaking = False
        self._emit, self._clock = emit, clock
        self._loud_from_ms: float | None = None  # of the sound that was sent
        self._loud_until_ms = 0.0
        self._from_ms: float | None = None  # of what is being said
        self._until_ms: float | None = None
        self._interim = Words()

    def sound(self, pcm: bytes, captured_ms: float) -> None:
        """Some of what it was sent."""
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2")
        if not len(samples) or np.abs(samples.astype(np.int32)).max() < _LOUD:
            return
        if self._loud_from_ms is None or captured_ms - self._loud_until_ms > _PAUSE_MS:
            self._loud_from_ms = captured_ms
        self._loud_until_ms = captured_ms + len(samples) * 1000 / MIC_RATE_HZ

    def take(self, signal: Signal) -> None:
        """What it tells of the customer."""
        now = self._clock.now_ms()
        if signal.kind == "user_started":
            self._from_ms = now if self._loud_from_ms is None else min(now, self._loud_from_ms)
            self.speaking, self._until_ms = True, None
            self._emit(ev.SpeechStarted(at_ms=now, source="vendor", sound_at_ms=self._from_ms))
        elif signal.kind == "user_ended":
            self.speaking, self._until_ms = False, self._ended_ms(now)
            self._emit(ev.SpeechEnded(at_ms=now, source="vendor", sound_at_ms=self._until_ms))
        elif signal.kind == "user_words":
            self._interim.chunk(signal.text)
            self._emit(ev.TranscriptInterim(at_ms=now, text=self._interim.text))
        else:
            until_ms = self._ended_ms(now) if self._until_ms is None else self._until_ms
            from_ms = until_ms if self._from_ms is None else self._from_ms
            self._emit(
                ev.TranscriptFinal(at_ms=now, text=signal.text, speech_started_ms=from_ms, speech_ended_ms=until_ms)
            )
            self._from_ms = self._until_ms = None
            self._interim = Words()

    def _ended_ms(self, now: float) -> float:
        """When the sound ended."""
        begun = self._from_ms is not None and self._loud_from_ms is not None and self._loud_until_ms > self._from_ms
        return min(now, self._loud_until_ms) if begun else now
