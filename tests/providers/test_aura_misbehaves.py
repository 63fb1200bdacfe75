"""A voice whose server sends what it should not: nothing is said twice, in another's place, or waited for in vain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

from clara_kit.core.errors import ProviderError
from clara_kit.providers.tts import deepgram_aura
from clara_kit.providers.tts.base import AudioChunk
from clara_kit.providers.tts.deepgram_aura import DeepgramAuraTTS
from clara_kit.world.pace import now_s
from tests.providers.test_aura import marks, pieces, spoken

Play = Callable[["Aura", str], Awaitable[None]]


class Aura:
    """A server that speaks each flush as its text in bytes, two letters a sample; `plays` are its first flushes."""

    def __init__(self, socket: ServerConnection, plays: list[Play], numbers: Any) -> None:
        self.socket, self.plays, self._numbers = socket, plays, numbers
        self.last = 0

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def sound(self, text: str) -> None:
        await self.socket.send(text.encode().ljust(len(text) + len(text) % 2))

    async def flushed(self, number: int | None = None) -> None:
        self.last = next(self._numbers) if number is None else number
        await self.say("Flushed", sequence_id=self.last)

    async def serve(self) -> None:
        text = ""
        async for raw in self.socket:
            message = json.loads(raw)
            if message["type"] == "Speak":
                text += message["text"]
            elif message["type"] == "Flush":
                said, text = text.strip(), ""
                await (self.plays.pop(0) if self.plays else usual)(self, said)
            elif message["type"] == "Clear":
                await self.say("Cleared", sequence_id=next(self._numbers))


async def usual(aura: Aura, text: str) -> None:
    await aura.sound(text)
    await aura.flushed()


@asynccontextmanager
async def voice(*plays: Play, counting: bool = True) -> AsyncIterator[tuple[DeepgramAuraTTS, list[ServerConnection]]]:
    waiting, opened = list(plays), list[ServerConnection]()

    async def handle(socket: ServerConnection) -> None:
        opened.append(socket)
        await socket.send(json.dumps({"type": "Metadata", "model_name": "x"}))
        try:
            await Aura(socket, waiting, count() if counting else count(0, 0)).serve()
        except websockets.ConnectionClosed:
            pass

    async with serve(handle, "127.0.0.1", 0) as server:
        tts = DeepgramAuraTTS(api_key="k", base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        yield tts, opened
        await tts.aclose()


def heard(parts: Any) -> str:
    return b"".join(p.pcm for p in parts if isinstance(p, AudioChunk)).decode().strip()


async def saying(tts: DeepgramAuraTTS, *texts: str) -> str:
    return heard(await spoken(tts, *texts))


async def test_an_error_frame_fails_the_piece_now_and_the_next_one_is_spoken() -> None:
    async def fail(aura: Aura, text: str) -> None:
        await aura.say("Error", err_code="NET-0001", description="secret words of the server")

    async def too_long(aura: Aura, text: str) -> None:
        await aura.say("Error", code="BIG-0001")

    async def without_words(aura: Aura, text: str) -> None:
        await aura.say("Error", description=["odd"])

    async with voice(fail, too_long, without_words) as (tts, _):
        for kind, retryable in (("unknown", True), ("bad_input", False), ("unknown", True)):
            began = now_s()
            with pytest.raises(ProviderError, match="reported an error") as caught:
                await spoken(tts, "Hola.")
            assert now_s() - began < 2  # it took the eight seconds of a stall
            assert (caught.value.kind, caught.value.retryable) == (kind, retryable)
            assert "secret" not in str(caught.value)
        assert await saying(tts, "Chao.") == "Chao."


async def test_frames_that_say_nothing_cost_nothing() -> None:
    async def odd(aura: Aura, text: str) -> None:
        for frame in ("no JSON", "[1, 2]", "null", '"x"', "{}", '{"type": "BrandNew"}', '{"type": 7}', b""):
            await aura.socket.send(frame)
        await aura.say("Warning", warn_code="SLOW", warn_msg="x")
        await usual(aura, text)
        await aura.socket.send("{")

    async with voice(odd, odd) as (tts, opened):
        for text in ("Hola.", "Adiós.", "Chao."):
            assert await saying(tts, text) == text
        assert len(opened) == 1


async def test_a_stream_of_nothing_but_odd_frames_is_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    async def babble(aura: Aura, text: str) -> None:
        while True:
            await aura.socket.send('{"type": "BrandNew"}')
            await asyncio.sleep(0.3)

    monkeypatch.setattr(deepgram_aura, "STALL_TIMEOUT_S", 1.5)
    async with voice(babble) as (tts, _):
        with pytest.raises(ProviderError, match="sent nothing") as caught:
            await spoken(tts, "Hola.")
    assert caught.value.kind == "stalled"


async def test_sound_that_drips_is_a_stall() -> None:
    async def drip(aura: Aura, text: str) -> None:
        while True:
            await aura.sound("ab")
            await asyncio.sleep(2)

    async with voice(drip) as (tts, _):
        async with asyncio.timeout(40):
            with pytest.raises(ProviderError, match="less than is played") as caught:
                await saying(tts, "Hola.")
        assert caught.value.kind == "stalled"


async def test_an_acknowledgement_with_an_odd_number_is_one() -> None:
    async def odd(aura: Aura, text: str) -> None:
        await aura.sound(text)
        await aura.say("Flushed", sequence_id=[1])

    async with voice(odd) as (tts, _):
        assert await saying(tts, "Hola.") == "Hola."


async def doubled(aura: Aura, text: str) -> None:
    await usual(aura, text)
    await aura.flushed(aura.last)


async def doubled_later(aura: Aura, text: str) -> None:
    """The first acknowledgement comes once more when the next utterance has been asked for."""
    last = aura.last
    await aura.flushed(last)
    await usual(aura, text)


async def doubled_amid(aura: Aura, text: str) -> None:
    last = aura.last
    await aura.sound(text[: len(text) // 4 * 2])
    await aura.flushed(last)
    await asyncio.sleep(0.2)
    await aura.sound(text[len(text) // 4 * 2 :])
    await aura.flushed()


async def late_sound(aura: Aura, text: str) -> None:
    await usual(aura, text)
    await aura.sound("LATE")


async def cleared_unasked(aura: Aura, text: str) -> None:
    await usual(aura, text)
    await aura.say("Cleared", sequence_id=aura.last)


@pytest.mark.parametrize(
    ("plays", "counting"),
    [
        ([doubled, doubled, doubled], True),
        ([doubled, doubled, doubled], False),
        ([usual, doubled_later, doubled_later], True),
        ([usual, doubled_later, doubled_later], False),
        ([usual, usual, doubled_amid, doubled_amid], True),
        ([late_sound, late_sound], True),
        ([cleared_unasked, doubled, cleared_unasked], True),
        ([usual], False),
    ],
)
async def test_what_comes_late_or_twice_never_shifts_sound_into_another_utterance(
    plays: list[Play], counting: bool
) -> None:
    async with voice(*plays, counting=counting) as (tts, opened):
        for text in ("Primero uno", "Segundo dos", "Tercero tres", "Cuarto cuatro", "Quinto"):
            assert await saying(tts, text) == text
        assert await saying(tts, "En dos", "piezas") in ("En dospiezas", "En dos piezas")
        assert len(opened) == 1


async def test_a_second_flush_that_is_slow_is_not_taken_for_one_that_was_coalesced() -> None:
    async def slow(aura: Aura, text: str) -> None:
        await asyncio.sleep(3)
        await usual(aura, text)

    async with voice(usual, slow) as (tts, _):
        parts = await spoken(tts, "Hola,", "qué tal", gap_s=0.4)
        assert marks(parts) == [1, 2] and heard(parts).startswith("Hola") and "qué tal" in heard(parts)
        assert await saying(tts, "Chao.") == "Chao."


async def test_flushes_that_were_acknowledged_as_one_end_the_utterance_and_leave_nothing_to_the_next() -> None:
    async def silent(aura: Aura, text: str) -> None:
        await aura.sound(text)

    async with voice(silent, usual) as (tts, _):
        parts = await spoken(tts, "Hola,", "qué tal")
        assert marks(parts) == [1, 2] and "qué tal" in heard(parts)
        assert await saying(tts, "Chao.") == "Chao."


@pytest.mark.parametrize("after_s", [0.0, 0.1])
async def test_sound_of_what_was_cut_off_is_not_heard_in_what_follows(after_s: float) -> None:
    async def long(aura: Aura, text: str) -> None:
        for _ in range(40):
            await aura.sound("OLD ")

    async with voice(long) as (tts, _):
        async with tts.speak(pieces("Una frase larga.")) as stream:
            async for _ in stream:
                break
        await asyncio.sleep(after_s)
        assert await saying(tts, "Otra.") == "Otra."


async def test_a_voice_used_in_a_second_event_loop_speaks_there_too() -> None:
    async def elsewhere() -> str:
        said = await saying(tts, "Otra.")
        await tts.aclose()
        return said

    async with voice() as (tts, opened):
        assert await saying(tts, "Hola.") == "Hola."
        assert await asyncio.to_thread(asyncio.run, elsewhere()) == "Otra."
        assert await saying(tts, "Chao.") == "Chao." and len(opened) == 3
        await tts.aclose()
        assert await saying(tts, "De nuevo.") == "De nuevo."
