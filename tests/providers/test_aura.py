"""Aura-2's provider: few flushes a reply, silence on leaving, and nothing lost at the vendor's limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import websockets.asyncio.client
import websockets.asyncio.server
import websockets.legacy.client

from clara_kit.audio.voice import OfflineVoice
from clara_kit.core.errors import ProviderError, ProviderRefused, ProviderUnavailable
from clara_kit.providers.deepgram_connection import enter, is_open
from clara_kit.providers.tts import deepgram_aura
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, TTSProvider, Warms
from clara_kit.providers.tts.deepgram_aura import DeepgramAuraTTS
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import compose
from clara_kit.world.faults import Fault
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.played_halves import PlayedTTS
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.deepgram.twin import DeepgramTwin
from clara_kit.world.twins.server import TwinServer
from tests.offline_tts import OfflineTTS

TEXTS = ("Hola.", "Te cuento algo.", "Chao.")


async def pieces(*texts: str, gap_s: float = 0.0) -> AsyncIterator[str]:
    for text in texts:
        yield text
        await asyncio.sleep(gap_s)


async def spoken(tts: TTSProvider, *texts: str, gap_s: float = 0.0) -> list[AudioChunk | PiecesVoiced]:
    async with asyncio.timeout(20), tts.speak(pieces(*texts, gap_s=gap_s)) as stream:
        return [part async for part in stream]


def marks(parts: list[AudioChunk | PiecesVoiced]) -> list[int]:
    return [p.pieces for p in parts if isinstance(p, PiecesVoiced)]


def sound_ms(parts: list[AudioChunk | PiecesVoiced]) -> float:
    return sum(len(p.pcm) for p in parts if isinstance(p, AudioChunk)) / 48


@pytest.fixture
async def context() -> TwinContext:
    return TwinContext(profile=LatencyProfile.load("fast"))


@pytest.fixture
async def aura(context: TwinContext) -> AsyncIterator[DeepgramAuraTTS]:
    async with TwinServer([DeepgramTwin(context, LineBook(), OfflineVoice())]) as server:
        tts = DeepgramAuraTTS(api_key="test-key", base_url=server.addresses["deepgram"]["base_url"])
        yield tts
        await tts.aclose()


@pytest.mark.parametrize("gap_s", [0.0, 0.05])
async def test_the_first_piece_is_flushed_at_once_and_the_rest_together(aura: DeepgramAuraTTS, gap_s: float) -> None:
    for _ in range(2):  # the same socket serves the next utterance
        parts = await spoken(aura, *TEXTS, gap_s=gap_s)
        assert marks(parts) == [1, 3]
        last = parts[-1]
        assert isinstance(last, PiecesVoiced) and last.audio_ms == pytest.approx(sound_ms(parts), abs=1)


async def test_what_waits_is_flushed_when_the_sound_runs_out_though_the_reply_goes_on(aura: DeepgramAuraTTS) -> None:
    assert marks(await spoken(aura, *TEXTS, gap_s=3.0)) == [1, 2, 3]


async def test_the_simulated_voice_is_flushed_as_aura_is() -> None:
    voice = PlayedTTS(compose("sim", latency="fast").stage(MonotonicClock()))
    for gap_s, expected in ((0.0, [1, 3]), (3.0, [1, 2, 3])):
        assert marks(await spoken(voice, *TEXTS, gap_s=gap_s)) == expected


async def test_flushes_in_between_leave_enough_for_beginnings_and_ends(aura: DeepgramAuraTTS) -> None:
    made = [
        marks(await spoken(aura, *TEXTS, "Sí.", gap_s=1.5)) for _ in range(6)
    ]  # 24 would be wanted, in half a minute
    assert made[0] == [1, 2, 3, 4] and {m[-1] for m in made} == {4}
    assert sum(map(len, made)) <= 20


async def test_aura_is_given_what_is_said_and_every_piece_is_marked_also_one_without_a_word(
    aura: DeepgramAuraTTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    parts_of = deepgram_aura.parts
    monkeypatch.setattr(deepgram_aura, "parts", lambda text: [given.append(text), *parts_of(text)][1:])
    assert marks(await spoken(aura, "😊", "**La Roche-Posay** con AHA: $ 12.990.", "---"))[-1] == 3
    assert given == ["La Rosh Posé con a hache a: doce mil novecientos noventa pesos."]
    assert marks(await spoken(aura, "😊")) == [1]


async def test_leaving_early_silences_the_voice_and_the_next_utterance_is_clean(aura: DeepgramAuraTTS) -> None:
    alone = sound_ms(await spoken(aura, "Otra."))
    async with aura.speak(pieces("Una frase bastante larga que nadie oye entera.")) as stream:
        async for _ in stream:
            break
    assert sound_ms(await spoken(aura, "Otra.")) == pytest.approx(alone, abs=1)


async def test_beyond_the_vendors_flush_limit_every_piece_is_still_spoken(aura: DeepgramAuraTTS) -> None:
    for _ in range(12):  # 24 flushes within a minute; 20 are allowed
        assert marks(await spoken(aura, "Hola.", "Chao."))[-1] == 2


async def test_a_text_longer_than_one_message_may_be_is_split(aura: DeepgramAuraTTS) -> None:
    assert marks(await spoken(aura, "a " * 1500)) == [1]


async def test_no_pieces_are_no_sound(aura: DeepgramAuraTTS) -> None:
    assert await spoken(aura) == []


@pytest.mark.parametrize(("status", "error"), [(401, ProviderRefused), (503, ProviderUnavailable)])
async def test_a_refusal_gives_the_reason(
    aura: DeepgramAuraTTS, context: TwinContext, status: int, error: type[Exception]
) -> None:
    context.faults.add(Fault(service="tts", kind="refuse", status=status))
    with pytest.raises(error, match=f"HTTP {status}"):
        await spoken(aura, *TEXTS)


async def test_a_cut_is_told_and_the_next_utterance_opens_a_new_socket(
    aura: DeepgramAuraTTS, context: TwinContext
) -> None:
    context.faults.add(Fault(service="tts", kind="cut"))
    context.faults.add(Fault(service="tts", kind="slow", for_ms=300))
    with pytest.raises(ProviderError) as caught:
        await spoken(aura, *TEXTS)
    assert (caught.value.kind, caught.value.retryable) == ("cut", True)
    assert marks(await spoken(aura, *TEXTS))[-1] == 3


async def test_one_socket_serves_all_utterances_and_a_closed_one_is_replaced(
    aura: DeepgramAuraTTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    async def counted(connection: Any, **options: Any) -> Any:
        opened.append(options["what"])
        return await enter(connection, **options)

    monkeypatch.setattr(deepgram_aura, "enter", counted)
    assert isinstance(aura, Warms)
    await aura.warm()
    await spoken(aura, "Hola.")
    await spoken(aura, "Chao.")
    assert opened == ["voice"]
    aura._socket._websocket.transport.abort()
    await aura._socket._websocket.wait_closed()
    assert marks(await spoken(aura, "Hola.")) == [1]
    assert opened == ["voice"] * 2


@pytest.mark.parametrize("client", [websockets.legacy.client.connect, websockets.asyncio.client.connect])
async def test_whether_a_socket_is_open_is_known_of_either_client(client: Any) -> None:
    async with websockets.asyncio.server.serve(lambda s: s.wait_closed(), "127.0.0.1", 0) as server:
        websocket = await client(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        socket = SimpleNamespace(_websocket=websocket)
        assert is_open(socket)
        await websocket.close()
        assert not is_open(socket) and not is_open(None)


async def test_a_voice_that_stalls_is_given_up(
    aura: DeepgramAuraTTS, context: TwinContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.faults.add(Fault(service="tts", kind="stall"))
    monkeypatch.setattr(deepgram_aura, "STALL_TIMEOUT_S", 0.2)
    with pytest.raises(ProviderUnavailable, match="sent nothing") as caught:
        await spoken(aura, "Hola.")
    assert caught.value.kind == "stalled"


async def test_the_offline_voice_keeps_the_same_promises_and_knows_its_words() -> None:
    parts = await spoken(OfflineTTS(), *TEXTS)
    assert marks(parts) == [1, 2, 3]
    words = [w for p in parts if isinstance(p, PiecesVoiced) for w in p.words]
    assert [" ".join(TEXTS)[: w.char_end].split()[-1] for w in words] == " ".join(TEXTS).split()
    assert all(a.end_ms <= b.end_ms for a, b in zip(words, words[1:], strict=False))
