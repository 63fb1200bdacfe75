"""One session of the LiveAvatar twin: its life, its LITE socket, and what was seen of both.

Comes after `liveavatar.py`, which makes sessions over REST; before `liveavatar_player.py`, which plays what
the socket brings. Sources: LiveAvatar's LITE documents (events, lifecycle) and what pipecat's and LiveKit's
clients send and read, 2026. `liveavatar_dialect.py` words the answers.
"""

from __future__ import annotations

import asyncio
import binascii
import json
from base64 import b64decode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

from aiohttp import WSMsgType, web

from clara_kit.core.events import Service
from clara_kit.world.faults import Fault, find
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.liveavatar.dialect import Dialect, Teller
from clara_kit.world.twins.liveavatar.player import REMEMBERED, Hooks, PlayedFrame, Player, Utterance
from clara_kit.world.twins.liveavatar.socket import CLOSE_TIMEOUT_S, MAX_MESSAGE_BYTES, Received, Socket

Json = dict[str, Any]
BREAKING = ("cut", "stall", "error", "garble")  # faults of the connection
ENDING = ("no_end", "duplicate", "premature_end")  # faults of how an utterance ends


@dataclass(kw_only=True)
class SessionConfig:
    """What the token was asked for, and the limits that follow from it."""

    session_id: str
    session_token: str
    socket_token: str
    mode: Literal["LITE", "FULL"]
    avatar_id: str
    sandbox: bool
    own_room: bool
    max_s: float
    idle_s: float
    connected_after_ms: float
    dialect: Dialect


@dataclass(kw_only=True)
class Outside:
    """What a session needs of its twin."""

    context: TwinContext
    new_id: Callable[[], str]
    on_frame: Callable[[PlayedFrame], None]
    on_end: Callable[[TwinSession], None]


