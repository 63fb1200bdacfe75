"""LiveAvatarLite against a small server of its own, written from the vendor's documents alone."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, fields
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from hypothesis import given
from hypothesis import strategies as st

from clara_kit.core.errors import ProviderError, ProviderRefused, ProviderUnavailable, SettingsError
from clara_kit.core.events import (
    Event,
    FirstAudio,
    ProviderFailed,
    SpeakingEnded,
    SpeakingInterrupted,
    SpeakingStarted,
    SpeechSent,
    SpeechVoiced,
)
from clara_kit.providers.avatar import lite_protocol
from clara_kit.providers.avatar.liveavatar import LiveAvatarLite
from clara_kit.providers.avatar.pacing import Chunker, Playhead, Timing
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced
from clara_kit.world.pace import now_s

KEY = "test-key-5678"
TIMES = {field.name for field in fields(Timing)}
BYTES_PER_MS = 48
LAST = SpeakingEnded | SpeakingInterrupted | ProviderFailed


class RealClock:
    def now_ms(self) -> float:
        return now_s() * 1000


# --- a voice -------------------------------------------------------------------------------------------


@dataclass
class FakeTTS:
    """Gives `ms_of[piece]` (or `ms`) of sound for each piece, in chunks of `chunk_ms`."""

    ms: float = 100
    chunk_ms: float = 20
    gap_s: float = 0.0
    fail_after_ms: float | None = None
    error: Exception = field(
        default_factory=lambda: ProviderUnavailable("The voice is gone.", hint="wait.", kind="cut")
    )
    rate_hz: int = 24_000
    ms_of: dict[str, float] = field(default_factory=dict)
    left: int = 0
    entered: int = 0

    @asynccontextmanager
    async def speak(self, pieces: AsyncIterator[str]) -> AsyncIterator[AsyncIterator[AudioChunk | PiecesVoiced]]:
        self.entered += 1
        stream = self._stream(pieces)
        try:
            yield stream
        finally:
            await stream.aclose()  # type: ignore[attr-defined]
            self.left += 1

    async def _stream(self, pieces: AsyncIterator[str]) -> AsyncIterator[AudioChunk | PiecesVoiced]:
        done, given_ms = 0, 0.0
        async for piece in pieces:
            left_ms = self.ms_of.get(piece, self.ms)
            while left_ms > 0:
                await asyncio.sleep(self.gap_s)
                if self.fail_after_ms is not None and given_ms >= self.fail_after_ms:
                    raise self.error
                length = min(left_ms, self.chunk_ms)
                given_ms += length
                left_ms -= length
                yield AudioChunk(b"\x01\x00" * int(length * BYTES_PER_MS / 2))
            done += 1
            yield PiecesVoiced(done, given_ms)

    async def aclose(self) -> None:
        return


# --- an avatar -----------------------------------------------------------------------------------------


@dataclass
class FakeAvatar:
    """The far end. Plays at the pace of sound and tells it in one of the dialects."""

    dialect: str = "documented"  # documented | state | both | nameless
    start_delay_s: float = 0.005
    says_connected: bool = True
    connect_delay_s: float = 0.0
    starts: bool = True
    ends: bool = True
    acks: bool = True
    premature_end_ms: float | None = None
    rest: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = field(default_factory=dict)
    stop_hangs: bool = False
    ws_status: int = 101

    calls: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    got: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    before_connected: int = 0
    max_ahead_ms: float = 0.0
    ws: web.WebSocketResponse | None = None
    base_url: str = ""
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._buffer: dict[str, float] = {}
        self._ended: set[str] = set()
        self._current = ""
        self._playing: asyncio.Task[None] | None = None
        self._connected = False
        self._played_ms = 0.0

    # what was received

    def types(self) -> list[str]:
        return [m["type"].removeprefix("agent.") for _, m in self.got if m["type"] != "session.keep_alive"]

    def chunks_ms(self, event_id: str = "u1") -> list[float]:
        return [
            len(base64.b64decode(m["audio"])) / BYTES_PER_MS
            for _, m in self.got
            if m["type"] == "agent.speak" and m["event_id"] == event_id
        ]

    async def until(self, condition: Callable[[], bool], limit_s: float = 3) -> None:
        async with asyncio.timeout(limit_s):
            while not condition():
                self.changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await self.changed.wait()

    # what is sent

    async def say(self, **message: Any) -> None:
        assert self.ws is not None
        with suppress(ConnectionError):
            await self.ws.send_json(message)

    async def say_started(self, event_id: str) -> None:
        if self.dialect in ("documented", "both"):
            await self.say(type="agent.speak_started", event_id=event_id, task={"id": f"t-{event_id}"})
        if self.dialect == "nameless":
            await self.say(type="agent.speak_started")
        if self.dialect in ("state", "both"):
            await self.say(type="agent.state_updated", previous_state="idle", new_state="talking")

    async def say_ended(self, event_id: str) -> None:
        if self.dialect in ("documented", "both"):
            await self.say(
                type="agent.speak_ended",
                event_id="vendor-77" if self.starts else event_id,
                task={"id": f"t-{event_id}"},
            )
        if self.dialect == "nameless":
            await self.say(type="agent.speak_ended")
        if self.dialect in ("state", "both"):
            await self.say(type="agent.state_updated", previous_state="talking", new_state="idle")

    async def say_interrupted(self, event_id: str) -> None:
        if self.dialect in ("documented", "both"):
            await self.say(type="agent.speak_interrupted", event_id=event_id, source_event_id=None)
        if self.dialect == "nameless":
            await self.say(type="agent.speak_interrupted")
        if self.dialect in ("state", "both"):
            await self.say(type="agent.audio_buffer_cleared", event_id="x")
            await self.say(type="agent.state_updated", previous_state="talking", new_state="listening")

    # the server

    async def token(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"code": 100, "data": {"session_id": "s1", "session_token": "tok"}, "message": ""})

    async def start(self, request: web.Request) -> web.StreamResponse:
        data = {
            "session_id": "s1",
            "livekit_url": "wss://room.invalid",
            "livekit_client_token": "see-me",
            "ws_url": self.base_url.replace("http", "ws") + "/socket",
        }
        return web.json_response({"code": 1000, "data": data, "message": "ok"})

    async def stop(self, request: web.Request) -> web.StreamResponse:
        if self.stop_hangs:
            await asyncio.sleep(30)
        return web.json_response({"code": 1000, "data": None, "message": "ok"})

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        name = request.path.rsplit("/", 1)[1]
        self.calls.append((name, dict(request.headers), await request.json()))
        own = {"token": self.token, "start": self.start, "stop": self.stop}
        return await self.rest.get(name, own[name])(request)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        if self.ws_status != 101:
            return web.Response(status=self.ws_status)
        self.ws = ws = web.WebSocketResponse()
        await ws.prepare(request)
        self.opened.set()
        await self.say(type="session.state_updated", state="connecting")
        connecting = asyncio.create_task(self._connect())
        try:
            async for message in ws:
                if message.type == WSMsgType.TEXT:
                    await self._receive(json.loads(message.data))
        finally:
            connecting.cancel()
            if self._playing:
                self._playing.cancel()
        return ws

    async def _connect(self) -> None:
        await asyncio.sleep(self.connect_delay_s)
        if self.says_connected:
            self._connected = True
            await self.say(type="session.state_updated", state="connected")

    async def _receive(self, message: dict[str, Any]) -> None:
        self.got.append((now_s(), message))
        self.changed.set()
        if not self._connected:
            self.before_connected += 1
            return
        event_id = message["event_id"]
        if message["type"] == "agent.speak":
            pcm = base64.b64decode(message["audio"])
            self._buffer[event_id] = self._buffer.get(event_id, 0) + len(pcm) / BYTES_PER_MS
            self.max_ahead_ms = max(self.max_ahead_ms, self._buffer[event_id] - self._played_ms)
            if not self._current:
                self._current, self._played_ms = event_id, 0.0
                self._playing = asyncio.create_task(self._play(event_id))
        elif message["type"] == "agent.speak_end":
            self._ended.add(event_id)
        elif message["type"] == "agent.interrupt":
            if self._playing:
                self._playing.cancel()
            self._current = ""
            if self.acks:
                await self.say_interrupted(event_id)

    async def _play(self, event_id: str) -> None:
        await asyncio.sleep(self.start_delay_s)
        if self.starts:
            await self.say_started(event_id)
        last = now_s()
        while True:
            await asyncio.sleep(0.002)
            now = now_s()
            self._played_ms = min(self._buffer[event_id], self._played_ms + (now - last) * 1000)
            last = now
            if self.premature_end_ms is not None and self._played_ms >= self.premature_end_ms:
                break
            if event_id in self._ended and self._played_ms >= self._buffer[event_id]:
                break
        self._current = ""
        if self.ends:
            await self.say_ended(event_id)


@asynccontextmanager
async def serving(fake: FakeAvatar) -> AsyncIterator[FakeAvatar]:
    app = web.Application()
    for name in ("token", "start", "stop"):
        app.router.add_post(f"/v1/sessions/{name}", fake.dispatch)
    app.router.add_get("/socket", fake.socket)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


def avatar_at(fake: FakeAvatar, tts: FakeTTS, **options: Any) -> LiveAvatarLite:
    defaults: dict[str, Any] = {
        "first_chunk_ms": 40,
        "chunk_ms": 100,
        "max_ahead_ms": 300,
        "start_timeout_ms": 1000,
        "end_margin_ms": 60,
        "ack_timeout_ms": 60,
        **{name: options.pop(name) for name in TIMES & options.keys()},
    }
    return LiveAvatarLite(
        api_key=KEY,
        tts=tts,
        clock=RealClock(),
        avatar_id="a1",
        base_url=fake.base_url,
        timing=Timing(**defaults),
        **options,
    )


class Stage:
    """An open avatar whose events are collected."""

    def __init__(self, avatar: LiveAvatarLite, fake: FakeAvatar) -> None:
        self.avatar, self.fake = avatar, fake
        self.seen: list[Event] = []
        self.finished = False
        self._changed = asyncio.Event()

    async def collect(self) -> None:
        async for event in self.avatar.events():
            self.seen.append(event)
            self._changed.set()
        self.finished = True
        self._changed.set()

    async def until(self, condition: Callable[[], bool], limit_s: float = 3) -> None:
        async with asyncio.timeout(limit_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def of(self, utterance_id: int | None) -> list[Event]:
        return [e for e in self.seen if getattr(e, "utterance_id", None) == utterance_id]

    async def last(self, utterance_id: int) -> Event:
        """The utterance's last event; then it is checked that it is the only one."""
        await self.until(lambda: any(isinstance(e, LAST) for e in self.of(utterance_id)))
        await asyncio.sleep(0.02)
        ends = [e for e in self.of(utterance_id) if isinstance(e, LAST)]
        assert len(ends) == 1
        assert self.of(utterance_id)[-1] is ends[0]
        return ends[0]

    async def seen_a(self, kind: type[Event], utterance_id: int = 1) -> None:
        await self.until(lambda: any(isinstance(e, kind) for e in self.of(utterance_id)))

    async def say(self, utterance_id: int, *pieces: str, end: bool = True) -> None:
        for piece_no, text in enumerate(pieces):
            await self.avatar.speak(utterance_id, piece_no, text)
        if end:
            await self.avatar.end_speech(utterance_id)


