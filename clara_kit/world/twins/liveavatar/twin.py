"""LiveAvatar's twin: sessions over REST, the LITE socket, and an ear in place of the video room.

Mounted by `server.py` under `/liveavatar`. REST is here; `liveavatar_rest.py` knows its shapes,
`liveavatar_gate.py` who may in, `liveavatar_session.py` the socket, `liveavatar_player.py` the pace of sound,
`liveavatar_room.py` those who listen. Source: docs.liveavatar.com (REST reference, LITE events and lifecycle,
sandbox, rate limits) and the published clients, read 2026. What no document says is decided in the
constructor's defaults.

FULL sessions have the vendor's own assistant in them (`full.py`), told by a context (`contexts.py`), in a room that is a
websocket here.

Faults (`avatar`): the occasion is the n-th utterance of this server, from its first sound; for `refuse` it is
the n-th request at the door that `detail` names (token, start or socket; token if empty).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any
from uuid import UUID

from aiohttp import web

from clara_kit.core.events import Service
from clara_kit.core.rng import child_rng
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.base import TwinContext, nowhere
from clara_kit.world.twins.liveavatar.contexts import Contexts
from clara_kit.world.twins.liveavatar.dialect import Dialect
from clara_kit.world.twins.liveavatar.full import FullTwinSession, Skills
from clara_kit.world.twins.liveavatar.gate import Gate, Handler, Login, RateLimit, bearer
from clara_kit.world.twins.liveavatar.player import RATE_HZ, PlayedFrame, Utterance
from clara_kit.world.twins.liveavatar.rest import (
    CREDITS_A_MINUTE,
    LiteToken,
    Refusal,
    answer,
    avatar,
    cost,
    entry,
    invalid,
    json_body,
    page,
    parse_token,
)
from clara_kit.world.twins.liveavatar.room import PlayedStream, Room, serve_listener
from clara_kit.world.twins.liveavatar.session import Outside, SessionConfig, TwinSession

__all__ = ["RATE_HZ", "SANDBOX_AVATAR", "LiveAvatarTwin", "PlayedFrame", "PlayedStream", "TwinSession", "Utterance"]

SANDBOX_AVATAR = "dd73ea75-1218-4ef3-92ce-606d5f7fbc0a"  # "Wayne": LiveAvatar's sandbox page
_NO_ROOM = "wss://no-media-room.invalid"  # of a LITE session: its picture is not imitated


class LiveAvatarTwin:
    """A `Twin`. `sessions` is the record of all that was asked of it, for tests.

    sandbox_limit_s, idle_limit_s, default_limit_s: how long sessions live (the last: where no
    max_session_duration was asked for; an estimate). connected_after_ms: socket open -> `connected` (an
    estimate). requests_per_s: the rate limit of each endpoint (an estimate). avatars: the ids that exist
    beside the sandbox avatar; None for any. lines: what its own assistant can hear. concurrent: how many sessions may run at once (its refusal is
    reported by users; the number of a plan is not published; None: any).
    """

    name = "liveavatar"

    def __init__(
        self,
        context: TwinContext,
        *,
        dialect: Dialect = "speak_events",
        sandbox_limit_s: float = 60.0,
        idle_limit_s: float = 300.0,
        default_limit_s: float = 1200.0,
        connected_after_ms: float = 50.0,
        requests_per_s: int = 50,
        credits: float = 1000.0,
        avatars: frozenset[str] | None = None,
        lines: LineBook | None = None,
        concurrent: int | None = None,
    ) -> None:
        self.sessions: dict[str, TwinSession] = {}
        self.dialect: Dialect = dialect
        self.credits = credits
        self._context = context
        self._sandbox_limit_s, self._idle_limit_s = sandbox_limit_s, idle_limit_s
        self._default_limit_s = default_limit_s
        self._connected_after_ms = connected_after_ms
        self._avatars = avatars
        self._gate = Gate(context, self._of_token, RateLimit(requests_per_s))
        self._rng = child_rng(context.seed, "twin", "liveavatar", "ids")
        self._room = Room()
        self._skills, self._concurrent = Skills(lines), concurrent
        self.contexts = Contexts(self._new_id)

    # --- the Twin Protocol ------------------------------------------------------------------------------

    def add_routes(self, app: web.Application) -> None:
        """Register the REST paths, the socket, the listener and, for the rest, the vendor's 404."""
        routes: tuple[tuple[str, str, Login, Handler], ...] = (
            ("POST", "/v1/sessions/token", "key", self._token),
            ("POST", "/v1/sessions/start", "token", self._start),
            ("POST", "/v1/sessions/keep-alive", "either", self._keep_alive),
            ("POST", "/v1/sessions/stop", "either", self._stop),
            ("GET", "/v1/sessions", "either", self._list),
            ("GET", "/v1/sessions/{session_id}", "either", self._get),
            ("GET", "/v1/sessions/{session_id}/transcript", "key", self._transcript),
            ("POST", "/v1/contexts", "key", self.contexts.create),
            ("GET", "/v1/contexts", "key", self.contexts.list),
            ("GET", "/v1/contexts/{context_id}", "key", self.contexts.get),
            ("PATCH", "/v1/contexts/{context_id}", "key", self.contexts.update),
            ("DELETE", "/v1/contexts/{context_id}", "key", self.contexts.delete),
            ("GET", "/v1/users/credits", "key", self._credits),
            ("GET", "/v1/avatars", "key", self._own_avatars),
            ("GET", "/v1/avatars/public", "none", self._public_avatars),
        )
        for method, path, login, handler in routes:
            app.router.add_route(method, f"/{self.name}{path}", self._gate.around(handler, path, login))
        for way in ("ws", "room"):
            app.router.add_get(f"/{self.name}/{way}/{{session_id}}", self._gate.around(self._socket, f"/{way}", "none"))
        app.router.add_get(f"/{self.name}/listen/{{session_id}}", self._gate.around(self._listen, "/listen", "none"))
        app.router.add_route("*", f"/{self.name}/{{tail:.*}}", self._gate.around(self._nowhere, "*", "none"))

    def addresses(self, host_port: str) -> dict[str, str]:
        """Where clients find it."""
        return {"base_url": f"http://{host_port}/{self.name}"}

    async def close(self) -> None:
        """End every session; those who listen are told."""
        for session in self.sessions.values():
            session.end("SERVER_ERROR")
        await asyncio.sleep(0)

    # --- who listens ------------------------------------------------------------------------------------

    def on_played(self, callback: Callable[[PlayedFrame], None], session_id: str | None = None) -> Callable[[], None]:
        """Call back with every frame that is played, in the server's thread; returns how to stop that.

        session_id: only this session's; None for all. The callback must be quick.
        """
        return self._room.subscribe(lambda frame: None if frame is None else callback(frame), session_id)

    def listen(self, session_id: str) -> PlayedStream:
        """What a session plays from now on, as an async iterator for the caller's own loop.

        It ends with the session. Enter it (`async with`) or call `close()` to stop listening before.
        """
        session = self.sessions.get(session_id)
        return PlayedStream(self._room, session_id, over=session is None or session.state == "ended")

    # --- REST -------------------------------------------------------------------------------------------

    async def _token(self, request: web.Request) -> web.Response:
        body = parse_token(await json_body(request))
        await self._gate.at_door("token", _service(body.mode))
        avatar_id = str(body.avatar_id)
        if body.is_sandbox and avatar_id != SANDBOX_AVATAR:
            raise Refusal(403, f"Sandbox sessions take only the sandbox avatar {SANDBOX_AVATAR}.")
        if self._avatars is not None and avatar_id not in {*self._avatars, SANDBOX_AVATAR}:
            raise Refusal(404, "Avatar not found.")
        asked_s = float(body.max_session_duration or self._default_limit_s)
        config = SessionConfig(
            session_id=self._new_id(),
            session_token=f"session-{self._new_id()}",
            socket_token=self._new_id(),
            mode=body.mode,
            avatar_id=avatar_id,
            sandbox=body.is_sandbox,
            own_room=isinstance(body, LiteToken) and body.livekit_config is not None,
            max_s=min(asked_s, self._sandbox_limit_s) if body.is_sandbox else asked_s,
            idle_s=self._idle_limit_s,
            connected_after_ms=self._connected_after_ms,
            dialect=self.dialect,
        )
        outside = Outside(context=self._context, new_id=self._new_id, on_frame=self._room.play, on_end=self._on_end)
        if isinstance(body, LiteToken):
            self.sessions[config.session_id] = TwinSession(config, outside)
        else:
            told = (body.avatar_persona or {}).get("context_id")
            context = self.contexts.of(str(told)) if told else None
            session = FullTwinSession(config, outside, context=context, skills=self._skills)
            self.sessions[config.session_id] = session
        return answer({"session_id": config.session_id, "session_token": config.session_token})

    async def _start(self, request: web.Request) -> web.Response:
        session = self._of_token(bearer(request))
        assert session is not None
        config = session.config
        await self._gate.at_door("start", _service(config.mode))
        if session.state != "new":
            raise Refusal(400, "Session is not in correct state: it was started before.")
        if (
            self._concurrent is not None
            and sum(s.state == "active" for s in self.sessions.values()) >= self._concurrent
        ):
            raise Refusal(403, "Session concurrency limit reached", code=4003)
        if not config.sandbox and self.credits < CREDITS_A_MINUTE[config.mode]:
            raise Refusal(402, "Insufficient credits: one minute must be available to start a session.")
        session.start()
        data: dict[str, Any] = {
            "session_id": session.id,
            "livekit_url": None if config.own_room else _NO_ROOM,
            "livekit_client_token": None if config.own_room else "no-media-room",
            "livekit_agent_token": None if config.own_room else "no-media-room",
            "max_session_duration": math.ceil(config.max_s),
            "ws_url": None,
        }
        here = f"{'wss' if request.scheme == 'https' else 'ws'}://{request.host}/{self.name}"
        if config.mode == "LITE":
            data["ws_url"] = f"{here}/ws/{session.id}?token={config.socket_token}"
        else:
            data |= {"livekit_url": f"{here}/room/{session.id}", "livekit_client_token": config.socket_token}
        return answer(data, status=201)

    async def _keep_alive(self, request: web.Request) -> web.Response:
        session = await self._meant(request)
        if session.state != "active":
            raise Refusal(400, f"Session is not in correct state: {session.state}.")
        session.touch()
        return answer(None)

    async def _stop(self, request: web.Request) -> web.Response:
        session = await self._meant(request)
        reason = (await json_body(request)).get("reason")
        session.end(reason if isinstance(reason, str) else "UNKNOWN")
        return answer(None)

    async def _list(self, request: web.Request) -> web.Response:
        wanted = request.query.get("type")
        if wanted not in ("active", "historic"):
            detail = {"type": "enum", "loc": ["query", "type"], "msg": "Input should be 'active' or 'historic'"}
            raise invalid([detail])
        state = "active" if wanted == "active" else "ended"
        return answer(page([entry(s) for s in self.sessions.values() if s.state == state], request.query))

    async def _get(self, request: web.Request) -> web.Response:
        return answer(entry(self._of_id(request.match_info["session_id"])))

    async def _transcript(self, request: web.Request) -> web.Response:
        session = self._of_id(request.match_info["session_id"])
        if not isinstance(session, FullTwinSession):
            raise Refusal(400, "Only FULL sessions have a transcript.")
        since = request.query.get("start_timestamp", "0")
        return answer(session.transcript(int(since) if since.isdecimal() else 0))

    async def _credits(self, _request: web.Request) -> web.Response:
        return answer({"credits_left": f"{self.credits:.2f}"})

    async def _own_avatars(self, request: web.Request) -> web.Response:
        own = sorted(self._avatars or ())
        return answer(page([avatar(i, f"Own avatar {n}") for n, i in enumerate(own, start=1)], request.query))

    async def _public_avatars(self, request: web.Request) -> web.Response:
        return answer(page([avatar(SANDBOX_AVATAR, "Wayne")], request.query))

    async def _nowhere(self, request: web.Request) -> web.Response:
        raise Refusal(await nowhere(request), f"There is no {request.method} {request.path} here.")

    # --- sockets ----------------------------------------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        session = self._of_id(request.match_info["session_id"])
        full = isinstance(session, FullTwinSession)
        await self._gate.at_door("socket", _service(session.config.mode))
        if request.query.get("access_token" if full else "token") != session.config.socket_token:
            raise Refusal(403, "This address is not the one that was given.")
        if full != request.path.startswith(f"/{self.name}/room/"):
            raise Refusal(403, "FULL sessions have no socket." if full else "LITE sessions have no such room.")
        if session.state != "active":
            raise Refusal(404, "The session has ended.")
        if session.connected:
            raise Refusal(409, "There is a client on this socket already.")
        return await session.serve(request)

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        session = self._of_id(request.match_info["session_id"])
        if session.state == "ended":
            raise Refusal(404, "The session has ended.")
        return await serve_listener(request, self._room, session.id)

    # --- what they share --------------------------------------------------------------------------------

    def _new_id(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    def _of_token(self, token: str) -> TwinSession | None:
        return next((s for s in self.sessions.values() if token and s.config.session_token == token), None)

    def _of_id(self, session_id: str) -> TwinSession:
        session = self.sessions.get(session_id)
        if session is None:
            raise Refusal(404, "Session not found.")
        return session

    async def _meant(self, request: web.Request) -> TwinSession:
        """The session of the token, or, for a key, the one that the body names."""
        session = self._of_token(bearer(request))
        if session is not None:
            return session
        session_id = (await json_body(request)).get("session_id")
        if not isinstance(session_id, str):
            raise invalid([{"type": "missing", "loc": ["body", "session_id"], "msg": "Field required"}])
        return self._of_id(session_id)

    def _on_end(self, session: TwinSession) -> None:
        self.credits = max(0.0, self.credits - cost(session))
        self._room.over(session.id)


def _service(mode: str) -> Service:
    """Whose faults strike at the door."""
    return "avatar" if mode == "LITE" else "backup"
