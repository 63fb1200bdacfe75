"""HeyGen's classic avatar: against its twin, against another server's ugly sides, and in a whole conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from clara_kit import ConversationManager, ConversationState, Settings, compose, replay
from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderRefused, ProviderUnavailable, SettingsError
from clara_kit.providers.avatar.heygen_streaming import HeyGenStreamingAvatar
from clara_kit.providers.avatar.heygen_talk import UNKNOWN
from clara_kit.providers.avatar.room import LoopbackRoom
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import clara_voice
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.pace import now_s
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.heygen.twin import HeyGenTwin
from clara_kit.world.twins.server import TwinServer

S = ConversationState


@asynccontextmanager
async def twin(*faults: Fault, **options: Any) -> AsyncIterator[tuple[str, HeyGenTwin]]:
    context = TwinContext(profile=LatencyProfile.load("fast"), faults=FaultBox(faults))
    far = HeyGenTwin(context, clara_voice(), AnswerBook.load(), **options)
    async with TwinServer([far]) as server:
        yield server.addresses["heygen"]["base_url"], far


def avatar_at(base_url: str, **options: Any) -> HeyGenStreamingAvatar:
    given = {"api_key": "test-key", "avatar_name": "ana", "knowledge_base": "Eres Clara.", "assumed_start_ms": 5}
    return HeyGenStreamingAvatar(base_url=base_url, clock=MonotonicClock(), **{**given, **options})


async def until(avatar: HeyGenStreamingAvatar, fits: Callable[[ev.Event], bool]) -> list[ev.Event]:
    seen: list[ev.Event] = []
    async with asyncio.timeout(15):
        async for event in avatar.events():
            seen.append(event)
            if fits(event):
                break
    return seen


async def spoken(avatar: HeyGenStreamingAvatar, *texts: str, utterance_id: int = 1) -> list[ev.Event]:
    for n, text in enumerate(texts):
        await avatar.speak(utterance_id, n, text)
    await avatar.end_speech(utterance_id)
    return await until(avatar, lambda e: isinstance(e, ev.SpeakingEnded | ev.ProviderFailed))


# --- against the twin -----------------------------------------------------------------------------------


@pytest.mark.parametrize("task_mode", ["sync", "async"])
async def test_each_piece_is_one_task_and_what_is_estimated_says_so(task_mode: Any) -> None:
    async with twin() as (url, far), avatar_at(url, task_mode=task_mode) as avatar:
        events = await spoken(avatar, "Hola.", "¿Qué tal?")
        tasks = [body for name, body in far.requests if name == "task"]
        assert [(t["text"], t["task_type"], t["task_mode"]) for t in tasks] == [
            ("Hola.", "repeat", task_mode),
            ("¿Qué tal?", "repeat", task_mode),
        ]
        started = next(e for e in events if isinstance(e, ev.SpeakingStarted))
        ended, last = events[-1], far.spoken[-1]
        assert isinstance(ended, ev.SpeakingEnded) and ended.estimated and started.estimated
        sound_ms = sum(t.duration_ms for t in far.spoken)
        assert ended.at_ms - started.at_ms == pytest.approx(sound_ms, abs=250)
        assert last.text == "¿Qué tal?" and not last.interrupted


async def test_heygen_is_given_what_is_said_and_an_utterance_without_a_word_ends() -> None:
    async with twin() as (url, far), avatar_at(url) as avatar:
        await spoken(avatar, "**CeraVe** (30ml): -20 %.", "😊")
        assert [t.text for t in far.spoken] == ["Ceravé (treinta mililitros): menos veinte por ciento."]
        assert isinstance((await spoken(avatar, "😊", utterance_id=2))[-1], ev.SpeakingEnded)


async def test_the_prompt_goes_along_so_that_the_built_in_brain_can_take_over_later() -> None:
    async with twin() as (url, far), avatar_at(url, knowledge_base="Te llamas Clara.") as avatar:
        await avatar.ask(1, 1, 1, "¿Hacen despachos a regiones?")
        await until(avatar, lambda e: isinstance(e, ev.SpeakingStarted))
        assert dict(far.requests)["new"]["knowledge_base"] == "Te llamas Clara."
        assert far.spoken[0].kind == "talk" and "despachamos" in far.spoken[0].text


async def test_its_own_brain_answers_in_the_same_session_and_its_words_are_read_in_the_room() -> None:
    async with twin() as (url, far), avatar_at(url) as avatar:
        await avatar.ask(1, 7, 3, "¿Hacen despachos a regiones?")
        seen = await until(avatar, lambda e: isinstance(e, ev.SpeakingEnded))
        text = "".join(e.text for e in seen if isinstance(e, ev.ReplyDelta))
        assert text == far.spoken[0].text and far.spoken[0].kind == "talk"
        started = next(e for e in seen if isinstance(e, ev.ReplyStarted))
        assert (started.reply_id, started.model) == (7, "heygen: its own") and seen[0] is started
        names = [type(e).__name__ for e in seen if not isinstance(e, ev.ReplyDelta)]
        assert names[-2:] == ["ReplyCompleted", "SpeakingEnded"] and names.count("SpeechSent") == 1
        assert [type(e) for e in await spoken(avatar, "Hola.", utterance_id=4)][-1] is ev.SpeakingEnded
        assert [name for name, _ in far.requests].count("new") == 1


async def test_where_the_room_cannot_be_joined_the_history_says_that_something_was_answered() -> None:
    class Nowhere(LoopbackRoom):
        async def connect(self, url: str, token: str, *, others: tuple[str, ...] = ()) -> None:
            raise ProviderUnavailable("There is no room.")

    async with twin() as (url, _), avatar_at(url, room=Nowhere()) as avatar:
        await avatar.ask(1, 1, 1, "¿Hacen despachos a regiones?")
        seen = await until(avatar, lambda e: isinstance(e, ev.SpeakingEnded))
        assert [e.text for e in seen if isinstance(e, ev.ReplyDelta)] == [UNKNOWN]


async def test_an_answer_of_its_own_is_interrupted_or_fails_as_the_backups() -> None:
    refused = Fault(service="backup", kind="cut", on=2)
    async with twin(refused) as (url, far), avatar_at(url) as avatar:
        await avatar.ask(1, 1, 1, "¿Hacen despachos a regiones?")
        await until(avatar, lambda e: isinstance(e, ev.SpeakingStarted))
        await avatar.interrupt(1)
        await avatar.ask(2, 2, 2, "¿Cómo te llamas?")
        ends = ev.SpeakingInterrupted | ev.SpeakingEnded | ev.ProviderFailed
        first = (await until(avatar, lambda e: isinstance(e, ends)))[-1]
        assert isinstance(first, ev.SpeakingInterrupted) and first.utterance_id == 1
        second = (await until(avatar, lambda e: isinstance(e, ends)))[-1]
        assert isinstance(second, ev.ProviderFailed)
        assert (second.service, second.reply_id, second.utterance_id) == ("backup", 2, 2)
        assert far.spoken[0].interrupted


async def test_an_interruption_stops_the_avatar_in_mid_word_and_drops_what_waited() -> None:
    async with twin() as (url, far), avatar_at(url) as avatar:
        await avatar.speak(1, 0, "Esta es una frase bastante larga, que nadie va a oír hasta el final.")
        await avatar.speak(1, 1, "Y esta no se oye nunca.")
        await until(avatar, lambda e: isinstance(e, ev.SpeakingStarted))
        await avatar.interrupt(1)
        assert isinstance((await spoken(avatar, "Hola.", utterance_id=2))[0], ev.SpeakingInterrupted)
        assert [t.interrupted for t in far.spoken] == [True, False]
        assert "nunca" not in " ".join(t.text for t in far.spoken)


async def test_an_order_to_fall_silent_does_not_hold_up_the_next_words() -> None:
    async def slow() -> web.Response:
        await asyncio.sleep(0.5)
        return web.json_response({"code": 100, "data": {"duration_ms": 500}})

    async with other_server(slow) as url, avatar_at(url) as avatar:
        await avatar.speak(1, 0, "Hola.")
        await until(avatar, lambda e: isinstance(e, ev.SpeakingStarted))
        async with asyncio.timeout(0.1):  # the task is answered in half a second, the order's own grace is 0.3 s
            await avatar.interrupt(1)
            await avatar.speak(2, 0, "Chao.")
            await avatar.end_speech(2)
        events = await until(avatar, lambda e: isinstance(e, ev.SpeakingEnded))
    assert isinstance(events[0], ev.SpeakingInterrupted) and events[0].utterance_id == 1
    assert [e.utterance_id for e in events[1:] if not isinstance(e, ev.ProviderWarned)] == [2] * 5


async def test_leaving_closes_the_session_for_the_next() -> None:
    async with twin(concurrent=1) as (url, far):
        for _ in range(3):
            async with avatar_at(url) as avatar:
                await avatar.speak(1, 0, "Hola.")
        assert [name for name, _ in far.requests].count("stop") == 3
        async with avatar_at(url):
            with pytest.raises(ProviderUnavailable, match=r"limit is reached.*10004"):
                await avatar_at(url).__aenter__()


async def test_a_wrong_key_and_an_empty_one_say_where_to_get_one() -> None:
    async with twin() as (url, _):
        with pytest.raises(ProviderRefused, match=r"refused the key.*HEYGEN_API_KEY"):
            await avatar_at(url, api_key="wrong").__aenter__()
    with pytest.raises(SettingsError, match="HEYGEN_API_KEY is empty"):
        avatar_at("http://127.0.0.1:1", api_key=" ")


async def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await avatar_at("http://127.0.0.1:9").__aenter__()


async def test_a_session_that_is_over_is_told_once_and_ends_the_events() -> None:
    async with twin(hard_limit_s=0.2) as (url, _), avatar_at(url) as avatar:
        await asyncio.sleep(0.3)
        await avatar.speak(1, 0, "Hola.")
        async with asyncio.timeout(5):
            events = [event async for event in avatar.events()]
    failed = [e for e in events if isinstance(e, ev.ProviderFailed)]
    assert [(f.utterance_id, f.kind, f.retryable) for f in failed] == [(1, "cut", True), (None, "cut", True)]


@pytest.mark.parametrize("kind", ["cut", "error", "garble"])
async def test_a_task_that_fails_fails_its_utterance_only(kind: Any) -> None:
    async with twin(Fault(service="avatar", kind=kind)) as (url, _), avatar_at(url) as avatar:
        failed = (await spoken(avatar, "Hola."))[-1]
        assert isinstance(failed, ev.ProviderFailed) and failed.utterance_id == 1 and failed.retryable
        assert isinstance((await spoken(avatar, "Hola.", utterance_id=2))[-1], ev.SpeakingEnded)


# --- the twin against a bare client ---------------------------------------------------------------------


async def test_a_bare_client_meets_the_documented_answers() -> None:
    async with twin() as (url, _), httpx.AsyncClient(base_url=url) as http:
        token = (await http.post("/v1/streaming.create_token", headers={"x-api-key": "test-key"}, json={})).json()
        assert token["error"] is None
        http.headers["Authorization"] = f"Bearer {token['data']['token']}"

        async def call(name: str, **body: Any) -> httpx.Response:
            return await http.post(f"/v1/streaming.{name}", json=body)

        new = (await call("new", avatar_id="ana", version="v2")).json()
        assert (
            new["code"] == 100 and {"session_id", "url", "access_token", "session_duration_limit"} <= new["data"].keys()
        )
        session_id = new["data"]["session_id"]
        early = await call("task", session_id=session_id, text="Hola")
        assert (early.status_code, early.json()["code"]) == (400, 400006)
        assert (await call("start", session_id=session_id)).status_code == 200
        task = (await call("task", session_id=session_id, text="Hola", task_type="repeat", task_mode="async")).json()
        assert task["data"]["duration_ms"] > 100 and task["data"]["task_id"]
        for name in ("keep_alive", "start_listening", "stop_listening", "interrupt"):
            assert (await call(name, session_id=session_id)).status_code == 200
        listed = (await http.get("/v1/streaming.list")).json()["data"]["sessions"]
        assert [s["session_id"] for s in listed] == [session_id]
        assert (await call("stop", session_id=session_id)).status_code == 200
        late = await call("task", session_id=session_id, text="Hola")
        assert late.json() == {"code": 10005, "message": "session state wrong: closed"}
        assert (await http.post("/v1/streaming.new", content=b"{")).status_code == 400
        assert (await call("new")).json()["code"] == 10013


# --- against a server that is not ours ------------------------------------------------------------------


@asynccontextmanager
async def other_server(task: Any, new: Any = None) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.StreamResponse:
        name = request.path.rpartition(".")[2]
        if name == "new" and new is not None:
            return new()  # type: ignore[no-any-return]
        if name == "new":
            data = {"session_id": "s1", "url": "wss://x", "access_token": "t", "session_duration_limit": 600}
            return web.json_response({"code": "SUCCESS", "message": None, "data": data})
        if name == "task":
            return await task() if asyncio.iscoroutinefunction(task) else task()  # type: ignore[no-any-return]
        return web.Response(text="ok") if name == "stop" else web.json_response({"code": 100, "data": None})

    app = web.Application()
    app.router.add_post("/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)  # then what still answers is cancelled
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_codes_may_be_words_and_durations_may_be_missing() -> None:
    async with (
        other_server(lambda: web.json_response({"code": "SUCCESS", "data": {}})) as url,
        avatar_at(url) as avatar,
    ):
        events = await spoken(avatar, "Hola.")
    kinds = [type(e) for e in events]
    # Which comes first, the server's answer or the moment from which she is taken to speak, is the machine's business.
    kinds.remove(ev.SpeechVoiced)
    assert kinds == [ev.SpeechSent, ev.FirstAudio, ev.SpeakingStarted, ev.SpeakingEnded]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (lambda: web.json_response({"code": 10005, "message": "closed"}, status=400), "cut", "session is over"),
        (lambda: web.json_response({"code": 400112, "message": "x"}, status=401), "cut", "session is over"),
        (
            lambda: web.json_response({"code": 1, "message": "slow down"}, status=429),
            "rate_limited",
            "limit is reached",
        ),
        (
            lambda: web.json_response({"error": {"code": "insufficient_credit", "message": "no"}}, status=402),
            "refused",
            "no credits",
        ),
        (lambda: web.Response(text="<html>", content_type="text/html", status=502), "overloaded", "not JSON"),
        (lambda: web.Response(text="<html>", content_type="text/html"), "protocol", "makes no sense"),
        (lambda: web.json_response({"error": "the text is too long", "data": None}), "protocol", "speaks of text"),
    ],
)
async def test_every_shape_of_no_is_explained(answer: Any, kind: str, words: str) -> None:
    async with other_server(answer) as url, avatar_at(url) as avatar:
        failed = (await spoken(avatar, "Hola."))[-1]
    assert isinstance(failed, ev.ProviderFailed)
    assert failed.kind == kind and words in failed.message and failed.hint


async def test_an_answer_without_a_session_is_refused_at_the_start() -> None:
    async with other_server(None, lambda: web.json_response({"code": 100, "data": {"id": 1}})) as url:
        with pytest.raises(ProviderRefused, match="no session_id; it holds 1 other fields"):
            await avatar_at(url).__aenter__()


async def test_a_server_that_never_answers_does_not_hold_up_leaving() -> None:
    async def never() -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with other_server(never) as url:
        async with asyncio.timeout(3), avatar_at(url) as avatar:
            await avatar.speak(1, 0, "Hola.")
            await asyncio.sleep(0.1)


# --- in a conversation ----------------------------------------------------------------------------------


async def test_a_whole_conversation_with_the_plans_avatar_interruption_included(tmp_path: Path) -> None:
    settings = Settings.of(greeting="", avatar_vendor="heygen", slow_response_ms=60_000)  # nobody is told to wait
    clara = ConversationManager(compose(settings=settings, latency="fast"), log_root=tmp_path)
    async with clara:
        await clara.say("¿Hacen despachos a regiones?")
        await clara.until(S.AVATAR_SPEAKING)
        await asyncio.sleep(0.8)
        await clara.say("Espera, ¿cuánto cuesta el protector solar?")
        await clara.until(S.AVATAR_SPEAKING)
        await clara.interrupt()
    assert clara.run is not None
    first, second = clara.run.ledger
    assert first.interrupted and first.unheard and "protector" in second.customer
    assert first.problem == "" and second.problem == ""
    assert replay(clara.run).same


def test_live_use_needs_an_avatar_name() -> None:
    from clara_kit import Keys

    keys = Keys.model_validate({"heygen_api_key": "test-key"})
    with pytest.raises(SettingsError, match="HEYGEN_AVATAR_NAME"):
        compose(avatar="live", settings=Settings.of(avatar_vendor="heygen"), keys=keys)


async def test_an_order_to_stop_that_fails_is_told() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        name = request.path.rpartition(".")[2]
        if name == "interrupt":
            return web.Response(status=503, text="busy")
        if name == "task":
            await asyncio.sleep(5)
        return web.json_response({"code": 100, "data": {"session_id": "s1"}})

    app = web.Application()
    app.router.add_post("/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with avatar_at(f"http://127.0.0.1:{runner.addresses[0][1]}") as avatar:
        await avatar.speak(1, 0, "Hola.")
        await until(avatar, lambda e: isinstance(e, ev.SpeakingStarted))
        await avatar.interrupt(1)
        events = await until(avatar, lambda e: isinstance(e, ev.SpeakingInterrupted))
    assert any(isinstance(e, ev.ProviderWarned) and "HTTP 503" in e.message for e in events)
    await runner.cleanup()


# --- limits of time --------------------------------------------------------------------------------------


@asynccontextmanager
async def slow_server(*slow: str) -> AsyncIterator[tuple[str, list[str]]]:
    """A server whose answers to these calls never end: they drip, byte by byte."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(name := request.path.rpartition(".")[2])
        if name not in slow:
            return web.json_response({"code": 100, "data": {"session_id": "s1", "duration_ms": 100}})
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.5)

    app = web.Application()
    app.router.add_post("/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    await runner.cleanup()


async def test_a_task_that_is_never_answered_fails_in_time_is_silenced_and_the_next_is_spoken() -> None:
    async with slow_server("task") as (url, asked), avatar_at(url, timeout_s=1) as avatar:
        began = now_s()
        failed = (await spoken(avatar, "Hola, te cuento."))[-1]
        assert isinstance(failed, ev.ProviderFailed) and (failed.kind, failed.utterance_id) == ("stalled", 1)
        assert now_s() - began < 20  # as long as bytes came, it took for ever
        await avatar.speak(2, 0, "Chao.")
        while asked.count("task") < 2:
            await asyncio.sleep(0.1)
    assert asked.index("interrupt") < len(asked) - 1 - asked[::-1].index("task")


async def test_an_interruption_of_a_task_that_was_given_up_does_not_lose_the_next_words() -> None:
    async with slow_server("task", "interrupt") as (url, asked), avatar_at(url, timeout_s=1) as avatar:
        await avatar.speak(1, 0, "Hola.")
        await avatar.speak(2, 0, "Chao.")
        await avatar.end_speech(1)
        await until(avatar, lambda e: isinstance(e, ev.ProviderFailed))
        await avatar.interrupt(1)
        while asked.count("task") < 2:
            await asyncio.sleep(0.1)
        events = await until(avatar, lambda e: isinstance(e, ev.ProviderFailed) and e.utterance_id == 2)
    assert asked[: asked.index("task", asked.index("interrupt"))].count("interrupt") == 1
    assert not any(isinstance(e, ev.SpeakingInterrupted) for e in events)


async def test_an_order_to_fall_silent_that_is_never_answered_does_not_hold_up_the_next_words() -> None:
    async with slow_server("interrupt") as (url, _), avatar_at(url, task_mode="async") as avatar:
        await avatar.speak(1, 0, "Hola.")
        await until(avatar, lambda e: isinstance(e, ev.SpeakingStarted))
        began = now_s()
        await avatar.interrupt(1)
        await until(avatar, lambda e: isinstance(e, ev.SpeakingInterrupted))
        assert now_s() - began < 8


async def test_opening_a_session_whose_answer_drips_ends_in_time() -> None:
    async with slow_server("new") as (url, _):
        with pytest.raises(ProviderUnavailable) as caught:
            async with asyncio.timeout(20), avatar_at(url, timeout_s=2):
                pass
    assert caught.value.kind == "stalled"


@pytest.mark.parametrize("length", ["NaN", "Infinity", "-1", "1e300", '"long"'])
async def test_a_length_that_cannot_be_is_passed_over_with_a_warning(length: str) -> None:
    said = f'{{"code": 100, "data": {{"duration_ms": {length}}}}}'
    answer = lambda: web.Response(text=said, content_type="application/json")  # noqa: E731
    async with other_server(answer) as url, avatar_at(url, task_mode="async") as avatar:
        async with asyncio.timeout(15):
            events = await spoken(avatar, "Hola.")
    assert isinstance(events[-1], ev.SpeakingEnded)
    assert any(isinstance(e, ev.ProviderWarned) for e in events)
