"""In place of the video room of the HeyGen twin: who is in it is told when the avatar talks, and what its brain says.

A websocket on this machine; each message is JSON of topic and payload, and the payload is HeyGen's (events of its
JavaScript SDK 2.1.0). Picture and sound are missing.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from contextlib import suppress
from typing import Any

from aiohttp import web

from clara_kit.world.twins.heygen.session import Spoken

_SENTENCE = re.compile(r"(?<=[.!?…])\s+")


class Rooms:
    """Those of all sessions."""

    def __init__(self) -> None:
        self._inside: defaultdict[str, set[web.WebSocketResponse]] = defaultdict(set)
        self._telling: set[asyncio.Task[None]] = set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Somebody joins, and is told until they leave."""
        socket = web.WebSocketResponse(compress=False, timeout=0.3)
        await socket.prepare(request)
        inside = self._inside[request.match_info["session_id"]]
        inside.add(socket)
        try:
            async for _ in socket:
                pass
        finally:
            inside.discard(socket)
        return socket

    def talks(self, task: Spoken) -> None:
        """A task will be spoken: tell it as it is, which an interruption ends."""
        telling = asyncio.ensure_future(self._tell(task))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def close(self) -> None:
        """Nobody is told any more."""
        for telling in self._telling:
            telling.cancel()
        for inside in list(self._inside.values()):
            for socket in list(inside):
                await socket.close()

    async def _tell(self, task: Spoken) -> None:
        loop = asyncio.get_running_loop()
        started_s = task.started_s or loop.time()
        await asyncio.sleep(started_s - loop.time())
        await self._say(task, "avatar_start_talking")
        if task.kind != "repeat":
            for at, sentence in enumerate(_SENTENCE.split(task.text)):  # each is told as it begins to sound
                if not task.interrupted:
                    await self._say(task, "avatar_talking_message", message=f" {sentence}" if at else sentence)
                    await asyncio.sleep(task.duration_ms / 1000 * len(sentence) / len(task.text))
        await asyncio.sleep(max(0.0, (task.ended_s or started_s) - loop.time()))
        if task.kind != "repeat":
            await self._say(task, "avatar_end_message")
        await self._say(task, "avatar_stop_talking", duration_ms=task.duration_ms)

    async def _say(self, task: Spoken, kind: str, **more: Any) -> None:
        message = json.dumps({"topic": "", "payload": json.dumps({"type": kind, "task_id": task.task_id, **more})})
        for socket in list(self._inside[task.session_id]):
            with suppress(ConnectionError):  # who has just left is told nothing
                await socket.send_str(message)
