"""What every recogniser promises (`providers/stt/base.py`), asked of each implementation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from clara_kit.audio.line_book import LineBook
from clara_kit.audio.pcm import concat, silence
from clara_kit.core import events as ev
from clara_kit.providers.stt.base import STTProvider, ToldLines
from clara_kit.providers.stt.deepgram import DeepgramStreamingSTT
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import clara_voice, compose, customer_voice
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.pace import now_s
from clara_kit.world.script import Line
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.deepgram.twin import DeepgramTwin
from clara_kit.world.twins.server import TwinServer

FAST = LatencyProfile.load("fast")
LINE = "¿Hacen despachos a regiones?"
SPEECH = customer_voice().synthesize(LINE)


class Ear:
    """A recogniser, its clock, and how to let it hear a line."""

    def __init__(self, stt: STTProvider, clock: MonotonicClock) -> None:
        self.stt, self.clock = stt, clock

    async def hear(self, *, after_ms: float = 700.0) -> float:
        """Say the line at the pace of sound; returns when its last word ended."""
        began = self.clock.now_ms()
        if isinstance(self.stt, ToldLines):
            self.stt.expect(Line(text=LINE), began)
        else:
            for frame in concat(
                SPEECH.sound.at_rate(self.stt.rate_hz), silence(after_ms, self.stt.rate_hz)
            ).frames(20):
                await self.stt.send(frame.to_bytes(), self.clock.now_ms())
                await asyncio.sleep(0.018)
        return began + SPEECH.words[-1].end_ms


@asynccontextmanager
async def deepgram() -> AsyncIterator[Ear]:
    lines, clock = LineBook(), MonotonicClock()
    lines.learn(LINE, SPEECH)
    async with TwinServer([DeepgramTwin(TwinContext(profile=FAST), lines, clara_voice())]) as server:
        address = server.addresses["deepgram"]["base_url"]
        yield Ear(DeepgramStreamingSTT(api_key="test-key", base_url=address, clock=clock), clock)


@asynccontextmanager
async def played() -> AsyncIterator[Ear]:
    clock = MonotonicClock()
    yield Ear(compose("sim", latency=FAST).stt(clock), clock)


Make = Callable[[], AbstractAsyncContextManager[Ear]]
EVERY = pytest.mark.parametrize("make", [deepgram, played], ids=["deepgram", "played"])


@EVERY
async def test_an_utterance_has_interim_words_and_exactly_one_final(make: Make) -> None:
    async with make() as ear, ear.stt:
        await ear.hear()
        await ear.stt.finish()
        async with asyncio.timeout(10):
            events = [event async for event in ear.stt.events()]
    finals = [e for e in events if isinstance(e, ev.TranscriptFinal)]
    assert [f.text for f in finals] == [LINE]
    final = finals[0]
    before = events[: events.index(final)]
    assert isinstance(before[0], ev.SpeechStarted)
    interims = [e.text for e in before if isinstance(e, ev.TranscriptInterim)]
    assert interims and all(LINE.lower().startswith(i.lower().rstrip("?.…")[:6]) for i in interims)
    assert final.speech_started_ms < final.speech_ended_ms <= final.at_ms
    assert [w.text for w in final.words] == LINE.split()
    assert all(a.end_ms <= b.start_ms + 1 for a, b in zip(final.words, final.words[1:], strict=False))
    assert final.words[-1].end_ms == final.speech_ended_ms


@EVERY
async def test_two_utterances_have_two_finals(make: Make) -> None:
    finals: list[ev.TranscriptFinal] = []
    async with make() as ear, ear.stt:
        await ear.hear()
        async with asyncio.timeout(15):
            async for event in ear.stt.events():
                if isinstance(event, ev.TranscriptFinal):
                    finals.append(event)
                    if len(finals) == 2:
                        break
                    await ear.hear()
    assert [f.text for f in finals] == [LINE, LINE]
    assert finals[0].speech_ended_ms < finals[1].speech_started_ms


@EVERY
async def test_finishing_without_a_sound_ends_the_events(make: Make) -> None:
    async with make() as ear, ear.stt:
        await ear.stt.finish()
        async with asyncio.timeout(3):
            assert [event async for event in ear.stt.events()] == []


@EVERY
async def test_leaving_takes_less_than_a_second_and_sound_afterwards_is_no_error(make: Make) -> None:
    async with make() as ear:
        async with ear.stt:
            await ear.stt.send(bytes(640), 0.0)
            began = now_s()
        assert now_s() - began < 1
        await ear.stt.send(bytes(640), 20.0)
