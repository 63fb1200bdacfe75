"""One utterance on its way through an avatar: its pieces, its sound, and what the vendor has said of it.

State for `liveavatar.py`, which alone changes it. It decides nothing and sends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from clara_kit.audio.lead import Lead
from clara_kit.core.errors import ProtocolError, ProviderError
from clara_kit.core.events import FirstAudio, SpeechSent, SpeechVoiced
from clara_kit.providers.avatar import lite_protocol
from clara_kit.providers.avatar.lite_protocol import Signal
from clara_kit.providers.avatar.pacing import Chunker, Playhead, Timing
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, TTSProvider

WAKE_MS = 100.0  # of silence: where the avatar begins after the sound has come, so much is lost by it


@dataclass(eq=False, kw_only=True)
class Waking:
    """Silence that was given to the avatar before there was anything to say, as the beginning of the next utterance."""

    event_id: str
    started_ms: float | None = None  # when the avatar began with it

    def goes_on(self, signal: Signal, now_ms: float) -> bool:
        """What the avatar says, which has nothing else to do: whether it still waits for the sound."""
        if signal.kind == "started":
            self.started_ms = now_ms
        return signal.kind not in ("ended", "interrupted")

    def heard_ms(self, now_ms: float) -> float:
        """When sound is heard that is sent now, at the earliest: once the avatar has begun, and the silence is over."""
        return max(now_ms, (now_ms if self.started_ms is None else self.started_ms) + WAKE_MS)


@dataclass(eq=False, kw_only=True)
class Utterance:
    """`told`: its last event was given. `over`: the avatar is done with it, the next may begin."""

    id: int
    timing: Timing
    waking: Waking | None = None  # what it begins with
    pieces: asyncio.Queue[tuple[int, str] | None] = field(default_factory=asyncio.Queue)
    handed: list[int] = field(default_factory=list)  # numbers of the pieces that the voice has got
    task: asyncio.Task[None] | None = None
    task_id: str | None = None  # the vendor's own name for it, where it has one
    woken: asyncio.Event = field(default_factory=asyncio.Event)  # sound came, the voice ended, or it started
    first_sent: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    end_sent: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    no_more: bool = False  # no piece will come any more
    has_words: bool = False  # of what the voice has got, something can be said
    sound_came: bool = False
    new_since_ms: float | None = None  # when the first sound came that is of no piece yet
    piece_voiced: bool = False  # a piece is complete, so a first chunk need not wait to be full
    voice_done: bool = False
    voice_error: ProviderError | None = None
    silenced: bool = False  # interrupted, or given up: nothing more of it may be sent
    told: bool = False
    ack_timer: asyncio.TimerHandle | None = None
    start_timer: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self.sound, self.playhead, self.lead = Chunker(self.timing), Playhead(self.timing), Lead(lite_protocol.RATE_HZ)
        self._low_water_ms = self.timing.chunk_ms / 4  # with less than this to play, less than a chunk will do

    @property
    def event_id(self) -> str:
        """Its name on the wire, the same for every message."""
        return f"u{self.id}" if self.waking is None else self.waking.event_id

    @property
    def out(self) -> bool:
        """Whether the avatar has anything of it, be it silence."""
        return self.sent or self.waking is not None

    @property
    def sent(self) -> bool:
        """Whether any of its sound went out."""
        return self.first_sent.is_set()

    def stop_timers(self) -> None:
        """Leave nothing behind in the event loop."""
        for timer in (self.ack_timer, self.start_timer):
            if timer is not None:
                timer.cancel()

    def add_piece(self, piece_no: int, text: str) -> None:
        """One more piece to speak; too late after `end_pieces`."""
        if not self.no_more:
            self.pieces.put_nowait((piece_no, text))

    def end_pieces(self) -> None:
        """No piece will come any more."""
        if not self.no_more:
            self.no_more = True
            self.pieces.put_nowait(None)

    def is_meant_by(self, signal: Signal, past_task_ids: set[str]) -> bool:
        """Whether a signal is about this utterance, the only one in flight.

        By its own event id or task id; never if another utterance is named; and where no name that we gave
        is found, whatever happens can only happen to what is in flight (clients differ in the ids they
        echo), but then an end without a beginning is not believed.
        """
        if not self.out:
            return False
        if self.event_id in signal.event_ids or (self.task_id and self.task_id == signal.task_id):
            return True
        if signal.task_id in past_task_ids or any(_is_ours(name) for name in signal.event_ids):
            return False
        return signal.kind == "started" or self.started.is_set() or self.silenced

    def next_chunk(self, now_ms: float) -> bytes | None:
        """A chunk that can be sent, if there is one.

        A short one only where waiting for more would be heard: the voice is done, or the avatar has (nearly)
        played what it has.
        """
        return self.sound.take(short=self.voice_done or self.wants_sound_in_ms(now_ms) == 0)

    def wants_sound_in_ms(self, now_ms: float) -> float | None:
        """When the avatar needs more, even if it is little; None: not to be foreseen."""
        if not len(self.sound):
            return None
        if not self.sent:
            return 0.0 if self.piece_voiced or self.waking is not None else None  # who is awake begins with little
        return max(0.0, self.playhead.ends_ms - now_ms - self._low_water_ms)

    async def wake_up(self, after_ms: float | None) -> None:
        """Sleep until woken, at most `after_ms` (None: for as long as it takes)."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if after_ms is None else max(after_ms, 1.0) / 1000):
                await self.woken.wait()