@asynccontextmanager
async def playing(fake: FakeAvatar | None = None, tts: FakeTTS | None = None, **options: Any) -> AsyncIterator[Stage]:
    before = asyncio.all_tasks()
    async with serving(fake or FakeAvatar()) as far:
        avatar = avatar_at(far, tts or FakeTTS(), **options)
        async with avatar:
            stage = Stage(avatar, far)
            collecting = asyncio.create_task(stage.collect())
            yield stage
        await asyncio.wait_for(collecting, 1)
        assert stage.finished
    await asyncio.sleep(0.01)
    left = [t for t in asyncio.all_tasks() - before if not t.done()]
    assert left == []


def kinds(events: list[Event]) -> list[str]:
    return [type(e).__name__ for e in events]


DIALECTS = ["documented", "state", "both", "nameless"]

# --- an utterance --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_utterance_is_sent_voiced_started_and_ended_in_every_dialect(dialect: str) -> None:
    async with playing(FakeAvatar(dialect=dialect)) as stage:
        await stage.say(1, "Hola.", "Te sirve.")
        end = await stage.last(1)
        assert end == SpeakingEnded(at_ms=end.at_ms, utterance_id=1)
        names = kinds(stage.of(1))
        assert sorted(names) == sorted(
            [
                "SpeechSent",
                "FirstAudio",
                "SpeechVoiced",
                "SpeechSent",
                "SpeechVoiced",
                "SpeakingStarted",
                "SpeakingEnded",
            ]
        )
        assert names.index("SpeechSent") < names.index("FirstAudio") < names.index("SpeakingStarted")
        assert [e.piece_no for e in stage.seen if isinstance(e, SpeechSent)] == [0, 1]
        assert [(e.piece_no, e.audio_ms) for e in stage.seen if isinstance(e, SpeechVoiced)] == [(0, 100), (1, 200)]
        assert not any(e.estimated for e in stage.seen if isinstance(e, SpeakingStarted | SpeakingEnded))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_utterances_follow_one_another(dialect: str) -> None:
    async with playing(FakeAvatar(dialect=dialect), FakeTTS(ms=60)) as stage:
        for utterance_id in (1, 2, 3):
            await stage.say(utterance_id, "Hola.")
        for utterance_id in (1, 2, 3):
            assert isinstance(await stage.last(utterance_id), SpeakingEnded)
        order = [e.utterance_id for e in stage.seen if isinstance(e, SpeakingStarted | SpeakingEnded)]
        assert order == [1, 1, 2, 2, 3, 3]


