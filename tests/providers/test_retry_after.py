"""A vendor that asks to wait: the wish is understood, travels as a number, and is obeyed as long as a turn bears it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.datastructures import Headers

from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderError
from clara_kit.core.prompt import Prompt
from clara_kit.core.retry import LONGEST_ASKED_MS, RetryPolicy, asked_wait_ms
from clara_kit.core.settings import Settings
from clara_kit.providers.avatar.heygen_streaming import HeyGenStreamingAvatar
from clara_kit.providers.avatar.liveavatar import LiveAvatarLite
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.claude import ClaudeStreamingLLM
from clara_kit.providers.stt.deepgram import DeepgramStreamingSTT
from clara_kit.providers.tts.deepgram_aura import DeepgramAuraTTS
from clara_kit.providers.tts.elevenlabs import ElevenLabsTTS
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.shop.fetcher import ShopifyCustomerFetcher
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.sim import simulate
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.every import every_twin
from clara_kit.world.twins.liveavatar.twin import SANDBOX_AVATAR
from clara_kit.world.twins.server import TwinServer
from tests.offline_tts import OfflineTTS

NOW_S = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("headers", "wait_ms"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2000),
        ({"retry-after": " 1.5 "}, 1500),
        ({"retry-after": "0"}, 0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 250),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9000),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30_000),
        ({"retry-after": "Friday, 15-Jan-27 08:00:30 GMT"}, 30_000),
        ({"retry-after": "Fri Jan 15 08:00:30 2027"}, 30_000),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT", "date": "Fri, 15 Jan 2027 08:00:20 GMT"}, 10_000),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST_ASKED_MS),
        ({"retry-after": "9" * 400}, LONGEST_ASKED_MS),
        *(({"retry-after": odd}, None) for odd in ("-5", "nan", "inf", "1e9", "", "later", "0x10", "٣", "5 s", "1, 2")),
        *(({"retry-after": odd}, None) for odd in ("Fri, 99 Zzz 2027", "Fri, 15 Jan", ", , ,")),
        (Headers([("retry-after", "1"), ("retry-after", "2")]), None),
    ],
)
def test_what_an_answer_asks_for_is_understood_or_left_alone(headers: Any, wait_ms: float | None) -> None:
    assert asked_wait_ms(headers, NOW_S) == wait_ms


@pytest.mark.parametrize(("asked_ms", "delay_ms"), [(None, 1000), (0, 1000), (400, 1000), (4000, 4000), (10_001, None)])
def test_the_policy_waits_as_long_as_it_is_asked_to_but_never_longer_than_it_bears(
    asked_ms: Any, delay_ms: Any
) -> None:
    assert RetryPolicy().delay_ms(1, asked_ms) == delay_ms
    assert RetryPolicy().delay_ms(4, asked_ms) is None


@asynccontextmanager
async def refusing(service: Any, status: int, for_ms: float = 2500.0) -> AsyncIterator[dict[str, dict[str, str]]]:
    faults = FaultBox(Fault(service=service, kind="refuse", status=status, for_ms=for_ms, on=n) for n in range(1, 5))
    context = TwinContext(profile=LatencyProfile.load("fast"), faults=faults)
    async with TwinServer(every_twin(context, LineBook())) as server:
        yield server.addresses


async def claude(address: dict[str, str]) -> None:
    llm = ClaudeStreamingLLM(api_key="test-key", base_url=address["base_url"], clock=MonotonicClock())
    message = do.Message(role="user", text="Hola")
    async with llm.reply(ReplyRequest(reply_id=1, prompt=Prompt(static="."), messages=(message,))) as events:
        (failed,) = [e async for e in events if isinstance(e, ev.ProviderFailed)]
    await llm.aclose()
    raise ProviderError(failed.message, kind=failed.kind, retry_after_ms=failed.retry_after_ms)


async def recogniser(address: dict[str, str]) -> None:
    async with DeepgramStreamingSTT(api_key="test-key", base_url=address["base_url"], clock=MonotonicClock()):
        pass


async def voice(address: dict[str, str]) -> None:
    await DeepgramAuraTTS(api_key="test-key", base_url=address["base_url"]).warm()


async def other_voice(address: dict[str, str]) -> None:
    await ElevenLabsTTS(api_key="test-key", base_url=address["base_url"]).warm()


async def voice_by_request(address: dict[str, str]) -> None:
    async for _ in DeepgramAuraTTS(api_key="test-key", base_url=address["base_url"]).rest("Hola."):
        pass


async def avatar(address: dict[str, str]) -> None:
    tts, clock = OfflineTTS(), MonotonicClock()
    async with LiveAvatarLite(
        api_key="test-key", base_url=address["base_url"], tts=tts, clock=clock, avatar_id=SANDBOX_AVATAR
    ):
        pass


async def classic_avatar(address: dict[str, str]) -> None:
    given = {"api_key": "test-key", "base_url": address["base_url"], "avatar_name": "a", "knowledge_base": ""}
    async with HeyGenStreamingAvatar(clock=MonotonicClock(), **given):
        pass


async def shop(address: dict[str, str]) -> None:
    at = address["base_url"]
    async with ShopifyCustomerFetcher("beta-skincare.myshopify.com", "test-key", base_url=at, timeout_ms=1000) as shop:
        await shop.fetch(1)


@pytest.mark.parametrize(
    ("ask", "vendor", "service", "status"),
    [
        (claude, "anthropic", "llm", 429),
        (claude, "anthropic", "llm", 529),
        *((recogniser, "deepgram", "stt", status) for status in (429, 503, 529)),
        *((voice, "deepgram", "tts", status) for status in (429, 503, 529)),
        (voice_by_request, "deepgram", "tts", 429),
        *((other_voice, "elevenlabs", "tts", status) for status in (429, 503, 529)),
        (avatar, "liveavatar", "avatar", 429),
        (classic_avatar, "heygen", "avatar", 503),
        (shop, "shopify", "shop", 429),
    ],
)
async def test_every_vendors_wish_travels_as_a_number(ask: Any, vendor: str, service: Any, status: int) -> None:
    async with refusing(service, status) as addresses:
        with pytest.raises(ProviderError) as caught:
            await ask(addresses[vendor])
    assert caught.value.retry_after_ms == 2500 and caught.value.retryable
    assert ev.ProviderFailed.of(caught.value, service, 0.0).retry_after_ms == 2500


def asked(for_ms: float, *, service: Any = "llm", status: int = 429) -> tuple[list[Any], list[str]]:
    """What the conversation makes of it: the timers for another try, and what is told."""
    faults = [Fault(service=service, kind="refuse", status=status, for_ms=for_ms)]
    settings = Settings.of(greeting="", failure_threshold=1)
    run = simulate(["¿Hacen despachos?"], settings, faults=faults, latency="fast")
    (failed,) = [r for r in run.trace if isinstance(r, ev.ProviderFailed)]
    timers = [r for r in run.trace if isinstance(r, do.SetTimer) and r.timer_id.startswith(("retry", "connect"))]
    return [round(r.due_ms - failed.at_ms) for r in timers], [t.clara for t in run.ledger]


def test_a_wish_that_a_turn_bears_is_obeyed_and_one_that_it_does_not_is_told_at_once() -> None:
    waited, said = asked(3500)
    assert waited == [3500] and said and Settings().apology not in said
    waited, said = asked(3_600_000)
    assert waited == [] and said == [Settings().apology]


def test_a_recogniser_that_goes_deaf_again_and_again_is_given_up_however_short_the_delays_are() -> None:
    conversation, at_ms = Conversation(Settings.of(greeting="", max_retry_delay_ms=1000)), 60_000.0
    conversation.handle(ev.ConversationStarted(at_ms=0.0))
    orders: list[Any] = []
    for _ in range(6):
        failed = ev.ProviderFailed(at_ms=at_ms, service="stt", kind="stalled", message="deaf", retryable=True)
        orders += [type(c) for c in conversation.handle(failed)]
        conversation.handle(ev.ProviderRecovered(at_ms=at_ms + 1000, service="stt"))
        at_ms += 8000.0
    assert do.Disconnect in orders


@pytest.mark.parametrize(("asked_ms", "orders"), [(None, [do.Connect]), (4000.0, []), (60_000.0, [do.Disconnect])])
def test_a_connection_is_not_opened_before_the_vendor_wants_it(asked_ms: float | None, orders: list[Any]) -> None:
    conversation = Conversation(Settings.of(greeting=""))
    conversation.handle(ev.ConversationStarted(at_ms=0.0))
    failed = ev.ProviderFailed(
        at_ms=60_000.0, service="stt", kind="rate_limited", message="x", retryable=True, retry_after_ms=asked_ms
    )
    commands = conversation.handle(failed)
    assert [type(c) for c in commands if isinstance(c, do.Connect | do.Disconnect)] == orders
    due = [c.due_ms - 60_000 for c in commands if isinstance(c, do.SetTimer)]
    assert due == ([asked_ms] if asked_ms == 4000 else [])
