"""The twin of ElevenLabs, as a client meets it that knows the vendor's reference and nothing of the kit."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.elevenlabs.twin import ElevenLabsTwin
from clara_kit.world.twins.server import TwinServer
from clara_kit.world.voices import clara_voice

USUAL = "model_id=eleven_flash_v2_5&output_format=pcm_24000"


@asynccontextmanager
async def twin(faults: FaultBox | None = None) -> AsyncIterator[dict[str, str]]:
    context = TwinContext(profile=LatencyProfile.load("fast"), faults=faults or FaultBox())
    async with TwinServer([ElevenLabsTwin(context, clara_voice())], faults=context.faults) as server:
        yield server.addresses["elevenlabs"]


def joined(addresses: dict[str, str], query: str = USUAL, key: str = "test-key") -> Any:
    url = f"{addresses['ws_url']}/v1/text-to-speech/any/multi-stream-input?{query}"
    return websockets.connect(url, additional_headers={"xi-api-key": key})


async def tell(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def until_final(socket: ClientConnection, name: str) -> list[dict[str, Any]]:
    got: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while not got or not (got[-1].get("isFinal") and got[-1]["context_id"] == name):
            got.append(json.loads(await socket.recv()))
    return [message for message in got if message["context_id"] == name]


async def silent(socket: ClientConnection, for_s: float = 2.0) -> bool:
    try:
        async with asyncio.timeout(for_s):
            await socket.recv()
    except TimeoutError:
        return True
    return False


async def test_a_context_speaks_what_is_flushed_and_ends_when_it_is_closed() -> None:
    async with twin() as addresses, joined(addresses) as socket:
        await tell(socket, text=" ", context_id="a", voice_settings={"stability": 0.5})
        await tell(socket, text="Hola Clara. ", context_id="a")
        assert await silent(socket)  # 120 characters are waited for
        await tell(socket, text="", context_id="a", flush=True)
        await tell(socket, context_id="a", close_context=True)
        got = await until_final(socket, "a")
    assert sum(len(b64decode(m["audio"])) for m in got[:-1]) > 24_000
    chars = [c for m in got[:-1] if m["alignment"] for c in m["alignment"]["chars"]]
    assert "".join(chars).strip() == "Hola Clara."
    for told in (m["alignment"] for m in got[:-1] if m["alignment"]):
        assert len(told["chars"]) == len(told["charStartTimesMs"]) == len(told["charDurationsMs"])
        assert all(0 <= start + took <= 101 for start, took in zip(told["charStartTimesMs"], told["charDurationsMs"], strict=True))  # fmt: skip


@pytest.mark.parametrize("how", ["auto_mode", "much text"])
async def test_without_a_flush_it_speaks_at_once_in_auto_mode_or_when_enough_text_waits(how: str) -> None:
    auto = how == "auto_mode"
    async with twin() as addresses, joined(addresses, USUAL + ("&auto_mode=true" if auto else "")) as socket:
        await tell(socket, text="Hola. " if auto else "Una frase que se repite. " * 5, context_id="a")
        assert not await silent(socket)


async def test_two_contexts_speak_side_by_side_and_closing_one_leaves_the_other() -> None:
    async with twin() as addresses, joined(addresses) as socket:
        for name, text in (("a", "Una frase que nadie oye."), ("b", "Hola.")):
            await tell(socket, text=f"{text} ", context_id=name, flush=name == "b")
        await tell(socket, context_id="a", close_context=True)
        await tell(socket, context_id="b", close_context=True)
        got = await until_final(socket, "b")
    assert len(got) > 1


async def test_a_sixth_context_is_one_too_many() -> None:
    async with twin() as addresses, joined(addresses) as socket:
        for number in range(6):
            await tell(socket, text=" ", context_id=f"c{number}")
        told = json.loads(await socket.recv())
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await socket.recv()
    assert (told["error"], told["code"], told["context_id"]) == ("max_active_conversations", 1008, "c5")
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1008


async def test_who_sends_nothing_for_twenty_seconds_is_told_and_put_out() -> None:
    async with twin() as addresses, joined(addresses) as socket:
        await tell(socket, text="", context_id="a")  # keeps it alive
        told = json.loads(await socket.recv())
        assert told["error"] == "input_timeout_exceeded" and "20 seconds" in told["message"]


async def test_closing_the_socket_lets_every_context_finish() -> None:
    async with twin() as addresses, joined(addresses) as socket:
        await tell(socket, text="Hola. ", context_id="a", flush=True)
        await tell(socket, close_socket=True)
        got = await until_final(socket, "a")
        with pytest.raises(websockets.ConnectionClosedOK):
            await socket.recv()
    assert got[0]["audio"]


@pytest.mark.parametrize(
    "query", ["model_id=eleven_v4_turbo&output_format=pcm_24000", "output_format=mp3_44100_128", ""]
)
async def test_what_it_cannot_give_is_refused_before_the_socket_opens(query: str) -> None:
    async with twin() as addresses:
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with joined(addresses, query):
                pass
    assert caught.value.response.status_code == 400


async def test_the_key_is_tried_for_free_and_what_is_not_there_is_not_found() -> None:
    async with twin() as addresses, httpx.AsyncClient(base_url=addresses["base_url"]) as http:
        for key, status in (("test-key", 200), ("wrong", 401), ("", 401)):
            assert (await http.get("/v1/user", headers={"xi-api-key": key})).status_code == status
        assert [(await http.post("/v1/user")).status_code, (await http.get("/v1/else")).status_code] == [405, 404]


async def test_a_fault_strikes_the_connection_that_speaks_now() -> None:
    faults = FaultBox()
    async with twin(faults) as addresses, joined(addresses) as socket:
        await tell(socket, text="Una frase bastante larga, que dura unos segundos. ", context_id="a", flush=True)
        await socket.recv()
        assert faults.inject(Fault(service="tts", kind="cut")) == "now"
        with pytest.raises(websockets.ConnectionClosedError):
            async with asyncio.timeout(5):
                while True:
                    await socket.recv()