async def test_all_messages_of_an_utterance_carry_one_id_and_speak_end_is_the_last() -> None:
    async with playing(tts=FakeTTS(ms=350)) as stage:
        await stage.say(7, "Hola.")
        await stage.last(7)
        assert {m["event_id"] for _, m in stage.fake.got} == {"u7"}
        assert stage.fake.types() == ["speak"] * 5 + ["speak_end"]
        assert stage.fake.chunks_ms("u7") == [40, 100, 100, 100, 10]


async def test_the_defaults_are_400_ms_then_1_s_and_at_most_3_s_ahead() -> None:
    defaults: dict[str, Any] = {"first_chunk_ms": 400, "chunk_ms": 1000, "max_ahead_ms": 3000}
    async with playing(tts=FakeTTS(ms=10_000, chunk_ms=500), **defaults) as stage:
        await stage.say(1, "Un texto muy largo.")
        await stage.fake.until(lambda: len(stage.fake.chunks_ms()) == 3)
        await asyncio.sleep(0.1)
        assert stage.fake.chunks_ms() == [400, 1000, 1000]


async def test_the_lead_over_what_is_played_stays_within_its_limit() -> None:
    async with playing(FakeAvatar(start_delay_s=0.1), FakeTTS(ms=900)) as stage:
        await stage.say(1, "Un texto largo.")
        assert isinstance(await stage.last(1), SpeakingEnded)
        assert stage.fake.max_ahead_ms <= 300 + 15  # the clocks of both ends tick in their own steps
        assert sum(stage.fake.chunks_ms()) == 900


async def test_sound_is_not_held_back_when_the_avatar_runs_dry() -> None:
    """The voice is slower than sound: what there is goes out before the avatar has nothing left."""
    tts = FakeTTS(ms_of={"Primero.": 130, "Segundo.": 50})
    async with playing(tts=tts, end_margin_ms=500) as stage:
        await stage.say(1, "Primero.", end=False)
        await stage.fake.until(lambda: sum(stage.fake.chunks_ms()) == 130, limit_s=0.4)
        await stage.say(1, "Primero.", "Segundo.")  # the first is heard a second time: pieces are just texts
        assert isinstance(await stage.last(1), SpeakingEnded)


async def test_a_first_piece_shorter_than_the_first_chunk_does_not_wait_for_the_second() -> None:
    async with playing(tts=FakeTTS(ms=30)) as stage:
        await stage.say(1, "Sí.", end=False)
        await stage.seen_a(SpeakingStarted)
        assert stage.fake.chunks_ms() == [30]


async def test_nothing_is_sent_before_the_session_says_connected() -> None:
    async with playing(FakeAvatar(connect_delay_s=0.08)) as stage:
        await stage.say(1, "Hola.")
        await stage.seen_a(FirstAudio)  # the voice need not wait
        assert stage.fake.got == []
        assert isinstance(await stage.last(1), SpeakingEnded)
        assert stage.fake.before_connected == 0


