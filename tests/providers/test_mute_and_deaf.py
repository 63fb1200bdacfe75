"""Vendors that take a connection and never speak, or sound and never answer: noticed, told, and left without a trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from clara_kit.audio.pcm import silence
from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderUnavailable
from clara_kit.providers.stt.deepgram import DeepgramStreamingSTT
from clara_kit.providers.tts.deepgram_aura import DeepgramAuraTTS
from clara_kit.providers.tts.elevenlabs import ElevenLabsTTS
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.world.faults import Fault
from clara_kit.world.pace import now_s
from clara_kit.world.sim import simulate
from tests.providers.test_deepgram_reconnects import LINE, everything, hearing, kinds, say


@asynccontextmanager
async def mute() -> AsyncIterator[tuple[str, list[asyncio.StreamReader]]]:
    """Takes connections and whatever is said, and never says a word."""
    taken: list[asyncio.StreamReader] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(reader)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", taken


async def ended(reader: asyncio.StreamReader) -> None:
    """Until the other side has gone, however it went."""
    try:
        while await reader.read(4096):
            pass
    except ConnectionError:
        pass


async def open_recogniser(address: str, timeout_s: float) -> None:
    async with DeepgramStreamingSTT(api_key="k", base_url=address, clock=MonotonicClock(), open_timeout_s=timeout_s):
        pass


async def open_voice(address: str, timeout_s: float) -> None:
    await DeepgramAuraTTS(api_key="k", base_url=address, open_timeout_s=timeout_s).warm()


async def open_other_voice(address: str, timeout_s: float) -> None:
    await ElevenLabsTTS(api_key="k", base_url=address, open_timeout_s=timeout_s).warm()


OPENED = [open_recogniser, open_voice, open_other_voice]


@pytest.mark.parametrize("opened", OPENED)
async def test_who_takes_the_connection_and_never_speaks_is_given_up_in_time_and_left(opened: Any) -> None:
    before = asyncio.all_tasks()
    async with mute() as (address, taken):
        began = now_s()
        with pytest.raises(ProviderUnavailable, match="in time") as caught:
            await opened(address, 1.0)
        assert now_s() - began < 4  # it took ten seconds
        assert (caught.value.kind, caught.value.retryable) == ("stalled", True)
        async with asyncio.timeout(2):
            await ended(taken[0])
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() <= before


@pytest.mark.parametrize("opened", OPENED)
async def test_connecting_can_be_called_off_at_once_and_leaves_nothing(opened: Any) -> None:
    before = asyncio.all_tasks()
    async with mute() as (address, taken):
        opening = asyncio.create_task(opened(address, 8.0))
        while not taken:
            await asyncio.sleep(0.05)
        opening.cancel()
        began = now_s()
        await asyncio.wait({opening})
        assert opening.cancelled() and now_s() - began < 1
        async with asyncio.timeout(2):
            await ended(taken[0])
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() <= before


async def test_a_deaf_recogniser_is_told_and_a_new_connection_gets_every_word() -> None:
    async with hearing(Fault(service="stt", kind="stall")) as (stt, _, far):
        events = await everything(stt)
    assert [e.text for e in events if isinstance(e, ev.TranscriptFinal)] == [LINE]
    assert kinds(events) == [ev.ProviderFailed, ev.ProviderRecovered]
    failed = next(e for e in events if isinstance(e, ev.ProviderFailed))
    assert failed.kind == "stalled" and "nothing back" in failed.message and failed.hint
    assert len(far.connections) == 2


async def test_a_quiet_room_and_a_muted_microphone_are_not_taken_for_a_deaf_recogniser() -> None:
    async with hearing() as (stt, _, far):
        await say(stt, silence(9_000, 16_000))  # the twin answers to it, as the vendor does
        await stt.send(bytes(3200), 9_000.0)
        await asyncio.sleep(9)
        events = await everything(stt, from_ms=29_100)
        assert kinds(events) == [] and len(far.connections) == 1


@asynccontextmanager
async def ears(*, answers: str = "", every_s: float = 0.0) -> AsyncIterator[DeepgramStreamingSTT]:
    """A recogniser that takes everything and heeds nothing: it only says `answers`, again and again."""

    async def handle(socket: ServerConnection) -> None:
        while answers:
            await socket.send(answers)
            await asyncio.sleep(every_s)
        async for _ in socket:
            pass

    async with serve(handle, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with DeepgramStreamingSTT(api_key="k", base_url=address, clock=MonotonicClock()) as stt:
            yield stt


@pytest.mark.parametrize("chatter", ['{"type": "Metadata"}', '{"type": "BrandNew"}', "no JSON"])
async def test_who_chatters_and_hears_nothing_is_deaf(chatter: str) -> None:
    async with ears(answers=chatter, every_s=1.0) as stt:
        await stt.send(bytes(80_000), 0.0)
        async with asyncio.timeout(18):
            failed = await anext(e async for e in stt.events() if isinstance(e, ev.ProviderFailed))
    assert failed.kind == "stalled" and "nothing back" in failed.message


@pytest.mark.parametrize(("answers", "every_s"), [("", 0.0), ('{"type": "BrandNew"}', 1.0)])
async def test_finishing_ends_even_where_nobody_answers_to_it(answers: str, every_s: float) -> None:
    async with ears(answers=answers, every_s=every_s) as stt:
        await stt.send(bytes(32_000), 0.0)
        await stt.finish()
        async with asyncio.timeout(18):
            events = [event async for event in stt.events()]
        assert [event async for event in stt.events()] == []  # and stays ended
    failed = [e for e in events if isinstance(e, ev.ProviderFailed)]
    assert [(f.kind, f.retryable) for f in failed] == [("stalled", False)] and "last words" in failed[0].message


def test_the_simulation_honours_a_deaf_recogniser_as_the_twin_does() -> None:
    line = "¿Hacen despachos a regiones?"
    run = simulate([line, "Gracias"], faults=[Fault(service="stt", kind="stall")], latency="fast")
    failed = [r for r in run.trace if isinstance(r, ev.ProviderFailed)]
    assert [(f.service, f.kind, f.retryable) for f in failed] == [("stt", "stalled", True)]
    assert any(t.customer.startswith(line) for t in run.ledger)
    late = simulate([line], faults=[Fault(service="stt", kind="stall", for_ms=900)], latency="fast")
    assert not [r for r in late.trace if isinstance(r, ev.ProviderFailed)]
    assert line in [t.customer for t in late.ledger]
