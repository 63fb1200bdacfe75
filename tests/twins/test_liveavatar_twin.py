"""LiveAvatar's twin, driven by an independent client that follows only the vendor's documents."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile, Stage
from clara_kit.world.pace import now_s
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.liveavatar.twin import SANDBOX_AVATAR, LiveAvatarTwin, PlayedFrame, TwinSession
from clara_kit.world.twins.server import TwinServer

KEY = {"X-API-KEY": "test-key"}
LITE = {"mode": "LITE", "avatar_id": SANDBOX_AVATAR, "is_sandbox": True}
Json = dict[str, Any]


def tone(ms: float, *, level: int = 1000) -> bytes:
    """Sound that is nowhere silent, and tells by its level which one it is."""
    return level.to_bytes(2, "little", signed=True) * int(24 * ms)


def profile(**fixed_ms: float) -> LatencyProfile:
    fast = LatencyProfile.load("fast")
    laws = dict(fast.laws)
    for name, value in fixed_ms.items():
        stage: Stage = name  # type: ignore[assignment]
        laws[stage] = replace(laws[stage], kind="fixed", low=value, high=value)
    return replace(fast, laws=laws)


def soon_after(due_s: float) -> Any:
    """Not before its time; a client may be told of it a little later on any machine."""
    return pytest.approx(due_s + 0.1, abs=0.13)


class Client:
    """The least that speaks LITE: REST for the session, then JSON over the socket."""

    def __init__(self, http: httpx.AsyncClient, ws: ClientConnection, session: Json) -> None:
        self.http, self.ws, self.session = http, ws, session
        self.heard: list[tuple[float, Json]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.ws.send(json.dumps({"type": kind, **fields}))

    async def speak(self, pcm: bytes, event_id: str = "u1") -> None:
        await self.send("agent.speak", event_id=event_id, audio=b64encode(pcm).decode())

    async def say(self, pcm: bytes, event_id: str = "u1") -> None:
        await self.speak(pcm, event_id)
        await self.send("agent.speak_end", event_id=event_id)

    async def until(self, kind: str, *, timeout_s: float = 5.0, **wanted: Any) -> Json:
        """Read on until a message of this kind (and with these fields) comes."""
        async with asyncio.timeout(timeout_s):
            while True:
                message: Json = json.loads(await self.ws.recv())
                self.heard.append((now_s(), message))
                if message["type"] == kind and wanted.items() <= message.items():
                    return message

    async def quiet(self, for_s: float) -> list[Json]:
        """What comes within this time."""
        came: list[Json] = []
        try:
            async with asyncio.timeout(for_s):
                while True:
                    raw = await self.ws.recv()
                    assert isinstance(raw, str)
                    came.append(json.loads(raw) if raw.startswith("{") else {"type": raw})
        except TimeoutError:
            return came

    def when(self, kind: str) -> float:
        return next(at_s for at_s, message in self.heard if message["type"] == kind)


async def read_on(ws: ClientConnection) -> None:
    while True:
        await asyncio.wait_for(ws.recv(), 1)


class World:
    """A server with one LiveAvatar twin."""

    def __init__(self, latency: LatencyProfile, faults: Iterable[Fault] = (), **options: Any) -> None:
        self.context = TwinContext(profile=latency, faults=FaultBox(faults))
        self.twin = LiveAvatarTwin(self.context, **{"connected_after_ms": 5, **options})
        self.server = TwinServer([self.twin])

    async def __aenter__(self) -> World:
        await self.server.__aenter__()
        self.base = self.server.addresses["liveavatar"]["base_url"]
        self.http = httpx.AsyncClient(base_url=self.base, trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
        await asyncio.to_thread(self.server.stop)

    async def token(self, **fields: Any) -> httpx.Response:
        return await self.http.post("/v1/sessions/token", headers=KEY, json={**LITE, **fields})

    async def start(self, **fields: Any) -> Json:
        """A started session, with its token."""
        token = (await self.token(**fields)).json()["data"]["session_token"]
        answer = await self.http.post("/v1/sessions/start", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 201, answer.text
        return {**answer.json()["data"], "token": token}

    @asynccontextmanager
    async def talk(self, **fields: Any) -> AsyncIterator[Client]:
        """A client whose socket is connected."""
        session = await self.start(**fields)
        async with connect(session["ws_url"], proxy=None) as ws:
            client = Client(self.http, ws, session)
            await client.until("session.state_updated", state="connected")
            yield client

    def record(self, client: Client) -> TwinSession:
        return self.twin.sessions[client.session["session_id"]]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World(profile()) as made:
        yield made


# --- REST -----------------------------------------------------------------------------------------------


async def test_a_session_goes_from_token_to_start_to_stop(world: World) -> None:
    token = await world.token(max_session_duration=30)
    assert token.status_code == 200
    assert set(token.json()) == {"code", "data", "message"}
    assert set(token.json()["data"]) == {"session_id", "session_token"}
    bearer = {"Authorization": f"Bearer {token.json()['data']['session_token']}"}
    started = await world.http.post("/v1/sessions/start", headers=bearer)
    data = started.json()["data"]
    assert started.status_code == 201
    assert data["max_session_duration"] == 30
    assert data["ws_url"].startswith(world.base.replace("http", "ws"))
    assert {"livekit_url", "livekit_client_token", "livekit_agent_token"} < set(data)
    assert (await world.http.post("/v1/sessions/keep-alive", headers=bearer)).status_code == 200
    active = await world.http.get("/v1/sessions", params={"type": "active"}, headers=KEY)
    assert [s["id"] for s in active.json()["data"]["results"]] == [data["session_id"]]
    stopped = await world.http.post("/v1/sessions/stop", headers=bearer, json={"reason": "USER_CLOSED"})
    assert stopped.status_code == 200
    one = (await world.http.get(f"/v1/sessions/{data['session_id']}", headers=KEY)).json()["data"]
    assert (one["status"], one["end_reason"]) == ("ended", "USER_CLOSED")
    assert (await world.http.post("/v1/sessions/keep-alive", headers=bearer)).status_code == 400


async def test_a_key_may_stop_a_session_that_it_names(world: World) -> None:
    session = await world.start()
    answer = await world.http.post("/v1/sessions/stop", headers=KEY, json={"session_id": session["session_id"]})
    assert answer.status_code == 200
    assert world.twin.sessions[session["session_id"]].state == "ended"


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({}, 422, "mode"),
        ({"mode": "CUSTOM", "avatar_id": SANDBOX_AVATAR}, 422, "LITE"),
        ({"mode": "LITE"}, 422, "avatar_id"),
        ({"mode": "LITE", "avatar_id": "wayne"}, 422, "avatar_id"),
        ({**LITE, "max_session_duration": 0}, 422, "max_session_duration"),
        ({**LITE, "avatar_id": "00000000-0000-4000-8000-000000000001"}, 403, "sandbox"),
    ],
)
async def test_a_wrong_token_body_is_refused_with_its_reason(world: World, body: Json, status: int, word: str) -> None:
    answer = await world.http.post("/v1/sessions/token", headers=KEY, json=body)
    assert answer.status_code == status
    assert answer.json()["data"] is None
    assert word in answer.text
    assert ("detail" in answer.json()) == (status == 422)


async def test_credentials_are_asked_for_where_the_vendor_asks_for_them(world: World) -> None:
    post, get = world.http.post, world.http.get
    bearer = {"Authorization": f"Bearer {(await world.token()).json()['data']['session_token']}"}
    for answer in (
        await post("/v1/sessions/token", json=LITE),
        await post("/v1/sessions/token", json=LITE, headers={"X-API-KEY": "wrong"}),
        await post("/v1/sessions/token", json=LITE, headers=bearer),
        await post("/v1/sessions/start", headers=KEY),
        await post("/v1/sessions/start", headers={"Authorization": "Bearer wrong"}),
        await get("/v1/users/credits"),
        await get("/v1/sessions", params={"type": "active"}),
    ):
        assert answer.status_code == 401, answer.url
        assert answer.json()["message"]
    assert (await get("/v1/avatars/public")).json()["data"]["results"][0]["id"] == SANDBOX_AVATAR
    assert (await get("/v1/users/credits", headers=KEY)).json()["data"]["credits_left"] == "1000.00"
    assert (await get("/v1/sessions", headers=KEY)).status_code == 422
    assert (await get("/v1/sessions/nobody", headers=KEY)).status_code == 404
    assert (await get("/v1/nothing", headers=KEY)).json()["code"] == 4040


async def test_too_many_requests_in_a_second_are_told_to_wait() -> None:
    async with World(profile(), requests_per_s=3) as world:
        answers = [await world.http.get("/v1/users/credits", headers=KEY) for _ in range(8)]
        first = answers[0].headers
        assert (first["x-ratelimit-limit"], first["x-ratelimit-remaining"]) == ("3", "2")
        refused = [a for a in answers if a.status_code == 429]
        assert refused
        assert refused[0].headers["retry-after"] == "1"
        other = await world.http.get("/v1/avatars", headers=KEY)
        assert other.status_code == 200


async def test_without_credits_no_session_starts() -> None:
    async with World(profile(), credits=0.5) as world:
        token = (await world.token(is_sandbox=False)).json()["data"]["session_token"]
        answer = await world.http.post("/v1/sessions/start", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 402
        assert "credits" in answer.json()["message"]


# --- its own assistant -----------------------------------------------------------------------------------


@asynccontextmanager
async def room(world: World, **persona: Any) -> AsyncIterator[tuple[Json, ClientConnection]]:
    """A FULL session, and its room: a websocket here, where the vendor's is LiveKit's."""
    session = await world.start(mode="FULL", avatar_persona=persona)
    assert session["ws_url"] is None
    address = f"{session['livekit_url']}?access_token={session['livekit_client_token']}"
    async with connect(address, proxy=None) as ws:
        for identity in ("heygen", "liveavatar-agent-"):
            assert json.loads(await ws.recv())["payload"].startswith(identity)
        yield session, ws


async def command(ws: ClientConnection, kind: str, event_id: str, **fields: Any) -> None:
    payload = json.dumps({"event_id": event_id, "event_type": kind, "session_id": "s", **fields})
    await ws.send(json.dumps({"topic": "agent-control", "payload": payload}))


async def responses(ws: ClientConnection, last: str, *, seconds: float = 20) -> list[Json]:
    """What it tells up to an event of this type, or for so long."""
    told: list[Json] = []
    try:
        async with asyncio.timeout(seconds):
            while not told or told[-1]["event_type"] != last:
                frame = await ws.recv()
                if isinstance(frame, str):
                    told.append(json.loads(json.loads(frame)["payload"]))
    except TimeoutError:
        pass
    return told


async def test_a_context_is_made_read_changed_and_deleted(world: World) -> None:
    new = {"name": "n", "prompt": "Te llamas Ana.", "opening_text": ""}
    made = (await world.http.post("/v1/contexts", headers=KEY, json=new)).json()["data"]
    assert made["prompt"] == "Te llamas Ana." and made["id"]
    changed = {**new, "prompt": "Te llamas Eva."}
    path = f"/v1/contexts/{made['id']}"
    assert (await world.http.patch(path, headers=KEY, json=changed)).status_code == 200
    assert (await world.http.get(path, headers=KEY)).json()["data"]["prompt"] == "Te llamas Eva."
    assert (await world.http.get("/v1/contexts", headers=KEY)).json()["data"]["count"] == 1
    assert (await world.http.delete(path, headers=KEY)).status_code == 200
    assert (await world.http.get(path, headers=KEY)).status_code == 404
    assert (await world.http.post("/v1/contexts", headers=KEY, json={"name": "n"})).status_code == 422
    assert (await world.http.post("/v1/contexts", json=new)).status_code == 401
    assert (await world.token(mode="FULL", avatar_persona={"context_id": "none"})).status_code == 404


async def test_a_full_session_answers_by_its_context_and_writes_down_what_was_said(world: World) -> None:
    new = {"name": "n", "prompt": "Te llamas Sofía.", "opening_text": ""}
    made = (await world.http.post("/v1/contexts", headers=KEY, json=new)).json()["data"]
    async with room(world, context_id=made["id"]) as (session, ws):
        await command(ws, "avatar.speak_response", "c1", text="¿Cómo te llamas?")
        told = await responses(ws, "avatar.speak_ended")
        assert told[0]["event_type"] == "avatar.speak_started" and {t["source_event_id"] for t in told} == {"c1"}
        whole = next(t["text"] for t in told if t["event_type"] == "avatar.transcription")
        assert "Sofía" in whole
        assert whole == "".join(t["text"] for t in told if t["event_type"] == "avatar.transcription.chunk")
        await command(ws, "avatar.speak_text", "c2", text="Hasta luego.")
        assert (await responses(ws, "avatar.speak_ended"))[-1]["source_event_id"] == "c2"
        path = f"/v1/sessions/{session['session_id']}/transcript"
        data = (await world.http.get(path, headers=KEY)).json()["data"]
        lines = [(line["role"], line["transcript"]) for line in data["transcript_data"]]
        assert lines == [("user", "¿Cómo te llamas?"), ("avatar", whole), ("avatar", "Hasta luego.")]
        later = await world.http.get(path, headers=KEY, params={"start_timestamp": data["next_timestamp"]})
        assert later.json()["data"]["transcript_data"] == []


async def test_a_full_session_without_a_context_answers_nobody_and_says_nothing_of_it(world: World) -> None:
    async with room(world) as (_, ws):
        await command(ws, "avatar.speak_response", "c1", text="¿Cómo te llamas?")
        assert await responses(ws, "avatar.speak_ended", seconds=5) == []


async def test_an_interrupt_forgets_what_was_ordered_before_it(world: World) -> None:
    async with room(world) as (_session, ws):
        for n in range(3):
            await command(ws, "avatar.speak_text", f"c{n}", text="Hacemos despachos a todas las regiones del país.")
        await responses(ws, "avatar.speak_started")
        await command(ws, "avatar.interrupt", "i")
        await command(ws, "avatar.speak_text", "c9", text="Hola.")
        told = [(t["event_type"], t["source_event_id"]) for t in await responses(ws, "avatar.speak_ended")]
        told += [(t["event_type"], t["source_event_id"]) for t in await responses(ws, "avatar.speak_ended")]
        assert told[-1] == ("avatar.speak_ended", "c9") and ("avatar.speak_started", "c1") not in told


async def test_the_two_kinds_of_session_do_not_share_their_sockets(world: World) -> None:
    lite, full = await world.start(), await world.start(mode="FULL")
    for address in (
        lite["ws_url"].replace("/ws/", "/room/"),
        f"{full['livekit_url'].replace('/room/', '/ws/')}?access_token={full['livekit_client_token']}",
    ):
        with pytest.raises(InvalidStatus) as refused:
            await connect(address, proxy=None)
        assert refused.value.response.status_code == 403


# --- the socket -----------------------------------------------------------------------------------------


async def test_what_comes_before_connected_is_silently_dropped() -> None:
    async with World(profile(), connected_after_ms=80) as world:
        session = await world.start()
        async with connect(session["ws_url"], proxy=None) as ws:
            client = Client(world.http, ws, session)
            await client.say(tone(40))
            assert (await client.until("session.state_updated"))["state"] == "connecting"
            await client.until("session.state_updated", state="connected")
            assert await client.quiet(0.15) == []
            assert [m.dropped for m in world.record(client).messages] == [True, True]
            await client.say(tone(40), "u2")
            await client.until("agent.speak_ended", event_id="u2")


async def test_an_utterance_is_played_at_the_pace_of_sound_after_the_start_up_time() -> None:
    async with World(profile(avatar_start=100)) as world, world.talk() as client:
        sent_s = now_s()
        await client.speak(tone(200))
        await client.speak(tone(300))
        await client.send("agent.speak_end", event_id="u1")
        started = await client.until("agent.speak_started")
        ended = await client.until("agent.speak_ended")
        assert started["event_id"] == ended["event_id"] == "u1"
        assert started["task"]["id"] == ended["task"]["id"]
        assert client.when("agent.speak_started") - sent_s == soon_after(0.100)
        assert client.when("agent.speak_ended") - sent_s == soon_after(0.600)
        (span,) = world.record(client).played("u1")
        assert span.started_s is not None
        assert span.ended_s is not None
        assert span.samples == 500 * 24
        assert span.ended_s - span.started_s == pytest.approx(0.5, abs=1e-6)
        assert (span.underruns, span.interrupted) == (0, False)


async def test_every_message_is_on_record(world: World) -> None:
    async with world.talk() as client:
        await client.say(tone(10))
        await client.send("session.keep_alive", event_id="k")
        await client.until("agent.speak_ended")
        seen = [(m.type, m.event_id, m.audio_bytes) for m in world.record(client).messages]
        assert seen == [("agent.speak", "u1", 480), ("agent.speak_end", "u1", 0), ("session.keep_alive", "k", 0)]


async def test_a_buffer_that_runs_dry_makes_the_avatar_wait(world: World) -> None:
    async with world.talk() as client:
        await client.speak(tone(100))
        await client.until("agent.speak_started")
        assert await client.quiet(0.25) == []  # it has nothing to say, and still talks
        await client.say(tone(100))
        await client.until("agent.speak_ended")
        (span,) = world.record(client).played("u1")
        assert span.underruns == 1
        assert span.samples == 200 * 24
        assert client.when("agent.speak_ended") - client.when("agent.speak_started") > 0.34


async def test_without_speak_end_it_never_leaves_talking(world: World) -> None:
    async with world.talk() as client:
        await client.speak(tone(60))
        await client.until("agent.speak_started")
        assert await client.quiet(0.3) == []
        await client.send("agent.speak_end", event_id="u1")
        await client.until("agent.speak_ended", timeout_s=0.2)


async def test_a_second_utterance_waits_for_the_first(world: World) -> None:
    async with world.talk() as client:
        await client.say(tone(150), "u1")
        await client.say(tone(100), "u2")
        await client.until("agent.speak_ended", event_id="u2")
        kinds = [(m["type"].removeprefix("agent.speak_"), m["event_id"]) for _, m in client.heard[-4:]]
        assert kinds == [("started", "u1"), ("ended", "u1"), ("started", "u2"), ("ended", "u2")]
        one, two = (world.record(client).played(u)[0] for u in ("u1", "u2"))
        assert two.started_s == one.ended_s


async def test_chunks_with_an_id_each_are_one_utterance_until_its_end(world: World) -> None:
    async with world.talk() as client:
        for name in ("c1", "c2", "c3"):
            await client.speak(tone(40), name)
        await client.send("agent.speak_end", event_id="c4")
        await client.send("agent.start_listening", event_id="c5")
        told = [(m["type"], m["event_id"]) for m in await client.quiet(0.25)]
        assert told == [("agent.speak_started", "c1"), ("agent.speak_ended", "c1")]
        (utterance,) = world.record(client).utterances
        assert utterance.samples == 3 * 40 * 24


async def test_the_end_of_one_that_is_over_does_not_end_the_next(world: World) -> None:
    async with world.talk() as client:
        await client.speak(tone(300), "u1")
        await client.send("agent.interrupt", event_id="u1")
        await client.speak(tone(20), "u2")
        await client.send("agent.speak_end", event_id="u1")
        await client.until("agent.speak_started", event_id="u2")
        assert await client.quiet(0.15) == []
        await client.send("agent.speak_end", event_id="u2")
        await client.until("agent.speak_ended", event_id="u2")


async def test_an_interrupt_in_the_middle_is_in_the_middle() -> None:
    async with World(profile(avatar_start=50, avatar_interrupt=40)) as world, world.talk() as client:
        frames: list[PlayedFrame] = []
        world.twin.on_played(frames.append)
        await client.say(tone(2000))
        await client.until("agent.speak_started")
        await asyncio.sleep(0.4)
        ordered_s = now_s()
        await client.send("agent.interrupt", event_id="i1")
        told = await client.until("agent.speak_interrupted")
        assert (told["event_id"], told["source_event_id"]) == ("u1", "i1")
        assert now_s() - ordered_s == soon_after(0.04)
        (span,) = world.record(client).played("u1")
        assert span.interrupted
        assert span.samples / 24 == pytest.approx(440, abs=30)
        assert span.started_s is not None
        assert span.ended_s is not None
        assert span.samples == pytest.approx((span.ended_s - span.started_s) * 24_000, abs=1)
        assert sum(len(f.pcm) for f in frames) == span.samples * 2
        assert await client.quiet(0.2) == []
        await client.say(tone(20), "u2")
        await client.until("agent.speak_ended", event_id="u2")


async def test_an_interrupt_before_it_began_leaves_nothing_to_hear() -> None:
    async with World(profile(avatar_start=300)) as world, world.talk() as client:
        await client.say(tone(100))
        await client.send("agent.interrupt")
        await client.until("agent.speak_interrupted", event_id="u1")
        assert await client.quiet(0.35) == []
        assert world.record(client).played("u1") == ()


async def test_an_interrupt_clears_what_waits_behind(world: World) -> None:
    async with world.talk() as client:
        await client.say(tone(500), "u1")
        await client.say(tone(500), "u2")
        await client.until("agent.speak_started")
        await client.send("agent.interrupt", event_id="u1")
        await client.until("agent.speak_interrupted", event_id="u2")
        assert await client.quiet(0.1) == []


async def test_a_client_that_does_not_stop_sending_is_found_out(world: World) -> None:
    async with world.talk() as client:
        await client.speak(tone(400))
        await client.until("agent.speak_started")
        await client.send("agent.interrupt", event_id="u1")
        await client.speak(tone(200, level=2000))
        await client.until("agent.speak_interrupted")
        await client.until("agent.speak_started", event_id="u1")
        await client.send("agent.speak_end", event_id="u1")
        await client.until("agent.speak_ended", event_id="u1")
        cut, rest = world.record(client).played("u1")
        assert cut.interrupted
        assert rest.samples == 200 * 24


async def test_the_other_dialect_speaks_of_states_and_buffers() -> None:
    async with World(profile(), dialect="state_updates") as world, world.talk() as client:
        await client.send("agent.start_listening", event_id="l")
        await client.say(tone(60))
        await client.until("agent.state_updated", previous_state="talking", new_state="idle")
        await client.send("agent.stop_listening", event_id="l")
        await client.say(tone(500), "u2")
        await client.until("agent.state_updated", new_state="talking")
        await client.send("agent.interrupt", event_id="u2")
        await client.until("agent.state_updated", new_state="idle")
        told = [(m["type"].removeprefix("agent."), m.get("new_state")) for _, m in client.heard[2:]]
        assert told == [
            ("state_updated", "listening"),
            ("audio_buffer_appended", None),
            ("audio_buffer_committed", None),
            ("state_updated", "talking"),
            ("state_updated", "idle"),
            ("audio_buffer_appended", None),
            ("audio_buffer_committed", None),
            ("state_updated", "talking"),
            ("audio_buffer_cleared", None),
            ("state_updated", "idle"),
        ]


@pytest.mark.parametrize(
    ("raw", "kind", "word"),
    [
        ("no json", "error", "JSON"),
        ("[1]", "error", "JSON"),
        ('{"event_id": "x"}', "error", "type"),
        ('{"type": "agent.speak", "event_id": "x", "audio": "###"}', "error", "base64"),
        ('{"type": "agent.speak", "event_id": "x", "audio": 5}', "error", "base64"),
        ('{"type": "agent.speak", "event_id": "x"}', "error", "base64"),
        ('{"type": "avatar.speak_text", "text": "hola"}', "error", "LITE mode"),
        ('{"type": "agent.dance"}', "warning", "agent.dance"),
        (b"\x00\x01", "error", "Binary"),
    ],
)
async def test_what_makes_no_sense_is_answered_and_survived(
    world: World, raw: str | bytes, kind: str, word: str
) -> None:
    async with world.talk() as client:
        await client.ws.send(raw)
        told = await client.until(kind)
        assert word in told[kind]["message"]
        await client.say(tone(20))
        await client.until("agent.speak_ended")


async def test_a_message_of_more_than_a_megabyte_closes_the_socket(world: World) -> None:
    async with world.talk() as client:
        await client.speak(tone(15_600))  # just under it as base64
        await client.until("agent.speak_started")
        await client.speak(tone(16_000))
        with pytest.raises(ConnectionClosed) as closed:
            await client.quiet(1)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_a_wrong_or_used_up_address_opens_no_socket(world: World) -> None:
    async with world.talk() as client:
        url = client.session["ws_url"]
        for wrong, status in ((url[:-1] + "x", 403), (url, 409), (url.replace("/ws/", "/ws/x"), 404)):
            with pytest.raises(InvalidStatus) as refused:
                await connect(wrong, proxy=None)
            assert refused.value.response.status_code == status


async def test_a_session_outlives_its_socket_but_its_sound_does_not(world: World) -> None:
    async with world.talk() as client:
        await client.speak(tone(5000))
        await client.until("agent.speak_started")
        await client.ws.close()
        async with connect(client.session["ws_url"], proxy=None) as ws:
            again = Client(world.http, ws, client.session)
            await again.until("session.state_updated", state="connected")
            await again.say(tone(20), "u2")
            await again.until("agent.speak_ended", event_id="u2")
        assert world.record(client).played("u1")[0].interrupted


# --- limits ---------------------------------------------------------------------------------------------


async def test_a_sandbox_session_just_closes_after_its_minute() -> None:
    async with World(profile(), sandbox_limit_s=0.2) as world, world.talk() as client:
        with pytest.raises(ConnectionClosed) as closed:
            await client.until("session.state_updated", state="closing")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000
        assert world.record(client).end_reason == "MAX_DURATION_REACHED"


async def test_an_idle_session_ends_unless_it_is_kept_alive() -> None:
    async with World(profile(), idle_limit_s=0.3) as world, world.talk() as client:
        for _ in range(4):
            await asyncio.sleep(0.15)
            await client.send("session.keep_alive", event_id="k")
        assert world.record(client).state == "active"
        await client.until("session.state_updated", state="closing", timeout_s=1)
        await client.until("session.state_updated", state="closed")
        with pytest.raises(ConnectionClosed):
            await client.ws.recv()
        assert world.record(client).end_reason == "IDLE_TIMEOUT"


async def test_stopping_over_rest_says_good_bye_on_the_socket(world: World) -> None:
    async with world.talk() as client:
        await client.speak(tone(3000))
        await client.until("agent.speak_started")
        bearer = {"Authorization": f"Bearer {client.session['token']}"}
        await world.http.post("/v1/sessions/stop", headers=bearer)
        await client.until("session.state_updated", state="closed")
        with pytest.raises(ConnectionClosed) as closed:
            await client.ws.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000


# --- faults ---------------------------------------------------------------------------------------------


def fault(kind: Any, **fields: Any) -> Fault:
    return Fault(service="avatar", kind=kind, **fields)


@pytest.mark.parametrize(("detail", "path"), [("", "token"), ("token", "token"), ("start", "start")])
async def test_the_nth_opening_is_refused(detail: str, path: str) -> None:
    refuse = fault("refuse", on=2, status=503, detail=detail)
    async with World(profile(), [refuse]) as world:
        async with world.talk() as client:
            for name in ("u1", "u2", "u3"):  # utterances are counted apart
                await client.say(tone(10), name)
                await client.until("agent.speak_ended", event_id=name)
        token = await world.token()
        if path == "start":
            assert token.status_code == 200
            bearer = {"Authorization": f"Bearer {token.json()['data']['session_token']}"}
            token = await world.http.post("/v1/sessions/start", headers=bearer)
        assert token.status_code == 503
        assert token.json()["message"]
        await world.start()


async def test_the_handshake_of_the_socket_is_refused_by_a_fault() -> None:
    async with World(profile(), [fault("refuse", status=500, detail="socket")]) as world:
        session = await world.start()
        with pytest.raises(InvalidStatus) as refused:
            await connect(session["ws_url"], proxy=None)
        assert refused.value.response.status_code == 500
        async with connect(session["ws_url"], proxy=None):
            pass


async def test_a_cut_breaks_the_connection_without_a_farewell() -> None:
    async with World(profile(), [fault("cut", on=2, after_ms=100)]) as world, world.talk() as client:
        await client.say(tone(10), "u1")
        await client.until("agent.speak_ended")
        await client.say(tone(1000), "u2")
        with pytest.raises(ConnectionClosed) as closed:
            await client.until("agent.speak_ended", event_id="u2")
        assert closed.value.rcvd is None
        assert client.heard[-1][1]["type"] == "agent.speak_started"


async def test_a_stall_holds_sound_and_messages_for_its_time() -> None:
    async with World(profile(), [fault("stall", after_ms=50, for_ms=300)]) as world, world.talk() as client:
        await client.say(tone(200))
        await client.until("agent.speak_ended")
        lasted_s = client.when("agent.speak_ended") - client.when("agent.speak_started")
        assert lasted_s == pytest.approx(0.5, abs=0.04)
        assert world.record(client).played("u1")[0].samples == 200 * 24


async def test_a_stall_for_ever_answers_nothing_any_more_but_can_be_stopped() -> None:
    async with World(profile(), [fault("stall", after_ms=50)]) as world, world.talk() as client:
        await client.say(tone(500))
        await client.until("agent.speak_started")
        await asyncio.sleep(0.08)
        await client.send("agent.interrupt", event_id="u1")
        assert await client.quiet(0.3) == []
        bearer = {"Authorization": f"Bearer {client.session['token']}"}
        await world.http.post("/v1/sessions/stop", headers=bearer)
        with pytest.raises(ConnectionClosed):
            await client.quiet(1)


async def test_slow_delays_start_and_interrupt() -> None:
    async with World(profile(), [fault("slow", for_ms=150)]) as world, world.talk() as client:
        sent_s = now_s()
        await client.say(tone(1000))
        await client.until("agent.speak_started")
        assert now_s() - sent_s == soon_after(0.155)
        sent_s = now_s()
        await client.send("agent.interrupt")
        await client.until("agent.speak_interrupted")
        assert now_s() - sent_s == soon_after(0.153)


async def test_an_error_in_mid_speech_ends_nothing() -> None:
    async with World(profile(), [fault("error", after_ms=30)]) as world, world.talk() as client:
        await client.say(tone(100))
        told = await client.until("error")
        assert (told["error"]["type"], told["error"]["event_id"]) == ("video_starvation", "u1")
        await client.until("agent.speak_ended")


async def test_garble_sends_what_no_document_describes() -> None:
    async with World(profile(), [fault("garble", after_ms=30)]) as world, world.talk() as client:
        await client.say(tone(100))
        kinds = [m["type"] for m in await client.quiet(0.3)]
        assert kinds == ["agent.speak_started", "agent.visemes", "}not json{", "agent.speak_ended"]


@pytest.mark.parametrize("dialect", ["speak_events", "state_updates"])
@pytest.mark.parametrize(("kind", "ends"), [("no_end", 0), ("duplicate", 2), ("premature_end", 1)])
async def test_endings_go_wrong_once_in_either_dialect(dialect: str, kind: str, ends: int) -> None:
    async with World(profile(), [fault(kind, after_ms=20)], dialect=dialect) as world, world.talk() as client:

        def count(messages: list[Json]) -> int:
            return sum(m["type"] == "agent.speak_ended" or m.get("new_state") == "idle" for m in messages)

        await client.say(tone(150), "u1")
        early = await client.quiet(0.1)
        late = await client.quiet(0.2)
        assert count([*early, *late]) == ends
        assert (count(early) == 1) == (kind == "premature_end")
        assert world.record(client).played("u1")[0].samples == 150 * 24
        await client.say(tone(20), "u2")
        assert count(await client.quiet(0.1)) == 1


async def test_an_interrupt_is_never_acknowledged_with_no_end() -> None:
    async with World(profile(), [fault("no_end")]) as world, world.talk() as client:
        await client.say(tone(500))
        await client.until("agent.speak_started")
        await client.send("agent.interrupt", event_id="u1")
        assert await client.quiet(0.1) == []
        assert world.record(client).played("u1")[0].interrupted


# --- who listens ----------------------------------------------------------------------------------------


async def test_what_is_played_is_offered_in_process(world: World) -> None:
    async with world.talk() as client, world.twin.listen(client.session["session_id"]) as stream:
        sound = b"".join(i.to_bytes(2, "little", signed=True) for i in range(24 * 110))
        await client.say(sound)
        frames: list[PlayedFrame] = []
        async with asyncio.timeout(2):
            async for frame in stream:
                frames.append(frame)
                if sum(len(f.pcm) for f in frames) == len(sound):
                    break
        assert b"".join(f.pcm for f in frames) == sound
        assert {f.event_id for f in frames} == {"u1"}
        assert [round((b.at_s - a.at_s) * 1000, 3) for a, b in pairwise(frames)] == [20.0] * 5
        bearer = {"Authorization": f"Bearer {client.session['token']}"}
        await world.http.post("/v1/sessions/stop", headers=bearer)
        async with asyncio.timeout(2):
            assert [f async for f in stream] == []
    async with asyncio.timeout(2):
        assert [f async for f in world.twin.listen("nobody")] == []


async def test_a_failing_listener_does_not_silence_the_avatar(world: World) -> None:
    def fail(_frame: PlayedFrame) -> None:
        raise ValueError("no ears")

    leave = world.twin.on_played(fail)
    async with world.talk() as client:
        await client.say(tone(60))
        await client.until("agent.speak_ended")
    leave()


async def test_a_listener_over_a_socket_hears_speech_and_silence_in_real_time(world: World) -> None:
    async with world.talk() as client:
        url = f"{world.base.replace('http', 'ws')}/listen/{client.session['session_id']}"
        async with connect(url, proxy=None) as ear:
            hello = json.loads(await ear.recv())
            assert (hello["sample_rate"], hello["frame_ms"], hello["encoding"]) == (24_000, 20, "linear16")
            begun_s = now_s()
            await asyncio.sleep(0.1)
            await client.say(tone(210, level=7))
            tape = b""
            while len(tape) < 24 * 2 * 500:
                frame = await ear.recv()
                assert isinstance(frame, bytes)
                assert len(frame) == 960
                tape += frame
            assert now_s() - begun_s == soon_after(0.56)
            assert tape.strip(b"\0").count(b"\x07\x00"[:1]) == 210 * 24
            assert tape.index(b"\x07") / 48 == pytest.approx(105, abs=30)
            assert tape.rstrip(b"\0").lstrip(b"\0") == tone(210, level=7)[:-1]  # without a gap inside
        bearer = {"Authorization": f"Bearer {client.session['token']}"}
        async with connect(url, proxy=None) as ear:
            await world.http.post("/v1/sessions/stop", headers=bearer)
            with pytest.raises(ConnectionClosed):
                await read_on(ear)


async def test_three_seconds_are_played_without_drift(world: World) -> None:
    arrivals: list[float] = []
    frames: list[PlayedFrame] = []

    def hear(frame: PlayedFrame) -> None:
        arrivals.append(now_s())
        frames.append(frame)

    world.twin.on_played(hear)
    async with world.talk() as client:
        await client.say(tone(3000))
        await client.until("agent.speak_ended")
        lasted_s = client.when("agent.speak_ended") - client.when("agent.speak_started")
    assert lasted_s == pytest.approx(3.0, abs=0.2)
    assert len(frames) == 150
    assert all(b.at_s - a.at_s == pytest.approx(0.02, abs=1e-6) for a, b in pairwise(frames))
    assert min(at - f.at_s - 0.02 for at, f in zip(arrivals, frames, strict=True)) > -0.001  # never too early