async def test_the_tap_gets_exactly_what_is_sent() -> None:
    heard: list[tuple[int, bytes]] = []
    async with playing(tts=FakeTTS(ms=130)) as stage:
        stage.avatar.on_audio = lambda utterance_id, pcm: heard.append((utterance_id, pcm))
        await stage.say(3, "Hola.")
        await stage.last(3)
        sent = [base64.b64decode(m["audio"]) for _, m in stage.fake.got if m["type"] == "agent.speak"]
        assert [pcm for _, pcm in heard] == sent
        assert {i for i, _ in heard} == {3}


async def test_an_utterance_without_sound_is_closed_at_once_and_still_ended_on_the_wire() -> None:
    async with playing(tts=FakeTTS(ms=0)) as stage:
        await stage.say(1, "…")
        end = await stage.last(1)
        assert isinstance(end, SpeakingEnded)
        assert end.estimated
        assert stage.fake.types() == ["speak_end"]
        assert "FirstAudio" not in kinds(stage.seen)
        await stage.say(2, "…")
        await stage.last(2)


async def test_words_that_the_voice_gave_no_sound_for_have_not_been_said() -> None:
    async with playing(tts=FakeTTS(ms=0, ms_of={"Chao.": 60})) as stage:
        await stage.say(1, "Hola.")
        end = await stage.last(1)
        assert isinstance(end, ProviderFailed) and (end.service, end.retryable) == ("tts", True)
        await stage.say(2, "Chao.")
        assert isinstance(await stage.last(2), SpeakingEnded)


async def test_a_new_utterance_ends_the_one_before_even_without_end_speech() -> None:
    async with playing(tts=FakeTTS(ms=30)) as stage:
        await stage.say(1, "Hola.", end=False)
        await stage.say(2, "Adiós.")
        assert isinstance(await stage.last(1), SpeakingEnded)
        assert isinstance(await stage.last(2), SpeakingEnded)


async def test_late_pieces_and_unknown_ids_change_nothing() -> None:
    async with playing(tts=FakeTTS(ms=30)) as stage:
        await stage.say(1, "Hola.")
        await stage.last(1)
        await stage.avatar.speak(1, 1, "tarde")
        await stage.avatar.end_speech(1)
        await stage.avatar.end_speech(99)
        await stage.avatar.interrupt(99)
        await asyncio.sleep(0.03)
        assert stage.fake.types() == ["speak", "speak_end"]
        assert len([e for e in stage.seen if isinstance(e, SpeechSent)]) == 1


async def test_duplicated_foreign_and_unintelligible_messages_are_dropped() -> None:
    async with playing(FakeAvatar(dialect="both"), FakeTTS(ms=150)) as stage:
        await stage.say(1, "Hola.")
        await stage.seen_a(SpeakingStarted)
        fake = stage.fake
        await fake.say_started("u1")
        await fake.say(type="agent.speak_ended", event_id="u77")
        await fake.say(type="session.state_updated", state="connected")
        await fake.say(type="agent.state_updated", new_state="dreaming")
        await fake.say(type="agent.audio_buffer_appended", event_id="u1")
        await fake.say(type="agent.audio_buffer_cleared", event_id="u1")  # nobody asked for it
        await fake.say(type="warning", warning={"type": "w", "message": "m"})
        await fake.say(type="error", error={"type": "video_starvation", "message": "slow"})
        assert fake.ws is not None
        await fake.ws.send_str("{not json")
        await fake.ws.send_str("[1, 2]")
        await fake.ws.send_bytes(b"\x00\xff")
        end = await stage.last(1)
        assert isinstance(end, SpeakingEnded)
        await fake.say(type="agent.speak_ended", event_id="u1", task={"id": "t-u1"})
        await stage.say(2, "Otra.")
        await stage.seen_a(SpeechSent, 2)
        await fake.say(type="agent.speak_ended", event_id="u1", task={"id": "t-u1"})
        assert isinstance(await stage.last(2), SpeakingEnded)
        assert [e.utterance_id for e in stage.seen if isinstance(e, SpeakingStarted)] == [1, 2]


# --- interrupting --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_interruption_in_the_middle_stops_the_sound_and_is_confirmed(dialect: str) -> None:
    tts = FakeTTS(ms=2000)
    async with playing(FakeAvatar(dialect=dialect), tts) as stage:
        await stage.say(1, "Un texto largo.", "Y más.")
        await stage.seen_a(SpeakingStarted)
        await stage.avatar.interrupt(1)
        assert isinstance(await stage.last(1), SpeakingInterrupted)
        await asyncio.sleep(0.15)
        assert stage.fake.types()[-1] == "interrupt"
        assert stage.fake.types().count("interrupt") == 1
        assert tts.left == 1
        await stage.say(2, "Sigo.")
        tts.ms = 30
        await stage.avatar.interrupt(1)
        assert isinstance(await stage.last(2), SpeakingEnded | SpeakingInterrupted)


async def test_nothing_follows_the_interrupt_on_the_wire_whatever_the_moment() -> None:
    for wait_s in (0.0, 0.001, 0.004, 0.02, 0.06):
        async with playing(tts=FakeTTS(ms=500, chunk_ms=5)) as stage:
            await stage.say(1, "Un texto largo.")
            await stage.fake.until(lambda s=stage: bool(s.fake.got))  # type: ignore[misc]
            await asyncio.sleep(wait_s)
            await stage.avatar.interrupt(1)
            assert isinstance(await stage.last(1), SpeakingInterrupted)
            assert stage.fake.types()[-1] == "interrupt"


