"""One loopback server for any number of twins, in a thread and event loop of its own.

Made by `runtime/compose.py` and by `clara twins`; mounts whatever fits the `Twin` Protocol and knows no
vendor. The conversation's loop is not shared: a busy twin must not delay an interruption, nor a busy notebook
cell the twins.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import socket
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from aiohttp import web, web_app

from clara_kit.core.errors import ClaraError
from clara_kit.core.outside import Address, place
from clara_kit.world.faults import APPLIES, Fault, FaultBox
from clara_kit.world.pace import loop_factory, only_waits
from clara_kit.world.twins.base import Twin, json_of

log = logging.getLogger("clara_kit.twins")

T = TypeVar("T")

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CLOSE_TWIN_S = 2.0  # for a twin to end its sessions
_DRAIN_S = 0.3  # for requests that are being answered
_JOIN_S = 10.0
_BACKLOG = 128
_TURNS_TO_ACCEPT = 8  # of the loop: asyncio needs four to finish with a connection it has just accepted
_MAX_BODY_BYTES = 32 * 1024 * 1024  # the largest request any of the vendors takes


class TwinServer:
    """Serves twins on 127.0.0.1 between `start` and `stop`. Also a context manager, plain or async."""

    def __init__(
        self,
        twins: Sequence[Twin],
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        faults: FaultBox | None = None,
        pace: float | None = None,
        handshake_ms: Callable[[], float] | None = None,
    ) -> None:
        """pace: how many times faster than the wall their time may run (default: the usual pace, which is 1).

        handshake_ms: how long the next new connection takes, which over loopback takes no time.
        """
        self._twins, self._pace = tuple(twins), pace
        self._faults = faults or FaultBox()
        self._wanted_port, self._host = port, host
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: asyncio.Event | None = None
        self._crash = False
        self._handshake_ms = handshake_ms
        self._shaken: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()
        self.handshakes: Counter[str] = Counter()
        """New connections so far, by the twin that was asked first on each."""
        self.port = 0
        """Where it listens; 0 while it does not."""

    @property
    def addresses(self) -> dict[str, dict[str, str]]:
        """Each twin's base addresses, by its name."""
        if not self.port:
            raise ClaraError("The twins are not running.", hint="call start(), or use the server in a with statement.")
        return {twin.name: twin.addresses(f"{self._host}:{self.port}") for twin in self._twins}

    def ready_line(self) -> str:
        """The addresses as one line of JSON."""
        return json.dumps(self.addresses)

    def start(self) -> Self:
        """Listen; returns when connections are accepted. Raises `ClaraError` where it cannot."""
        if not 0 <= self._wanted_port <= 65_535:
            raise ClaraError(
                f"There is no port {self._wanted_port}.", hint="ports go from 1 to 65535; 0 is any free one."
            )
        with self._lock:
            if self._thread is not None:
                return self
            ready: Future[None] = Future()
            thread = threading.Thread(target=self._run, args=(ready,), name="clara-twins", daemon=True)
            thread.start()
            try:
                ready.result()
            except Exception as exc:
                thread.join(_JOIN_S)
                raise self._explained(exc) from exc
            self._thread = thread
        return self

    def stop(self) -> None:
        """End every session, close every socket, and the thread. May be called again."""
        self._end(crash=False)

    def kill(self) -> None:
        """Go as a crash would: every connection is torn down in mid-word, and nothing listens any more."""
        self._end(crash=True)

    def run_on_loop(self, work: Coroutine[Any, Any, T], *, timeout_s: float = 10.0) -> T:
        """Run a coroutine in the server's loop and wait for its result."""
        loop = self._loop
        if self._thread is None or loop is None:
            work.close()
            raise ClaraError("The twins are not running.", hint="call start() first.")
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout_s)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        starting = asyncio.ensure_future(asyncio.to_thread(self.start))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:  # it would listen for nobody
            await asyncio.wait({starting})
            await asyncio.to_thread(self.stop)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # In a thread, so that clients in this loop can take part in closing.
        await asyncio.shield(asyncio.to_thread(self.stop))

    def _end(self, *, crash: bool) -> None:
        with self._lock:
            thread, loop, leave = self._thread, self._loop, self._leave
            if thread is None or loop is None or leave is None:
                return
            self._crash = crash
            with contextlib.suppress(RuntimeError):  # its loop may have ended by itself
                loop.call_soon_threadsafe(leave.set)
            with only_waits():
                thread.join(_JOIN_S)
            if thread.is_alive():
                raise ClaraError("The twins' thread does not end.", hint="something in a twin blocks its event loop.")
            self._thread = self._loop = self._leave = None
            self.port = 0

    def _explained(self, exc: Exception) -> Exception:
        where = f"{self._host}:{self._wanted_port}"
        if isinstance(exc, OSError) and exc.errno == errno.EADDRINUSE:
            return ClaraError(
                f"Port {self._wanted_port} on {self._host} is taken by another program.",
                hint="choose another port, or 0 for any free one.",
            )
        if isinstance(exc, OSError):
            return ClaraError(f"The twins cannot listen on {where}: {exc}.", hint="choose another port, or 0 for any.")
        return exc

    # --- in the server's own thread ---------------------------------------------------------------------

    def _run(self, ready: Future[None]) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory(self._pace)) as runner:
                runner.run(self._serve(ready))
        except BaseException as exc:
            if ready.done():
                log.error("the twins' server failed: %s", place(exc))
            else:
                ready.set_exception(exc)

    async def _serve(self, ready: Future[None]) -> None:
        self._loop, self._leave, self._crash = asyncio.get_running_loop(), asyncio.Event(), False
        runner = web.AppRunner(self._app(), access_log=None, handle_signals=False, shutdown_timeout=_DRAIN_S)
        await runner.setup()
        try:
            listening = socket.create_server((self._host, self._wanted_port), backlog=_BACKLOG)
            site = web.SockSite(runner, listening)
            await site.start()
            self.port = int(listening.getsockname()[1])
            ready.set_result(None)
            await self._leave.wait()
            await _stop_accepting(listening)
            await site.stop()
            if self._crash:
                _tear_down(runner)
            await asyncio.gather(*(_close(twin) for twin in self._twins))
        finally:
            await runner.cleanup()
            _forget_handlers()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=_MAX_BODY_BYTES, middlewares=[self._unknown_paths])
        app.router.add_get("/", self._health)
        app.router.add_get("/faults", self._list_faults)
        app.router.add_post("/faults", self._inject)
        for twin in self._twins:
            twin.add_routes(app)
        return app

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "twins": self.addresses})

    async def _list_faults(self, _request: web.Request) -> web.Response:
        waiting = [fault.to_dict() for fault in self._faults.waiting]
        return web.json_response({"vocabulary": APPLIES, "waiting": waiting})

    async def _inject(self, request: web.Request) -> web.Response:
        """Play a fault while the twins run: its fields as JSON. Without `on` it strikes now, else on that occasion."""
        try:
            body = await json_of(request)
            fault = Fault.from_dict(body)
        except ValueError:
            return _refused("The body is not JSON.")
        except ClaraError as exc:
            return _refused(str(exc))
        if "on" not in body:
            return web.json_response({"strikes": self._faults.inject(fault)})
        self._faults.add(fault)
        return web.json_response({"strikes": f"on occasion {fault.on}"})

    @web.middleware
    async def _unknown_paths(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if _is_ours(request.path) and (problem := _stranger(request)):
            return _refused(problem)
        await self._shake_hands(request)
        failed = request.match_info.http_exception
        if failed is None or failed.status != 404:
            response: web.StreamResponse = await handler(request)
            return response
        prefixes = [f"/{twin.name}" for twin in self._twins]
        message = f"Nothing answers at {request.path}. The twins live under {', '.join(prefixes) or 'no path'}."
        return web.json_response({"error": {"message": message, "prefixes": prefixes}}, status=404)

    async def _shake_hands(self, request: web.Request) -> None:
        """The first request of a connection waits for as long as TCP and TLS take over a network."""
        name, transport = request.path.split("/")[1], request.transport
        if transport is None or transport in self._shaken or name not in {twin.name for twin in self._twins}:
            return
        self._shaken.add(transport)
        self.handshakes[name] += 1
        if self._handshake_ms is not None and (wait_ms := self._handshake_ms()) > 0:
            await asyncio.sleep(wait_ms / 1000)


def _is_ours(path: str) -> bool:
    """A door that no vendor has: no key opens it, so that a page in a browser must not get in."""
    return path == "/faults" or "/twin/" in path


def _stranger(request: web.Request) -> str:
    """Why a request cannot come from who may steer the twins; empty where it can.

    A page from elsewhere reaches a server on loopback through a name of its own (Host), or asks from there (Origin),
    for which a browser lets it send any body but JSON.
    """
    host, origin = Address.of(f"http://{request.headers.get('Host', '')}"), request.headers.get("Origin")
    if urlsplit(host.url).hostname not in LOOPBACK or host.login:
        return "The Host must be 127.0.0.1 or localhost."
    if origin is not None and origin not in (f"http://{host.host}", f"https://{host.host}"):
        return "The Origin must be none, or this server itself."
    if request.method == "POST" and request.content_type != "application/json":
        return "The content type must be application/json."
    return ""


def _refused(why: str) -> web.Response:
    return web.json_response({"error": {"message": why}}, status=400)


async def _stop_accepting(listening: socket.socket) -> None:
    """Let nobody in any more, but finish with those who are at the door.

    asyncio loses a socket that it accepted right before its server closed.
    """
    with contextlib.suppress(NotImplementedError):  # Windows' loop accepts in another way
        asyncio.get_running_loop().remove_reader(listening)
    for _ in range(_TURNS_TO_ACCEPT):
        await asyncio.sleep(0)


def _tear_down(runner: web.AppRunner) -> None:
    """Abort every connection, and what answers on it."""
    assert runner.server is not None
    for connection in runner.server.connections:
        if connection.transport is not None:
            connection.transport.abort()
    here = asyncio.current_task()
    for task in asyncio.all_tasks():
        if task is not here:
            task.cancel()


def _forget_handlers() -> None:
    """aiohttp keeps the handlers of its last 1,024 routes for good, and with each every twin of its server, and their sound."""
    kept = getattr(web_app, "_cached_build_middleware", None)
    if kept is not None:  # whatever runs beside this one makes its own anew
        kept.cache_clear()


async def _close(twin: Twin) -> None:
    try:
        async with asyncio.timeout(_CLOSE_TWIN_S):
            await twin.close()
    except Exception as exc:  # one twin's fault must not keep the others' sockets open
        log.error("the %s twin did not close well: %s", twin.name, place(exc))
