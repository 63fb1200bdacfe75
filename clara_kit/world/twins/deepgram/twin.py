"""The twin of Deepgram: streaming recognition and speech under one address, and its key check."""

from __future__ import annotations

import secrets
from typing import Any

from aiohttp import web

from clara_kit.audio.voice import OfflineVoice
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.base import TwinContext, json_of, nowhere
from clara_kit.world.twins.deepgram.desk import Desk
from clara_kit.world.twins.deepgram.listen import listen
from clara_kit.world.twins.deepgram.speak import speak_rest, speak_socket


class DeepgramTwin:
    """Mounted under `/deepgram`. lines: what the recogniser knows. voice: what Aura sounds like here.

    `connections` keeps the last connections: path, query, bytes received, close code; never a key.
    """

    name = "deepgram"

    def __init__(self, context: TwinContext, lines: LineBook, voice: OfflineVoice) -> None:
        self._desk = Desk(context, lines, voice)
        self.connections = self._desk.connections

    def add_routes(self, app: web.Application) -> None:
        """Register handlers under `/deepgram`."""
        app.router.add_get("/deepgram/v1/listen", self._listen)
        app.router.add_get("/deepgram/v1/speak", self._speak)
        app.router.add_post("/deepgram/v1/speak", self._speak_rest)
        app.router.add_post("/deepgram/v1/auth/grant", self._grant)
        app.router.add_get("/deepgram/v1/projects", self._projects)
        app.router.add_post("/deepgram/twin/lines", self._learn)
        app.router.add_post("/deepgram/v1/listen", self._listen_rest)
        app.router.add_route("*", "/deepgram/{elsewhere:.*}", self._nowhere)

    def addresses(self, host_port: str) -> dict[str, str]:
        """For REST and for sockets."""
        return {"base_url": f"http://{host_port}/deepgram", "ws_url": f"ws://{host_port}/deepgram"}

    async def close(self) -> None:
        """Nothing outlives its connection."""

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        return self._desk.socket_door(request) or await listen(self._desk, request)

    async def _listen_rest(self, request: web.Request) -> web.StreamResponse:
        said = "This twin recognises what comes over its socket; recordings are not served."
        return self._desk.door(request) or self._desk.refuse(403, "INSUFFICIENT_PERMISSIONS", said)

    async def _nowhere(self, request: web.Request) -> web.StreamResponse:
        if await nowhere(request) == 405:
            return self._desk.refuse(405, "METHOD_NOT_ALLOWED", "Method not allowed.")
        return self._desk.refuse(404, "NOT_FOUND", "Endpoint not found.")

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        return self._desk.socket_door(request) or await speak_socket(self._desk, request)

    async def _speak_rest(self, request: web.Request) -> web.StreamResponse:
        return self._desk.door(request) or await speak_rest(self._desk, request)

    async def _grant(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._desk.door(request):
            return refusal
        token = f"twin-token-{secrets.token_hex(6)}"
        self._desk.tokens.add(token)
        body = await _json(request)
        return web.json_response({"access_token": token, "expires_in": body.get("ttl_seconds", 30)})

    async def _projects(self, request: web.Request) -> web.StreamResponse:
        return self._desk.door(request) or web.json_response(
            {"projects": [{"project_id": "twin", "name": "Beta Skincare (twin)"}]}
        )

    async def _learn(self, request: web.Request) -> web.StreamResponse:
        """Not Deepgram's: teach a line, spoken by the customer's offline voice, from another process."""
        text = str((await _json(request)).get("text", ""))
        speech = OfflineVoice(voice_variant="m3", pitch=40).synthesize(text)
        self._desk.lines.learn(text, speech)
        return web.json_response({"learnt": text, "words": len(speech.words), "duration_ms": speech.sound.duration_ms})


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await json_of(request)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
