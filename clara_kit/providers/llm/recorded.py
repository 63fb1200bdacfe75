"""Stands in the wire before the vendor's own SDK: plays kept answers, lets others through and keeps them.

Made for `ClaudeStreamingLLM(through=…)`. The SDK sends placeholders; they are filled here, on the way out, so that no
request is kept, and none hashed, with a word of a customer's. Only whole answers are kept: what was left before its end,
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

from clara_kit.providers.llm.calls import Call, Came, Frames, Json, Kept, Who, events_of, filled, frame, hidden, unknown

_OF_THE_WAY = ("content-encoding", "content-length", "transfer-encoding")  # what is heard is unpacked already
_STREAM = {"content-type": "text/event-stream; charset=utf-8"}


@dataclass(kw_only=True)
class Asking:
    """Who asks: the customer's words, and what may be done. Afterwards: `call`, the answer; `kept`, what is kept of it."""

    words: Mapping[str, str] = field(default_factory=dict)
    keeps: bool = False
    private: bool = False
    plays: bool = True
    """A kept answer will do."""
    customer: str = ""
    made: str = ""
    call: Call | None = None
    kept: Call | None = None


ASKING: ContextVar[Asking] = ContextVar("asking")
"""Of the request that the task which runs here makes; without one nothing is filled, played or kept."""


class Recorded(httpx2.AsyncBaseTransport):
    """asks: the client that goes to the vendor; None: nobody may be asked."""

    def __init__(self, kept: Kept, who: Who, asks: httpx2.AsyncClient | None) -> None:
        self._kept, self._who, self._asks = kept, who, asks

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx2."""
        body = _body(request)
        asking = ASKING.get(None) or Asking(plays=False)
        if body is None:  # not a question for Clara
            if self._asks is None:
                return httpx2.Response(200, json={"data": [], "has_more": False, "first_id": None, "last_id": None})
            return await self._asks.send(request, stream=True)
        call = self._kept.get(body, self._who) if asking.plays else None
        if call is not None:
            return httpx2.Response(200, headers=_STREAM, stream=_Played(call, asking.words))
        if self._asks is None:
            raise unknown(body, self._who)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        sent = self._asks.build_request("POST", request.url, headers=headers, json=filled(body, asking.words))
        sent.extensions = request.extensions
        began_s = asyncio.get_running_loop().time()
        response = await self._asks.send(sent, stream=True)
        if response.status_code == 200 and asking.keeps:
            heard = _Heard(response, self, body, asking, began_s)
            plain = {name: value for name, value in response.headers.items() if name.lower() not in _OF_THE_WAY}
            return httpx2.Response(200, headers=plain, stream=heard)
        return response

    def keep(self, body: Json, came: list[Came], asking: Asking) -> None:
        """A whole answer has come."""
        asking.call = Call(
            who=self._who, body=body, came=hidden(came, body, asking.words), made=asking.made, customer=asking.customer
        )
        asking.kept = self._kept.keep(asking.call, private=asking.private)

    async def aclose(self) -> None:
        """Close the connections behind."""
        if self._asks is not None:
            await self._asks.aclose()


def _body(request: httpx2.Request) -> Json | None:
    if request.method != "POST" or not request.url.path.endswith("/v1/messages"):
        return None
    body = json.loads(request.content)
    return body if body.get("stream") else None


class _Played(httpx2.AsyncByteStream):
    """A kept answer, at its times."""

    def __init__(self, call: Call, words: Mapping[str, str]) -> None:
        self._call, self._words = call, words

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for at_ms, event in events_of(self._call, self._words):
            if (wait_s := began_s + at_ms / 1000 - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            yield frame(event)


class _Heard(httpx2.AsyncByteStream):
    """The vendor's bytes, unpacked; what they say is noted on the side."""

    def __init__(self, response: httpx2.Response, of: Recorded, body: Json, asking: Asking, began_s: float) -> None:
        self._response, self._of, self._body, self._asking, self._began_s = response, of, body, asking, began_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop, frames, came, failed = asyncio.get_running_loop(), Frames(), list[Came](), False
        async for chunk in self._response.aiter_bytes():
            at_ms = round((loop.time() - self._began_s) * 1000, 1)
            for piece in frames.feed(chunk):
                came.append((at_ms, piece))
                kind = piece.get("type") if isinstance(piece, dict) else ""
                failed = failed or frames.broken or kind == "error"
                if kind == "message_stop" and not failed:
                    self._of.keep(self._body, came, self._asking)
            yield chunk

    async def aclose(self) -> None:
        """Leave the vendor at once."""
        await self._response.aclose()


def through(kept: Kept, who: Who, *, asks: bool = True) -> Any:
    """For `ClaudeStreamingLLM(through=…)`. asks: whether what is not kept may be asked of the vendor."""

    def made(client: httpx2.AsyncClient) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=Recorded(kept, who, client if asks else None), timeout=client.timeout)

    return made
