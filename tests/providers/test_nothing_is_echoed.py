"""A server that repeats whatever it was sent, wherever a server can: nothing of it comes out at our side."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from rich.console import Console

from clara_kit.core.commands import Message
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Keys, Settings
from clara_kit.doctor.checkup import Checkup
from clara_kit.doctor.keys import check_reach, try_key
from clara_kit.doctor.live import say_one_sentence
from clara_kit.doctor.shop import ask_shop
from clara_kit.doctor.show import _show_steps, show
from clara_kit.providers.avatar.heygen_streaming import HeyGenStreamingAvatar
from clara_kit.providers.avatar.liveavatar import LiveAvatarLite
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.claude import ClaudeStreamingLLM
from clara_kit.providers.stt.deepgram import DeepgramStreamingSTT
from clara_kit.providers.tts.deepgram_aura import DeepgramAuraTTS
from clara_kit.providers.tts.elevenlabs import ElevenLabsTTS
from clara_kit.providers.vendors import TABLE
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import compose
from clara_kit.runtime.manager import ConversationManager
from clara_kit.shop.fetcher import ShopifyCustomerFetcher

KEY = "sk0ant0abcdef0123456789abcdef0123456789"  # letters and digits only: the shape of an id, a code, a field
WORDS = "Zanahoria"  # what the customer says
PASSWORD = "Rinoceronte7"
SECRETS = (KEY, WORDS, PASSWORD)
ROOM = {"data": {"session_id": "s1", "session_token": "t1"}}


def everything(request: web.Request, body: str = "") -> str:
    """All that the server knows, in one line that may stand in a header."""
    return "".join(c for c in f"{KEY} {WORDS} {dict(request.headers)} {request.raw_path} {body}" if c.isprintable())


def refusing(status: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        said = everything(request, (await request.text())[:500])
        error = {"type": said, "code": KEY, "message": said, "details": said}
        body = {
            "type": "error", "error": error, "code": KEY, "message": said, "err_msg": said, "detail": [{"loc": [said]}],
            "errors": [{"message": said, "path": ["customer", KEY], "extensions": {"code": KEY, "requestId": KEY}}],
            "request_id": KEY, KEY: WORDS, "data": {KEY: WORDS, "shop": {"name": said, "myshopifyDomain": said}},
        }  # fmt: skip
        names = ("dg-error", "dg-request-id", "request-id", "x-request-id", "retry-after", "x-shopify-api-version")
        headers = {"content-type": f"application/{KEY}; {WORDS}", "x-shopify-api-deprecated-reason": said}
        told = KEY if status == 429 else said
        return web.Response(status=status, reason=said[:200], text=json.dumps(body), headers={**dict.fromkeys(names, told), **headers})  # fmt: skip

    return answer


async def closing(request: web.Request) -> web.StreamResponse:
    """Accepts, says odd things, and leaves with a reason."""
    if request.headers.get("upgrade"):
        socket = web.WebSocketResponse(protocols=[KEY])
        await socket.prepare(request)
        said = everything(request)
        for kind in ("Error", "Warning", "error", KEY):
            await socket.send_json({"type": kind, "error": {"type": KEY, "message": said}, "description": said, KEY: 1})
        message = await socket.receive()
        if message.type is WSMsgType.TEXT:
            await socket.send_json({"error": said, "message": said, "code": KEY, **json.loads(message.data)})
        words = message.data[:60] if message.type is WSMsgType.TEXT else KEY
        await socket.close(code=1011, message=f"DATA-0000 {KEY} {words}"[:120].encode())
        return socket
    if "sessions" in request.path:
        where = f"ws://{request.host}/{KEY}/{WORDS}"
        return web.json_response({"data": {**ROOM["data"], "ws_url": where, "livekit_url": where}})
    if "messages" in request.path:
        events = (
            {"type": "message_start", "message": {"id": KEY, "type": "message", "role": "assistant", "model": KEY,
             "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}},
            {"type": "error", "error": {"type": KEY, "message": everything(request)}, "request_id": KEY},
        )  # fmt: skip
        text = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
        return web.Response(text=text, content_type="text/event-stream", headers={"request-id": KEY})
    return await refusing(500)(request)


@asynccontextmanager
async def server(answer: Any) -> AsyncIterator[str]:
    runner = web.AppRunner(app := web.Application(), access_log=None)
    app.router.add_route("*", "/{rest:.*}", answer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://user:{PASSWORD}@127.0.0.1:{runner.addresses[0][1]}/{WORDS}?token={PASSWORD}#{PASSWORD}"
    await runner.cleanup()


@asynccontextmanager
async def no_http(answer: None) -> AsyncIterator[str]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = await reader.read(4096)
        writer.write(b"HTTP/9.9 " + KEY.encode() + b" " + got + b"\r\n\r\n" + got)
        writer.close()

    listening = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with listening:
        yield f"http://user:{PASSWORD}@127.0.0.1:{listening.sockets[0].getsockname()[1]}/{WORDS}?token={PASSWORD}"


async def one(text: str) -> AsyncIterator[str]:
    yield text


async def hear(url: str) -> list[Any]:
    stt = DeepgramStreamingSTT(api_key=KEY, clock=MonotonicClock(), base_url=url)
    async with stt:
        await stt.send(b"\0\0" * 160, 0.0)
        async with asyncio.timeout(5):
            return [stt, await anext(stt.events())]


async def speak(url: str) -> list[Any]:
    voice = DeepgramAuraTTS(api_key=KEY, base_url=url)
    async with aclosing(voice), voice.speak(one(WORDS)) as sound:
        return [voice, [part async for part in sound]]


async def speak_by_rest(url: str) -> list[Any]:
    voice = DeepgramAuraTTS(api_key=KEY, base_url=url)
    return [len(part) async for part in voice.rest(WORDS)]  # whatever comes is taken for sound


async def speak_otherwise(url: str) -> list[Any]:
    voice = ElevenLabsTTS(api_key=KEY, base_url=url, voice=PASSWORD)
    async with aclosing(voice), voice.speak(one(WORDS)) as sound:
        return [voice, [part async for part in sound]]


async def think(url: str) -> list[Any]:
    llm = ClaudeStreamingLLM(api_key=KEY, clock=MonotonicClock(), base_url=url)
    request = ReplyRequest(reply_id=1, prompt=Prompt(static=WORDS), messages=(Message(role="user", text=WORDS),))
    async with aclosing(llm), llm.reply(request) as events:
        return [llm, [event async for event in events]]


async def warm(url: str) -> list[Any]:
    async with aclosing(ClaudeStreamingLLM(api_key=KEY, clock=MonotonicClock(), base_url=url)) as llm:
        await llm.warm()
    return []


async def avatar(url: str) -> list[Any]:
    lite = LiveAvatarLite(
        api_key=KEY, tts=compose("sim").tts(), clock=MonotonicClock(), avatar_id=WORDS, base_url=url, sandbox=False
    )
    async with lite:
        return [lite, lite.session, [event async for event in lite.events()]]


async def classic(url: str) -> list[Any]:
    heygen = HeyGenStreamingAvatar(
        api_key=KEY, clock=MonotonicClock(), avatar_name=WORDS, knowledge_base=WORDS, base_url=url
    )
    async with heygen:
        return [heygen, heygen.session]


async def shop(url: str) -> list[Any]:
    async with ShopifyCustomerFetcher("beta", KEY, base_url=url, timeout_ms=2000) as asked:
        return [asked, await asked.check()]


def keys(url: str) -> Keys:
    vendors = ("deepgram", "anthropic", "liveavatar", "heygen", "elevenlabs")
    told = {f"{v}_api_key": KEY for v in vendors} | {f"{v}_base_url": url for v in (*vendors, "shopify")}
    return Keys.model_validate({**told, "shopify_shop": "beta", "shopify_admin_token": KEY})


async def doctor(url: str) -> list[Any]:
    """What the doctor's page shows."""
    with_keys, page = keys(url), io.StringIO()
    console = Console(file=page, width=300)
    take = await say_one_sentence(with_keys, Settings(), ("deepgram", "anthropic", "liveavatar"))
    _show_steps(console, take, take)
    found = await asyncio.to_thread(check_reach, {v: TABLE[v].address(with_keys) for v in TABLE})
    asked = await asyncio.to_thread(ask_shop, with_keys, Settings())
    show(console, Checkup((*found, *([asked] if asked else []))))
    tried = await asyncio.to_thread(try_key, "anthropic", KEY, url)
    return [page.getvalue(), take, tried, with_keys, compose("live", keys=with_keys)]


