"""The twin of HeyGen's classic streaming API: sessions over REST that speak text at the pace of sound.

Sources: HeyGen's reference pages (docs.heygen.com/reference) and the requests of its JavaScript SDK 2.1.0. Of the
video room there is what it tells (`room.py`), without picture and sound; `spoken` and the twin's own path
`/heygen/twin/spoken` tell what was played. Where HeyGen documents no code for a refusal (an unknown session, an empty text), the 400001
and 400005 given here are stand-ins.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from itertools import count
from math import inf
from typing import Any

from aiohttp import web

from clara_kit.audio.voice import OfflineVoice
from clara_kit.core.events import Service
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import Fault, find
from clara_kit.world.instructions import sense
from clara_kit.world.latency import Stage
from clara_kit.world.timelines import answer
from clara_kit.world.twins.base import TwinContext, nowhere
from clara_kit.world.twins.heygen.room import Rooms
from clara_kit.world.twins.heygen.session import Cut, Garble, Json, Refusal, Session, Spoken, body_of, strike

CONCURRENT_SESSIONS = 3  # an estimate: HeyGen documents the refusal, not the number for each plan
HARD_LIMIT_S = 3600.0  # reported by users on docs.heygen.com/discuss; sessions are cut an hour after their start
IDLE_S, IDLE_RANGE_S = 120, (30, 3600)
_FIRST_SOUND: dict[str, Stage] = {"repeat": "avatar_start"}
Handler = Callable[[Json, str], Awaitable[Any]]


class HeyGenTwin:
    """Mounted under `/heygen`. `requests` keeps the last calls (name and body); `spoken` what was given to speak."""

    name = "heygen"

    def __init__(
        self,
        context: TwinContext,
        voice: OfflineVoice,
        book: AnswerBook,
        *,
        concurrent: int = CONCURRENT_SESSIONS,
        hard_limit_s: float = HARD_LIMIT_S,
    ) -> None:
        self._context, self._voice, self._book = context, voice, book
        self._concurrent, self._hard_limit_s = concurrent, hard_limit_s
        self._sessions: dict[str, Session] = {}
        self._tokens: set[str] = set()
        self._ids = count(1)
        self.rooms = Rooms()
        self._host = ""
        self.requests: deque[tuple[str, Json]] = deque(maxlen=200)

    @property
    def spoken(self) -> tuple[Spoken, ...]:
        """Every task of every session, in order."""
        return tuple(task for session in self._sessions.values() for task in session.tasks)

    def add_routes(self, app: web.Application) -> None:
        """Register handlers under `/heygen/v1`."""
        calls: dict[str, Handler] = {
            "create_token": self._create_token, "new": self._new, "start": self._start, "task": self._task,
            "interrupt": self._interrupt, "start_listening": self._touch, "stop_listening": self._touch,
            "keep_alive": self._touch, "stop": self._stop,
        }  # fmt: skip
        for name, call in calls.items():
            app.router.add_post(f"/heygen/v1/streaming.{name}", self._guarded(name, call))
        app.router.add_get("/heygen/v1/streaming.list", self._guarded("list", self._list))
        app.router.add_get("/heygen/v2/user/remaining_quota", self._guarded("remaining_quota", self._quota))
        app.router.add_get("/heygen/twin/spoken", self._tell_spoken)
        app.router.add_get("/heygen/room/{session_id}", self.rooms.serve)
        app.router.add_route("*", "/heygen/{elsewhere:.*}", self._nowhere)

    def addresses(self, host_port: str) -> dict[str, str]:
        """For `HeyGenStreamingAvatar(base_url=...)`."""
        return {"base_url": f"http://{host_port}/heygen"}

    async def close(self) -> None:
        """Let every waiting task go."""
        for session in self._sessions.values():
            session.silenced.set()
        await self.rooms.close()

    # --- at the door --------------------------------------------------------------------------------------

    def _guarded(self, name: str, call: Handler) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                key = request.headers.get("x-api-key", "")
                token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
                if not (self._context.accepts(key) or token in self._tokens):
                    raise Refusal(401, 400112, "Unauthorized")
                body = await body_of(request) if request.method == "POST" else {}
                self._host = request.host
                self.requests.append((name, body))
                await self._fault_at_the_door(name)
                data = await call(body, name)
            except Refusal as exc:
                said = {"code": exc.code, "message": exc.message}
                return web.json_response(said, status=exc.status, headers=exc.headers)
            except Cut:
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()
            except Garble:
                return web.Response(text="<html>Bad gateway</html>", content_type="text/html")
            if name == "create_token":
                return web.json_response({"error": None, "data": data})
            return web.json_response({"code": 100, "message": "success", "data": data})

        return handle

    async def _fault_at_the_door(self, name: str, service: Service = "avatar") -> None:
        door: Any = {"new": "token", "start": "start"}.get(name)
        if door is None:
            return
        for fault in self._context.faults.next_occasion(service, door):
            await asyncio.sleep(fault.after_ms / 1000)
            raise Refusal(fault.status, fault.status, f"The request was refused ({name}).", fault.retry_after)

    def _session(self, body: Json) -> Session:
        session = self._sessions.get(str(body.get("session_id", "")))
        now_s = asyncio.get_running_loop().time()
        if session is None:
            raise Refusal(400, 400005, "session not found")
        if now_s - session.born_s > self._hard_limit_s:
            session.state = "closed"
            raise Refusal(401, 400112, "Unauthorized")
        if session.state != "closed" and now_s - session.seen_s > session.idle_s:
            session.state = "closed"
        if session.state == "closed":
            raise Refusal(400, 10005, "session state wrong: closed")
        session.seen_s = now_s
        return session

    # --- the calls ----------------------------------------------------------------------------------------

    async def _create_token(self, _body: Json, _name: str) -> Json:
        token = f"twin-session-token-{next(self._ids)}"
        self._tokens.add(token)
        return {"token": token}

    async def _new(self, body: Json, _name: str) -> Json:
        now_s = asyncio.get_running_loop().time()
        if not (body.get("avatar_name") or body.get("avatar_id")):
            raise Refusal(400, 10013, "avatar not found")
        idle = body.get("activity_idle_timeout")
        idle = IDLE_S if idle is None else idle
        if type(idle) is not int or not IDLE_RANGE_S[0] <= idle <= IDLE_RANGE_S[1]:
            raise Refusal(400, 400001, "activity_idle_timeout must be between 30 and 3600")
        alive = [s for s in self._sessions.values() if s.state != "closed" and now_s - s.seen_s <= s.idle_s]
        if len(alive) >= self._concurrent:
            raise Refusal(
                400, 10004,
                "Concurrent limit reached, please make sure you have closed other testing sessions",
            )  # fmt: skip
        session = Session(
            id=f"twin-{next(self._ids):04d}",
            config=body,
            born_s=now_s,
            idle_s=inf if body.get("disable_idle_timeout") else float(idle),
            seen_s=now_s,
        )
        self._sessions[session.id] = session
        return {
            "session_id": session.id, "access_token": "twin-room-token", "url": f"ws://{self._host}/heygen/room/{session.id}", "is_paid": True,
            "session_duration_limit": int(self._hard_limit_s), "realtime_endpoint": "wss://twin.invalid/realtime",
            "livekit_agent_token": "twin-agent-token",
            "sdp": None, "ice_servers": None, "ice_servers2": None,
        }  # fmt: skip

    async def _start(self, body: Json, _name: str) -> None:
        session = self._session(body)
        if session.state != "new":
            raise Refusal(400, 400006, "Session is not in correct state")
        session.state = "connected"

    async def _task(self, body: Json, _name: str) -> Json:
        session = self._session(body)
        if session.state != "connected":
            raise Refusal(400, 400006, "Session is not in correct state")
        text, kind = str(body.get("text") or "").strip(), str(body.get("task_type") or "talk")
        if not text:
            raise Refusal(400, 400001, "text must not be empty")
        if kind not in ("repeat", "talk", "chat"):
            raise Refusal(400, 400001, f"task_type {kind} is unknown")
        service: Service = "avatar" if kind == "repeat" else "backup"
        if kind != "repeat":  # the built-in brain answers
            await self._fault_at_the_door("new", service)
            sensed = sense(str(session.config.get("knowledge_base") or ""))
            text = answer(self._book, text, sensed, first=not any(t.kind != "repeat" for t in session.tasks))
        faults = self._context.faults.next_occasion(service)
        speech = await asyncio.to_thread(self._voice.synthesize, text)
        task = Spoken(
            session_id=session.id, task_id=f"task-{next(self._ids):06d}", text=text, kind=kind,
            duration_ms=round(speech.sound.duration_ms, 1),
        )  # fmt: skip
        session.tasks.append(task)
        return await self._play(session, task, faults, sync=(body.get("task_mode") or "sync") == "sync")

    async def _play(self, session: Session, task: Spoken, faults: tuple[Fault, ...], *, sync: bool) -> Json:
        loop = asyncio.get_running_loop()
        slow, stage = find(faults, "slow"), _FIRST_SOUND.get(task.kind, "backup_answer")
        begins = max(loop.time() + self._start_delay_s(session, slow, stage), session.free_s)
        task.started_s, session.free_s = begins, begins + task.duration_ms / 1000
        task.ended_s = session.free_s
        self.rooms.talks(task)
        answer = {"duration_ms": task.duration_ms, "task_id": task.task_id}
        for fault in faults:
            await asyncio.sleep(fault.after_ms / 1000)
            await strike(fault)
        if not sync or find(faults, "premature_end"):
            return answer
        silenced = session.silenced
        taken: asyncio.Future[Fault] = loop.create_future()

        def take(fault: Fault) -> bool:
            if fault.kind in ("refuse", "slow", "duplicate"):
                return False
            loop.call_soon_threadsafe(lambda: None if taken.done() else taken.set_result(fault))
            return True

        async def spoken_out() -> None:
            await asyncio.sleep(task.ended_s - loop.time() if task.ended_s else 0)
            if find(faults, "no_end"):
                await asyncio.sleep(HARD_LIMIT_S)

        waits: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(spoken_out()), asyncio.ensure_future(silenced.wait())
        }  # fmt: skip
        try:
            with self._context.faults.running("avatar" if task.kind == "repeat" else "backup", take):
                await asyncio.wait({*waits, taken}, return_when=asyncio.FIRST_COMPLETED)
            if taken.done():
                await asyncio.sleep(taken.result().after_ms / 1000)
                await strike(taken.result())
                if taken.result().kind == "no_end":
                    await asyncio.sleep(HARD_LIMIT_S)
        finally:
            for wait in waits:
                wait.cancel()
        return answer

    def _start_delay_s(self, session: Session, slow: Fault | None, stage: Stage) -> float:
        """The avatar needs a while to begin, unless it is speaking already."""
        if asyncio.get_running_loop().time() < session.free_s:
            return 0.0
        return (self._context.draw(stage) + (slow.for_ms if slow else 0.0)) / 1000

    async def _interrupt(self, body: Json, _name: str) -> None:
        session = self._session(body)
        now_s = asyncio.get_running_loop().time()
        for task in session.tasks:
            if task.ended_s is not None and task.ended_s > now_s:
                task.interrupted, task.ended_s = True, max(now_s, task.started_s or now_s)
        session.free_s = now_s
        session.silenced.set()
        session.silenced = asyncio.Event()

    async def _touch(self, body: Json, _name: str) -> None:
        self._session(body)

    async def _stop(self, body: Json, _name: str) -> None:
        session = self._session(body)
        await self._interrupt(body, "stop")
        session.state = "closed"

    async def _list(self, _body: Json, _name: str) -> Json:
        rows = [
            {"session_id": s.id, "status": s.state, "created_at": int(s.born_s)}
            for s in self._sessions.values()
            if s.state != "closed"
        ]
        return {"sessions": rows}

    async def _quota(self, _body: Json, _name: str) -> Json:
        return {"remaining_quota": 60, "details": {"api": 60}}

    async def _nowhere(self, request: web.Request) -> web.Response:
        status = await nowhere(request)
        message = "Method Not Allowed" if status == 405 else "Not Found"
        return web.json_response({"code": 400000 + status, "message": message}, status=status)

    async def _tell_spoken(self, _request: web.Request) -> web.Response:
        return web.json_response([asdict(task) for task in self.spoken])
