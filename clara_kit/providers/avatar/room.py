"""The media room of an avatar's session, as little of it as the kit needs.

Used by `full.py`. `livekit_room.py` is the real one; `LoopbackRoom` here is the twin's, a websocket on this machine.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from clara_kit.providers import http

MIC_RATE_HZ = 16_000
HEARD_RATE_HZ = 24_000


class Room(Protocol):
    """Data and sound between us and who else is in the room.

    The three callbacks are set before `connect`, called on its loop, and must return at once and not raise.
    """

    on_data: Callable[[str, bytes], object]
    """Gets (topic, payload) of each data message."""
    on_audio: Callable[[bytes], object]
    """Gets what the avatar says as it is heard: 24 kHz, 16-bit little-endian mono."""
    on_closed: Callable[[str], object]
    """Told once why the room is over, unless `close` was called."""

    async def connect(self, url: str, token: str, *, others: tuple[str, ...] = ()) -> None:
        """Join, and wait for the participants whose identities begin like these. Raises `ProviderError`."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send data to all, reliably. Raises `ProviderError`."""

    async def send_audio(self, pcm: bytes) -> None:
        """Some sound of ours: 16 kHz, 16-bit little-endian mono. Raises `ProviderError`."""

    async def close(self) -> None:
        """Leave. Never fails."""


class LoopbackRoom:
    """A `Room` over one websocket: text is JSON of topic and payload, binary is sound, each way at its own rate.

    The twin begins with the identities of those who are there.
    """

    def __init__(self) -> None:
        self.on_data: Callable[[str, bytes], object] = lambda topic, payload: None
        self.on_audio: Callable[[bytes], object] = lambda pcm: None
        self.on_closed: Callable[[str], object] = lambda why: None
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._missing: set[str] = set()
        self._complete = asyncio.Event()

    async def connect(self, url: str, token: str, *, others: tuple[str, ...] = ()) -> None:
        """Join; see the Protocol."""
        self._missing = set(others)
        if not others:
            self._complete.set()
        try:
            address = f"{url}?access_token={token}"
            self._socket = await connect(address, compression=None, close_timeout=0.3, proxy=None)
        except (OSError, TimeoutError, ValueError, WebSocketException) as exc:
            failed = http.broken(exc, "The media room", url, setting="LIVEAVATAR_BASE_URL")
        else:
            self._reading = asyncio.create_task(self._read(self._socket), name="loopback room")
            await self._complete.wait()
            return
        raise failed

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send data; see the Protocol."""
        await self._send(json.dumps({"topic": topic, "payload": payload.decode()}))

    async def send_audio(self, pcm: bytes) -> None:
        """Send sound; see the Protocol."""
        await self._send(pcm)

    async def close(self) -> None:
        """Leave."""
        self.on_closed = lambda why: None
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        if self._socket is not None:
            self._socket.transport.abort()

    async def _send(self, message: str | bytes) -> None:
        assert self._socket is not None
        try:
            await self._socket.send(message)
        except ConnectionClosed:
            raise http.failure("cut", "The media room is closed.") from None

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for raw in socket:
                if isinstance(raw, bytes):
                    self.on_audio(raw)
                else:
                    self._take(raw)
        except ConnectionClosed:
            pass
        self._complete.set()
        self.on_closed("the connection broke")

    def _take(self, raw: str) -> None:
        try:
            message = json.loads(raw)
            topic, payload = str(message["topic"]), str(message["payload"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        if topic == "joined":
            self._missing -= {name for name in self._missing if payload.startswith(name)}
            if not self._missing:
                self._complete.set()
        else:
            self.on_data(topic, payload.encode())
