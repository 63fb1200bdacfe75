"""A tap on the wire: a relay on 127.0.0.1 between the vendors' SDKs and whoever answers, live or twin.

Used by `live.py`. The providers get the relay's address instead of the vendor's, so the same code is seen from
outside, with fields that an SDK would drop. Only shapes and times are kept (`shapes.py`); keys, words and
sound pass through and are forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from time import perf_counter
from typing import Any

import aiohttp
from aiohttp import ClientSession, WSMsgType, web
from yarl import URL

from clara_kit.core.outside import Address
from clara_kit.doctor.keys import LOOPBACK
from clara_kit.doctor.shapes import Way, WireMessage, fields_of, kind_of

_OF_ONE_HOP = re.compile(
    r"(?i)host|connection|upgrade|accept-encoding|(content|transfer)-(length|encoding)|sec-websocket-.*"
)
_CLOSE_S = 0.5
_CLOSING = aiohttp.ClientWSTimeout(ws_close=_CLOSE_S)
_SIGNS = ("authorization", "x-api-key", "x-shopify-access-token")
_TOLD = "(told)"  # stands for the address of a socket that the vendor gave
_WS_URL = re.compile(rb'("ws_url"\s*:\s*)("wss?:(?:[^"\\]|\\.)*")')


@contextlib.asynccontextmanager
async def tapped(targets: Mapping[str, str]) -> AsyncIterator[WireTap]:
    """A tap while it is open. targets: each vendor's base address (http or https)."""
    local = all(URL(address).host in LOOPBACK for address in targets.values())  # needs no proxy
    async with ClientSession(trust_env=not local) as session:
        tap, app = WireTap(session, targets), web.Application()
        for vendor in targets:
            app.router.add_route("*", f"/{vendor}/{{rest:.*}}", partial(tap.relay, vendor))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            tap.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield tap
        finally:
            await runner.cleanup()


class WireTap:
    """What passes, and what is kept of it. Made by `tapped`; `{origin}/{vendor}` is to be asked instead of a vendor."""

    def __init__(self, session: ClientSession, targets: Mapping[str, str]) -> None:
        self._session = session
        self._targets = {vendor: Address.of(base) for vendor, base in targets.items()}
        self._secrets: set[str] = set()  # keys that passed: a server may give them back as a field's name
        self._told: dict[str, str] = {}  # sockets' addresses that vendors told, which lead through here too
        self.origin = ""
        self.messages: list[WireMessage] = []

    async def relay(self, vendor: str, request: web.Request) -> web.StreamResponse:
        """One request, or one socket, there and back."""
        rest = request.raw_path.removeprefix(f"/{vendor}")  # as it came: keyterms have spaces and accents
        is_told = rest == f"/{_TOLD}" and vendor in self._told
        address = URL(self._told[vendor] if is_told else self._targets[vendor].url + rest, encoded=True)
        path = _TOLD if is_told else rest.partition("?")[0]
        self._secrets |= {v.split()[-1] for n, v in request.headers.items() if n.lower() in _SIGNS and v.strip()}
        passes = self._socket if request.headers.get("Upgrade", "").lower() == "websocket" else self._request
        try:
            return await passes(vendor, request, path, address)
        except aiohttp.WSServerHandshakeError as exc:
            self._keep(vendor, "received", f"{exc.status} {path}")
            return web.Response(status=exc.status, headers=_passed_on(exc.headers or {}))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            self._keep(vendor, "received", f"not reachable {path}")
            reason = f"cannot be reached ({type(exc).__name__})"
            return web.json_response({"error": {"message": reason}}, status=503, headers={"dg-error": reason})

    async def _request(self, vendor: str, request: web.Request, path: str, at: URL) -> web.StreamResponse:
        login = self._targets[vendor].login
        body, headers = await request.read(), {**login, **_passed_on(request.headers), "Accept-Encoding": "identity"}
        self._keep(vendor, "sent", f"{request.method} {path}", _json(body), request.query)
        asked = self._session.request(request.method, at, headers=headers, data=body, allow_redirects=False)
        async with asked as answer:
            kind, headers = f"{answer.status} {path}", _passed_on(answer.headers)
            if answer.content_type != "text/event-stream":
                body = await answer.read()
                self._keep(vendor, "received", kind, _json(body))
                body = _WS_URL.sub(partial(self._through_here, vendor), body)
                return web.Response(body=body, status=answer.status, headers=headers)
            self._keep(vendor, "received", kind)
            response = web.StreamResponse(status=answer.status, headers=headers)
            await response.prepare(request)
            async for line in answer.content:
                await response.write(line)
                if line.startswith(b"data:"):
                    said = _json(line[5:])
                    self._keep(vendor, "received", kind_of(said, "data"), said)
            return response

    def _through_here(self, vendor: str, found: re.Match[bytes]) -> bytes:
        self._told[vendor] = json.loads(found[2])
        return found[1] + f'"{self.origin}/{vendor}/{_TOLD}"'.replace("http", "ws", 1).encode()

    async def _socket(self, vendor: str, request: web.Request, path: str, at: URL) -> web.StreamResponse:
        self._keep(vendor, "sent", f"open socket {path}", None, request.query)
        near = web.WebSocketResponse(max_msg_size=0, timeout=_CLOSE_S)
        headers = _passed_on(request.headers)
        async with self._session.ws_connect(at, headers=headers, max_msg_size=0, timeout=_CLOSING) as far:
            self._keep(vendor, "received", f"101 {path}")
            # A vendor may have several sockets, with messages of equal names.
            label = "" if path == _TOLD else f"{path.rpartition('/')[2]} "
            await near.prepare(request)
            pump = partial(self._pump, vendor, label)
            await asyncio.gather(pump("received", far, near), pump("sent", near, far))
        return near

    async def _pump(self, vendor: str, label: str, way: Way, source: Any, sink: Any) -> None:
        """Pass on what comes until it ends, and then the farewell: that ends the other way's pump."""
        code, reason = 1006, ""
        with contextlib.suppress(ConnectionError):  # the sink went first, as the other pump sees
            while (message := await source.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
                if message.type == WSMsgType.BINARY:
                    self._keep(vendor, way, f"{label}sound")
                    await sink.send_bytes(message.data)
                else:
                    said = _json(message.data)
                    self._keep(vendor, way, label + kind_of(said, "text"), said)
                    await sink.send_str(message.data)
            if message.type == WSMsgType.CLOSE:
                code, reason = message.data, message.extra or ""
        if not sink.closed:
            self._keep(vendor, way, f"{label}close {code}")
            unsaid = code in (0, 1006)  # none came, or one without a code: neither may be sent
            await sink.close(code=1011 if unsaid else code, message=reason.encode())

    def _keep(self, vendor: str, way: Way, kind: str, said: Any = None, query: Iterable[str] = ()) -> None:
        fields = (*fields_of(said), *sorted({(f"?{name}", "text") for name in query}))
        shown = tuple((self._hidden(path), of_type) for path, of_type in fields)
        self.messages.append(WireMessage(vendor, perf_counter() * 1000, way, self._hidden(kind), shown))

    def _hidden(self, name: str) -> str:
        return "(a key)" if any(secret in name for secret in self._secrets) else name


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not _OF_ONE_HOP.fullmatch(name)}


def _json(body: bytes | str) -> Any:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(body)
