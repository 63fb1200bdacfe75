"""A server on this machine stands in for Claude: small loopback servers that speak, or mis-speak, chat completions."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clara_kit import ConversationManager, ConversationState, compose
from clara_kit.core.commands import Message
from clara_kit.core.errors import SettingsError
from clara_kit.core.events import ProviderFailed
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Keys, Settings
from clara_kit.lab.calls.brains import brain_for
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.world.brain import Brain, Written
from clara_kit.world.faults import Fault
from clara_kit.world.sim import simulate
from clara_kit.world.twins.server import TwinServer

USAGE = {"prompt_tokens": 30, "completion_tokens": 4}


class ModelServer:
    """As Ollama and its like answer. how: what it does wrong."""

    name = "model"

    def __init__(self) -> None:
        self.how, self.asked = "", list[dict[str, Any]]()
        self.models = ["llama", "qwen"]

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/model/v1/models", self._models)
        app.router.add_post("/model/v1/chat/completions", self._chat)

    def addresses(self, host_port: str) -> dict[str, str]:
        return {"base_url": f"http://{host_port}/model/v1"}

    async def close(self) -> None: ...

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name} for name in self.models]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        if body["model"] not in self.models:
            return web.json_response({"error": {"message": f"secret words {body['messages']}"}}, status=404)
        if self.how == "page":
            return web.Response(text="<html>it works</html>")
        stream = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await stream.prepare(request)

        async def send(data: object) -> None:
            await stream.write(
                f"data: {data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)}\n\n".encode()
            )

        for n, text in enumerate(("", "Te recomiendo", " el gel", " hidratante", " Lluvia.")):
            if self.how == "stall" and n == 2:
                await asyncio.sleep(3600)
            if self.how == "garbage" and n == 2:
                await send("{not json")
            if self.how == "cut" and n == 3:
                assert request.transport is not None
                request.transport.abort()
                return stream
            await asyncio.sleep(0)
            await send({"choices": [{"delta": {"content": text}, "finish_reason": None}]})
        if self.how != "no end":
            await send({"choices": [{"delta": {}, "finish_reason": "stop"}]})
            await send({"choices": [], "usage": USAGE})
            await send("[DONE]")
        await stream.write_eof()
        return stream


@pytest.fixture
def server() -> Iterator[tuple[ModelServer, Keys]]:
    model = ModelServer()
    with TwinServer([model]) as running:
        yield model, Keys(local_llm_base_url=running.addresses["model"]["base_url"])


def local(keys: Keys, **changes: Any) -> Brain:
    brain = brain_for("local", Settings.of(**changes), keys=keys)
    assert brain is not None
    return brain


def ask(brain: Brain) -> Written:
    prompt = Prompt(static="Eres Clara.", personal="Se llama {first_name}.")
    messages = (Message(role="user", text="Soy {first_name}. ¿Qué hidratante me recomiendas?"),)
    return brain.write(ReplyRequest(reply_id=1, prompt=prompt, messages=messages), words={"{first_name}": "Camila"})


def test_a_model_on_this_machine_answers_and_is_marked_as_what_it_is(server: tuple[ModelServer, Keys]) -> None:
    model, keys = server
    run = simulate(["¿Qué hidratante me recomiendas?"], brain=local(keys))
    assert run.mix == "stt sim, llm local, tts sim, avatar sim"
    (turn,) = [turn for turn in run.ledger if turn.kind != "greeting"]
    assert turn.clara == "Te recomiendo el gel hidratante Lluvia."
    assert (turn.usage.input_tokens, turn.usage.output_tokens, turn.usage.cost_usd) == (30, 4, None)
    assert run.turns["model"][-1] == "llama"
    assert model.asked[0]["stream"] is True
    assert model.asked[0]["max_tokens"] == 195


def test_it_gets_the_customers_words_and_keeps_none(server: tuple[ModelServer, Keys]) -> None:
    model, keys = server
    written = ask(local(keys))
    assert written.failed is None
    assert [m["role"] for m in model.asked[0]["messages"]] == ["system", "user"]
    assert "Se llama Camila." in model.asked[0]["messages"][0]["content"]
    assert model.asked[0]["messages"][1]["content"].startswith("Soy Camila.")
    assert written.source == "local"
    assert 0 < written.chunks[0][0] <= written.chunks[-1][0] <= written.ends_ms


@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [
        ("page", "protocol", "does not speak the protocol"),
        ("garbage", "protocol", "does not speak the protocol"),
        ("stall", "stalled", "sent nothing for 5 s"),
        ("cut", "cut", "broke"),
        ("no end", "cut", "before its end"),
    ],
)
def test_what_it_does_wrong_is_told(server: tuple[ModelServer, Keys], how: str, kind: str, says: str) -> None:
    model, keys = server
    model.how = how
    failed = ask(local(keys)).failed
    assert failed is not None
    assert failed.kind == kind
    assert says in failed.message
    assert failed.hint


def test_a_model_that_it_does_not_have_is_told_with_those_it_has(server: tuple[ModelServer, Keys]) -> None:
    _, keys = server
    assert ask(local(keys, llm_model="qwen")).failed is None
    failed = ask(local(keys, llm_model="mistral")).failed
    assert failed is not None
    assert failed.kind == "refused"
    assert "'mistral'" in failed.message
    assert "llama, qwen" in failed.hint
    assert "secret" not in str(failed)


def test_without_a_server_the_conversation_says_how_to_start_one() -> None:
    run = simulate(["Hola"], brain=local(Keys(local_llm_base_url="http://127.0.0.1:9")))
    failed = next(e for e in run.events if isinstance(e, ProviderFailed))
    assert failed.kind == "unreachable"
    assert "Ollama" in failed.hint
    assert "LOCAL_LLM_BASE_URL" in failed.hint


def test_only_this_machine_will_do() -> None:
    with pytest.raises(SettingsError, match="not on this machine"):
        brain_for("local", Settings(), keys=Keys(local_llm_base_url="https://api.openai.com"))
    with pytest.raises(SettingsError, match="no address"):
        brain_for("local", Settings(), keys=Keys(local_llm_base_url="here"))


def test_it_goes_to_another_process(server: tuple[ModelServer, Keys]) -> None:
    assert ask(pickle.loads(pickle.dumps(local(server[1])))).failed is None


async def test_it_stands_behind_the_model_in_a_conversation_too(
    server: tuple[ModelServer, Keys], tmp_path: Path
) -> None:
    model, keys = server
    services = compose("sim", llm="local", keys=keys, settings=Settings.of(greeting=""), latency="fast")
    async with ConversationManager(services, log_root=tmp_path) as clara:
        await clara.type("¿Qué hidratante me recomiendas?")
        await clara.until(ConversationState.AVATAR_SPEAKING)
        await clara.until(ConversationState.IDLE)
    run = clara.run
    assert run is not None
    assert run.mix == "stt sim, llm local, tts sim, avatar sim"
    assert run.turns["clara"][-1] == "Te recomiendo el gel hidratante Lluvia."
    assert run.turns["model"][-1] == "llama"
    assert len(model.asked) == 1


def test_only_the_model_can_be_local() -> None:
    with pytest.raises(SettingsError, match="no mode 'local'"):
        compose("twin", stt="local")
    with pytest.raises(SettingsError, match="llm is local"):
        compose("sim", llm="local", faults=[Fault(service="llm", kind="cut")])
