"""One utterance of HeyGen's classic avatar, and what its brain says, which it tells only in the video room.

Used by `heygen_streaming.py`. The room is joined when the brain is first asked, while it thinks. Where it cannot be, what
was said stays unknown, and the history says so: a model that goes on later must not take the question for an open one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError
from clara_kit.core.text import whole
from clara_kit.providers.avatar.full_protocol import Words
from clara_kit.providers.avatar.livekit_room import usual_room
from clara_kit.providers.avatar.room import Room

MODEL = "heygen: its own"
UNKNOWN = "(El asistente de HeyGen respondió en voz alta; sus palabras no se conocen.)"
_LATE_WORDS_S = 0.5  # after the end, for the words that should have come before it


@dataclass(eq=False)
class Utterance:
    """What is to be said, our text or (`reply_id`) HeyGen's own answer, and how far it is."""

    id: int
    pieces: asyncio.Queue[tuple[int, str] | None] = field(default_factory=asyncio.Queue)
    closed: bool = False
    started: bool = False
    asked: bool = False  # a task is out that was not answered yet
    silenced: bool = False
    reply_id: int | None = None
    task_id: str = ""  # HeyGen's name of the last task
    audio_ms: float = 0.0
    start_timer: asyncio.TimerHandle | None = None

    @classmethod
    def answering(cls, text: str, utterance_id: int, reply_id: int) -> Self:
        """HeyGen's own answer to this."""
        utterance = cls(utterance_id, closed=True, reply_id=reply_id)
        for piece in ((0, text), None):
            utterance.pieces.put_nowait(piece)
        return utterance

    def forget_start(self) -> None:
        """Its beginning is not assumed any more."""
        if self.start_timer is not None:
            self.start_timer.cancel()

    def failed(self, error: ProviderError, at_ms: float) -> ev.ProviderFailed:
        """Nothing more will come of it."""
        if self.reply_id is None:
            return ev.ProviderFailed.of(error, "avatar", at_ms, utterance_id=self.id)
        return ev.ProviderFailed.of(error, "backup", at_ms, utterance_id=self.id, reply_id=self.reply_id)


def length_ms(told: Any, longest_ms: float) -> float | None:
    """How long a task says that its speech is; 0 where it says nothing, None where that cannot be."""
    if told is None:
        return 0.0
    return float(told) if isinstance(told, int | float) and 0 <= told <= longest_ms else None


class Talk:
    """The words of one answer after another, as events. room: see `HeyGenStreamingAvatar`."""

    def __init__(
        self,
        room: Room | None,
        base_url: str,
        emit: Callable[[ev.Event], None],
        clock: Clock,
        on_start: Callable[[], None],
    ) -> None:
        """on_start: the answer begins to sound."""
        self._room, self._base_url, self._emit, self._clock = room, base_url, emit, clock
        self._on_start = on_start
        self._joining: asyncio.Task[None] | None = None
        self.inside = False
        """Whether the room tells what happens."""
        self._reply_id: int | None = None
        self._words = Words()
        self._whole = asyncio.Event()
        self._past = ""

    def begin(self, reply_id: int, url: str, token: str) -> None:
        """The next answer is being asked for."""
        self._emit(ev.ReplyStarted(at_ms=self._clock.now_ms(), reply_id=reply_id, model=MODEL))
        self._reply_id, self._words = reply_id, Words()
        self._whole.clear()
        if not self.inside and url and (self._joining is None or self._joining.done()):
            self._joining = asyncio.create_task(self._join(url, token), name="heygen room")

    async def end(self, task_id: str, *, spoken: bool = True) -> None:
        """It is over; spoken: to its end, so that what is missing of its words is waited for."""
        if self._reply_id is None:
            return
        if spoken and self.inside:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LATE_WORDS_S):
                    await self._whole.wait()
        if spoken and not self._words.text:
            self._say(UNKNOWN)
        self._emit(ev.ReplyCompleted(at_ms=self._clock.now_ms(), reply_id=self._reply_id, stop_reason="end_turn"))
        self.drop(task_id)

    def drop(self, task_id: str = "") -> None:
        """What still comes of it is not told."""
        self._reply_id, self._past = None, task_id

    async def close(self) -> None:
        """Leave the room."""
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.wait({self._joining})
        if self._room is not None:
            await self._room.close()

    async def _join(self, url: str, token: str) -> None:
        with suppress(ProviderError):  # the words stay unknown
            room = self._room = self._room or usual_room(self._base_url)
            room.on_data, room.on_closed = self._take, self._lost
            await room.connect(url, token)
            self.inside = True

    def _lost(self, _why: str) -> None:
        self.inside = False
        self._whole.set()

    def _say(self, text: str) -> None:
        if text and self._reply_id is not None:
            self._emit(ev.ReplyDelta(at_ms=self._clock.now_ms(), reply_id=self._reply_id, text=text))

    def _take(self, _topic: str, payload: bytes) -> None:
        try:
            message = json.loads(payload)
        except (ValueError, RecursionError):
            return
        if not isinstance(message, dict) or (self._past and message.get("task_id") == self._past):
            return
        text = message.get("message")
        if message.get("type") == "avatar_start_talking" and self._reply_id is not None:
            self._on_start()
        elif message.get("type") == "avatar_talking_message" and isinstance(text, str):
            self._say(self._words.chunk(whole(text)))
        elif message.get("type") == "avatar_end_message":
            self._whole.set()
