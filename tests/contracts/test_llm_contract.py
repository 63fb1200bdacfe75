"""What every language model promises (`providers/llm/base.py`), asked of each implementation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from clara_kit.core import events as ev
from clara_kit.core.commands import Message
from clara_kit.core.prompt import Prompt
from clara_kit.providers.llm.base import LLMProvider, ReplyRequest
from clara_kit.providers.llm.claude import ClaudeStreamingLLM
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import compose
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer

FAST = LatencyProfile.load("fast")


@pytest.fixture(params=["claude", "played"])
async def llm(request: pytest.FixtureRequest) -> AsyncIterator[LLMProvider]:
    clock = MonotonicClock()
    if request.param == "played":
        yield compose("sim", latency=FAST).llm(clock)
        return
    async with TwinServer([AnthropicTwin(TwinContext(profile=FAST), AnswerBook.load())]) as twins:
        address = twins.addresses["anthropic"]["base_url"]
        model = ClaudeStreamingLLM(api_key="test-key", base_url=address, clock=clock)
        yield model
        await model.aclose()


def request(reply_id: int = 1, *texts: str) -> ReplyRequest:
    roles = ("user", "assistant")
    said = texts or ("¿Hacen despachos a regiones?",)
    messages = tuple(Message(role=roles[n % 2], text=text) for n, text in enumerate(said))  # type: ignore[arg-type]
    return ReplyRequest(reply_id=reply_id, prompt=Prompt(static="Eres Clara."), messages=messages)


async def reply(llm: LLMProvider, asked: ReplyRequest) -> list[ev.Event]:
    async with asyncio.timeout(10), llm.reply(asked) as events:
        return [event async for event in events]


async def test_a_reply_starts_once_grows_and_ends_once(llm: LLMProvider) -> None:
    events = await reply(llm, request())
    assert isinstance(events[0], ev.ReplyStarted) and isinstance(events[-1], ev.ReplyCompleted)
    assert all(isinstance(e, ev.ReplyDelta) for e in events[1:-1])
    assert {e.reply_id for e in events} == {1}  # type: ignore[attr-defined]
    assert events[0].prompt_hash == request().prompt.hash
    times = [e.at_ms for e in events]
    assert times == sorted(times)
    assert "despachamos" in "".join(e.text for e in events if isinstance(e, ev.ReplyDelta))
    assert events[-1].usage.output_tokens > 0 and events[-1].usage.input_tokens > 0
    assert events[-1].stop_reason == "end_turn"


async def test_two_replies_at_once_do_not_mix(llm: LLMProvider) -> None:
    one, two = await asyncio.gather(
        reply(llm, request(1, "¿Hacen despachos a regiones?")), reply(llm, request(2, "¿Qué medios de pago aceptan?"))
    )
    assert {e.reply_id for e in one} == {1} and {e.reply_id for e in two} == {2}  # type: ignore[attr-defined]
    texts = ["".join(e.text for e in events if isinstance(e, ev.ReplyDelta)) for events in (one, two)]
    assert texts[0] != texts[1] and all(texts)


async def test_leaving_early_ends_it_at_once_and_the_next_reply_works(llm: LLMProvider) -> None:
    async with asyncio.timeout(5), llm.reply(request(1)) as events:
        async for event in events:
            if isinstance(event, ev.ReplyDelta):
                break
    assert isinstance((await reply(llm, request(2)))[-1], ev.ReplyCompleted)


async def test_a_cancelled_task_gives_nothing_more(llm: LLMProvider) -> None:
    seen: list[ev.Event] = []

    async def read() -> None:
        async with llm.reply(request(1)) as events:
            async for event in events:
                seen.append(event)

    task = asyncio.create_task(read())
    while not any(isinstance(e, ev.ReplyDelta) for e in seen):
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait({task}, timeout=2)
    count = len(seen)
    assert task.cancelled() and not any(isinstance(e, ev.ReplyCompleted) for e in seen)
    await asyncio.sleep(0.1)
    assert len(seen) == count


async def test_a_long_history_is_taken(llm: LLMProvider) -> None:
    said = [f"mensaje {n}" for n in range(20)] + ["¿Hacen despachos a regiones?"]
    assert isinstance((await reply(llm, request(1, *said)))[-1], ev.ReplyCompleted)


async def test_closing_twice_is_no_error(llm: LLMProvider) -> None:
    await llm.aclose()
    await llm.aclose()


FAULTS = [
    (Fault(service="llm", kind="error", after_ms=1), "failed"),
    (Fault(service="llm", kind="cut", after_ms=1), "failed"),
    (Fault(service="llm", kind="stall", after_ms=1), "failed"),
    (Fault(service="llm", kind="refuse", status=429), "failed"),
    (Fault(service="llm", kind="refuse", status=500), "failed"),
    (Fault(service="llm", kind="garble", after_ms=1), "end_turn"),
    (Fault(service="llm", kind="decline"), "refusal"),
    (Fault(service="llm", kind="truncate", after_ms=1), "max_tokens"),
]


@pytest.mark.parametrize(("fault", "how"), FAULTS, ids=[f"{f.kind}-{f.status}" for f, _ in FAULTS])
async def test_whatever_goes_wrong_there_is_exactly_one_end(fault: Fault, how: str) -> None:
    context = TwinContext(profile=FAST, faults=FaultBox([fault]))
    async with TwinServer([AnthropicTwin(context, AnswerBook.load())]) as twins:
        llm = ClaudeStreamingLLM(
            api_key="test-key",
            base_url=twins.addresses["anthropic"]["base_url"],
            clock=MonotonicClock(),
            stall_timeout_ms=300,
            first_token_timeout_ms=2000,
        )
        events = await reply(llm, request())
        ends = [e for e in events if isinstance(e, ev.ReplyCompleted | ev.ProviderFailed)]
        assert len(ends) == 1 and events[-1] is ends[0]
        end = ends[0]
        assert how == ("failed" if isinstance(end, ev.ProviderFailed) else end.stop_reason)
        if isinstance(end, ev.ProviderFailed):
            assert end.reply_id == 1 and end.message and end.retryable
        assert isinstance((await reply(llm, request(2)))[-1], ev.ReplyCompleted)
        await llm.aclose()
