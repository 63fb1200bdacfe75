"""What goes out on one connection of the LiveAvatar twin, in order, unless a fault holds it back; what came in.

Used by `liveavatar_session.py` alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

MAX_MESSAGE_BYTES = 1_000_000  # "max 1 MB per packet": LiveAvatar's LITE events page
CLOSE_TIMEOUT_S = 0.3  # for the client's half of the good-bye


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the client. `dropped`: it came before `connected`."""

    at_s: float
    type: str
    event_id: str | None
    size_bytes: int
    audio_bytes: int
    dropped: bool


class Socket:
    """What goes out on one connection, in order."""

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.connected = False
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._ws = ws
        self._queue: asyncio.Queue[str | bytes | None] = asyncio.Queue()

    def say(self, message: str | bytes | None) -> None:
        """Queue a message; None closes the socket."""
        self._queue.put_nowait(message)

    async def send_all(self) -> None:
        while True:
            message = await self._queue.get()
            if message is None:
                await self._ws.close(code=1000)
                return
            await self.flowing.wait()
            try:
                await (self._ws.send_bytes(message) if isinstance(message, bytes) else self._ws.send_str(message))
            except (ConnectionError, RuntimeError):
                return  # the client has gone: the reader sees it too
