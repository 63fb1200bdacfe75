"""A tap on the wire: a relay on 127.0.0.1 between the vendors' SDKs and whoever answers, live or twin.

Used by `live_check.py`. The providers get the relay's address instead of the vendor's, so the same code is
seen from outside, with fields that an SDK would drop. Only shapes and times are kept (`wire_shape.py`);
keys, words and sound pass through and are forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, WSMsgType, WSServerHandshakeError, web
from multidict import CIMultiDict
from yarl import URL

from clara_kit.doctor.shapes import Way, WireMessage, fields_of, kind_of
from clara_kit.runtime.clock import MonotonicClock

_OF_ONE_HOP = {
    "host", "connection", "keep-alive", "upgrade", "transfer-encoding", "content-length", "content-encoding",
    "accept-encoding", "te", "trailer", "proxy-authorization", "proxy-connection",
}  # fmt: skip
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CONNECT_S, _SILENCE_S = 5.0, 60.0
_CLOSE_S = 0.5
_TOLD = "(told)"  # the path of a socket whose address the vendor gave
_MAY_BE_SENT = frozenset({*range(1000, 1004), *range(1007, 1015)})  # as a farewell; 1006 means that none came
_HTTP_OF = {"ws": "http", "wss": "https"}


class WireTap:
    """An async context manager. targets: each vendor's base address (http, https, ws or wss)."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        self._targets = {name: _as_http(address) for name, address in targets.items()}
        self._sockets: list[str] = []  # addresses that a vendor told, which lead through the relay too
        self._clock = MonotonicClock()
        self.messages: list[WireMessage] = []

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("GET", "/told/{vendor}/{number}", self._told)
        app.router.add_route("*", "/{vendor}/{tail:.*}", self._relay)
        self._http = ClientSession(
            timeout=ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S), trust_env=False
        )
        self._proxied = ClientSession(
            timeout=ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S), trust_env=True
        )
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_CLOSE_S)
        await self._runner.setup()
        listening = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(self._runner, listening).start()
        self._origin = f"127.0.0.1:{listening.getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await self._http.close()
        await self._proxied.close()

    def base_url(self, vendor: str) -> str:
        """The address to give to a provider instead of the vendor's."""
        return f"http://{self._origin}/{vendor}"

    # --- one request ------------------------------------------------------------------------------------

    async def _relay(self, request: web.Request) -> web.StreamResponse:
        vendor = request.match_info["vendor"]
        if vendor not in self._targets:
            return web.json_response({"error": {"message": "no such vendor"}}, status=404)
        path = request.raw_path.partition("?")[0].removeprefix(f"/{vendor}")
        raw = request.rel_url.raw_query_string  # as it came: keyterms have spaces and accents
        query = f"?{raw}" if raw else ""
        address = URL(self._targets[vendor] + path + query, encoded=True)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._relay_socket(request, vendor, path, address)
        body = await request.read()
        asked = _json(body)
        self._keep(vendor, "sent", f"{request.method} {path}", (*fields_of(asked), *_query(request)))
        headers = {**_passed_on(request.headers), "Accept-Encoding": "identity"}
        try:
            async with self._client(address).request(
                request.method, address, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                return await self._answer(request, vendor, path, answer)
        except (ClientError, OSError, TimeoutError) as exc:
            return self._unreachable(vendor, path, exc)

    async def _answer(self, request: web.Request, vendor: str, path: str, answer: Any) -> web.StreamResponse:
        kind = f"{answer.status} {path}"
        headers = CIMultiDict(_passed_on(answer.headers))
        if answer.content_type != "text/event-stream" and not answer.content_type.startswith("audio/"):
            body = await answer.read()
            said = _json(body)
            self._keep(vendor, "received", kind, fields_of(said))
            if _has_sockets(said):
                body = json.dumps(self._through_here(vendor, said)).encode()
            return web.Response(body=body, status=answer.status, headers=headers)
        self._keep(vendor, "received", kind)
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        waiting = b""
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
            if answer.content_type != "text/event-stream":
                self._keep(vendor, "received", "sound")
                continue
            *lines, waiting = (waiting + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    said = _json(line[5:])
                    self._keep(vendor, "received", kind_of(said, "data"), fields_of(said))
        await response.write_eof()
        return response

    # --- one socket -------------------------------------------------------------------------------------

    async def _told(self, request: web.Request) -> web.StreamResponse:
        number = request.match_info["number"]
        if not number.isdigit() or int(number) >= len(self._sockets):
            return web.json_response({"error": {"message": "no such socket"}}, status=404)
        address = URL(self._sockets[int(number)], encoded=True)
        return await self._relay_socket(request, request.match_info["vendor"], _TOLD, address)

    async def _relay_socket(
        self, request: web.Request, vendor: str, path: str, address: URL
    ) -> web.StreamResponse:
        self._keep(vendor, "sent", f"open socket {path}", _query(request))
        wanted = request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = tuple(p.strip() for p in wanted.split(",") if p.strip())
        headers = {n: v for n, v in _passed_on(request.headers).items() if not n.lower().startswith("sec-")}
        try:
            far = await self._client(address).ws_connect(
                address, headers=headers, protocols=protocols, max_msg_size=0
            )
        except WSServerHandshakeError as exc:
            self._keep(vendor, "received", f"{exc.status} {path}")
            refusal = _passed_on(exc.headers or {})
            return web.Response(status=exc.status, headers=refusal)
        except (ClientError, OSError, TimeoutError) as exc:
            return self._unreachable(vendor, path, exc)
        self._keep(vendor, "received", f"101 {path}")
        # A vendor may have several sockets, with messages of equal names.
        label = "" if path == _TOLD else f"{path.rpartition('/')[2]} "
        near = web.WebSocketResponse(max_msg_size=0, protocols=protocols)
        try:
            await near.prepare(request)
            inwards = asyncio.create_task(self._pump(vendor, label, "received", far, near))
            outwards = asyncio.create_task(self._pump(vendor, label, "sent", near, far))
            try:
                await asyncio.wait({inwards, outwards}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in (inwards, outwards):
                    way.cancel()
                await asyncio.gather(inwards, outwards, return_exceptions=True)
        finally:
            await _farewell(far, 1000, b"")
        code, reason = inwards.result() if inwards.done() and not inwards.cancelled() else (1000, "")
        await _farewell(near, code if code in _MAY_BE_SENT or 3000 <= code < 5000 else 1011, reason.encode())
        return near

    async def _pump(self, vendor: str, label: str, way: Way, source: Any, sink: Any) -> tuple[int, str]:
        """Pass on what comes until it ends; returns the farewell's code and reason."""
        while True:
            message = await source.receive()
            if message.type == WSMsgType.BINARY:
                self._keep(vendor, way, f"{label}sound")
                await sink.send_bytes(message.data)
            elif message.type == WSMsgType.TEXT:
                said = _json(message.data)
                self._keep(vendor, way, label + kind_of(said, "text"), fields_of(said))
                await sink.send_str(message.data)
            else:
                code = message.data if message.type == WSMsgType.CLOSE else source.close_code or 1006
                self._keep(vendor, way, f"{label}close {code}")
                return int(code), message.extra or ""

    # --- small things -----------------------------------------------------------------------------------

    def _client(self, address: URL) -> ClientSession:
        return self._http if address.host in _LOOPBACK else self._proxied

    def _keep(self, vendor: str, way: Way, kind: str, fields: tuple[tuple[str, str], ...] = ()) -> None:
        now_ms = self._clock.now_ms()
        self.messages.append(WireMessage(vendor=vendor, at_ms=now_ms, way=way, kind=kind, fields=fields))

    def _unreachable(self, vendor: str, path: str, exc: BaseException) -> web.Response:
        self._keep(vendor, "received", f"not reachable {path}")
        reason = f"cannot be reached ({type(exc).__name__})"
        return web.json_response({"error": {"message": reason}}, status=503, headers={"dg-error": reason})

    def _through_here(self, vendor: str, said: Any) -> Any:
        """The same answer, with the addresses of sockets leading through the relay."""
        if isinstance(said, list):
            return [self._through_here(vendor, part) for part in said]
        if not isinstance(said, dict):
            return said
        out = {name: self._through_here(vendor, part) for name, part in said.items()}
        if isinstance(out.get("ws_url"), str):
            self._sockets.append(out["ws_url"])
            out["ws_url"] = f"ws://{self._origin}/told/{vendor}/{len(self._sockets) - 1}"
        return out


async def _farewell(end: Any, code: int, reason: bytes) -> None:
    with contextlib.suppress(Exception):  # that end may be gone already
        async with asyncio.timeout(_CLOSE_S):
            await end.close(code=code, message=reason)


def _has_sockets(said: Any) -> bool:
    if isinstance(said, dict):
        return isinstance(said.get("ws_url"), str) or any(map(_has_sockets, said.values()))
    return isinstance(said, list) and any(map(_has_sockets, said))


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {n: v for n, v in headers.items() if n.lower() not in _OF_ONE_HOP}


def _query(request: web.Request) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({(f"?{name}", "text") for name in request.query}))


def _json(body: bytes | str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _as_http(address: str) -> str:
    scheme, _, rest = address.rstrip("/").partition("://")
    return f"{_HTTP_OF.get(scheme, scheme)}://{rest}"