@dataclass(eq=False)
class TwinSession:
    """A session, and the record of it that tests read: the last `messages`, `utterances`; `state`, `end_reason`."""

    service: ClassVar[Service] = "avatar"
    """Whose faults strike it."""

    config: SessionConfig
    outside: Outside = field(repr=False)
    state: Literal["new", "active", "ended"] = "new"
    end_reason: str = ""
    started_s: float | None = None
    ended_s: float | None = None
    messages: deque[Received] = field(default_factory=partial(deque, maxlen=REMEMBERED), repr=False)
    connections: int = 0

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._active_s = self._loop.time()
        self._limit: asyncio.TimerHandle | None = None
        self._socket: Socket | None = None
        self._taken = False
        out, self._tell = self.outside, self._teller()
        self.player = Player(
            Hooks(
                start_ms=self._start_ms,
                interrupt_ms=self._interrupt_ms,
                started=self._on_started,
                ended=self._tell.ended,
                cleared=self._tell.cleared,
                frame=self._on_frame,
                new_id=out.new_id,
            )
        )
        self._fault_timers: list[asyncio.TimerHandle] = []

    def _teller(self) -> Any:
        return Teller(self.config.dialect, self._say)

    @property
    def id(self) -> str:
        return self.config.session_id

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        """Everything that was given to speak, in order, and what became of it."""
        return tuple(self.player.utterances)

    def played(self, event_id: str) -> tuple[Utterance, ...]:
        """The stretches of one utterance that sounded: more than one if it went on after an interrupt."""
        return tuple(u for u in self.utterances if u.event_id == event_id and u.started_s is not None)

    # --- its life ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """The session runs, and is billed, from now on."""
        self.state, self.started_s = "active", self._loop.time()
        self.touch()
        self._watch_limits()

    def touch(self) -> None:
        """Somebody still wants this session."""
        self._active_s = self._loop.time()

    def end(self, reason: str, *, farewell: bool = True) -> None:
        """Over. farewell: say `closing` and `closed` before the socket closes."""
        if self.state == "ended":
            return
        self.state, self.end_reason, self.ended_s = "ended", reason, self._loop.time()
        for timer in (self._limit, *self._fault_timers):
            if timer is not None:
                timer.cancel()
        self.player.close()
        if self._socket is not None:
            if farewell:
                self._tell.session("closing")
                self._tell.session("closed")
            self._socket.say(None)
            self._socket.flowing.set()
        self.outside.on_end(self)

    def _watch_limits(self) -> None:
        assert self.started_s is not None
        now_s = self._loop.time()
        over_s, idle_s = self.started_s + self.config.max_s, self._active_s + self.config.idle_s
        if now_s >= over_s:
            # A sandbox session ends without a word: its socket just closes.
            self.end("MAX_DURATION_REACHED", farewell=not self.config.sandbox)
        elif now_s >= idle_s:
            self.end("IDLE_TIMEOUT")
        else:
            self._limit = self._loop.call_at(min(over_s, idle_s), self._watch_limits)

    # --- its socket -------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """A client is on the socket."""
        return self._taken

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Speak LITE with a client until either side has enough."""
        self._taken = True
        try:
            return await self._serve(request)
        finally:
            self._taken = False

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        # No compression: what is measured here is the protocol, and the vendor offers none.
        ws = web.WebSocketResponse(
            max_msg_size=MAX_MESSAGE_BYTES + 1, compress=False, timeout=CLOSE_TIMEOUT_S, autoclose=True
        )
        await ws.prepare(request)
        assert request.transport is not None
        socket = self._socket = Socket(ws, request.transport)
        self.connections += 1
        if self.state == "ended":
            socket.say(None)
        self._tell.session("connecting")
        greeting = self._loop.call_later(self._welcome_ms() / 1000, self._connect, socket)
        sender = asyncio.create_task(socket.send_all(), name=f"liveavatar twin {self.id}")
        faults = self.outside.context.faults
        try:
            with faults.running(self.service, self._take_fault):
                async for message in ws:
                    if message.type is WSMsgType.TEXT:
                        self._receive(message.data, socket)
                    elif message.type is WSMsgType.BINARY:
                        self._receive_sound(message.data)
        finally:
            greeting.cancel()
            if self.state == "ended":
                await asyncio.wait({sender}, timeout=CLOSE_TIMEOUT_S)  # it is saying good-bye
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            self._socket = None
            self.player.forget()  # the sound was this connection's
            self._tell.pose = "idle"
        return ws

    def _welcome_ms(self) -> float:
        return self.config.connected_after_ms

    def _receive_sound(self, pcm: bytes) -> None:
        self._tell.error("Binary messages are not part of this protocol.", None)

    def _connect(self, socket: Socket) -> None:
        self._tell.session("connected")
        socket.connected = True

    def _receive(self, raw: str, socket: Socket) -> None:
        self.touch()
        try:
            message = json.loads(raw)
        except (ValueError, RecursionError):
            message = None
        fields: Json = message if isinstance(message, dict) else {}
        kind, event_id = fields.get("type"), fields.get("event_id")
        event_id = event_id if isinstance(event_id, str) and event_id else None
        audio = fields.get("audio")
        pcm = _decoded(audio) if audio is not None else b""
        size_bytes, audio_bytes = len(raw.encode()), len(pcm or b"")
        dropped = not socket.connected
        self._note(kind, event_id, size_bytes, audio_bytes, dropped=dropped)
        if dropped:
            return
        if not isinstance(message, dict) or not isinstance(kind, str):
            self._tell.error("A message must be a JSON object with a type.", event_id)
        elif pcm is None or (kind == "agent.speak" and audio is None):
            self._tell.error("audio must be base64 of 16-bit PCM, 24000 Hz, mono.", event_id)
        else:
            self._obey(kind, event_id, pcm)

    def _note(self, kind: Any, event_id: str | None, size_bytes: int, audio_bytes: int, *, dropped: bool) -> None:
        self.messages.append(Received(self._loop.time(), str(kind), event_id, size_bytes, audio_bytes, dropped))

    def _obey(self, kind: str, event_id: str | None, pcm: bytes) -> None:
        if kind in ("agent.speak", "agent.speak_end"):
            if pcm:
                self._tell.appended(self.player.append(event_id, pcm), event_id)
            if kind == "agent.speak_end" and (utterance := self.player.seal(event_id)):
                self._tell.committed(utterance)
        elif kind == "agent.interrupt":
            self.player.interrupt(event_id)
        elif kind in ("agent.start_listening", "agent.stop_listening"):
            if self._tell.pose != "talking":
                self._tell.turn("listening" if kind == "agent.start_listening" else "idle")
        elif kind.startswith("avatar."):
            self._tell.error(f"{kind[:100]} is not permitted in LITE mode.", event_id)
        elif kind != "session.keep_alive":
            self._tell.warning(f"Unknown event: {kind[:100]}")

    # --- what the player asks and tells -----------------------------------------------------------------

    def _start_ms(self, utterance: Utterance) -> float:
        """An utterance opens: its delay, and the faults that are due on it."""
        same = (u for u in self.utterances if u.event_id == utterance.event_id)
        if not any(u.silenced for u in same):  # what goes on after an interrupt is no new occasion
            utterance.faults = self.outside.context.faults.next_occasion(self.service)
        for fault in utterance.faults:
            if fault.kind in BREAKING:
                self._later(fault.after_ms, self._break, fault, utterance.event_id)
        slow = find(utterance.faults, "slow")
        return self._draw_start_ms(utterance) + (slow.for_ms if slow else 0.0)

    def _draw_start_ms(self, utterance: Utterance) -> float:
        return self.outside.context.draw("avatar_start")

    def _on_frame(self, event_id: str, at_s: float, pcm: bytes) -> None:
        self.outside.on_frame(PlayedFrame(self.id, event_id, at_s, pcm))

    def _interrupt_ms(self, utterances: tuple[Utterance, ...]) -> float:
        slow = find((f for u in utterances for f in u.faults), "slow")
        return self.outside.context.draw("avatar_interrupt") + (slow.for_ms if slow else 0.0)

    def _on_started(self, utterance: Utterance) -> None:
        self._tell.started(utterance)
        if early := find(utterance.faults, "premature_end"):
            self._later(early.after_ms, self._end_early, utterance)

    def _end_early(self, utterance: Utterance) -> None:
        if utterance.ended_s is None:
            self._tell.ended(utterance, early=True)

    def _say(self, message: Json) -> None:
        if self._socket is not None:
            self._socket.say(json.dumps(message))

    # --- what goes wrong --------------------------------------------------------------------------------

    def _take_fault(self, fault: Fault) -> bool:
        """A fault for what runs now, from any thread: the connection, or the utterance that is being played."""
        utterance = next((u for u in self.utterances if u.started_s and u.ended_s is None), None)

        def play() -> None:
            if fault.kind in BREAKING:
                self._break(fault, utterance.event_id if utterance else None)
            elif utterance is not None:
                utterance.faults = (*utterance.faults, fault)
                if fault.kind == "premature_end":
                    self._end_early(utterance)

        if fault.kind not in BREAKING and (utterance is None or fault.kind not in ENDING):
            return False
        self._loop.call_soon_threadsafe(self._later, fault.after_ms, play)
        return True

    def _later(self, after_ms: float, do: Callable[..., None], *args: Any) -> None:
        self._fault_timers.append(self._loop.call_later(after_ms / 1000, do, *args))

    def _break(self, fault: Fault, event_id: str | None) -> None:
        socket = self._socket
        if socket is None:
            return
        if fault.kind == "cut":
            socket.transport.abort()
        elif fault.kind == "stall":
            self.player.freeze(fault.for_ms / 1000)
            socket.flowing.clear()
            if fault.for_ms:
                self._later(fault.for_ms, socket.flowing.set)
        elif fault.kind == "error":
            kind = fault.detail or "video_starvation"
            self._tell.error("Audio arrived too slowly for the renderer.", event_id, kind)
        else:
            self._say({"type": "agent.visemes", "frames": [[0, "sil"], [1, None]], "event_id": 7})
            socket.say("}not json{")


def _decoded(audio: Any) -> bytes | None:
    try:
        return b64decode(audio, validate=True) if isinstance(audio, str) else None
    except (binascii.Error, ValueError):
        return None