async def test_an_interruption_reaches_the_far_end_long_before_the_sound_is_over() -> None:
    async with playing(tts=FakeTTS(ms=5000)) as stage:
        await stage.say(1, "Un texto largo.")
        await stage.seen_a(SpeakingStarted)
        ordered = now_s()
        await stage.avatar.interrupt(1)
        await stage.fake.until(lambda: stage.fake.types()[-1] == "interrupt")
        assert stage.fake.got[-1][0] - ordered < 1  # of five seconds


async def test_interrupting_before_any_sound_was_sent_sends_nothing() -> None:
    tts = FakeTTS(gap_s=0.05)
    async with playing(tts=tts) as stage:
        await stage.say(1, "Hola.")
        await stage.seen_a(SpeechSent)
        await stage.avatar.interrupt(1)
        assert isinstance(await stage.last(1), SpeakingInterrupted)
        assert stage.fake.types() == []
        assert tts.left == 1


async def test_interrupting_an_utterance_that_still_waits_drops_it_silently() -> None:
    async with playing(tts=FakeTTS(ms=150)) as stage:
        await stage.say(1, "Hola.")
        await stage.say(2, "Nunca.")
        await stage.avatar.interrupt(2)
        assert isinstance(await stage.last(2), SpeakingInterrupted)
        assert isinstance(await stage.last(1), SpeakingEnded)
        await stage.say(3, "Ya.")
        await stage.last(3)
        assert {m["event_id"] for _, m in stage.fake.got} == {"u1", "u3"}


async def test_interrupting_after_speak_end_but_before_the_end_is_still_sent() -> None:
    async with playing(tts=FakeTTS(ms=200)) as stage:
        await stage.say(1, "Hola.")
        await stage.fake.until(lambda: "speak_end" in stage.fake.types())
        await stage.avatar.interrupt(1)
        await stage.avatar.interrupt(1)
        assert isinstance(await stage.last(1), SpeakingInterrupted)
        assert stage.fake.types().count("interrupt") == 1


async def test_interrupting_what_is_over_sends_nothing() -> None:
    async with playing(tts=FakeTTS(ms=30)) as stage:
        await stage.say(1, "Hola.")
        await stage.last(1)
        await stage.avatar.interrupt(1)
        assert stage.fake.types() == ["speak", "speak_end"]


async def test_a_socket_that_takes_nothing_holds_up_no_interruption_and_is_told() -> None:
    async with playing(FakeAvatar(acks=False), FakeTTS(ms=3000)) as stage:
        await stage.say(1, "Hola.")
        await stage.seen_a(SpeakingStarted)

        async def stuck(message: str) -> None:
            await asyncio.sleep(3600)

        stage.avatar._socket.send = stuck  # type: ignore[assignment,union-attr]
        start = now_s()
        await stage.avatar.interrupt(1)
        assert now_s() - start < 0.9
        assert isinstance(await stage.last(1), SpeakingInterrupted)
        await stage.say(2, "Sigo.")
        await stage.until(lambda: any(isinstance(e, ProviderFailed) for e in stage.of(None)), 10)
        (over,) = [e for e in stage.of(None) if isinstance(e, ProviderFailed)]
        assert (over.kind, over.retryable) == ("stalled", True)


async def test_an_interruption_that_is_never_confirmed_counts_after_its_time() -> None:
    async with playing(FakeAvatar(acks=False), FakeTTS(ms=1000)) as stage:
        await stage.say(1, "Hola.")
        await stage.seen_a(SpeakingStarted)
        start = now_s()
        await stage.avatar.interrupt(1)
        last = await stage.last(1)
        assert isinstance(last, SpeakingInterrupted) and last.estimated
        assert 0.05 < now_s() - start < 0.9
        stage.fake._current = ""
        stage.fake.acks = True
        await stage.say(2, "Sigo.")
        await stage.seen_a(SpeakingStarted, 2)


async def test_an_interruption_from_the_vendors_side_is_told() -> None:
    async with playing(tts=FakeTTS(ms=1000)) as stage:
        await stage.say(1, "Hola.")
        await stage.seen_a(SpeakingStarted)
        await stage.fake.say_interrupted("u1")
        assert isinstance(await stage.last(1), SpeakingInterrupted)
        count = len(stage.fake.got)
        await asyncio.sleep(0.1)
        assert len(stage.fake.got) == count


async def test_no_event_of_the_utterance_follows_an_interruption() -> None:
    for dialect in DIALECTS:
        async with playing(FakeAvatar(dialect=dialect, start_delay_s=0.02), FakeTTS(ms=300, chunk_ms=3)) as stage:
            await stage.say(1, "Hola.", "Dos.", "Tres.", end=False)
            await stage.fake.until(lambda s=stage: bool(s.fake.got))  # type: ignore[misc]
            await stage.avatar.interrupt(1)
            assert isinstance(await stage.last(1), SpeakingInterrupted)


# --- watchdogs -----------------------------------------------------------------------------------------


async def test_an_end_that_never_comes_is_estimated_from_the_sound() -> None:
    async with playing(FakeAvatar(ends=False), FakeTTS(ms=150)) as stage:
        await stage.say(1, "Hola.")
        await stage.seen_a(SpeakingStarted)
        start = now_s()
        end = await stage.last(1)
        assert isinstance(end, SpeakingEnded)
        assert end.estimated
        assert 0.15 < now_s() - start < 0.9  # 150 ms of sound and a margin of 60 ms
        await stage.say(2, "Sigo.")
        assert isinstance(await stage.last(2), SpeakingEnded)


