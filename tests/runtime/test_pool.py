"""Connections that stand before they are needed: what a handshake costs, and where it is no longer paid."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from clara_kit import ConversationManager, ConversationState, Settings, compose
from clara_kit.core.commands import Message
from clara_kit.core.prompt import Prompt
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.tts import deepgram_aura
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.services import Services

S = ConversationState
ASK = ReplyRequest(
    reply_id=1, prompt=Prompt(static="Eres Clara."), messages=(Message(role="user", text="¿Qué me recomiendas?"),)
)


@pytest.fixture
async def pooled(request: pytest.FixtureRequest) -> AsyncIterator[Services]:
    services = compose(
        "twin", settings=Settings.of(enable_connection_pool=getattr(request, "param", True)), latency="fast"
    )
    await asyncio.to_thread(services.open)
    yield services
    await asyncio.to_thread(services.close)


def shaken(services: Services) -> int:
    assert services.twins is not None
    return services.twins.handshakes.total()


async def read(llm: Any, *, left: bool) -> None:
    async with llm.reply(ASK) as events:
        async for event in events:
            if left and type(event).__name__ == "ReplyDelta":
                return


@pytest.mark.parametrize(("pooled", "more"), [(True, 0), (False, 1)], indirect=["pooled"])
async def test_what_is_asked_after_an_interruption_needs_no_new_connection(pooled: Services, more: int) -> None:
    llm: Any = pooled.llm(MonotonicClock())
    await llm.warm()
    before = shaken(pooled)
    await read(llm, left=True)
    await read(llm, left=False)
    await llm.aclose()
    assert shaken(pooled) == before + more


async def test_a_warm_voice_begins_without_a_handshake_and_an_old_socket_is_replaced_in_time(
    pooled: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice: Any = pooled.tts(MonotonicClock())

    async def say() -> None:
        async def pieces() -> AsyncIterator[str]:
            yield "Hola."

        async with voice.speak(pieces()) as sound, aclosing(sound):
            async for _ in sound:
                pass

    await voice.warm()
    before = shaken(pooled)
    await say()
    await voice.warm()
    assert shaken(pooled) == before
    monkeypatch.setattr(deepgram_aura, "RENEWED_S", 0)
    await voice.warm()
    assert shaken(pooled) == before + 1
    await say()
    await voice.aclose()
    assert shaken(pooled) == before + 1


async def test_each_new_connection_to_a_twin_takes_as_long_as_the_profile_says(tmp_path: Path) -> None:
    services = compose("twin", settings=Settings.of(enable_connection_pool=True), latency="published")
    await asyncio.to_thread(services.open)
    clock = MonotonicClock()
    llm: Any = services.llm(clock)
    began_ms = clock.now_ms()
    await llm.warm()
    first_ms = clock.now_ms() - began_ms
    began_ms = clock.now_ms()
    await llm.warm()
    assert first_ms >= 50 > clock.now_ms() - began_ms
    await llm.aclose()
    await asyncio.to_thread(services.close)


async def test_a_conversation_with_warm_connections_decides_and_says_the_same(tmp_path: Path) -> None:
    said = []
    for on in (False, True):
        settings = Settings.of(greeting="", enable_connection_pool=on)
        async with ConversationManager(compose("twin", settings=settings, latency="fast"), log_root=tmp_path) as clara:
            await clara.type("¿Hacen despachos a regiones?")
            await clara.until(S.AVATAR_SPEAKING)
            await clara.interrupt()
            said.append((await clara.ask("¿Cuánto cuesta el despacho?")).clara)
    assert said[0] == said[1]


async def test_a_long_prompt_is_kept_by_the_vendor_before_the_first_question(pooled: Services) -> None:
    llm: Any = pooled.llm(MonotonicClock())
    long = Prompt(static="Eres Clara, de Beta Skincare. " * 400)
    used = await llm.warm_prompt(long)
    assert used.cache_write_tokens > 512 and used.output_tokens == 0
    async with llm.reply(ReplyRequest(reply_id=1, prompt=long, messages=ASK.messages)) as events:
        completed = [event async for event in events][-1]
    assert completed.usage.cache_read_tokens == used.cache_write_tokens
    assert await llm.warm_prompt(Prompt(static="Eres Clara.")) is None, "nothing is sent for what would not be kept"
    await llm.aclose()