def whole_chain(exc: BaseException | None) -> str:
    """All that a notebook or a debugger could show of an error, suppressed causes too."""
    texts = []
    while exc is not None:
        texts += [repr(exc), str(exc), str(vars(exc)), *traceback.format_exception(exc)]
        for inner in getattr(exc, "exceptions", ()):
            texts.append(whole_chain(inner))
        exc = exc.__cause__ or exc.__context__
    return "\n".join(texts)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """What everybody's loggers said from a warning on, and ours from an information on."""
    caplog.set_level(logging.INFO, "clara_kit")
    return lambda: caplog.text


ASKED = (hear, speak, speak_by_rest, speak_otherwise, think, warm, avatar, classic, shop, doctor)
WAYS: dict[str, tuple[Any, Any]] = {
    **{f"refused with {status}": (server, refusing(status)) for status in (200, 400, 401, 402, 404, 429, 503)},
    "accepted and closed": (server, closing),
    "answered with no HTTP": (no_http, None),
}


CASES = [(ask, way) for ask in ASKED for way in WAYS if ask is not doctor or way.endswith(("401", "closed"))]


@pytest.mark.parametrize(("ask", "way"), CASES, ids=lambda x: x if isinstance(x, str) else x.__name__)
async def test_nothing_that_a_server_repeats_and_no_password_of_its_address_is_shown(
    ask: Any, way: str, logged: Callable[[], str]
) -> None:
    at, answer = WAYS[way]
    async with at(answer) as url:
        try:
            shown = "\n".join(map(repr, await ask(url)))
        except Exception as exc:
            shown = whole_chain(exc)
    shown = f"{shown}\n{logged()}".replace("test_nothing_is_echoed", "")
    assert [secret for secret in SECRETS if secret in shown] == [], shown


async def test_no_file_of_a_run_holds_what_a_server_repeated(tmp_path: Path) -> None:
    async with server(closing) as url:
        services = compose("sim", llm="live", shop="live", customer="ana@example.test", keys=keys(url))
        async with ConversationManager(services, log_root=tmp_path) as clara:
            await clara.say("¿Hacen despachos a regiones?")
            async with asyncio.timeout(20):
                while not any("failed" in type(r).__name__.lower() and r.service == "llm" for r in clara.conversation.trace):  # type: ignore[union-attr]  # fmt: skip
                    await asyncio.sleep(0.05)
    files = _files(tmp_path)
    assert len(files) > 2
    for path in files:
        for secret in (KEY, PASSWORD, "ana@example.test"):
            assert secret.encode() not in path.read_bytes(), f"{secret} in {path.name}"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