async def test_a_start_that_never_comes_fails_the_utterance_and_silences_the_avatar() -> None:
    async with playing(FakeAvatar(starts=False, ends=False), FakeTTS(ms=80), start_timeout_ms=150) as stage:
        await stage.fake.until(lambda: stage.fake._connected)
        await stage.say(1, "Hola.")
        end = await stage.last(1)
        assert isinstance(end, ProviderFailed)
        assert (end.service, end.kind, end.utterance_id, end.retryable) == ("avatar", "stalled", 1, True)
        assert stage.fake.types()[-1] == "interrupt"
        stage.fake.starts = stage.fake.ends = True
        await stage.say(2, "¿Y ahora?")
        assert isinstance(await stage.last(2), SpeakingEnded)


async def test_a_lost_start_does_not_hold_the_sound_back_and_the_end_is_believed() -> None:
    async with playing(FakeAvatar(starts=False), FakeTTS(ms=600), assumed_start_ms=50) as stage:
        await stage.say(1, "Hola.")
        end = await stage.last(1)
        assert end == SpeakingEnded(at_ms=end.at_ms, utterance_id=1)
        started = next(e for e in stage.of(1) if isinstance(e, SpeakingStarted))
        assert started.estimated
        assert sum(stage.fake.chunks_ms()) == 600


async def test_a_premature_end_is_passed_on_and_the_rest_is_not_sent() -> None:
    async with playing(FakeAvatar(premature_end_ms=50), FakeTTS(ms=1500)) as stage:
        await stage.say(1, "Un texto largo.")
        end = await stage.last(1)
        assert isinstance(end, SpeakingEnded)
        assert not end.estimated
        await stage.fake.until(lambda: stage.fake.types()[-1] == "speak_end")
        assert sum(stage.fake.chunks_ms()) < 1500
        stage.fake.premature_end_ms = None
        await stage.say(2, "Sigo.")
        await stage.seen_a(SpeakingStarted, 2)


async def test_an_idle_state_in_a_gap_of_the_sound_is_not_the_end() -> None:
    async with playing(FakeAvatar(dialect="state"), FakeTTS(ms=60)) as stage:
        await stage.say(1, "Hola.", end=False)
        await stage.seen_a(SpeakingStarted)
        await stage.fake.say(type="agent.state_updated", previous_state="talking", new_state="idle")
        await asyncio.sleep(0.05)
        assert not any(isinstance(e, LAST) for e in stage.seen)
        await stage.avatar.speak(1, 1, "Y sigo.")
        await stage.avatar.end_speech(1)
        assert isinstance(await stage.last(1), SpeakingEnded)


# --- the voice fails -----------------------------------------------------------------------------------


async def test_a_voice_that_fails_in_the_middle_ends_the_speech_and_is_told() -> None:
    tts = FakeTTS(ms=300, fail_after_ms=100)
    async with playing(tts=tts) as stage:
        await stage.say(1, "Hola.")
        end = await stage.last(1)
        assert isinstance(end, ProviderFailed)
        assert (end.service, end.kind, end.utterance_id, end.message) == ("tts", "cut", 1, "The voice is gone.")
        assert stage.fake.types()[-1] == "speak_end"
        assert sum(stage.fake.chunks_ms()) == 100
        tts.fail_after_ms = None
        await stage.say(2, "Sigo.")
        assert isinstance(await stage.last(2), SpeakingEnded)


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (ProviderUnavailable("gone"), "unreachable", True),
        (ProviderRefused("bad key"), "refused", False),
        (RuntimeError("a bug"), "protocol", True),
    ],
)
async def test_a_voice_that_fails_before_any_sound_is_told_at_once(
    error: Exception, kind: str, retryable: bool
) -> None:
    async with playing(tts=FakeTTS(fail_after_ms=0, error=error)) as stage:
        await stage.say(1, "Hola.")
        end = await stage.last(1)
        assert isinstance(end, ProviderFailed)
        assert (end.service, end.kind, end.retryable) == ("tts", kind, retryable)
        assert "speak" not in stage.fake.types()


async def test_what_a_failed_voice_left_behind_can_still_be_interrupted() -> None:
    async with playing(tts=FakeTTS(ms=1000, fail_after_ms=250)) as stage:
        await stage.say(1, "Hola.")
        await stage.last(1)
        await stage.avatar.interrupt(1)
        await stage.fake.until(lambda: stage.fake.types()[-1] == "interrupt")
        await asyncio.sleep(0.03)
        assert len([e for e in stage.of(1) if isinstance(e, LAST)]) == 1


# --- any order -----------------------------------------------------------------------------------------


async def disorderly(seed: int) -> None:
    """One session: pieces, ends and interrupts at random moments, and a far end that forgets to tell."""
    rng = random.Random(seed)
    fake = FakeAvatar(
        dialect=rng.choice(DIALECTS),
        start_delay_s=rng.choice([0.0, 0.01, 0.03]),
        starts=rng.random() < 0.8,
        ends=rng.random() < 0.8,
        acks=rng.random() < 0.8,
    )
    tts = FakeTTS(ms=rng.choice([0, 30, 150]), gap_s=rng.choice([0, 0.002]))
    async with serving(fake), avatar_at(fake, tts, start_timeout_ms=200) as avatar:
        stage = Stage(avatar, fake)
        collecting = asyncio.create_task(stage.collect())
        for utterance_id in range(1, 7):
            for piece_no in range(rng.randint(1, 3)):
                await avatar.speak(utterance_id, piece_no, "Hola.")
                await asyncio.sleep(rng.choice([0, 0, 0.01]))
            if rng.random() < 0.7:
                await avatar.end_speech(utterance_id)
            await asyncio.sleep(rng.choice([0, 0.02, 0.05]))
            if rng.random() < 0.5:
                await avatar.interrupt(rng.randint(1, utterance_id))
        await avatar.end_speech(6)
        for utterance_id in range(1, 7):
            await asyncio.wait_for(stage.last(utterance_id), 10)
    await collecting
    silent: set[str] = set()
    for _, message in fake.got:
        event_id, kind = message["event_id"], message["type"]
        assert event_id not in silent, f"{kind} after the interrupt"
        if kind == "agent.interrupt":
            silent.add(event_id)
    spoken = {m["event_id"] for _, m in fake.got if m["type"] == "agent.speak"}
    closed = {m["event_id"] for _, m in fake.got if m["type"] in ("agent.interrupt", "agent.speak_end")}
    assert spoken <= closed


