"""The twins' server: starting, stopping, crashing, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import threading
import weakref
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from clara_kit.core.errors import ClaraError
from clara_kit.world.faults import FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.pace import now_s
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.liveavatar.twin import SANDBOX_AVATAR, LiveAvatarTwin
from clara_kit.world.twins.server import TwinServer

SOUND = b64encode(b"\1\1" * 24_000 * 5).decode()


class EchoTwin:
    """The least twin there is."""

    name = "echo"

    def __init__(self) -> None:
        self.closed = 0
        self.nodelay: list[int] = []
        self.threads: set[str] = set()
        self.fails = False

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/echo/say", self._say)
        app.router.add_get("/echo/slow", self._slow)
        app.router.add_get("/echo/ws", self._ws)

    def addresses(self, host_port: str) -> dict[str, str]:
        return {"base_url": f"http://{host_port}/echo", "ws_url": f"ws://{host_port}/echo/ws"}

    async def close(self) -> None:
        self.closed += 1
        if self.fails:
            raise ValueError("cannot close")

    async def _say(self, request: web.Request) -> web.Response:
        self.threads.add(threading.current_thread().name)
        assert request.transport is not None
        sock = request.transport.get_extra_info("socket")
        self.nodelay.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return web.Response(text="hi")

    async def _slow(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.01)

    async def _ws(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data)
        return ws


def liveavatar() -> LiveAvatarTwin:
    return LiveAvatarTwin(TwinContext(profile=LatencyProfile.load("fast")), connected_after_ms=1)


async def started_session(base: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=base, trust_env=False) as http:
        body = {"mode": "LITE", "avatar_id": SANDBOX_AVATAR, "is_sandbox": True}
        token = await http.post("/v1/sessions/token", headers={"X-API-KEY": "test-key"}, json=body)
        bearer = {"Authorization": f"Bearer {token.json()['data']['session_token']}"}
        data: dict[str, Any] = (await http.post("/v1/sessions/start", headers=bearer)).json()["data"]
        return data


async def read_on(ws: ClientConnection) -> None:
    while True:
        await asyncio.wait_for(ws.recv(), 1)


def open_sockets() -> set[str]:
    links = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.add(os.readlink(f"/proc/self/fd/{fd}"))
    return {link for link in links if link.startswith(("socket:", "anon_inode:[eventpoll]"))}


def test_one_port_serves_every_twin_under_its_own_prefix() -> None:
    echo = EchoTwin()
    with TwinServer([echo, liveavatar()]) as server, httpx.Client(trust_env=False) as http:
        line = server.ready_line()
        assert "\n" not in line
        assert json.loads(line) == server.addresses
        assert set(server.addresses) == {"echo", "liveavatar"}
        assert http.get(f"{server.addresses['echo']['base_url']}/say").text == "hi"
        assert echo.nodelay == [1]
        assert echo.threads == {"clara-twins"}
        health = http.get(f"http://127.0.0.1:{server.port}/").json()
        assert health == {"status": "ok", "twins": server.addresses}


def test_an_unknown_path_says_which_prefixes_exist() -> None:
    with TwinServer([EchoTwin(), liveavatar()]) as server:
        answer = httpx.post(f"http://127.0.0.1:{server.port}/v1/listen", trust_env=False)
        assert answer.status_code == 404
        assert answer.json()["error"]["prefixes"] == ["/echo", "/liveavatar"]
        wrong_method = httpx.post(f"{server.addresses['echo']['base_url']}/say", trust_env=False)
        assert wrong_method.status_code == 405


def test_a_taken_port_is_named_and_explained() -> None:
    with TwinServer([]) as first:
        second = TwinServer([], port=first.port)
        with pytest.raises(ClaraError, match=str(first.port)) as taken:
            second.start()
        assert "another port" in taken.value.hint
        second.stop()
        port = first.port
    with TwinServer([], port=port) as third:
        assert third.port == port


def test_a_port_that_is_none_is_explained() -> None:
    with pytest.raises(ClaraError, match="70000"):
        TwinServer([], port=70_000).start()


def test_what_needs_a_running_server_says_so() -> None:
    server = TwinServer([EchoTwin()])

    async def nothing() -> None: ...

    with pytest.raises(ClaraError, match="not running"):
        _ = server.addresses
    with pytest.raises(ClaraError, match="not running"):
        server.run_on_loop(nothing())
    server.stop()
    server.kill()


def test_stopping_twice_and_starting_again_works() -> None:
    echo = EchoTwin()
    server = TwinServer([echo])
    for _ in range(2):
        server.start()
        server.start()
        assert httpx.get(f"{server.addresses['echo']['base_url']}/say", trust_env=False).text == "hi"
        server.stop()
        server.stop()
    assert echo.closed == 2
    assert server.port == 0


def test_work_runs_on_the_servers_own_loop() -> None:
    async def where() -> str:
        return threading.current_thread().name

    async def fail() -> None:
        raise KeyError("inside")

    with TwinServer([]) as server:
        assert server.run_on_loop(where()) == "clara-twins"
        with pytest.raises(KeyError, match="inside"):
            server.run_on_loop(fail())


def test_a_twin_that_cannot_close_does_not_keep_the_server_up() -> None:
    echo = EchoTwin()
    echo.fails = True
    with TwinServer([echo, liveavatar()]):
        pass
    assert "clara-twins" not in {t.name for t in threading.enumerate()}


def test_fifty_starts_and_stops_leave_no_thread_and_no_socket() -> None:
    with TwinServer([EchoTwin()]):  # whatever is loaded on first use
        pass
    threads, sockets = threading.active_count(), open_sockets()
    for number in range(50):
        server = TwinServer([EchoTwin(), liveavatar()]).start()
        with socket.create_connection(("127.0.0.1", server.port)):
            server.kill() if number % 2 else server.stop()
    assert threading.active_count() == threads
    assert open_sockets() <= sockets


async def test_it_runs_beside_a_running_loop() -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        async with TwinServer([EchoTwin()]) as server:
            assert (await http.get(f"{server.addresses['echo']['base_url']}/say")).text == "hi"
        with TwinServer([EchoTwin()]) as server:  # as a notebook cell would
            assert (await http.get(f"{server.addresses['echo']['base_url']}/say")).text == "hi"


async def test_stopping_ends_sessions_streams_and_idle_sockets_at_once() -> None:
    twin, echo = liveavatar(), EchoTwin()
    server = TwinServer([echo, twin])
    await asyncio.to_thread(server.start)
    session = await started_session(server.addresses["liveavatar"]["base_url"])
    async with connect(session["ws_url"], proxy=None) as ws, httpx.AsyncClient(trust_env=False) as http:
        request = http.build_request("GET", f"{server.addresses['echo']['base_url']}/slow")
        stream = await http.send(request, stream=True)
        async with connect(server.addresses["echo"]["ws_url"], proxy=None):
            begun_s = now_s()
            await asyncio.to_thread(server.stop)
            assert now_s() - begun_s < 5  # it would give a thread ten
            with pytest.raises(ConnectionClosed):
                await read_on(ws)
            assert ws.close_code == 1000
            with pytest.raises(httpx.HTTPError):
                await stream.aread()
    assert twin.sessions[session["session_id"]].state == "ended"


async def test_a_kill_in_mid_sentence_is_like_a_crash() -> None:
    server = TwinServer([liveavatar()])
    await asyncio.to_thread(server.start)
    port = server.port
    session = await started_session(server.addresses["liveavatar"]["base_url"])
    async with connect(session["ws_url"], proxy=None) as ws:
        while json.loads(await ws.recv()).get("state") != "connected":
            pass
        await ws.send(json.dumps({"type": "agent.speak", "event_id": "u1", "audio": SOUND}))
        assert json.loads(await ws.recv())["type"] == "agent.speak_started"
        begun_s = now_s()
        await asyncio.to_thread(server.kill)
        assert now_s() - begun_s < 5
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(ws.recv(), 1)
        assert closed.value.rcvd is None  # no farewell
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    server.stop()


async def test_a_start_that_is_cancelled_leaves_no_server() -> None:
    server = TwinServer([EchoTwin()])
    starting = asyncio.ensure_future(server.__aenter__())
    await asyncio.sleep(0)  # the thread is on its way
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert server.port == 0 and not [t for t in threading.enumerate() if t.name == "clara-twins"]


BAD_FAULTS: list[Any] = [
    3, [], None, "cut", {}, {"service": "llm"}, {"service": "llm", "kind": "cut", "what": 1},
    {"service": ["llm"], "kind": "cut"}, {"service": "llm", "kind": {"cut": 1}}, {"service": "nobody", "kind": "cut"},
    *({"service": "llm", "kind": "cut", **wrong} for wrong in (
        {"on": "1"}, {"on": 0}, {"on": 1.5}, {"on": True}, {"on": 10**400}, {"on": None}, {"after_ms": "5"},
        {"after_ms": -1}, {"after_ms": float("nan")}, {"for_ms": float("inf")}, {"for_ms": 1e308}, {"for_ms": [1]},
        {"after_ms": False}, {"status": 99}, {"status": 200}, {"status": 600}, {"status": "503"}, {"status": None},
        {"detail": 7}, {"detail": "a\r\nb: c"}, {"detail": "x" * 5000}, {"detail": None},
    )),
]  # fmt: skip


@pytest.fixture(scope="module")
def door() -> Iterator[tuple[httpx.Client, FaultBox]]:
    faults = FaultBox()
    with TwinServer([], faults=faults) as server, httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        yield client, faults


@pytest.mark.parametrize("body", BAD_FAULTS, ids=lambda body: str(body)[:60])
def test_a_fault_that_is_none_is_a_400_with_a_word(door: tuple[httpx.Client, FaultBox], body: Any) -> None:
    client, faults = door
    answer = client.post("/faults", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 400 and len(answer.json()["error"]["message"]) > 10
    assert faults.waiting == ()


@pytest.mark.parametrize(
    "headers", [{"content-type": "application/json; charset=none-such"}, {"content-encoding": "gzip"}]
)
def test_a_body_that_is_not_what_its_headers_claim_is_no_failure_of_the_twins(
    door: tuple[httpx.Client, FaultBox], headers: dict[str, str]
) -> None:
    answer = door[0].post("/faults", content=b"{", headers={"content-type": "application/json", **headers})
    assert answer.status_code == 400 and answer.json() == {"error": {"message": "The body is not JSON."}}


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"}, {"host": "127.0.0.1.evil.example"}, {"host": "127.0.0.1@evil.example"}, {"host": ""},
        {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:1"},
        {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}, {"content-type": ""},
        {"content-type": "text/plain; application/json"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("path", ["/faults", "/deepgram/twin/lines"])
def test_no_page_from_elsewhere_steers_the_twins(
    door: tuple[httpx.Client, FaultBox], headers: dict[str, str], path: str
) -> None:
    client, faults = door
    fault = json.dumps({"service": "llm", "kind": "cut"})
    answer = client.post(path, content=fault, headers={"content-type": "application/json", **headers})
    assert answer.status_code == 400 and faults.waiting == ()
    if "content-type" not in headers:
        assert client.get("/faults", headers=headers).status_code == 400


def test_whoever_sits_at_this_machine_may_steer_them(door: tuple[httpx.Client, FaultBox]) -> None:
    client, faults = door
    port = client.base_url.port
    fault = {"service": "llm", "kind": "refuse", "on": 3, "status": 529, "after_ms": 0, "for_ms": 1.5, "detail": "¡no!"}
    for headers in ({}, {"host": f"localhost:{port}"}, {"origin": f"http://127.0.0.1:{port}"}):
        assert client.post("/faults", json=fault, headers=headers).json() == {"strikes": "on occasion 3"}
    assert [f.to_dict() for f in faults.waiting] == [fault] * 3


def test_nothing_is_left_of_a_server_that_was_asked_and_has_stopped() -> None:
    echo = EchoTwin()
    with TwinServer([echo]) as server:
        assert httpx.get(f"{server.addresses['echo']['base_url']}/say", trust_env=False).text == "hi"
    gone = weakref.ref(echo)
    del echo, server
    gc.collect()
    assert gone() is None, "each conversation would leave its twins behind, and all their sound"
