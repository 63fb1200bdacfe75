"""In place of the video room: who listens to what the LiveAvatar twin plays.

Comes after `liveavatar_player.py`. Listeners may live in other threads (`PlayedStream`, callbacks) or at the
other end of a websocket (`serve_listener`), which gives a steady stream with silence where nobody speaks.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from clara_kit.world.twins.liveavatar.player import FRAME_SAMPLES, RATE_HZ, PlayedFrame

log = logging.getLogger("clara_kit.twins")

Ear = Callable[[PlayedFrame | None], None]
"""Gets every frame; None when the session is over."""

_LAG_S = 0.060  # a frame is known when it was played; the rest is room for the scheduler
_PATIENCE_S = 5.0  # with a listener that does not read


class Room:
    """Hands each played frame to those who listen. Subscribing is thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ears: tuple[tuple[str | None, Ear], ...] = ()

    def subscribe(self, ear: Ear, session_id: str | None = None) -> Callable[[], None]:
        """Listen to a session, or to all; returns how to stop."""
        entry = (session_id, ear)
        with self._lock:
            self._ears = (*self._ears, entry)

        def leave() -> None:
            with self._lock:
                self._ears = tuple(e for e in self._ears if e is not entry)

        return leave

    def play(self, frame: PlayedFrame) -> None:
        """A frame was played."""
        self._tell(frame.session_id, frame)

    def over(self, session_id: str) -> None:
        """A session ended."""
        self._tell(session_id, None)

    def _tell(self, session_id: str, frame: PlayedFrame | None) -> None:
        for wanted, ear in self._ears:
            if wanted in (None, session_id):
                try:
                    ear(frame)
                except Exception:  # a listener's fault must not silence the avatar
                    log.exception("a listener to the avatar failed")


class PlayedStream:
    """An async iterator of `PlayedFrame` for the loop in which it was made; ends with the session."""

    def __init__(self, room: Room, session_id: str, *, over: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[PlayedFrame | None] = asyncio.Queue()
        self._leave = room.subscribe(self._hear, session_id)
        self._over = False
        if over:
            self._queue.put_nowait(None)

    def _hear(self, frame: PlayedFrame | None) -> None:
        if self._loop.is_closed():
            self._leave()
            return
        self._loop.call_soon_threadsafe(self._queue.put_nowait, frame)

    def close(self) -> None:
        """Stop listening; whoever waits for a frame gets the end."""
        self._leave()
        self._queue.put_nowait(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PlayedFrame:
        frame = None if self._over else await self._queue.get()
        if frame is None:
            self._over = True
            self._leave()
            raise StopAsyncIteration
        return frame

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def serve_listener(request: web.Request, room: Room, session_id: str) -> web.WebSocketResponse:
    """A JSON hello, then binary frames of 20 ms in real time, silence included, until the session ends."""
    ws = web.WebSocketResponse(compress=False, timeout=0.3)
    await ws.prepare(request)
    over = asyncio.Event()
    band = _Band(asyncio.get_running_loop().time())
    leave = room.subscribe(lambda frame: over.set() if frame is None else band.place(frame), session_id)
    hello = {
        "type": "hello",
        "session_id": session_id,
        "encoding": "linear16",
        "sample_rate": RATE_HZ,
        "channels": 1,
        "frame_ms": 20,
    }
    watchers = [asyncio.create_task(over.wait()), asyncio.create_task(_until_closed(ws))]
    playing = asyncio.create_task(_play(ws, band))
    try:
        await ws.send_json(hello)
        await asyncio.wait({*watchers, playing}, return_when=asyncio.FIRST_COMPLETED)
    except ConnectionError:
        pass
    finally:
        leave()
        for task in (playing, watchers[0]):
            task.cancel()
        await asyncio.gather(playing, watchers[0], return_exceptions=True)
        await ws.close()
        await asyncio.gather(watchers[1], return_exceptions=True)
    return ws


async def _play(ws: web.WebSocketResponse, band: _Band) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(band.due_s + _LAG_S - loop.time())
        async with asyncio.timeout(_PATIENCE_S):
            await ws.send_bytes(band.next())


async def _until_closed(ws: web.WebSocketResponse) -> None:
    async for _ in ws:
        pass


class _Band:
    """An endless tape from `begin_s` on: frames are placed where they sounded, and taken 20 ms at a time."""

    def __init__(self, begin_s: float) -> None:
        self._begin_s = begin_s
        self._first = 0  # the first sample that was not taken yet
        self._end = 0  # one after the last sample that was placed
        self._tape = bytearray()

    @property
    def due_s(self) -> float:
        """When the next 20 ms have sounded."""
        return self._begin_s + (self._first + FRAME_SAMPLES) / RATE_HZ

    def place(self, frame: PlayedFrame) -> None:
        at = round((frame.at_s - self._begin_s) * RATE_HZ)
        if abs(at - self._end) <= 1:
            at = self._end  # frames that follow each other must not gape or overlap by a rounding
        late = max(0, self._first - at)
        pcm, offset = frame.pcm[late * 2 :], (at + late - self._first) * 2
        self._tape.extend(bytes(max(0, offset + len(pcm) - len(self._tape))))
        self._tape[offset : offset + len(pcm)] = pcm
        self._end = at + len(frame.pcm) // 2

    def next(self) -> bytes:
        size = FRAME_SAMPLES * 2
        pcm = bytes(self._tape[:size]).ljust(size, b"\0")
        del self._tape[:size]
        self._first += FRAME_SAMPLES
        return pcm
