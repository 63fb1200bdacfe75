"""`/v1/speak` of the Deepgram twin: Aura-2's socket and REST call, spoken by the offline voice."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

from aiohttp import WSMsgType, web

from clara_kit.audio.pcm import concat
from clara_kit.world.faults import Fault, find
from clara_kit.world.twins.base import json_of
from clara_kit.world.twins.deepgram.desk import Desk
from clara_kit.world.twins.deepgram.formats import Format, format_of
from clara_kit.world.twins.voicing import Trouble, voiced

# The Spanish voices of Deepgram's SDK 7.17.
VOICES = frozenset(
    f"aura-2-{name}-es"
    for name in [
        "sirio",
        "nestor",
        "carina",
        "celeste",
        "alvaro",
        "diana",
        "aquila",
        "selena",
        "estrella",
        "javier",
        "agustina",
        "antonia",
        "gloria",
        "luciano",
        "olivia",
        "silvia",
        "valerio",
    ]
)
MAX_CHARS = 2000  # in one Speak or REST body
FLUSHES_A_MINUTE = 20

VOICE = "aura-2-celeste-es"  # where none is asked for; the vendor's would be an English one


def check(query: Any, *, socket: bool) -> Format | str:
    """The format that is asked for, or what the vendor would refuse with HTTP 400."""
    if query.get("model", VOICE) not in VOICES:
        return f"No such voice: {query['model']}."
    return format_of(query, socket=socket)


async def speak_rest(desk: Desk, request: web.Request) -> web.StreamResponse:
    """One text, one answer, in chunks as they are made."""
    try:
        text = (await json_of(request))["text"]
    except (ValueError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        message = "Content-type was application/json, but we could not process the JSON payload."
        return desk.refuse(400, "Bad Request", message)
    if not text.strip():
        return desk.refuse(400, "Bad Request", "Bad Request: the text to speak is empty.")
    if isinstance(wanted := check(request.query, socket=False), str):
        return desk.refuse(400, "INVALID_QUERY_PARAMETER", wanted)
    if len(text) > MAX_CHARS:
        return desk.refuse(413, "TEXT_TOO_LONG", f"Input text exceeds {MAX_CHARS} characters.")
    faults = desk.context.faults.next_occasion("tts")
    if refusal := find(faults, "refuse"):
        return desk.turn_away(refusal)
    headers = {
        "content-type": wanted.content_type, "dg-request-id": desk.request_id(), "dg-char-count": str(len(text)),
        "dg-model-name": request.query.get("model", VOICE),
    }  # fmt: skip
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    parts = []
    async for part, _ in voiced(desk.context, desk.voice, text, wanted.rate_hz, faults):
        if wanted.raw:
            await response.write(wanted.write(part))
        else:
            parts.append(part)
    if parts:
        await response.write(await asyncio.to_thread(wanted.write, concat(*parts)))
    await response.write_eof()
    return response


async def speak_socket(desk: Desk, request: web.Request) -> web.StreamResponse:
    """One connection: Speak, Flush, Clear, Close."""
    if isinstance(wanted := check(request.query, socket=True), str):
        return desk.refuse(400, "INVALID_QUERY_PARAMETER", wanted)
    faults = desk.context.faults.next_occasion("tts")
    if refusal := find(faults, "refuse"):
        return desk.turn_away(refusal)
    entry = desk.record(request)
    socket = web.WebSocketResponse(compress=False, protocols=desk.protocols)
    await socket.prepare(request)
    mouth = _Mouth(desk, request, socket, wanted, faults)
    try:
        await mouth.open()
        with desk.context.faults.running("tts", mouth.take_fault):
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    entry["bytes"] += len(message.data)
                    if not await mouth.told(message.data):
                        break
    finally:
        mouth.stop()
        entry["closed"] = socket.close_code
    return socket


class _Mouth:
    """One speaking connection. Faults count once per connection; `after_ms` from its first flush."""

    def __init__(
        self, desk: Desk, request: web.Request, socket: web.WebSocketResponse, wanted: Format, faults: tuple[Fault, ...]
    ) -> None:
        self._desk, self._request, self._socket, self._faults = desk, request, socket, faults
        self._format = wanted
        self._text = ""
        self._flushes: deque[float] = deque()
        self._sequence = 0
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._worker = asyncio.create_task(self._work())
        self._trouble = Trouble(faults, self._cut, lambda: socket.send_json({"type": "BrandNew", "what": 1}))
        self.take_fault = self._trouble.take

    def _cut(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    async def open(self) -> None:
        """Deepgram tells about itself once."""
        name = self._request.query.get("model", VOICE)
        await self._socket.send_json(
            {
                "type": "Metadata",
                "request_id": self._desk.request_id(),
                "model_name": name,
                "model_version": "twin",
                "model_uuid": "twin",
            }
        )

    async def told(self, data: str) -> bool:
        """A message; False when the connection ends."""
        try:
            message = json.loads(data)
            kind = message["type"]
        except (json.JSONDecodeError, KeyError, TypeError):
            await self._socket.close(code=1008, message=b"DATA-0000: the message cannot be read")
            return False
        if kind == "Speak":
            text = message.get("text")
            if not isinstance(text, str):
                await self._socket.close(code=1008, message=b"DATA-0000: the message has no text")
                return False
            if len(text) > MAX_CHARS:
                await self._socket.close(code=1009, message=b"BIG-0001: text too long")
                return False
            self._text += text
        elif kind == "Flush":
            await self._flush()
        elif kind == "Clear":
            await self._clear()
        elif kind == "Close":
            self._queue.put_nowait(self._text)
            self._queue.put_nowait(None)
            await asyncio.wait({self._worker})
            await self._socket.close(code=1000)
            return False
        return True

    async def _flush(self) -> None:
        now_s = asyncio.get_running_loop().time()
        while self._flushes and now_s - self._flushes[0] > 60:
            self._flushes.popleft()
        if len(self._flushes) >= FLUSHES_A_MINUTE:
            await self._socket.send_json(
                {"type": "Warning", "warn_code": "EXCESSIVE_FLUSH", "warn_msg": "Rate limit exceeded for flushes."}
            )
            return
        self._flushes.append(now_s)
        self._trouble.begin()
        text, self._text = self._text, ""
        self._queue.put_nowait(text)

    async def _clear(self) -> None:
        self._worker.cancel()
        await asyncio.wait({self._worker})
        self._text, self._queue = "", asyncio.Queue()
        self._worker = asyncio.create_task(self._work())
        await self._socket.send_json({"type": "Cleared", "sequence_id": self._sequence})
        self._sequence += 1

    async def _work(self) -> None:
        desk = self._desk
        while (text := await self._queue.get()) is not None:
            if text.strip():
                async for chunk, _ in voiced(desk.context, desk.voice, text, self._format.rate_hz, self._faults):
                    await self._trouble.flowing.wait()
                    await self._socket.send_bytes(self._format.write(chunk))
            await self._socket.send_json({"type": "Flushed", "sequence_id": self._sequence})
            self._sequence += 1

    def stop(self) -> None:
        """The client has gone."""
        self._worker.cancel()
        self._trouble.stop()
