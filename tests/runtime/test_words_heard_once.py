"""From the sound to the question: through the recogniser's twin every word counts once, whatever comes in between."""

from __future__ import annotations

import asyncio

import pytest

from clara_kit.audio.pcm import concat, silence
from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.lexicon import plain
from clara_kit.core import events as ev
from clara_kit.core.commands import RequestReply
from clara_kit.core.settings import Settings
from clara_kit.providers.stt.deepgram import DeepgramStreamingSTT
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import clara_voice, customer_voice
from clara_kit.world.faults import Fault, FaultKind
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.deepgram.twin import DeepgramTwin
from clara_kit.world.twins.server import TwinServer

LINE = "Quiero un protector solar para la piel mixta de mi hermana"
SPEECH = customer_voice().synthesize(LINE)


async def asked(meanwhile: str, *faults: FaultKind) -> list[str]:
    """What the model was asked when the line was said; `meanwhile` happens once three words are known."""
    lines, clock, context = LineBook(), MonotonicClock(), TwinContext(profile=LatencyProfile.load("fast"))
    lines.learn(LINE, SPEECH)
    for kind in faults:
        context.faults.add(Fault(service="stt", kind=kind))
    talk, due = Conversation(Settings.of(turn_hold_ms=400, final_timeout_ms=0)), False
    async with TwinServer([DeepgramTwin(context, lines, clara_voice())]) as server:
        address = server.addresses["deepgram"]["base_url"]
        async with DeepgramStreamingSTT(api_key="test-key", base_url=address, clock=clock) as stt, asyncio.timeout(30):

            async def speak() -> None:
                for frame in concat(SPEECH.sound.at_rate(stt.rate_hz), silence(2500, stt.rate_hz)).frames(20):
                    await stt.send(frame.to_bytes(), clock.now_ms())
                    await asyncio.sleep(0.019)
                await stt.finalize()  # nobody speaks: what was final stays what it was
                await stt.finish()

            speaking = asyncio.create_task(speak())
            async for event in stt.events():
                talk.handle(event)
                if isinstance(event, ev.TranscriptInterim) and len(event.text.split()) >= 3 and not due:
                    due = True
                    if meanwhile == "typed":
                        talk.handle(ev.TextTyped(at_ms=clock.now_ms(), text="barato"))
                    elif meanwhile == "asked for":
                        await stt.finalize()
                    elif meanwhile == "taken":
                        (timer,) = (t for kind, t in talk.talk.timers.items() if kind == "final_wait")
                        talk.handle(ev.TimerFired(at_ms=clock.now_ms(), timer_id=timer.timer_id))
            await speaking
        while talk.talk.timers:
            timer = min(talk.talk.timers.values(), key=lambda timer: timer.due_ms)
            talk.handle(ev.TimerFired(at_ms=timer.due_ms, timer_id=timer.timer_id))
    return [r.text for r in talk.trace if isinstance(r, RequestReply)]


@pytest.mark.parametrize(
    ("meanwhile", "faults"), [("typed", []), ("asked for", ["duplicate"]), ("taken", []), ("taken", ["no_end"])]
)
async def test_every_word_counts_once_from_the_sound_to_the_question(meanwhile: str, faults: list[FaultKind]) -> None:
    questions = await asked(meanwhile, *faults)
    typed = ["barato"] if meanwhile == "typed" else []
    assert sorted(plain(questions[-1])) == sorted([*plain(LINE), *typed]), questions
