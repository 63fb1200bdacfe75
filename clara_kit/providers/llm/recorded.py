"""Stands in the wire before the vendor's own SDK, and notes what comes.

Made for `ClaudeStreamingLLM(through=…)`. The SDK sends placeholders; they are filled here, on the way out, so that no
request is noted, and none hashed, with a word of a customer's. Only whole answers are noted: what was left before its end,
refused, or broke off was none. No header is looked at or kept, and so no key.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import httpx2

from clara_kit.providers.llm.calls import Call, Came, Frames, Json, Who, filled, hidden

_OF_THE_WAY = ("content-encoding", "content-length", "transfer-encoding")  # what is heard is unpacked already


@dataclass(kw_only=True)
class Asking:
    """Who asks, with the customer's words. notes: whether the answer is noted, as `call`."""

    words: Mapping[str, str] = field(default_factory=dict)
    notes: bool = False
    customer: str = ""
    made: str = ""
    call: Call | None = None


ASKING: ContextVar[Asking] = ContextVar("asking")
"""Of the request that the task which runs here makes; without one nothing is filled or noted."""


class _Wire(httpx2.AsyncBaseTransport):
    """asks: the client that goes to the vendor."""

    def __init__(self, who: Who, asks: httpx2.AsyncClient) -> None:
        self._who, self._asks = who, asks

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx2."""
        body = _body(request)
        asking = ASKING.get(None) or Asking()
        if body is None:  # not a question for Clara
            return await self._asks.send(request, stream=True)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        sent = self._asks.build_request("POST", request.url, headers=headers, json=filled(body, asking.words))
        sent.extensions = request.extensions
        began_s = asyncio.get_running_loop().time()
        response = await self._asks.send(sent, stream=True)
        if response.status_code == 200 and asking.notes:
            heard = _Heard(response, self._who, body, asking, began_s)
            plain = {name: value for name, value in response.headers.items() if name.lower() not in _OF_THE_WAY}
            return httpx2.Response(200, headers=plain, stream=heard)
        return response

    async def aclose(self) -> None:
        """Close the connections behind."""
        await self._asks.aclose()


def _body(request: httpx2.Request) -> Json | None:
    if request.method != "POST" or not request.url.path.endswith("/v1/messages"):
        return None
    body = json.loads(request.content)
    return body if body.get("stream") else None


class _Heard(httpx2.AsyncByteStream):
    """The vendor's bytes, unpacked; what they say is noted on the side."""

    def __init__(self, response: httpx2.Response, who: Who, body: Json, asking: Asking, began_s: float) -> None:
        self._response, self._who, self._body, self._asking, self._began_s = response, who, body, asking, began_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop, frames, came, failed = asyncio.get_running_loop(), Frames(), list[Came](), False
        async for chunk in self._response.aiter_bytes():
            at_ms = round((loop.time() - self._began_s) * 1000, 1)
            for piece in frames.feed(chunk):
                came.append((at_ms, piece))
                kind = piece.get("type") if isinstance(piece, dict) else ""
                failed = failed or frames.broken or kind == "error"
                if kind == "message_stop" and not failed:
                    one = self._asking
                    one.call = Call(
                        who=self._who, body=self._body, came=hidden(came, self._body, one.words), made=one.made, customer=one.customer
                    )  # fmt: skip
            yield chunk

    async def aclose(self) -> None:
        """Leave the vendor at once."""
        await self._response.aclose()


def through(who: Who) -> Any:
    """For `ClaudeStreamingLLM(through=…)`."""

    def made(client: httpx2.AsyncClient) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=_Wire(who, client), timeout=client.timeout)

    return made