async def test_whatever_the_order_each_utterance_has_one_end_and_nothing_follows_an_interrupt() -> None:
    await asyncio.gather(*(disorderly(seed) for seed in range(16)))


# --- the session ---------------------------------------------------------------------------------------


async def close_socket(fake: FakeAvatar) -> None:
    assert fake.ws is not None
    await fake.ws.close()


async def abort_socket(fake: FakeAvatar) -> None:
    assert fake.ws is not None
    assert fake.ws._req is not None
    assert fake.ws._req.transport is not None
    fake.ws._req.transport.abort()


async def say_closed(fake: FakeAvatar) -> None:
    await fake.say(type="session.state_updated", state="closing")


@pytest.mark.parametrize("how", [close_socket, abort_socket, say_closed])
async def test_a_session_that_ends_fails_what_is_open_and_then_itself(
    how: Callable[[FakeAvatar], Awaitable[None]],
) -> None:
    async with playing(tts=FakeTTS(ms=1000)) as stage:
        await stage.say(1, "Hola.")
        await stage.say(2, "Otra.")
        await stage.seen_a(SpeakingStarted)
        await stage.fake.say(type="error", error={"type": "video_starvation", "message": "slow"})
        await how(stage.fake)
        await stage.until(lambda: stage.finished)
        failures = [e for e in stage.seen if isinstance(e, ProviderFailed)]
        assert [e.utterance_id for e in failures] == [1, 2, None]
        assert {(e.service, e.kind, e.retryable) for e in failures} == {("avatar", "cut", True)}
        assert "video_starvation" in failures[-1].message
        assert "sandbox" in failures[-1].hint
        await stage.say(3, "Nadie oye.")
        await stage.avatar.interrupt(1)
        await stage.avatar.interrupt(3)


async def test_a_session_that_never_says_connected_fails_in_time() -> None:
    async with playing(FakeAvatar(says_connected=False), start_timeout_ms=150) as stage:
        await stage.say(1, "Hola.")
        await stage.until(lambda: stage.finished)
        failures = [e for e in stage.seen if isinstance(e, ProviderFailed)]
        assert [(e.utterance_id, e.kind) for e in failures] == [(1, "stalled"), (None, "stalled")]
        assert "connected" in failures[-1].message


async def test_the_session_is_kept_alive() -> None:
    async with playing(keep_alive_ms=20) as stage:
        await asyncio.sleep(0.09)
        alive = [m for _, m in stage.fake.got if m["type"] == "session.keep_alive"]
        assert len(alive) >= 2
        assert all(m["event_id"] for m in alive)


async def test_opening_and_leaving_make_the_calls_that_the_vendor_wants() -> None:
    async with serving(FakeAvatar()) as fake:
        avatar = avatar_at(fake, FakeTTS(), sandbox=True)
        async with avatar:
            assert avatar.session is not None
            assert avatar.session.livekit_client_token == "see-me"
            assert "see-me" not in repr(avatar.session)
    names = [name for name, _, _ in fake.calls]
    assert names == ["token", "start", "stop"]
    (_, token_headers, config), (_, start_headers, _), (_, stop_headers, stop) = fake.calls
    assert token_headers["X-API-KEY"] == KEY
    assert (config["mode"], config["avatar_id"], config["is_sandbox"]) == ("LITE", "a1", True)
    assert start_headers["Authorization"] == stop_headers["Authorization"] == "Bearer tok"
    assert stop["session_id"] == "s1"


@pytest.mark.parametrize("speaking", [True, False])
async def test_leaving_takes_less_than_a_second_whatever_the_far_end_does(speaking: bool) -> None:
    async with serving(FakeAvatar(stop_hangs=True)) as fake:
        avatar = avatar_at(fake, FakeTTS(ms=5000))
        async with avatar:
            if speaking:
                await avatar.speak(1, 0, "Hola.")
                await fake.until(lambda: bool(fake.got))
            left = now_s()
        assert now_s() - left < 1.1
        seen = [e async for e in avatar.events()]
        assert not any(isinstance(e, ProviderFailed) for e in seen)


async def test_cancelling_in_the_middle_leaves_nothing_behind() -> None:
    async with serving(FakeAvatar()) as fake:
        before = asyncio.all_tasks()

        async def converse() -> None:
            async with avatar_at(fake, FakeTTS(ms=5000)) as avatar:
                await avatar.speak(1, 0, "Hola.")
                await asyncio.sleep(30)

        task = asyncio.create_task(converse())
        await fake.until(lambda: bool(fake.got))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.05)
        own = [t for t in asyncio.all_tasks() - before if "liveavatar" in t.get_name()]
        assert own == []
        assert fake.calls[-1][0] == "stop"


# --- opening fails -------------------------------------------------------------------------------------