def _is_ours(event_id: str) -> bool:
    return event_id[:1] in ("u", "w") and event_id[1:].isdecimal()


def length_ms(pcm: bytes) -> float:
    """How long some sound lasts."""
    return len(pcm) / lite_protocol.BYTES_PER_MS


Tell: TypeAlias = Callable[..., None]  # tell(utterance, kind of event, **more): it happens now


async def give_voice(utterance: Utterance, tts: TTSProvider, tell: Tell, now: Callable[[], float]) -> None:
    """Let the voice speak all pieces. Ends with the voice, or with its failure as `voice_error`. now: in ms."""
    try:
        async with tts.speak(_pieces(utterance, tell)) as sound:
            async for item in sound:
                if isinstance(item, AudioChunk):
                    _take_sound(utterance, item, tell, now())
                else:
                    _take_mark(utterance, item, tell)
    except ProviderError as exc:
        utterance.voice_error = exc
    except Exception as exc:  # a voice must not be able to leave an utterance open
        utterance.voice_error = ProtocolError(f"The voice broke with {type(exc).__name__}.")
    else:
        if utterance.has_words and not utterance.sound_came:  # else nobody would ever know that it was not said
            utterance.voice_error = ProtocolError(
                "The voice gave no sound for what it was to say.", hint="say it again."
            )
    utterance.voice_done = True
    utterance.woken.set()


async def _pieces(utterance: Utterance, tell: Tell) -> AsyncIterator[str]:
    while (piece := await utterance.pieces.get()) is not None:
        piece_no, text = piece
        utterance.handed.append(piece_no)
        utterance.has_words = utterance.has_words or any(map(str.isalnum, text))
        tell(utterance, SpeechSent, piece_no=piece_no)
        yield text


def _take_sound(utterance: Utterance, chunk: AudioChunk, tell: Tell, now_ms: float) -> None:
    if not chunk.pcm:
        return
    if utterance.new_since_ms is None:
        utterance.new_since_ms = now_ms
    if not utterance.sound_came:
        utterance.sound_came = True
        tell(utterance, FirstAudio)
    utterance.lead.hear(chunk.pcm)
    utterance.sound.add(chunk.pcm)
    utterance.woken.set()


def _take_mark(utterance: Utterance, mark: PiecesVoiced, tell: Tell) -> None:
    if not 1 <= mark.pieces <= len(utterance.handed):
        return
    utterance.piece_voiced = True
    utterance.woken.set()
    piece_no = utterance.handed[mark.pieces - 1]
    first_ms, utterance.new_since_ms = utterance.new_since_ms, None
    sound = {"audio_ms": mark.audio_ms, "lead_ms": utterance.lead.end(), "first_ms": first_ms, "words": mark.words}
    tell(utterance, SpeechVoiced, piece_no=piece_no, **sound)
