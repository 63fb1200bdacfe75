"""ClaudeStreamingLLM against the kit's own twin of Anthropic: both ends of one wire, each in its own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from clara_kit.core.commands import Message
from clara_kit.core.errors import ProviderRefused
from clara_kit.core.events import Event, ProviderFailed, ReplyCompleted, ReplyDelta, ReplyStarted
from clara_kit.core.prompt import Prompt
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.claude import ClaudeStreamingLLM
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.pace import now_s
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer

answers = pytest.importorskip("clara_kit.world.answers")
twins = pytest.importorskip("clara_kit.world.twins.anthropic.twin")


class RealClock:
    def now_ms(self) -> float:
        return now_s() * 1000


@asynccontextmanager
async def claude(*faults: Fault, **options: Any) -> AsyncIterator[ClaudeStreamingLLM]:
    context = TwinContext(profile=LatencyProfile.load("fast"), faults=FaultBox(faults))
    async with TwinServer([twins.AnthropicTwin(context, answers.AnswerBook.load())]) as server:
        address = server.addresses["anthropic"]["base_url"]
        llm = ClaudeStreamingLLM(**{"api_key": "test-key", "clock": RealClock(), "base_url": address, **options})
        try:
            yield llm
        finally:
            await llm.aclose()


async def ask(llm: ClaudeStreamingLLM, question: str = "¿Qué hidratante me recomiendas?") -> list[Event]:
    prompt = Prompt(static="Eres Clara, asesora de Beta Skincare.", personal="La clienta se llama Antonia.")
    messages = (Message(role="user", text=question),)
    async with asyncio.timeout(8), llm.reply(ReplyRequest(reply_id=1, prompt=prompt, messages=messages)) as events:
        return [e async for e in events]


async def test_the_twin_answers_in_pieces_and_reports_usage() -> None:
    async with claude() as llm:
        await llm.warm()
        events = await ask(llm)
        assert isinstance(events[0], ReplyStarted)
        assert len([e for e in events if isinstance(e, ReplyDelta)]) > 1
        end = events[-1]
        assert isinstance(end, ReplyCompleted)
        assert end.stop_reason == "end_turn"
        assert end.usage.output_tokens > 0
        assert end.usage.cost_usd is not None


async def test_a_reply_that_may_be_only_two_tokens_long_ends_with_max_tokens() -> None:
    async with claude(max_tokens=2) as llm:
        end = (await ask(llm))[-1]
        assert isinstance(end, ReplyCompleted)
        assert end.stop_reason == "max_tokens"


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-sonnet-5-5"])
async def test_the_twin_takes_what_is_sent_for_other_models(model: str) -> None:
    async with claude(model=model) as llm:
        assert isinstance((await ask(llm))[-1], ReplyCompleted)


async def test_a_wrong_key_is_refused() -> None:
    async with claude(api_key="another-key") as llm:
        end = (await ask(llm))[-1]
        assert isinstance(end, ProviderFailed)
        assert end.kind == "refused"
        with pytest.raises(ProviderRefused):
            await llm.warm()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_plans_retired_model_fails_with_its_date() -> None:
    async with claude(model="claude-3-5-haiku-20241022") as llm:
        end = (await ask(llm))[-1]
        assert isinstance(end, ProviderFailed)
        assert "2026-02-19" in end.message


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(service="llm", kind="refuse", status=529), "overloaded"),
        (Fault(service="llm", kind="refuse", status=429), "rate_limited"),
        (Fault(service="llm", kind="error", after_ms=5, detail="overloaded_error"), "overloaded"),
        (Fault(service="llm", kind="cut", after_ms=5), "cut"),
        (Fault(service="llm", kind="stall", after_ms=5), "stalled"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else value,
)
async def test_every_fault_comes_to_its_one_end_and_the_next_reply_is_whole(fault: Fault, kind: str) -> None:
    async with claude(fault, first_token_timeout_ms=300, stall_timeout_ms=200) as llm:
        events = await ask(llm)
        end = events[-1]
        assert isinstance(end, ProviderFailed)
        assert end.kind == kind
        assert sum(isinstance(e, ReplyCompleted | ProviderFailed) for e in events) == 1
        assert isinstance((await ask(llm))[-1], ReplyCompleted)


async def test_a_question_with_half_a_character_is_answered_though_the_api_refuses_such_bodies() -> None:
    async with claude() as llm:
        assert isinstance((await ask(llm, "¿Hacen despachos? \ud83d"))[-1], ReplyCompleted)
        body = b'{"model":"claude-haiku-5-5","max_tokens":9,"messages":[{"role":"user","content":"Hola \\ud83d"}]}'
        headers = {"x-api-key": "test-key", "anthropic-version": "2023-06-01", "content-type": "application/json"}
        async with httpx.AsyncClient(base_url=llm._base_url, trust_env=False) as client:
            refused = await client.post("/v1/messages", content=body, headers=headers)
        assert refused.status_code == 400 and "no low surrogate in string" in refused.json()["error"]["message"]
