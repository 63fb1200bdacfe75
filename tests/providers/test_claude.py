"""ClaudeStreamingLLM against a small server of its own, written from Anthropic's wire format alone."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit.conversation.conversation import Conversation
from clara_kit.core.commands import Message, RequestReply, Speak
from clara_kit.core.errors import ProviderRefused, ProviderUnavailable, SettingsError
from clara_kit.core.events import (
    Event,
    ProviderFailed,
    ReplyCompleted,
    ReplyDelta,
    ReplyStarted,
    SpeakingEnded,
    SpeakingStarted,
    TextTyped,
    Usage,
)  # fmt: skip
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Settings
from clara_kit.providers.llm import pricing
from clara_kit.providers.llm.base import LLMProvider, ReplyRequest
from clara_kit.providers.llm.claude import ClaudeStreamingLLM
from clara_kit.providers.llm.claude_request import wire_messages
from clara_kit.providers.llm.claude_tally import Tally
from clara_kit.world.pace import now_s

KEY = "test-key-1234"
PROMPT = Prompt(static="Eres Clara.", personal="La clienta se llama Antonia.")


class RealClock:
    def __init__(self) -> None:
        self._start = now_s()

    def now_ms(self) -> float:
        return (now_s() - self._start) * 1000


def sse(name: str, **data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


def message_start(**usage: int) -> bytes:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    counts = {"input_tokens": 12, "output_tokens": 1, **usage}
    return sse("message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": counts})


def block_start(index: int = 0, kind: str = "text") -> bytes:
    block = {"type": "text", "text": ""} if kind == "text" else {"type": "thinking", "thinking": "", "signature": ""}
    return sse("content_block_start", index=index, content_block=block)


def delta(text: str, index: int = 0) -> bytes:
    return sse("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


def ending(stop_reason: str = "end_turn", **usage: int) -> bytes:
    counts = {"output_tokens": 15, **usage}
    return (
        sse("content_block_stop", index=0)
        + sse("message_delta", delta={"stop_reason": stop_reason, "stop_sequence": None}, usage=counts)
        + sse("message_stop")
    )


def answer(*texts: str) -> bytes:
    return message_start() + sse("ping") + block_start() + b"".join(delta(t) for t in texts) + ending()


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Exchange:
    """One request and the way to answer it."""

    request: Request
    writer: asyncio.StreamWriter
    gone: asyncio.Event

    async def head(self, status: int = 200, content_type: str = "text/event-stream", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-type: {content_type}", "request-id: req_011twin01"]
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
        self.writer.write(("\r\n".join([*lines, "transfer-encoding: chunked"]) + "\r\n\r\n").encode())
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()

    async def end(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def error(self, status: int, kind: str, message: str, **headers: str) -> None:
        await self.head(status, "application/json", **headers)
        await self.send(json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode())
        await self.end()


Script = Callable[[Exchange], Awaitable[None]]


@dataclass
class FakeAnthropic:
    script: Script
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)  # a client did, in the middle of an answer
    base_url: str = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {k.lower(): v for k, v in (h.split(": ", 1) for h in head[1:] if h)}
                raw = await reader.readexactly(int(headers.get("content-length", 0)))
                request = Request(method, path, headers, json.loads(raw) if raw else {})
                self.requests.append(request)
                exchange = Exchange(request, writer, asyncio.Event())
                work = asyncio.ensure_future(self.script(exchange))
                watch = asyncio.ensure_future(self._watch(reader, writer, exchange, work))
                await asyncio.wait({work})
                watch.cancel()
                if isinstance(work.exception(), ConnectionError):  # the script has seen it before the watch did
                    self.left.set()
                work.result()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _watch(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: Exchange, work: asyncio.Future[None]
    ) -> None:
        while not reader.at_eof() and reader.exception() is None:
            await asyncio.sleep(0.0005)
        self.left.set()
        exchange.gone.set()


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[FakeAnthropic]:
    fake = FakeAnthropic(script)
    server = await asyncio.start_server(fake.handle, "127.0.0.1", 0)
    fake.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()


def llm_at(base_url: str, **options: Any) -> ClaudeStreamingLLM:
    return ClaudeStreamingLLM(**{"api_key": KEY, "clock": RealClock(), "base_url": base_url, **options})


def ask(*texts: str, prompt: Prompt = PROMPT) -> ReplyRequest:
    said = texts or ("¿Qué crema me sirve?",)
    messages = tuple(Message(role="assistant" if i % 2 else "user", text=t) for i, t in enumerate(said))
    return ReplyRequest(reply_id=7, prompt=prompt, messages=messages)


async def collect(llm: LLMProvider, request: ReplyRequest | None = None) -> list[Event]:
    async with llm.reply(request or ask()) as events:
        return [e async for e in events]


async def run(script: Script, request: ReplyRequest | None = None, **options: Any) -> tuple[list[Event], FakeAnthropic]:
    async with serving(script) as fake:
        llm = llm_at(fake.base_url, **options)
        try:
            return await asyncio.wait_for(collect(llm, request), 5), fake
        finally:
            await llm.aclose()


def streaming(*parts: bytes) -> Script:
    async def script(x: Exchange) -> None:
        await x.head()
        for part in parts:
            await x.send(part)
        await x.end()

    return script


def failing(status: int, kind: str, message: str, **headers: str) -> Script:
    return lambda x: x.error(status, kind, message, **headers)


def only_failure(events: list[Event]) -> ProviderFailed:
    ends = [e for e in events if isinstance(e, ReplyCompleted | ProviderFailed)]
    assert len(ends) == 1
    assert ends[0] is events[-1]
    failure = ends[0]
    assert isinstance(failure, ProviderFailed)
    assert failure.service == "llm"
    assert failure.reply_id == 7
    assert KEY not in failure.message + failure.hint
    return failure


# --- a reply -------------------------------------------------------------------------------------------


async def test_a_character_streamed_in_two_halves_is_whole_where_it_is_decided_upon_and_asked_with_again() -> None:
    conversation = Conversation(Settings.of(greeting=""))
    conversation.handle(TextTyped(at_ms=0, text="Hola"))
    request = replace(ask("Hola"), reply_id=1)
    events, _ = await run(streaming(answer("¡Hola \ud83d", "\ude42! Te ayudo. \ud83d")), request)
    said = [c for e in events for c in conversation.handle(e) if isinstance(c, Speak)]
    assert " ".join(c.text for c in said) == "¡Hola 🙂! Te ayudo. \ufffd"
    now_ms = events[-1].at_ms
    conversation.handle(SpeakingStarted(at_ms=now_ms, utterance_id=said[0].utterance_id))
    conversation.handle(SpeakingEnded(at_ms=now_ms + 900, utterance_id=said[0].utterance_id))
    asked = [
        c for c in conversation.handle(TextTyped(at_ms=now_ms + 950, text="¿Y \udead?")) if isinstance(c, RequestReply)
    ]
    again = ReplyRequest(reply_id=2, prompt=PROMPT, messages=asked[0].messages)
    events, fake = await run(streaming(answer("Sí.")), again)
    assert isinstance(events[-1], ReplyCompleted)
    assert [m["content"] for m in fake.requests[0].body["messages"]] == [
        "Hola",
        "¡Hola 🙂! Te ayudo. \ufffd",
        "¿Y \ufffd?",
    ]


async def test_a_reply_is_started_then_its_text_comes_then_it_is_completed() -> None:
    events, _ = await run(streaming(answer("Hola. ", "Te sirve ", "el gel.")))
    assert [type(e) for e in events] == [ReplyStarted, ReplyDelta, ReplyDelta, ReplyDelta, ReplyCompleted]
    assert events[0] == ReplyStarted(
        at_ms=events[0].at_ms, reply_id=7, model="claude-haiku-5-5", prompt_hash=PROMPT.hash
    )
    assert "".join(e.text for e in events if isinstance(e, ReplyDelta)) == "Hola. Te sirve el gel."
    assert [e.at_ms for e in events] == sorted(e.at_ms for e in events)
    end = events[-1]
    assert isinstance(end, ReplyCompleted)
    assert end.stop_reason == "end_turn"


async def test_the_request_holds_what_the_api_wants_and_nothing_that_it_refuses() -> None:
    _, fake = await run(streaming(answer("Hola.")), ask("Hola", "¡Hola!", "¿Qué me recomiendas?"))
    request = fake.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert KEY in request.headers.get("x-api-key", "") + request.headers.get("authorization", "")
    assert request.body == {
        "model": "claude-haiku-5-5",
        "max_tokens": 195,
        "stream": True,
        "thinking": {"type": "disabled"},
        "system": [
            {"type": "text", "text": "Eres Clara.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "La clienta se llama Antonia."},
        ],
        "messages": [
            {"role": "user", "content": "Hola"},
            {"role": "assistant", "content": "¡Hola!"},
            {"role": "user", "content": "¿Qué me recomiendas?"},
        ],
    }


async def test_an_older_model_gets_the_temperature_under_the_older_api_version() -> None:
    _, fake = await run(streaming(answer("Hola.")), model="claude-haiku-4-5", temperature=0.4)
    assert fake.requests[0].body["temperature"] == 0.4
    assert fake.requests[0].headers["anthropic-version"] == "2023-06-01"


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-haiku-5-5", "claude-sonnet-5", "claude-unheard-of"])
async def test_no_temperature_is_sent_where_none_is_set_or_none_is_taken(model: str) -> None:
    temperature = None if model == "claude-haiku-4-5" else 0.7
    _, fake = await run(streaming(answer("Hola.")), model=model, temperature=temperature)
    assert "temperature" not in fake.requests[0].body
    assert fake.requests[0].headers["anthropic-version"] != "2023-06-01"


async def test_a_model_that_always_thinks_is_not_told_to_stop() -> None:
    _, fake = await run(streaming(answer("Hola.")), model="claude-opus-5-5")
    assert "thinking" not in fake.requests[0].body


async def test_a_prompt_without_a_personal_part_has_one_block_and_an_empty_one_none() -> None:
    _, one = await run(streaming(answer("a")), ask(prompt=Prompt(static="Eres Clara.")))
    assert len(one.requests[0].body["system"]) == 1
    _, none = await run(streaming(answer("a")), ask(prompt=Prompt(static="")))
    assert "system" not in none.requests[0].body


async def test_thinking_and_unknown_frames_are_passed_over() -> None:
    thinking = {"type": "thinking_delta", "thinking": "mmm"}
    events, _ = await run(
        streaming(
            message_start(),
            block_start(0, "thinking"),
            sse("content_block_delta", index=0, delta=thinking),
            sse("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "x"}),
            sse("brand_new_event", what="ever"),
            b": a comment\n\n",
            sse("content_block_delta", index=1, delta={"type": "hologram_delta", "text": "no"}),
            block_start(1),
            delta("Hola.", 1),
            ending(),
        )
    )
    assert [e.text for e in events if isinstance(e, ReplyDelta)] == ["Hola."]


@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "stop_sequence", "model_context_window_exceeded"])
async def test_every_stop_reason_is_a_completion_and_is_told_as_it_came(reason: str) -> None:
    events, _ = await run(streaming(message_start(), block_start(), delta("Ho"), ending(reason)))
    assert isinstance(events[-1], ReplyCompleted)
    assert events[-1].stop_reason == reason


async def test_a_refusal_without_a_word_is_a_completion() -> None:
    events, _ = await run(streaming(message_start(), ending("refusal")))
    assert [type(e) for e in events] == [ReplyStarted, ReplyCompleted]


STARTED = message_start(input_tokens=100, cache_read_input_tokens=2000, cache_creation_input_tokens=500) + block_start()
NAMED = {"input_tokens": 100, "cache_read_tokens": 2000, "cache_write_tokens": 500}
SAID = "Te recomiendo la crema."


def told(usage: Usage | None) -> dict[str, int]:
    assert usage is not None and usage.cost_usd is not None and usage.cost_usd > 0
    return {name: getattr(usage, name) for name in NAMED}


@pytest.mark.parametrize(
    "rest",
    [b"", delta(SAID), delta(SAID) + sse("error", error={"type": "overloaded_error", "message": "Overloaded"})],
    ids=["cut before a word", "cut", "error"],
)
async def test_a_reply_that_breaks_off_tells_what_was_paid_for_it(rest: bytes) -> None:
    failure = only_failure((await run(streaming(STARTED + rest)))[0])
    assert told(failure.usage) == NAMED
    assert failure.usage is not None and failure.usage.output_estimated
    assert failure.usage.output_tokens == (
        9 if rest else 1
    )  # 23 characters; what the vendor says at the start is no count


async def test_a_reply_that_was_never_begun_costs_nothing() -> None:
    assert only_failure((await run(failing(529, "overloaded_error", "Overloaded")))[0]).usage is None
    assert only_failure((await run(streaming(sse("ping"))))[0]).usage is None


async def test_what_the_end_of_a_reply_counted_holds_where_its_stop_never_comes() -> None:
    parts = STARTED + delta(SAID) + ending(output_tokens=6).split(b"event: message_stop")[0]
    usage = only_failure((await run(streaming(parts)))[0]).usage
    assert told(usage) == NAMED
    assert usage is not None and (usage.output_tokens, usage.output_estimated) == (6, False)


@pytest.mark.parametrize("later", [0, -1, None, True, 1e9, "40", 10**30])
async def test_a_later_count_that_is_none_takes_nothing_back(later: Any) -> None:
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    again = sse("message_delta", delta={}, usage={"output_tokens": 40}) + ending(**dict.fromkeys(names, later))
    end = (await run(streaming(STARTED + delta(SAID) + again)))[0][-1]
    assert isinstance(end, ReplyCompleted)
    assert told(end.usage) == NAMED
    assert (end.usage.output_tokens, end.usage.output_estimated) == (40, False)


@pytest.mark.parametrize("how", ["left", "cancelled"])
async def test_a_reply_that_is_dropped_in_mid_stream_tells_afterwards_what_was_paid_for_it(how: str) -> None:
    async def script(x: Exchange) -> None:
        await x.head()
        await x.send(STARTED + delta(SAID))
        await x.gone.wait()

    late: list[ReplyCompleted] = []
    seen = asyncio.Event()

    async def listen(llm: ClaudeStreamingLLM) -> None:
        async with llm.reply(ask()) as events:
            async for event in events:
                if isinstance(event, ReplyDelta):
                    assert not late
                    seen.set()
                    if how == "left":
                        return

    async with serving(script) as fake:
        llm = llm_at(fake.base_url)
        llm.on_cancelled = late.append
        listening = asyncio.create_task(listen(llm))
        await seen.wait()
        if how == "cancelled":
            listening.cancel()
        await asyncio.wait({listening})
        await llm.aclose()
    assert [(e.reply_id, e.stop_reason) for e in late] == [(7, "cancelled")]
    assert told(late[0].usage) == NAMED
    assert (late[0].usage.output_tokens, late[0].usage.output_estimated) == (9, True)


async def test_a_reply_is_told_of_once() -> None:
    late: list[ReplyCompleted] = []
    for parts in (answer(SAID), STARTED + delta(SAID)):
        async with serving(streaming(parts)) as fake:
            llm = llm_at(fake.base_url)
            llm.on_cancelled = late.append
            assert isinstance((await collect(llm))[-1], ReplyCompleted | ProviderFailed)
            await llm.aclose()
    assert not late


async def test_usage_and_cost_are_told_with_the_cache() -> None:
    start = message_start(input_tokens=100, cache_read_input_tokens=2000, cache_creation_input_tokens=500)
    events, _ = await run(streaming(start, block_start(), delta("Hola."), ending(output_tokens=40)))
    end = events[-1]
    assert isinstance(end, ReplyCompleted)
    assert end.usage.input_tokens == 100
    assert end.usage.output_tokens == 40
    assert end.usage.cache_read_tokens == 2000
    assert end.usage.cache_write_tokens == 500
    assert end.usage.cost_usd == pytest.approx((100 * 0.1 + 40 * 0.5 + 500 * 0.125 + 2000 * 0.01) / 1e6)


async def test_the_cost_of_an_unknown_model_is_none() -> None:
    events, _ = await run(streaming(answer("a")), model="claude-unheard-of")
    assert isinstance(events[-1], ReplyCompleted)
    assert events[-1].usage.cost_usd is None


async def test_deltas_arrive_while_the_reply_is_still_being_made() -> None:
    more = asyncio.Event()

    async def script(x: Exchange) -> None:
        await x.head()
        await x.send(message_start() + block_start() + delta("Hola. "))
        await more.wait()
        await x.send(delta("Ya.") + ending())
        await x.end()

    async with serving(script) as fake:
        llm = llm_at(fake.base_url)
        async with llm.reply(ask()) as events:
            seen = [await anext(events), await anext(events)]
            assert isinstance(seen[1], ReplyDelta)
            assert seen[1].text == "Hola. "
            more.set()
            rest = [e async for e in events]
        assert isinstance(rest[-1], ReplyCompleted)
        await llm.aclose()


async def test_a_completed_reply_leaves_its_connection_for_the_next_one() -> None:
    async with serving(streaming(answer("Hola."))) as fake:
        llm = llm_at(fake.base_url)
        for _ in range(3):
            await collect(llm)
        assert len(fake.requests) == 3
        assert fake.connections == 1
        await llm.aclose()


async def test_the_completion_does_not_wait_for_the_end_of_the_body() -> None:
    async def script(x: Exchange) -> None:
        await x.head()
        await x.send(answer("Hola."))
        await x.gone.wait()  # the body has no end

    events, _ = await run(script)
    assert isinstance(events[-1], ReplyCompleted)


# --- history -------------------------------------------------------------------------------------------


async def test_neighbours_of_one_role_are_joined_and_empty_turns_are_left_out() -> None:
    messages = (
        Message(role="user", text="Hola "),
        Message(role="assistant", text="   "),
        Message(role="user", text="¿Estás?"),
    )
    _, fake = await run(streaming(answer("Sí.")), ReplyRequest(reply_id=7, prompt=PROMPT, messages=messages))
    assert fake.requests[0].body["messages"] == [{"role": "user", "content": "Hola ¿Estás?"}]


@pytest.mark.parametrize(
    "roles", [(), ("assistant",), ("assistant", "user"), ("user", "assistant")], ids=lambda r: "-".join(r) or "none"
)
async def test_a_history_that_the_api_would_refuse_is_not_sent(roles: tuple[str, ...]) -> None:
    messages = tuple(Message(role=r, text="hola") for r in roles)  # type: ignore[arg-type]
    events, fake = await run(streaming(answer("a")), ReplyRequest(reply_id=7, prompt=PROMPT, messages=messages))
    failure = only_failure(events)
    assert failure.kind == "bad_input"
    assert not failure.retryable
    assert fake.requests == []


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=6)), max_size=8))
def test_what_is_sent_alternates_and_loses_no_word(turns: list[tuple[str, str]]) -> None:
    messages = [Message(role=role, text=text) for role, text in turns]  # type: ignore[arg-type]
    try:
        wire = wire_messages(messages)
    except ValueError:
        return
    roles = [m["role"] for m in wire]
    assert roles[0] == roles[-1] == "user"
    assert all(a != b for a, b in zip(roles, roles[1:], strict=False))
    assert " ".join(m["content"] for m in wire).split() == " ".join(m.text for m in messages).split()


# --- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "expected", "retryable", "word"),
    [
        (401, "authentication_error", "refused", False, "ANTHROPIC_API_KEY"),
        (402, "billing_error", "refused", False, "credits"),
        (403, "permission_error", "refused", False, "rights"),
        (400, "invalid_request_error", "bad_input", False, "request"),
        (404, "not_found_error", "refused", False, "LLM_MODEL"),
        (413, "request_too_large", "bad_input", False, "request"),
        (429, "rate_limit_error", "rate_limited", True, "wait"),
        (500, "api_error", "overloaded", True, "again"),
        (503, "api_error", "overloaded", True, "again"),
        (529, "overloaded_error", "overloaded", True, "again"),
    ],
)
async def test_a_refusal_says_whose_fault_it_is_and_what_to_do(
    status: int, kind: str, expected: str, retryable: bool, word: str
) -> None:
    events, fake = await run(failing(status, kind, f"No prompt, says the server to {KEY}"))
    assert isinstance(events[0], ReplyStarted)
    failure = only_failure(events)
    assert (failure.kind, failure.retryable) == (expected, retryable)
    assert str(status) in failure.message
    assert "says the server" not in failure.message and "it speaks of prompt" in failure.message
    assert "req_011twin01" in failure.message
    assert word in failure.hint
    assert len(fake.requests) == 1  # the SDK's own retries are off


async def test_a_rate_limit_tells_how_long_to_wait() -> None:
    events, _ = await run(failing(429, "rate_limit_error", "slow down", retry_after="12"))
    assert "wait 12 s" in only_failure(events).message


async def test_an_empty_purse_is_told_even_as_a_400() -> None:
    events, _ = await run(failing(400, "invalid_request_error", "Your credit balance is too low"))
    failure = only_failure(events)
    assert failure.kind == "refused"
    assert "Billing" in failure.hint


async def test_a_retired_model_is_told_with_its_date_and_its_successor() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the SDK's own, aimed at programmers
        events, _ = await run(
            failing(404, "not_found_error", "model: claude-3-5-haiku-20241022"), model="claude-3-5-haiku-20241022"
        )
    failure = only_failure(events)
    assert "2026-02-19" in failure.message
    assert "claude-haiku-5-5" in failure.hint


async def test_a_web_page_instead_of_the_api_is_told_as_such() -> None:
    async def script(x: Exchange) -> None:
        await x.head(502, "text/html")
        await x.send(b"<html>Bad gateway</html>")
        await x.end()

    events, _ = await run(script)
    failure = only_failure(events)
    assert failure.kind == "overloaded"
    assert "not Anthropic's JSON" in failure.message
    assert "<html>" not in failure.message


@pytest.mark.parametrize(
    ("kind", "expected", "retryable"),
    [
        ("overloaded_error", "overloaded", True),
        ("api_error", "overloaded", True),
        ("rate_limit_error", "rate_limited", True),
        ("authentication_error", "refused", False),
        ("invalid_request_error", "bad_input", False),
        ("something_new", "unknown", True),
    ],
)
async def test_an_error_in_mid_stream_keeps_the_text_and_is_told_by_its_type(
    kind: str, expected: str, retryable: bool
) -> None:
    error = sse("error", error={"type": kind, "message": "Sorry"})
    events, _ = await run(streaming(message_start(), block_start(), delta("Hola. "), error))
    assert [e.text for e in events if isinstance(e, ReplyDelta)] == ["Hola. "]
    failure = only_failure(events)
    assert (failure.kind, failure.retryable) == (expected, retryable)
    assert "mid-stream" in failure.message


async def test_a_connection_cut_in_mid_stream_is_a_cut() -> None:
    async def script(x: Exchange) -> None:
        await x.head()
        await x.send(message_start() + block_start() + delta("Hola. "))
        x.writer.transport.abort()

    events, _ = await run(script)
    assert isinstance(events[1], ReplyDelta)
    assert only_failure(events).kind == "cut"


async def test_a_connection_closed_before_any_answer_is_a_cut() -> None:
    async def script(x: Exchange) -> None:
        x.writer.close()

    events, _ = await run(script)
    failure = only_failure(events)
    assert (failure.kind, failure.retryable) == ("cut", True)


async def test_a_stream_that_ends_without_message_stop_is_a_cut() -> None:
    events, _ = await run(streaming(message_start(), block_start(), delta("Hola. ")))
    failure = only_failure(events)
    assert (failure.kind, failure.retryable) == ("cut", True)


async def test_an_answer_that_is_no_event_stream_is_a_protocol_failure() -> None:
    events, _ = await run(streaming(b"<html>hello</html>"))
    assert only_failure(events).kind == "protocol"


async def test_a_frame_that_is_not_json_is_a_protocol_failure() -> None:
    events, _ = await run(streaming(message_start(), b"event: content_block_delta\ndata: {oops\n\n"))
    assert only_failure(events).kind == "protocol"


async def test_no_first_token_in_time_is_a_stall_even_while_pings_come() -> None:
    async def script(x: Exchange) -> None:
        await x.head()
        await x.send(message_start())
        while not x.gone.is_set():
            await x.send(sse("ping"))
            await asyncio.sleep(0.005)

    events, fake = await run(script, first_token_timeout_ms=80)
    failure = only_failure(events)
    assert (failure.kind, failure.retryable) == ("stalled", True)
    assert "0.08 s" in failure.message
    await fake.left.wait()


async def test_headers_that_never_come_are_a_stall() -> None:
    events, _ = await run(lambda x: asyncio.wait_for(x.gone.wait(), 3), first_token_timeout_ms=80)  # type: ignore[arg-type]
    assert only_failure(events).kind == "stalled"


async def test_a_stall_after_the_first_token_is_told_by_its_own_limit() -> None:
    async def script(x: Exchange) -> None:
        await x.head()
        await x.send(message_start() + block_start() + delta("Hola. "))
        await asyncio.wait_for(x.gone.wait(), 3)

    events, _ = await run(script, stall_timeout_ms=60)
    assert [type(e) for e in events] == [ReplyStarted, ReplyDelta, ProviderFailed]
    failure = only_failure(events)
    assert failure.kind == "stalled"
    assert "0.06 s" in failure.message


THOUGHT = sse("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"})


@pytest.mark.parametrize("said", ["", "Hola. "])
@pytest.mark.parametrize("filler", [delta(""), delta(" \n"), THOUGHT, sse("message_delta", delta={}, usage={})])
async def test_what_says_nothing_does_not_keep_a_reply_alive(said: str, filler: bytes) -> None:
    async def script(x: Exchange) -> None:
        await x.head()
        await x.send(message_start() + block_start() + (delta(said) if said else b""))
        while not x.gone.is_set():
            await x.send(filler)
            await asyncio.sleep(0.005)

    events, fake = await run(script, first_token_timeout_ms=90, stall_timeout_ms=60)
    failure = only_failure(events)
    assert failure.kind == "stalled" and ("0.06 s" if said else "0.09 s") in failure.message
    await fake.left.wait()


async def test_each_event_loop_has_connections_of_its_own_also_after_closing() -> None:
    async def elsewhere(llm: ClaudeStreamingLLM) -> list[Event]:
        events = await collect(llm)
        await llm.aclose()
        return events

    async with serving(streaming(answer("Hola."))) as fake:
        llm = llm_at(fake.base_url)
        for used in (
            await collect(llm),
            await asyncio.to_thread(asyncio.run, collect(llm)),  # its loop is gone, and nobody closed its connections
            *await asyncio.gather(collect(llm), asyncio.to_thread(asyncio.run, elsewhere(llm))),
            await collect(llm),
        ):
            assert [type(e) for e in used] == [ReplyStarted, ReplyDelta, ReplyCompleted]
        await llm.aclose()
        await llm.aclose()
        assert isinstance((await collect(llm))[-1], ReplyCompleted)  # a closed one opens again
        await llm.aclose()


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    llm = llm_at(f"http://127.0.0.1:{port}")
    failure = only_failure(await collect(llm))
    assert (failure.kind, failure.retryable) == ("unreachable", True)
    assert f"127.0.0.1:{port}" in failure.message
    with pytest.raises(ProviderUnavailable):
        await llm.warm()
    await llm.aclose()


FIELDS = ["type", "delta", "usage", "message", "content_block", "text", "stop_reason", "output_tokens"]
KINDS = st.sampled_from(["message_start", "content_block_delta", "text_delta", "message_delta"])
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.sampled_from(FIELDS), inner | KINDS, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(JSON, max_size=4))
def test_any_json_in_a_frame_gives_exactly_one_end(frames: list[Any]) -> None:
    names = ["message_start", "content_block_delta", "message_delta", "content_block_start", "message_stop"]
    parts = [f"event: {names[i % 5]}\ndata: {json.dumps(f)}\n\n".encode() for i, f in enumerate(frames)]

    async def once() -> None:
        events, _ = await run(streaming(*parts, b": end\n\n"))
        assert sum(isinstance(e, ReplyCompleted | ProviderFailed) for e in events) == 1
        assert isinstance(events[-1], ReplyCompleted | ProviderFailed)

    asyncio.run(once())


# --- cancelling ----------------------------------------------------------------------------------------


async def endless(x: Exchange) -> None:
    await x.head()
    await x.send(message_start() + block_start())
    while not x.gone.is_set():
        await x.send(delta("bla "))
        await asyncio.sleep(0.002)


async def test_leaving_the_context_reaches_the_server_at_once_and_yields_nothing_more() -> None:
    async with serving(endless) as fake:
        llm = llm_at(fake.base_url)
        async with llm.reply(ask()) as events:
            async for event in events:
                if isinstance(event, ReplyDelta):
                    break
        assert [e async for e in events] == []
        await fake.left.wait()  # not because the server was done: it never is
        await llm.aclose()


@pytest.mark.parametrize("headers_first", [True, False], ids=["while streaming", "while waiting for headers"])
async def test_cancelling_the_task_reaches_the_server_at_once(headers_first: bool) -> None:
    async def silent(x: Exchange) -> None:
        await x.gone.wait()

    async with serving(endless if headers_first else silent) as fake:
        llm = llm_at(fake.base_url)
        task = asyncio.create_task(collect(llm))
        while not fake.requests:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await fake.left.wait()
        await llm.aclose()


async def test_a_cancelled_reply_does_not_hurt_the_next_one() -> None:
    async def script(x: Exchange) -> None:
        await (endless if len(fake.requests) == 1 else streaming(answer("Hola.")))(x)

    async with serving(script) as fake:
        llm = llm_at(fake.base_url)
        async with llm.reply(ask()) as events:
            await anext(events)
            await anext(events)
        assert isinstance((await collect(llm))[-1], ReplyCompleted)
        await llm.aclose()


async def test_two_replies_may_be_under_way_at_once() -> None:
    async with serving(streaming(answer("Hola. ", "Ya."))) as fake:
        llm = llm_at(fake.base_url)
        results = await asyncio.gather(*(collect(llm) for _ in range(5)))
        assert all(isinstance(events[-1], ReplyCompleted) for events in results)
        await llm.aclose()


# --- warming, construction, the table of models ------------------------------------------------------------


async def test_warming_opens_the_connection_that_the_reply_then_uses() -> None:
    async def script(x: Exchange) -> None:
        if x.request.method == "GET":
            await x.head(200, "application/json")
            await x.send(json.dumps({"data": [], "has_more": False, "first_id": None, "last_id": None}).encode())
            await x.end()
        else:
            await streaming(answer("Hola."))(x)

    async with serving(script) as fake:
        llm = llm_at(fake.base_url)
        await llm.warm()
        await collect(llm)
        assert fake.requests[0].path.startswith("/v1/models")
        assert fake.connections == 1
        await llm.aclose()


async def test_warming_tells_a_refused_key_and_passes_over_other_answers() -> None:
    async with serving(failing(401, "authentication_error", "invalid x-api-key")) as fake:
        llm = llm_at(fake.base_url)
        with pytest.raises(ProviderRefused, match="refused the key"):
            await llm.warm()
        await llm.aclose()
    async with serving(failing(404, "not_found_error", "no such page")) as fake:
        llm = llm_at(fake.base_url)
        await llm.warm()
        await llm.aclose()


@pytest.mark.parametrize("key", ["", "  ", "clé", "two words", "line\nbreak"])
def test_a_key_that_can_be_none_is_refused_before_anything_is_sent(key: str) -> None:
    with pytest.raises(SettingsError) as error:
        llm_at("http://127.0.0.1:1", api_key=key)
    assert not key.strip() or key not in str(error.value)


def test_importing_the_module_does_not_import_the_sdk() -> None:
    code = "import sys, clara_kit.providers.llm.claude; print(any(m in sys.modules for m in ('anthropic', 'httpx2')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_lifecycle_note_tells_retired_retiring_and_unknown_models() -> None:
    today = date(2026, 11, 23)
    assert pricing.note("claude-haiku-5-5", today=today) is None
    assert pricing.note("claude-haiku-4-5-20251001", today=today) is None
    retired = pricing.note("claude-3-5-haiku-20241022", today=today)
    assert retired is not None
    assert "was retired" in retired
    assert "2026-02-19" in retired
    assert "claude-haiku-5-5" in retired
    retiring = pricing.note("claude-sonnet-4-5", today=today)
    assert retiring is not None
    assert "will be retired" in retiring
    assert "was retired" in str(pricing.note("claude-sonnet-4-5", today=date(2026, 11, 30)))
    assert "not in the kit's table" in str(pricing.note("claude-hiaku-5-5", today=today))


def test_every_model_that_the_sdk_calls_deprecated_is_known_here() -> None:
    from anthropic.resources.messages.messages import DEPRECATED_MODELS

    old = ("claude-1", "claude-instant")
    missing = [m for m in DEPRECATED_MODELS if m not in pricing.RETIREMENTS and not m.startswith(old)]
    assert missing == []


def test_a_long_prompt_costs_more_where_the_vendor_says_so() -> None:
    short = Usage(input_tokens=100_000)
    long = Usage(input_tokens=50_000, cache_read_tokens=50_001)
    assert pricing.cost_usd("claude-haiku-5-5", short) == pytest.approx(0.01)
    assert pricing.cost_usd("claude-haiku-5-5", long) == pytest.approx((50_000 * 0.5 + 50_001 * 0.05) / 1e6)
    assert pricing.cost_usd("claude-haiku-4-5-20251001", Usage(output_tokens=1_000_000)) == pytest.approx(5)


def test_numbers_that_are_none_do_not_disturb_the_count() -> None:
    tally = Tally()
    tally.take(type("E", (), {"type": "message_delta", "usage": type("U", (), {"output_tokens": None})})())
    assert tally.usage("claude-haiku-5-5").output_tokens == 0
