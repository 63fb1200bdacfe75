"""The twin of ElevenLabs: speech over the socket for several contexts (`multi-stream-input`), and its key check.

Spoken by the offline voice, with the place of each letter. Source: ElevenLabs' reference of the socket and reports of
its clients' users (five contexts at once; an error's message, then close code 1008), read 2026-11.
"""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64encode
from collections import deque
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from clara_kit.audio.voice import OfflineVoice
from clara_kit.world.faults import Fault, find
from clara_kit.world.twins.base import TwinContext, nowhere
from clara_kit.world.twins.voicing import Letter, Trouble, voiced

MAX_CONTEXTS = 5
IDLE_S, MAX_IDLE_S = 20, 180
SCHEDULE = (120, 160, 250, 290)  # so many characters are waited for, where neither a flush nor auto_mode asks for sound
RATES_HZ = (8000, 16000, 22050, 24000, 44100)


class ElevenLabsTwin:
    """Mounted under `/elevenlabs`. Serves raw sound (`pcm_...`) of `multi-stream-input` only; any voice id is known.

    `connections` keeps the last ones: path, query, messages without the key, close code.
    """

    name = "elevenlabs"

    def __init__(self, context: TwinContext, voice: OfflineVoice) -> None:
        self.context, self.voice = context, voice
        self.connections: deque[dict[str, Any]] = deque(maxlen=100)

    def add_routes(self, app: web.Application) -> None:
        """Register handlers under `/elevenlabs`."""
        app.router.add_get("/elevenlabs/v1/text-to-speech/{voice_id}/multi-stream-input", self._speak)
        app.router.add_get("/elevenlabs/v1/user", self._user)
        app.router.add_route("*", "/elevenlabs/{elsewhere:.*}", self._nowhere)

    def addresses(self, host_port: str) -> dict[str, str]:
        """For REST and for sockets."""
        return {"base_url": f"http://{host_port}/elevenlabs", "ws_url": f"ws://{host_port}/elevenlabs"}

    async def close(self) -> None:
        """Nothing outlives its connection."""

    async def _user(self, request: web.Request) -> web.Response:
        return self._door(request) or web.json_response({"user_id": "twin", "subscription": {"tier": "twin"}})

    async def _nowhere(self, request: web.Request) -> web.Response:
        known = await nowhere(request) == 405
        return web.json_response(
            {"detail": "Method Not Allowed" if known else "Not Found"}, status=405 if known else 404
        )

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        if refused := self._door(request, may_come_later=True):
            return refused
        if isinstance(rate_hz := _rate_hz(request.query), str):
            return _refuse(400, "invalid_request", rate_hz)
        faults = self.context.faults.next_occasion("tts")
        if refusal := find(faults, "refuse"):
            response = _refuse(refusal.status, "refused", refusal.detail or f"Refused with {refusal.status}.")
            response.headers.update(refusal.retry_after)
            return response
        entry: dict[str, Any] = {"path": request.path, "query": dict(request.query), "messages": [], "closed": None}
        self.connections.append(entry)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        connection = _Connection(self, request, socket, rate_hz, faults)
        try:
            with self.context.faults.running("tts", connection.trouble.take):
                await connection.serve(entry["messages"])
        finally:
            connection.stop()
            entry["closed"] = socket.close_code
        return socket

    def _door(self, request: web.Request, *, may_come_later: bool = False) -> web.Response | None:
        """The refusal of a wrong key, or None; a socket's may also come in a context's first message."""
        key = request.headers.get("xi-api-key", "")
        if self.context.accepts(key) or (may_come_later and not key):
            return None
        return _refuse(401, "invalid_api_key", "Invalid API key")


def _refuse(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"detail": {"status": code, "message": message}}, status=status)


def _rate_hz(query: Any) -> int | str:
    """The rate that is asked for, or why there is no sound of this kind."""
    if re.match(r"eleven_v[34]", query.get("model_id", "")):
        return "This model is not available over this socket."
    wanted = re.fullmatch(r"pcm_(\d{4,5})", query.get("output_format", "mp3_44100_128"))
    rate_hz = int(wanted[1]) if wanted else 0
    return rate_hz if rate_hz in RATES_HZ else "This twin gives raw sound only: ask for output_format=pcm_24000."


class _Context:
    """One context: text that waits, and the task that speaks what was flushed."""

    def __init__(self) -> None:
        self.text = ""
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.made = 0
        self.task: asyncio.Task[None] | None = None


