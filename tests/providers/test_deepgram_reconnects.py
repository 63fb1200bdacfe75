"""Deepgram's connection breaks: no word is lost, none is doubled, and times stay true."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

from clara_kit.audio.pcm import Sound, concat, silence
from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderError
from clara_kit.core.retry import RetryPolicy
from clara_kit.providers.stt.base import Reopens, ToldLines
from clara_kit.providers.stt.deepgram import DeepgramStreamingSTT
from clara_kit.providers.stt.outbox import Outbox
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import clara_voice, customer_voice
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.pace import now_s
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.deepgram.twin import DeepgramTwin
from clara_kit.world.twins.server import TwinServer

LINE = "¿Qué protector solar me recomiendas para la piel sensible?"
SPEECH = customer_voice().synthesize(LINE)
SOUND = concat(silence(600, 16_000), SPEECH.sound.at_rate(16_000), silence(1400, 16_000))
QUICK = RetryPolicy(max_retries=3, initial_delay_ms=50, multiplier=2, max_delay_ms=200)


@asynccontextmanager
async def hearing(
    *faults: Fault, **options: Any
) -> AsyncIterator[tuple[DeepgramStreamingSTT, TwinServer, DeepgramTwin]]:
    lines = LineBook()
    lines.learn(LINE, SPEECH)
    context = TwinContext(profile=LatencyProfile.load("fast"), faults=FaultBox(faults))
    far = DeepgramTwin(context, lines, clara_voice())
    async with TwinServer([far]) as server:
        address = server.addresses["deepgram"]["base_url"]
        given = {"api_key": "test-key", "base_url": address, "clock": MonotonicClock(), **options}
        async with DeepgramStreamingSTT(**given) as stt:
            yield stt, server, far


async def say(stt: DeepgramStreamingSTT, sound: Sound, *, from_ms: float = 0.0, pace: float = 1.0) -> None:
    """Give a sound frame by frame; `from_ms` is when it was captured."""
    began = now_s()
    for n, frame in enumerate(sound.frames(20)):
        await stt.send(frame.to_bytes(), from_ms + n * 20)
        await asyncio.sleep(max(0.0, began + (n + 1) * 0.02 / pace - now_s()))


async def kept(stt: DeepgramStreamingSTT, policy: RetryPolicy = QUICK) -> AsyncIterator[ev.Event]:
    """The events of a recogniser that is opened again after each break, the first time at once; leaves it when
    it is given up."""
    clock, attempt, gave_up = MonotonicClock(), 0, False
    async for event in stt.events():
        yield event
        if isinstance(event, ev.TranscriptInterim | ev.TranscriptFinal):
            attempt = 0
        while isinstance(event, ev.ProviderFailed) and event.retryable and not gave_up:
            delay_ms = 0.0 if attempt == 0 else policy.delay_ms(attempt)
            if delay_ms is None:
                gave_up = True
                await stt.__aexit__(None, None, None)
                break
            attempt += 1
            await asyncio.sleep(delay_ms / 1000)
            try:
                await stt.reopen()
            except ProviderError as exc:
                event = ev.ProviderFailed.of(exc, "stt", clock.now_ms())
                yield event
                gave_up = not exc.retryable
                if gave_up:
                    await stt.__aexit__(None, None, None)
            else:
                yield ev.ProviderRecovered(at_ms=clock.now_ms(), service="stt")
                break


async def everything(stt: DeepgramStreamingSTT, sound: Sound = SOUND, **how: Any) -> list[ev.Event]:
    speaking = asyncio.create_task(say(stt, sound, **how))
    events: list[ev.Event] = []
    async with asyncio.timeout(15):
        async for event in kept(stt):
            events.append(event)
            if isinstance(event, ev.TranscriptFinal) and event.text:
                break
    await speaking
    return events


async def first(events: AsyncIterator[ev.Event], kind: type[ev.Event]) -> ev.Event | None:
    """The next event of this kind."""
    async for event in events:
        if isinstance(event, kind):
            return event
    return None


def kinds(events: list[ev.Event]) -> list[type]:
    return [type(e) for e in events if isinstance(e, ev.ProviderWarned | ev.ProviderRecovered | ev.ProviderFailed)]


@pytest.mark.parametrize("cut_ms", [200, 900, 1500, 2400, 3600])
async def test_a_cut_at_any_moment_loses_no_word_and_doubles_none(cut_ms: float) -> None:
    async with hearing(Fault(service="stt", kind="cut", after_ms=cut_ms)) as (stt, _, far):
        events = await everything(stt)
    final = events[-1]
    assert isinstance(final, ev.TranscriptFinal) and final.text == LINE
    assert len(far.connections) == 2
    assert kinds(events) == [ev.ProviderFailed, ev.ProviderRecovered]
    spoken = [(600 + w.start_ms, 600 + w.end_ms) for w in SPEECH.words]
    for word, (start_ms, end_ms) in zip(final.words, spoken, strict=True):
        assert word.start_ms == pytest.approx(start_ms, abs=120)  # on the clock of the customer, not of the stream
        assert word.end_ms == pytest.approx(end_ms, abs=120)


async def test_two_breaks_in_one_sentence_are_made_good() -> None:
    faults = (Fault(service="stt", kind="cut", after_ms=1200), Fault(service="stt", kind="error", on=2, after_ms=900))
    async with hearing(*faults) as (stt, _, far):
        events = await everything(stt)
    assert [e.text for e in events if isinstance(e, ev.TranscriptFinal)] == [LINE]
    assert len(far.connections) == 3


async def test_a_vendor_that_is_away_for_a_while_still_hears_everything() -> None:
    faults = (
        Fault(service="stt", kind="cut", after_ms=1200),
        Fault(service="stt", kind="refuse", on=2, status=503),
        Fault(service="stt", kind="refuse", on=3, status=503),
    )
    async with hearing(*faults) as (stt, _, _):
        events = await everything(stt)
    assert isinstance(events[-1], ev.TranscriptFinal) and events[-1].text == LINE
    assert kinds(events) == [ev.ProviderFailed] * 3 + [ev.ProviderRecovered]
    assert [e.kind for e in events if isinstance(e, ev.ProviderFailed)] == ["cut", "overloaded", "overloaded"]


async def test_a_key_that_is_refused_meanwhile_is_not_tried_again() -> None:
    faults = (Fault(service="stt", kind="cut", after_ms=300), Fault(service="stt", kind="refuse", on=2, status=401))
    async with hearing(*faults) as (stt, _, _):
        await say(stt, silence(500, 16_000))
        async with asyncio.timeout(5):
            events = [event async for event in kept(stt)]
    failed = events[-1]
    assert isinstance(failed, ev.ProviderFailed) and not failed.retryable and "DEEPGRAM_API_KEY" in failed.hint


async def test_a_vendor_that_stays_away_is_given_up_after_the_policy() -> None:
    async with hearing() as (stt, server, _):
        await say(stt, silence(200, 16_000))
        await asyncio.to_thread(server.kill)
        async with asyncio.timeout(8):
            events = [event async for event in kept(stt)]
    assert kinds(events) == [ev.ProviderFailed] * 5  # the break, the first try, three more
    assert (
        isinstance(events[-1], ev.ProviderFailed) and events[-1].retryable and "cannot be reached" in events[-1].message
    )


async def test_sound_goes_on_being_kept_until_somebody_opens_the_connection_again() -> None:
    async with hearing(Fault(service="stt", kind="cut", after_ms=900)) as (stt, _, far):
        assert isinstance(stt, Reopens) and not isinstance(stt, ToldLines)
        await stt.reopen()  # nothing is broken: nothing happens
        await say(stt, SOUND)
        async with asyncio.timeout(5):
            failed = await first(stt.events(), ev.ProviderFailed)
        assert isinstance(failed, ev.ProviderFailed) and (failed.kind, failed.retryable) == ("cut", True)
        assert len(far.connections) == 1
        await stt.reopen()
        async with asyncio.timeout(5):
            final = await first(stt.events(), ev.TranscriptFinal)
    assert isinstance(final, ev.TranscriptFinal) and final.text == LINE


async def test_a_try_that_fails_may_be_followed_by_another() -> None:
    faults = (Fault(service="stt", kind="cut", after_ms=300), Fault(service="stt", kind="refuse", on=2, status=429))
    async with hearing(*faults) as (stt, _, _):
        await say(stt, silence(400, 16_000))
        assert await first(stt.events(), ev.ProviderFailed)
        with pytest.raises(ProviderError) as caught:
            await stt.reopen()
        assert (caught.value.kind, caught.value.retryable) == ("rate_limited", True)
        await stt.reopen()
        await say(stt, SOUND)
        async with asyncio.timeout(5):
            final = await first(stt.events(), ev.TranscriptFinal)
    assert isinstance(final, ev.TranscriptFinal) and final.text == LINE


async def test_a_break_longer_than_is_kept_tells_how_much_was_lost() -> None:
    async with hearing(Fault(service="stt", kind="cut", after_ms=100)) as (stt, _, _):
        await say(stt, silence(200, 16_000))
        assert await first(stt.events(), ev.ProviderFailed)
        for n in range(850):
            await stt.send(loud(), 200.0 + n * 20)
        await stt.reopen()
        warned = await first(stt.events(), ev.ProviderWarned)
    assert isinstance(warned, ev.ProviderWarned)
    assert re.match(r"2\d\d\d ms of sound were lost", warned.message)


async def test_quiet_that_came_during_a_break_is_not_caught_up_with() -> None:
    async with hearing(Fault(service="stt", kind="cut", after_ms=100)) as (stt, _, _):
        await say(stt, silence(200, 16_000))
        assert await first(stt.events(), ev.ProviderFailed)
        for n in range(400):
            await stt.send(bytes(640), 200.0 + n * 20)
        await stt.reopen()
        assert stt._outbox.unsent_ms + stt._outbox.frames.sent_ms <= 300.0


async def test_words_that_were_final_are_told_when_a_broken_connection_is_left() -> None:
    async def handle(socket: ServerConnection) -> None:
        await socket.recv()
        words = [{"word": "hola", "punctuated_word": "Hola", "start": 0.0, "end": 0.02, "confidence": 0.9}]
        await socket.send(
            json.dumps(
                {
                    "type": "Results",
                    "start": 0.0,
                    "duration": 0.02,
                    "is_final": True,
                    "speech_final": False,
                    "channel": {"alternatives": [{"transcript": "Hola", "confidence": 0.9, "words": words}]},
                }
            )
        )
        socket.transport.abort()

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        stt = DeepgramStreamingSTT(api_key="test-key", clock=MonotonicClock(), base_url=f"http://127.0.0.1:{port}")
        async with asyncio.timeout(5):
            async with stt:
                await stt.send(loud(), 100.0)
                assert await first(stt.events(), ev.ProviderFailed)
            rest = [event async for event in stt.events()]
    assert [e.text for e in rest if isinstance(e, ev.TranscriptFinal)] == ["Hola"]


async def test_finalize_brings_the_words_at_once() -> None:
    async with hearing() as (stt, _, _):
        spoken = concat(silence(300, 16_000), SPEECH.sound.at_rate(16_000), silence(60, 16_000))
        speaking = asyncio.create_task(say(stt, spoken))
        await speaking
        await stt.finalize()
        async with asyncio.timeout(3):
            async for event in stt.events():
                if isinstance(event, ev.TranscriptFinal):
                    break
    assert event.text.split()[:4] == LINE.split()[:4]


# --- close codes of a server that is not ours -----------------------------------------------------------

CLOSES = [
    (1000, "", "cut", True),
    (1001, "going away", "cut", True),
    (1006, None, "cut", True),
    (1008, "DATA-0000 cannot be decoded", "bad_input", False),
    (1009, "too big", "bad_input", False),
    (1011, "NET-0000 internal", "cut", True),
    (1011, "NET-0001 no audio", "stalled", True),
    (1012, "restart", "cut", True),
]


@pytest.mark.parametrize(("code", "reason", "kind", "retryable"), CLOSES, ids=[f"{c}-{r}" for c, r, *_ in CLOSES])
async def test_every_close_code_is_told_for_what_it_is(
    code: int, reason: str | None, kind: str, retryable: bool
) -> None:
    async def handle(socket: ServerConnection) -> None:
        await socket.recv()
        if reason is None:
            socket.transport.abort()
        else:
            await socket.close(code, reason)

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        stt = DeepgramStreamingSTT(api_key="test-key", clock=MonotonicClock(), base_url=f"http://127.0.0.1:{port}")
        async with asyncio.timeout(5), stt:
            await stt.send(bytes(640), 0.0)
            failed = await anext(aiter(stt.events()))
    assert isinstance(failed, ev.ProviderFailed) and (failed.kind, failed.retryable) == (kind, retryable)


async def test_a_server_that_closes_every_connection_at_once_is_given_up() -> None:
    opened = 0

    async def handle(socket: ServerConnection) -> None:
        nonlocal opened
        opened += 1
        await socket.send(json.dumps({"type": "Metadata"}))
        await socket.close(1011, "NET-0000")

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        stt = DeepgramStreamingSTT(api_key="test-key", clock=MonotonicClock(), base_url=f"http://127.0.0.1:{port}")
        async with asyncio.timeout(5), stt:
            events = [event async for event in kept(stt)]
    assert isinstance(events[-1], ev.ProviderFailed) and opened <= 5


async def test_an_idle_connection_is_opened_again_only_when_somebody_speaks() -> None:
    opened = 0

    async def handle(socket: ServerConnection) -> None:
        nonlocal opened
        opened += 1
        if opened == 1:
            await socket.close(1011, "NET-0001 no audio")
            return
        with_sound = await socket.recv()
        assert isinstance(with_sound, bytes)
        await asyncio.sleep(5)

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        stt = DeepgramStreamingSTT(api_key="test-key", clock=MonotonicClock(), base_url=f"http://127.0.0.1:{port}")
        async with stt:
            recovered = asyncio.create_task(first(kept(stt), ev.ProviderRecovered))
            await asyncio.sleep(0.3)
            assert opened == 1
            await stt.send(bytes(640), 0.0)
            async with asyncio.timeout(3):
                await recovered
            assert opened == 2


# --- what waits to be sent -------------------------------------------------------------------------------


def loud(ms: int = 20) -> bytes:
    return b"\x00\x20" * (16 * ms)


def test_what_a_final_result_covers_is_not_sent_again() -> None:
    outbox = Outbox(rate_hz=16_000, keep_ms=1000)
    for n in range(10):
        outbox.add(loud(), 100.0 + n * 20)
    while outbox.take():
        pass
    outbox.confirm(120.0)
    assert outbox.rewind() == 80.0
    outbox.take()
    assert outbox.frames.at(0) == 100.0 + 6 * 20


def test_more_than_is_kept_loses_the_oldest_and_says_how_much() -> None:
    outbox = Outbox(rate_hz=16_000, keep_ms=200)
    for n in range(20):
        outbox.add(loud(), n * 20.0)
    assert outbox.lost_ms == 200.0 and outbox.unsent_ms == 200.0
    outbox.take()
    assert outbox.frames.at(0) == 200.0


def test_quiet_before_the_first_sound_is_not_sent_again() -> None:
    outbox = Outbox(rate_hz=16_000, keep_ms=10_000)
    for n in range(100):
        outbox.add(bytes(640), n * 20.0)
    for n in range(100, 110):
        outbox.add(loud(), n * 20.0)
    assert outbox.rewind() == 300.0 + 200.0


async def test_after_a_break_sound_is_sent_hardly_faster_than_it_was_spoken() -> None:
    arrived: list[float] = []

    async def handle(socket: ServerConnection) -> None:
        first = not arrived
        try:
            async for message in socket:
                if isinstance(message, bytes):
                    arrived.append(now_s())
                    if first and len(arrived) == 10:
                        socket.transport.abort()
                        return
        except websockets.ConnectionClosed:
            pass

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        stt = DeepgramStreamingSTT(api_key="test-key", clock=MonotonicClock(), base_url=f"http://127.0.0.1:{port}")
        async with stt:
            keeping = asyncio.create_task(first(kept(stt), ev.TranscriptFinal))
            for n in range(90):
                await stt.send(loud(), n * 20.0)
            await asyncio.sleep(0.3)
            soon = len(arrived) - 10
            assert 0 < soon * 20 < 500 + 1.25 * 600  # head start, and what the pace allows
            await asyncio.sleep(1.2)
            keeping.cancel()
    assert len(arrived) >= 90


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 503])
async def test_every_refused_handshake_gives_what_it_is_about_its_id_and_a_remedy(status: int) -> None:
    async def refuse(connection: ServerConnection, _request: Any) -> Any:
        response = connection.respond(HTTPStatus(status), "no")
        response.headers["dg-error"] = "no such model, because of that"
        response.headers["dg-request-id"] = "0a1b2c3d-0000-4000-8000-00000000000a"
        return response

    async def handle(_socket: ServerConnection) -> None:
        return

    async with serve(handle, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        stt = DeepgramStreamingSTT(api_key="test-key", clock=MonotonicClock(), base_url=f"http://127.0.0.1:{port}")
        with pytest.raises(
            Exception,
            match=re.escape(f"(HTTP {status}; it speaks of model; dg-request-id 0a1b2c3d-0000-4000-8000-00000000000a)"),
        ) as caught:
            await stt.__aenter__()
    assert caught.value.hint  # type: ignore[attr-defined]
