"""Another model in mid-conversation: whose reply is whose, what it costs, and that it can be decided again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from clara_kit import ConversationManager, ConversationState, Run, Settings, compose, replay
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError, ProviderRefused
from clara_kit.core.keys import Keys
from clara_kit.lab.shelf import kept
from clara_kit.lab.spending import spent
from clara_kit.world.answers import AnswerBook
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer

S = ConversationState
SETTINGS = Settings.of(greeting="")


@pytest.fixture(scope="module")
def vendor() -> Iterator[Keys]:
    """A second server that speaks Anthropic's protocol, under the keys of somebody who has them."""
    twin = AnthropicTwin(TwinContext(profile=LatencyProfile.load("fast")), AnswerBook.load())
    with TwinServer([twin]) as server:
        address = server.addresses["anthropic"]["base_url"]
        yield Keys(anthropic_api_key=SecretStr("test-key"), anthropic_base_url=address)


def manager(tmp_path: Path, **kwargs: float) -> ConversationManager:
    return ConversationManager(
        compose("sim", llm="twin", settings=SETTINGS, latency="fast", pace=kwargs.get("pace", 1)), log_root=tmp_path
    )


async def answered(clara: ConversationManager, text: str) -> None:
    await clara.type(text)
    await clara.until(S.AVATAR_SPEAKING)
    await clara.interrupt()
    await clara.until(S.IDLE)


async def test_each_reply_is_told_whose_it_is_and_only_the_real_ones_cost(tmp_path: Path, vendor: Keys) -> None:
    clara = manager(tmp_path)
    services = clara.services
    async with clara:
        await answered(clara, "¿Hacen despachos a regiones?")
        assert spent(clara.conversation.trace, services.modes).usd == 0
        await clara.type("¿Qué protector solar me recomiendas?")
        await clara.exchange_llm("live", vendor)  # the reply that was asked for before is the twin's still
        await clara.until(S.AVATAR_SPEAKING)
        await clara.interrupt()
        await clara.until(S.IDLE)
        await answered(clara, "¿Y para piel seca?")
        assert clara.services.modes["llm"] == "live" and services.modes["llm"] == "twin"
        await clara.exchange_llm("twin")
        await answered(clara, "¿Cuánto cuesta?")
    run = clara.run
    assert run is not None and run.folder is not None
    rows = run.turns.to_dicts()
    assert ["llm live" in row["mix"] for row in rows] == [False, False, True, False]
    assert "llm twin then live then twin" in run.mix and run.modes["llm"] == "twin"
    cost = spent(run.trace, services.modes)
    assert cost.usd == pytest.approx(rows[2]["cost_usd"]) and cost.usd > 0
    loaded = Run.load(run.folder)
    assert loaded.mix == run.mix == kept(tmp_path)[0].mix and loaded.turns.equals(run.turns)
    assert replay(run.folder).same
    assert "llm twin then live then twin" in Run.from_jsonl(run.to_jsonl()).mix


async def test_a_key_that_is_refused_leaves_the_model_that_was_there(tmp_path: Path, vendor: Keys) -> None:
    async with manager(tmp_path) as clara:
        wrong = vendor.model_copy(update={"anthropic_api_key": SecretStr("wrong-key")})
        with pytest.raises(ProviderRefused):
            await clara.exchange_llm("live", wrong)
        with pytest.raises(ClaraError, match="ANTHROPIC_API_KEY"):
            await clara.exchange_llm("live", Keys())
        assert clara.services.modes["llm"] == "twin"
        await answered(clara, "¿Hacen despachos a regiones?")
    assert not [e for e in clara.run.events if isinstance(e, ev.ServiceExchanged)]  # type: ignore[union-attr]


async def test_no_vendor_is_put_into_a_conversation_that_lives_faster_than_the_wall(
    tmp_path: Path, vendor: Keys
) -> None:
    async with manager(tmp_path, pace=50) as clara:
        with pytest.raises(ClaraError, match="50 times"):
            await clara.exchange_llm("live", vendor)


async def test_of_two_exchanges_the_later_stays_and_another_key_alone_is_no_other_mix(
    tmp_path: Path, vendor: Keys
) -> None:
    async with manager(tmp_path) as clara:
        await asyncio.gather(clara.exchange_llm("live", vendor), clara.exchange_llm("live", vendor))
        await asyncio.gather(clara.exchange_llm("live", vendor), clara.exchange_llm("twin"))
        assert clara.services.modes["llm"] == "twin"
        with pytest.raises(ClaraError, match="'lvie'"):
            await clara.exchange_llm("lvie", vendor)  # type: ignore[arg-type]
    assert "llm twin then live then twin" in clara.run.mix  # type: ignore[union-attr]
    again = ConversationManager(clara.services, log_root=tmp_path)
    assert again.services.twins is None  # nothing is left to speak to of the conversation before
