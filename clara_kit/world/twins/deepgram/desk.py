"""What every connection of the Deepgram twin needs: its world, its ids, its refusals, its record."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Any

from aiohttp import web

from clara_kit.audio.voice import OfflineVoice
from clara_kit.world.faults import Fault
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.base import TwinContext


class Desk:
    """Shared by the recogniser and the voice. `connections` keeps the last ones; `tokens` what was granted."""

    protocols = ("token", "bearer")

    def __init__(self, context: TwinContext, lines: LineBook, voice: OfflineVoice) -> None:
        self.context, self.lines, self.voice = context, lines, voice
        self.connections: deque[dict[str, Any]] = deque(maxlen=100)
        self.tokens: set[str] = set()
        self._ids = count(1)

    def request_id(self) -> str:
        """The next request id."""
        return f"00000000-0000-4000-8000-{next(self._ids):012d}"

    def turn_away(self, fault: Fault) -> web.Response:
        """A refusal on demand."""
        response = self.refuse(fault.status, "REFUSED", fault.detail or f"Refused with {fault.status}.")
        response.headers.update(fault.retry_after)
        return response

    def refuse(self, status: int, code: str, message: str) -> web.Response:
        """A refusal as Deepgram words it: JSON body, and the reason in headers for sockets."""
        request_id = self.request_id()
        body = {"err_code": code, "err_msg": message, "request_id": request_id}
        return web.json_response(body, status=status, headers={"dg-error": message, "dg-request-id": request_id})

    def door(self, request: web.Request) -> web.Response | None:
        """The refusal of a wrong key, or None. Browsers, which cannot set a header, give it as a socket's protocol."""
        told = request.headers.get("Authorization") or request.headers.get("Sec-WebSocket-Protocol", "").replace(
            ",", ""
        )
        scheme, _, key = told.partition(" ")
        known = key in self.tokens or (scheme.lower() == "token" and self.context.accepts(key))
        return None if known else self.refuse(401, "INVALID_AUTH", "Invalid credentials.")

    def socket_door(self, request: web.Request) -> web.Response | None:
        """The same where only a socket may in."""
        if refusal := self.door(request):
            return refusal
        upgrades = request.headers.get("Upgrade", "").lower() == "websocket"
        return None if upgrades else self.refuse(400, "Bad Request", "Bad Request: a websocket upgrade is expected.")

    def record(self, request: web.Request) -> dict[str, Any]:
        """Remember a connection."""
        entry: dict[str, Any] = {"path": request.path, "query": dict(request.query), "bytes": 0, "closed": None}
        self.connections.append(entry)
        return entry