def answering(status: int, body: Any, **headers: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        head = {k.replace("_", "-"): v for k, v in headers.items()}
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html", headers=head)
        return web.json_response(body, status=status, headers=head)

    return answer


async def opening(fake: FakeAvatar, **options: Any) -> ProviderError:
    async with serving(fake):
        with pytest.raises(ProviderError) as caught:
            async with avatar_at(fake, FakeTTS(), **options):
                pass
    assert KEY not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("status", "message", "kind", "in_message", "in_hint"),
    [
        (401, f"Invalid key {KEY}", ProviderRefused, "refused the key", "HeyGen API keys do not work"),
        (402, "Payment required", ProviderRefused, "no credits", "1 credit a minute"),
        (400, "Insufficient credits", ProviderRefused, "no credits", "1 credit a minute"),
        (403, "Forbidden in sandbox", ProviderRefused, "speaks of sandbox", "sandbox avatar"),
        (404, "avatar not found", ProviderRefused, "avatar, not found", "AVATAR_ID"),
        (429, "Too many", ProviderUnavailable, "wait 3 s", "wait"),
        (500, "Oops", ProviderUnavailable, "failed at", "again"),
    ],
)
async def test_a_refused_opening_says_why_and_what_to_do(
    status: int, message: str, kind: type[ProviderError], in_message: str, in_hint: str
) -> None:
    body = {"code": 4000, "data": None, "message": message}
    error = await opening(FakeAvatar(rest={"token": answering(status, body, Retry_After="3")}))
    assert isinstance(error, kind)
    assert str(status) in error.message
    assert in_message in error.message
    assert in_hint in error.hint


async def test_invalid_fields_are_named_from_the_vendors_answer() -> None:
    body = {"detail": [{"loc": ["body", "avatar_id"], "msg": "Input should be a valid UUID"}]}
    error = await opening(FakeAvatar(rest={"token": answering(422, body)}))
    assert isinstance(error, ProviderRefused)
    assert "avatar_id" in error.message and "UUID" not in error.message


@pytest.mark.parametrize("status", [200, 502])
async def test_a_web_page_instead_of_json_is_told_as_such(status: int) -> None:
    error = await opening(FakeAvatar(rest={"token": answering(status, "<html>hello</html>")}))
    assert isinstance(error, ProviderUnavailable)
    assert "text/html" in error.message
    assert "<html>" not in error.message


async def test_a_started_session_without_a_socket_is_stopped_again() -> None:
    fake = FakeAvatar(rest={"start": answering(200, {"code": 1000, "data": {"session_id": "s1"}})})
    error = await opening(fake)
    assert "ws_url" in error.message
    assert [name for name, _, _ in fake.calls] == ["token", "start", "stop"]


@pytest.mark.parametrize(("status", "kind"), [(403, ProviderRefused), (503, ProviderUnavailable)])
async def test_a_refused_socket_is_told_and_the_session_stopped(status: int, kind: type[ProviderError]) -> None:
    fake = FakeAvatar(ws_status=status)
    error = await opening(fake)
    assert isinstance(error, kind)
    assert str(status) in error.message
    assert fake.calls[-1][0] == "stop"


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        fake = FakeAvatar(base_url=f"http://127.0.0.1:{s.getsockname()[1]}")
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        async with avatar_at(fake, FakeTTS()):
            pass


async def test_a_server_that_never_answers_is_unavailable_in_time() -> None:
    async def never(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    error = await opening(FakeAvatar(rest={"token": never}), start_timeout_ms=100)
    assert isinstance(error, ProviderUnavailable)


def test_a_voice_of_another_rate_is_refused_because_it_would_be_garbled() -> None:
    with pytest.raises(SettingsError, match="22050"):
        avatar_at(FakeAvatar(base_url="http://127.0.0.1:1"), FakeTTS(rate_hz=22_050))


def test_an_empty_key_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(SettingsError, match="key"):
        LiveAvatarLite(api_key=" ", tts=FakeTTS(), clock=RealClock(), avatar_id="a")


# --- the pure parts ------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=4000), max_size=30))
def test_chunks_joined_are_the_sound_without_half_a_sample(parts: list[bytes]) -> None:
    chunker = Chunker(Timing(first_chunk_ms=10, chunk_ms=25))
    chunks = []
    for part in parts:
        chunker.add(part)
        while chunk := chunker.take(short=False):
            chunks.append(chunk)
    while chunk := chunker.take(short=True):
        chunks.append(chunk)
    whole = b"".join(parts)
    assert b"".join(chunks) == whole[: len(whole) // 2 * 2]
    lengths = [len(c) for c in chunks]
    assert lengths[:1] in ([], [480]) or len(lengths) == 1
    assert all(n == 1200 for n in lengths[1:-1])


@given(st.lists(st.floats(1, 1500), min_size=1, max_size=20), st.floats(0, 5000), st.floats(100, 4000))
def test_whoever_waits_as_told_is_never_too_far_ahead(lengths: list[float], start_ms: float, lead_ms: float) -> None:
    head = Playhead(Timing(assumed_start_ms=2000, max_ahead_ms=lead_ms))
    now = 0.0
    started = False
    for length in lengths:
        while (wait := head.wait_ms(length, now)) > 1e-6:
            now += wait
            if not started and now >= start_ms:
                started = True
                head.start(now)
        head.send(length, now)
        assert head.ahead_ms(now) <= max(lead_ms, length) + 1e-3


FIELDS = ["type", "state", "new_state", "event_id", "task", "id", "error", "message"]
TYPES = ["agent.speak_started", "agent.state_updated", "session.state_updated", "error"]
JSON = st.recursive(
    st.none() | st.text(max_size=5) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS), inner | st.sampled_from(TYPES), max_size=5)
    ),
)


@given(JSON)
def test_any_json_is_parsed_without_an_exception(message: Any) -> None:
    lite_protocol.parse(json.dumps(message))


def test_messages_about_the_session_are_never_about_speaking() -> None:
    for state in ("connecting", "connected", "closing", "closed", "talking", "idle"):
        signal = lite_protocol.parse(json.dumps({"type": "session.state_updated", "state": state}))
        assert signal is None or signal.kind in ("connected", "closed")