class _Connection:
    """One socket."""

    def __init__(
        self, twin: ElevenLabsTwin, request: web.Request, socket: web.WebSocketResponse, rate_hz: int,
        faults: tuple[Fault, ...],
    ) -> None:  # fmt: skip
        self._twin, self._socket, self._rate_hz, self._faults = twin, socket, rate_hz, faults
        self._auto = request.query.get("auto_mode") == "true"
        self._known = twin.context.accepts(request.headers.get("xi-api-key", ""))
        idle = request.query.get("inactivity_timeout", "")
        self._idle_s = min(int(idle) if idle.isdecimal() else IDLE_S, MAX_IDLE_S)
        self._contexts: dict[str, _Context] = {}
        self._tasks: set[asyncio.Task[None]] = set()

        def cut() -> None:
            if request.transport is not None:
                request.transport.abort()

        self.trouble = Trouble(faults, cut, lambda: socket.send_json({"brandNew": {"what": 1}}))

    async def serve(self, kept: list[dict[str, Any]]) -> None:
        """Until it ends."""
        while True:
            try:
                received = await self._socket.receive(timeout=self._idle_s)
            except TimeoutError:
                said = f"Have not received a new text input within the timeout of {self._idle_s} seconds."
                return await self._end("input_timeout_exceeded", said)
            if received.type is not WSMsgType.TEXT:
                return None
            try:
                message = json.loads(received.data)
                name = str(message.get("context_id") or "default")
            except (ValueError, AttributeError):
                return await self._end("invalid_message", "The message cannot be read.")
            kept.append({key: value for key, value in message.items() if key not in ("xi_api_key", "authorization")})
            if message.get("close_socket"):
                for context in self._contexts.values():
                    context.queue.put_nowait(None)
                await asyncio.gather(*self._tasks)
                await self._socket.close(code=1000)
                return None
            if not await self._told(name, message):
                return None

    async def _told(self, name: str, message: dict[str, Any]) -> bool:
        """A message for a context; False when the connection ends."""
        self._known = self._known or self._twin.context.accepts(str(message.get("xi_api_key", "")))
        if not self._known:
            await self._end("invalid_api_key", "Invalid API key", name)
            return False
        if (context := self._contexts.get(name)) is None:
            if message.get("close_context"):
                return True
            if len(self._contexts) >= MAX_CONTEXTS:
                said = f"Maximum simultaneous contexts per WebSocket connection exceeded ({MAX_CONTEXTS})."
                await self._end("max_active_conversations", said, name)
                return False
            context = self._contexts[name] = _Context()
            context.task = asyncio.create_task(self._work(name, context))
            self._tasks.add(context.task)
            context.task.add_done_callback(self._tasks.discard)
        if message.get("close_context"):
            context.queue.put_nowait(None)
            return True
        context.text += str(message.get("text") or "")
        enough = len(context.text) >= SCHEDULE[min(context.made, len(SCHEDULE) - 1)]
        if context.text.strip() and (message.get("flush") or self._auto or enough):
            self.trouble.begin()
            context.queue.put_nowait(context.text)
            context.text, context.made = "", context.made + 1
        return True

    async def _work(self, name: str, context: _Context) -> None:
        with suppress(ConnectionError):  # the client has gone in mid-word
            await self._say(name, context)

    async def _say(self, name: str, context: _Context) -> None:
        twin = self._twin
        while (text := await context.queue.get()) is not None:
            async for chunk, letters in voiced(twin.context, twin.voice, text, self._rate_hz, self._faults):
                await self.trouble.flowing.wait()
                sound = b64encode(chunk.to_bytes()).decode("ascii")
                told = _alignment(letters)
                await self._socket.send_json(
                    {"audio": sound, "alignment": told, "normalizedAlignment": told, "context_id": name}
                )
        self._contexts.pop(name, None)
        await self._socket.send_json({"isFinal": True, "context_id": name})

    async def _end(self, code: str, message: str, name: str | None = None) -> None:
        about = {"context_id": name} if name else {}
        await self._socket.send_json({"message": message, "error": code, "code": 1008, **about})
        await self._socket.close(code=1008, message=message.encode()[:120])

    def stop(self) -> None:
        """The client has gone."""
        self.trouble.stop()
        for task in self._tasks:
            task.cancel()


def _alignment(letters: list[Letter]) -> dict[str, Any] | None:
    if not letters:
        return None
    return {
        "chars": [x.char for x in letters],
        "charStartTimesMs": [round(x.start_ms) for x in letters],
        "charDurationsMs": [round(x.end_ms - x.start_ms) for x in letters],
    }
