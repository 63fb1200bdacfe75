"""The twin of Anthropic's Messages API: answers from data, obeys what it can sense, streams at the profile's pace."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import replace
from itertools import count
from typing import Any

from aiohttp import web

from clara_kit.conversation.history import without_notes
from clara_kit.core.commands import Message
from clara_kit.world.answers import AnswerBook, tokenize
from clara_kit.world.faults import Fault, find
from clara_kit.world.instructions import sense
from clara_kit.world.pace import here_s
from clara_kit.world.timelines import answer, how_asked, unsaid
from clara_kit.world.twins.anthropic.message import THOUGHT, Said, message_of, model_info
from clara_kit.world.twins.anthropic.rules import ERROR_TYPES, MODELS, VERSIONS, ApiError, PromptCache, Request, check
from clara_kit.world.twins.base import TwinContext, json_of, nowhere

IN_STREAM = ("cut", "stall", "error", "garble", "truncate")  # faults that can strike while an answer streams
THINKING_MS = 600.0  # how long an unasked-for thinking block delays the first word here; an estimate


class AnthropicTwin:
    """Mounted under `/anthropic`. `requests` keeps the last bodies received, without keys."""

    name = "anthropic"

    def __init__(self, context: TwinContext, book: AnswerBook) -> None:
        self._context, self._book = context, book
        self._cache = PromptCache()
        self._ids = count(1)
        self.requests: deque[dict[str, Any]] = deque(maxlen=100)
        self.cancelled = 0
        """Streams that a client left before their end."""

    def add_routes(self, app: web.Application) -> None:
        """Register handlers under `/anthropic/v1`."""
        app.router.add_post("/anthropic/v1/messages", self._guarded(self._messages))
        app.router.add_post("/anthropic/v1/messages/count_tokens", self._guarded(self._count))
        app.router.add_get("/anthropic/v1/models", self._guarded(self._models))
        app.router.add_get("/anthropic/v1/models/{model}", self._guarded(self._model))
        app.router.add_route("*", "/anthropic/{elsewhere:.*}", self._guarded(self._nowhere, known=False))

    def addresses(self, host_port: str) -> dict[str, str]:
        """For `AsyncAnthropic(base_url=...)`."""
        return {"base_url": f"http://{host_port}/anthropic"}

    async def close(self) -> None:
        """Nothing outlives its request."""

    def _guarded(self, handler: Any, *, known: bool = True) -> Any:
        """Check key and version (where a path is known), and word errors as the API does."""

        async def handle(request: web.Request) -> web.StreamResponse:
            request_id = f"req_011twin{next(self._ids):014d}"
            try:
                if known:
                    self._check(request)
                response: web.StreamResponse = await handler(request, request_id)
                return response
            except (ApiError, web.HTTPRequestEntityTooLarge) as exc:
                error = exc if isinstance(exc, ApiError) else ApiError(413, ERROR_TYPES[413], "Request too large")
                headers = {"request-id": request_id, **error.headers}
                return web.json_response(error.body(request_id), status=error.status, headers=headers)

        return handle

    def _check(self, request: web.Request) -> None:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        key, version = request.headers.get("x-api-key") or bearer, request.headers.get("anthropic-version")
        if not self._context.accepts(key):
            raise ApiError(401, ERROR_TYPES[401], "invalid x-api-key" if key else "x-api-key header is required")
        if version not in VERSIONS:
            wrong = "header is required" if version is None else "is not a valid version"
            raise ApiError(400, ERROR_TYPES[400], f"anthropic-version: {wrong}")

    async def _nowhere(self, request: web.Request, _request_id: str) -> web.StreamResponse:
        status = await nowhere(request)
        raise ApiError(status, ERROR_TYPES[status], "Not Found" if status == 404 else "Method Not Allowed")

    async def _body(self, request: web.Request) -> Any:
        try:
            body = await json_of(request)
            json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError as exc:  # half a character, escaped: github.com/anthropics/claude-code/issues/2108
            why = "The request body is not valid JSON: no low surrogate in string."
            raise ApiError(400, ERROR_TYPES[400], why) from exc
        except (ValueError, RecursionError) as exc:
            raise ApiError(400, ERROR_TYPES[400], "The request body is not valid JSON.") from exc
        return body

    async def _count(self, request: web.Request, request_id: str) -> web.StreamResponse:
        body = await self._body(request)
        checked = check(
            {"max_tokens": 1, **body} if isinstance(body, dict) else body, request.headers["anthropic-version"]
        )
        return web.json_response({"input_tokens": checked.tokens}, headers={"request-id": request_id})

    async def _models(self, request: web.Request, request_id: str) -> web.StreamResponse:
        names, limit, after = list(MODELS), request.query.get("limit", "20"), request.query.get("after_id")
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= 1000:
            raise ApiError(400, ERROR_TYPES[400], "limit: Input should be between 1 and 1000")
        rest = names[names.index(after) + 1 :] if after in names else names
        data = [model_info(name) for name in rest[: int(limit)]]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
        page = {"data": data, "has_more": len(rest) > len(data), **ends}
        return web.json_response(page, headers={"request-id": request_id})

    async def _model(self, request: web.Request, request_id: str) -> web.StreamResponse:
        name = request.match_info["model"]
        if name not in MODELS:
            raise ApiError(404, "not_found_error", f"model: {name}")
        return web.json_response(model_info(name), headers={"request-id": request_id})

    async def _messages(self, request: web.Request, request_id: str) -> web.StreamResponse:
        body = await self._body(request)
        self.requests.append(body if isinstance(body, dict) else {})
        checked = check(body, request.headers["anthropic-version"])
        asked = (
            checked.max_tokens > 0
        )  # else only the prompt is to be kept: no occasion for a fault, and no figure is drawn
        faults = self._context.faults.next_occasion("llm") if asked else ()
        await self._think(checked, faults)
        usage = self._cache.usage(checked, here_s())
        said = Said([], "refusal") if find(faults, "decline") else self._answer(checked)
        if not checked.stream:
            return await self._whole(request, request_id, checked, usage, said, faults)
        stream = _Stream(request, request_id)
        try:
            await stream.open()
            began_s = here_s()
            waiting = [f for f in faults if f.kind in IN_STREAM]

            def take(fault: Fault) -> bool:
                """A fault for the stream that runs now, from any thread."""
                if fault.kind in IN_STREAM:
                    now_ms = (here_s() - began_s) * 1000
                    waiting.append(replace(fault, after_ms=now_ms + fault.after_ms))
                return fault.kind in IN_STREAM

            with self._context.faults.running("llm", take):
                await self._stream(stream, checked, usage, said, waiting)
        except ConnectionResetError:
            self.cancelled += 1
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return stream.response

    async def _think(self, checked: Request, faults: tuple[Fault, ...]) -> None:
        """Wait for the first token, or refuse."""
        if not checked.max_tokens:
            return
        refusal, slow, stall = find(faults, "refuse"), find(faults, "slow"), find(faults, "stall")
        if refusal is not None:
            kind = refusal.detail or ERROR_TYPES.get(refusal.status, "api_error")
            says = "Overloaded" if refusal.status == 529 else f"Refused with {refusal.status}."
            raise ApiError(refusal.status, kind, says, refusal.retry_after)
        wait_ms = self._context.draw("llm_first_token") + (slow.for_ms if slow else 0.0)
        if stall is not None and stall.after_ms == 0:
            wait_ms += stall.for_ms or 3_600_000
        await asyncio.sleep(wait_ms / 1000)

    def _answer(self, checked: Request) -> Said:
        if checked.max_tokens == 0:
            return Said([], "max_tokens")
        asked = [text for role, text in checked.turns if role == "user"]
        first, already = how_asked([Message(role=role, text=text) for role, text in checked.turns])  # type: ignore[arg-type]
        sensed = sense(checked.system)
        *before, question = [said for text in asked if (said := without_notes(text, asides=False))] or asked
        text = unsaid(answer(self._book, question, sensed, history=before, first=first), already)
        at, stop = min(
            ((text.index(stop), stop) for stop in checked.stop_sequences if stop in text), default=(None, None)
        )
        tokens = tokenize(text[:at])
        if len(tokens) > checked.max_tokens:
            return Said(tokens[: checked.max_tokens], "max_tokens")
        return Said(tokens, "stop_sequence" if stop else "end_turn", stop)

    async def _whole(
        self, request: web.Request, request_id: str, checked: Request, usage: dict[str, Any], said: Said,
        faults: tuple[Fault, ...],
    ) -> web.StreamResponse:  # fmt: skip
        """The same message as by a stream, at once; of the faults of a stream those that a single answer can have."""
        per_token_s = self._per_token_s() if checked.max_tokens else 0.0
        for fault in sorted((f for f in faults if f.kind in IN_STREAM), key=lambda f: f.after_ms):
            if fault.kind == "cut" and request.transport is not None:
                request.transport.abort()
            elif fault.kind == "error":
                kind = fault.detail or "overloaded_error"
                status = next((s for s, name in ERROR_TYPES.items() if name == kind), 500)
                raise ApiError(status, kind, "Overloaded")
            elif fault.kind == "truncate":
                said = Said(said.tokens[: round(fault.after_ms / 1000 / per_token_s)], "max_tokens")
            elif fault.kind == "stall" and fault.after_ms:  # one at the beginning was waited for already
                await asyncio.sleep((fault.for_ms or 3_600_000) / 1000)
        await asyncio.sleep(self._thinking_s(checked) + len(said.tokens) * per_token_s)
        text = [{"type": "text", "text": "".join(said.tokens)}] if said.tokens else []
        message = {
            **message_of(request_id, checked.model.name, usage), **said.ends, "usage": said.used(usage),
            "content": [*([THOUGHT] if checked.thinking else []), *text],
        }  # fmt: skip
        return web.json_response(message, headers={"request-id": request_id})

    def _per_token_s(self) -> float:
        return 1 / max(1.0, self._context.draw("llm_tokens_per_s"))

    def _thinking_s(self, checked: Request) -> float:
        return THINKING_MS / 1000 if checked.thinking and self._context.profile.name != "fast" else 0.0

    async def _stream(
        self, stream: _Stream, checked: Request, usage: dict[str, Any], said: Said, waiting: list[Fault]
    ) -> None:
        await stream.send("message_start", message=message_of(stream.request_id, checked.model.name, usage))
        await stream.send("ping")
        index = 0
        if checked.thinking:
            await stream.send(
                "content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""}
            )
            await asyncio.sleep(self._thinking_s(checked))
            signed = {"type": "signature_delta", "signature": THOUGHT["signature"]}
            await stream.send("content_block_delta", index=0, delta=signed)
            await stream.send("content_block_stop", index=0)
            index = 1
        if said.tokens:
            await stream.send("content_block_start", index=index, content_block={"type": "text", "text": ""})
        began, per_token_s = here_s(), self._per_token_s()
        for n, token in enumerate(said.tokens):
            due = began + n * per_token_s
            while fault := next((f for f in waiting if (due - began) * 1000 >= f.after_ms), None):
                waiting.remove(fault)
                if fault.kind == "truncate":
                    return await self._end(stream, index, usage, Said(said.tokens[:n], "max_tokens"))
                if await self._misbehave(stream, fault):
                    return None
            if (wait_s := due - here_s()) > 0:
                await asyncio.sleep(wait_s)
            await stream.send("content_block_delta", index=index, delta={"type": "text_delta", "text": token})
        while waiting:
            if await self._misbehave(stream, waiting.pop(0)):
                return None
        return await self._end(stream, index if said.tokens else None, usage, said)

    async def _end(self, stream: _Stream, open_block: int | None, usage: dict[str, Any], said: Said) -> None:
        if open_block is not None:
            await stream.send("content_block_stop", index=open_block)
        await stream.send("message_delta", delta=said.ends, usage=said.used(usage))
        await stream.send("message_stop")
        await stream.response.write_eof()

    async def _misbehave(self, stream: _Stream, fault: Fault) -> bool:
        """Play a fault; True when the stream is over."""
        if fault.kind == "cut":
            stream.abort()
            return True
        if fault.kind == "error":
            await stream.send(
                "error",
                error={"type": fault.detail or "overloaded_error", "message": "Overloaded"},
                request_id=stream.request_id,
            )
            await stream.response.write_eof()
            return True
        if fault.kind == "stall":
            await asyncio.sleep((fault.for_ms or 3_600_000) / 1000)
        if fault.kind == "garble":
            await stream.raw(
                'event: brand_new\ndata: {"type":"brand_new","what":1}\n\ndata: {"type":"no_event_line"}\n\n'
            )
            await stream.send("content_block_delta", index=0, delta={"type": "unknown_delta", "value": 1})
            await stream.send("content_block_stop", index=7)  # of a block that never began
        return False


class _Stream:
    """Server-sent events of one answer."""

    def __init__(self, request: web.Request, request_id: str) -> None:
        self._request, self.request_id = request, request_id
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "request-id": request_id,
        }
        self.response = web.StreamResponse(headers=headers)

    async def open(self) -> None:
        await self.response.prepare(self._request)

    async def send(self, event: str, **data: Any) -> None:
        await self.raw(f"event: {event}\ndata: {json.dumps({'type': event, **data}, ensure_ascii=False)}\n\n")

    async def raw(self, text: str) -> None:
        if self._request.transport is None or self._request.transport.is_closing():
            raise ConnectionResetError("the client has left")
        await self.response.write(text.encode())

    def abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()
