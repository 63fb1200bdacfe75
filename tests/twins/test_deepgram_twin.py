"""The Deepgram twin, driven by the vendor's own SDK and by a plain socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types import SpeakV1Text

from clara_kit.audio.pcm import Sound, concat, silence, white_noise
from clara_kit.audio.voice import OfflineVoice
from clara_kit.world.faults import Fault
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.deepgram.twin import DeepgramTwin
from clara_kit.world.twins.server import TwinServer

CUSTOMER = OfflineVoice(voice_variant="m3", pitch=40)
LINE = "¿Hacen despachos a regiones?"
SHORT_ENDED = ("Me gusta, sí.", "¿Y a mí?")
QUERY: dict[str, Any] = {
    "model": "nova-3", "language": "es-419", "encoding": "linear16", "sample_rate": 16000, "channels": 1,
    "interim_results": True, "smart_format": True, "endpointing": 300, "utterance_end_ms": 1000, "vad_events": True,
}  # fmt: skip


@pytest.fixture
async def context() -> TwinContext:
    return TwinContext(profile=LatencyProfile.load("fast"))


@pytest.fixture
async def server(context: TwinContext) -> AsyncIterator[TwinServer]:
    lines = LineBook()
    for line in (LINE, *SHORT_ENDED):
        lines.learn(line, CUSTOMER.synthesize(line))
    async with TwinServer([DeepgramTwin(context, lines, OfflineVoice())]) as running:
        yield running


def sdk(server: TwinServer, key: str = "test-key") -> AsyncDeepgramClient:
    rest = server.addresses["deepgram"]["base_url"]
    socket = "ws" + rest.removeprefix("http")
    environment = DeepgramClientEnvironment(base=rest, production=socket, agent=socket, agent_rest=rest)
    return AsyncDeepgramClient(api_key=key, environment=environment)


async def heard(server: TwinServer, sound: Sound, **changes: Any) -> list[Any]:
    """Everything the SDK receives for a sound that is uploaded at once, then closed."""
    async with asyncio.timeout(10), sdk(server).listen.v1.connect(**{**QUERY, **changes}) as socket:
        for frame in sound.at_rate(changes.get("sample_rate", 16_000)).frames(20):
            await socket.send_media(frame.to_bytes())
        await socket.send_close_stream()
        return [message async for message in socket]


def finals(messages: list[Any]) -> list[str]:
    return [m.channel.alternatives[0].transcript for m in messages if m.type == "Results" and m.is_final]


def scene(text: str = LINE, before_ms: float = 500) -> Sound:
    return concat(silence(before_ms, 16_000), CUSTOMER.synthesize(text).sound, silence(1800, 16_000))


async def test_a_known_line_comes_as_speech_started_interims_final_and_utterance_end(server: TwinServer) -> None:
    messages = await heard(server, scene())
    kinds = [m.type for m in messages]
    assert kinds[0] == "SpeechStarted" and kinds[-1] == "Metadata" and "UtteranceEnd" in kinds
    assert messages[0].timestamp == pytest.approx(0.5, abs=0.12)
    interims = [m for m in messages if m.type == "Results" and not m.is_final]
    assert interims
    final = next(m for m in messages if m.type == "Results" and m.speech_final)
    best = final.channel.alternatives[0]
    assert best.transcript == LINE
    ends = [w.end_ms / 1000 + 0.5 for w in CUSTOMER.synthesize(LINE).words]
    assert [w.end for w in best.words] == pytest.approx(ends, abs=0.06)


def cut_off(text: str) -> tuple[Sound, float]:
    """A line that ends with its last word, and when that ends in seconds."""
    speech = CUSTOMER.synthesize(text)
    end_ms = speech.words[-1].end_ms
    return concat(silence(500, 16_000), speech.sound.between(0, end_ms)), 0.5 + end_ms / 1000


@pytest.mark.parametrize("text", SHORT_ENDED)
@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 44_100, 48_000])
async def test_the_last_word_is_heard_at_every_rate_though_no_sound_follows_it(
    server: TwinServer, rate_hz: int, text: str
) -> None:
    sound, end_s = cut_off(text)
    messages = await heard(server, sound, sample_rate=rate_hz)
    assert " ".join(finals(messages)) == text
    last = [m for m in messages if m.type == "Results"][-1].channel.alternatives[0].words[-1]
    assert last.end == pytest.approx(end_s, abs=0.06)
    assert messages[-1].duration == pytest.approx(end_s, abs=0.002)


@pytest.mark.parametrize(("rate_hz", "text"), zip([8000, 11_025], SHORT_ENDED, strict=True))
async def test_finalize_gives_all_that_was_sent_before_it_and_the_stream_goes_on(
    server: TwinServer, rate_hz: int, text: str
) -> None:
    sound, said = cut_off(text)[0].at_rate(rate_hz), []
    async with asyncio.timeout(10), sdk(server).listen.v1.connect(**{**QUERY, "sample_rate": rate_hz}) as socket:
        for _ in range(2):
            for frame in sound.frames(20):
                await socket.send_media(frame.to_bytes())
            await socket.send_finalize()
            while (message := await socket.recv()).type != "Results" or not message.from_finalize:
                said += finals([message])
            said += finals([message])
            await socket.send_media(silence(1500, rate_hz).to_bytes())
    assert list(filter(None, said)) == [text, text]


async def test_without_formatting_words_are_bare(server: TwinServer) -> None:
    assert finals(await heard(server, scene(), smart_format=False)) == ["hacen despachos a regiones"]


@pytest.mark.parametrize(
    "sound", [silence(3000, 16_000), white_noise(3000, 16_000), scene("Mi hermana tiene rosácea hace años.")]
)
async def test_what_is_no_known_line_is_an_empty_transcript(server: TwinServer, sound: Sound) -> None:
    assert "".join(finals(await heard(server, sound))) == ""


async def test_a_cough_close_behind_a_line_does_not_undo_its_words(server: TwinServer) -> None:
    cough = OfflineVoice(voice_variant="m3", rate_wpm=220, pitch=20).synthesize("ejem").sound.at_rate(16_000)
    line = CUSTOMER.synthesize(LINE).sound.at_rate(16_000)
    sound = concat(silence(500, 16_000), line, silence(60, 16_000), cough, silence(1800, 16_000))
    assert " ".join(filter(None, finals(await heard(server, sound)))) == LINE


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"model": "nova-9"}, 400),
        ({"model": "nova-2", "keyterm": ["Brisa"]}, 400),
        ({"utterance_end_ms": 500}, 400),
        ({"language": "xx"}, 400),
        ({"channels": 2}, 400),
    ],
)
async def test_a_query_the_vendor_would_refuse_is_refused_with_its_reason(
    server: TwinServer, changes: dict[str, Any], status: int
) -> None:
    with pytest.raises(ApiError) as caught:
        await heard(server, scene(), **changes)
    assert caught.value.status_code == status
    assert caught.value.__context__.headers["dg-error"].startswith("Bad Request")  # type: ignore[union-attr]


async def test_a_wrong_key_is_refused_and_a_granted_token_is_let_in(server: TwinServer) -> None:
    with pytest.raises(ApiError):
        async with sdk(server, "wrong").listen.v1.connect(**QUERY):
            pass
    grant = await sdk(server).auth.v1.tokens.grant(ttl_seconds=60)
    url = server.addresses["deepgram"]["ws_url"] + "/v1/listen?encoding=linear16&sample_rate=16000&language=es"
    async with websockets.connect(url, additional_headers={"Authorization": f"bearer {grant.access_token}"}) as socket:
        await socket.send(json.dumps({"type": "CloseStream"}))
        assert json.loads(await socket.recv())["type"] == "Metadata"


async def test_nonsense_on_the_socket_is_answered_or_closed_as_documented(server: TwinServer) -> None:
    url = server.addresses["deepgram"]["ws_url"] + "/v1/listen?encoding=linear16&sample_rate=16000&language=es"
    async with websockets.connect(url, additional_headers={"Authorization": "Token test-key"}) as socket:
        await socket.send("this is not JSON")
        assert json.loads(await socket.recv())["variant"] == "SchemaError"
        await socket.send(b"odd")
        with pytest.raises(websockets.ConnectionClosedError) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1008
        assert "DATA-0000" in caught.value.rcvd.reason


async def test_a_refusal_by_fault_names_its_status(server: TwinServer, context: TwinContext) -> None:
    context.faults.add(Fault(service="stt", kind="refuse", status=429))
    with pytest.raises(ApiError) as caught:
        await heard(server, scene())
    assert caught.value.status_code == 429


async def test_aura_speaks_only_what_is_flushed_and_says_when_it_is_done(server: TwinServer) -> None:
    async with (
        asyncio.timeout(10),
        sdk(server).speak.v1.connect(model="aura-2-celeste-es", encoding="linear16", sample_rate=24000) as socket,
    ):
        assert (await socket.recv()).type == "Metadata"
        await socket.send_text(SpeakV1Text(text="Hola. "))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.1)
        await socket.send_flush()
        sound = b""
        while isinstance(message := await socket.recv(), bytes):
            sound += message
        assert message.type == "Flushed"
        assert len(sound) / 48_000 == pytest.approx(
            OfflineVoice().synthesize("Hola. ").sound.duration_ms / 1000, abs=0.05
        )


async def test_more_than_twenty_flushes_a_minute_are_warned_about_and_not_spoken(server: TwinServer) -> None:
    async with (
        asyncio.timeout(10),
        sdk(server).speak.v1.connect(model="aura-2-celeste-es", encoding="linear16", sample_rate=24000) as socket,
    ):
        for _ in range(21):
            await socket.send_flush()
        kinds = []
        while "Warning" not in kinds:
            kinds.append((await socket.recv()).type)
        assert kinds.count("Flushed") <= 20


async def test_one_request_speaks_a_text_and_a_long_one_is_refused(server: TwinServer) -> None:
    audio = sdk(server).speak.v1.audio
    sound = b"".join(
        [
            c
            async for c in audio.generate(
                text="Hola.", model="aura-2-celeste-es", encoding="linear16", container="none", sample_rate=24000
            )
        ]
    )
    assert len(sound) > 10_000
    with pytest.raises(ApiError) as caught:
        b"".join([c async for c in audio.generate(text="a" * 2001, model="aura-2-celeste-es")])
    assert caught.value.status_code == 413


async def test_a_line_can_be_taught_from_another_process(server: TwinServer) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            server.addresses["deepgram"]["base_url"] + "/twin/lines", json={"text": "Busco un regalo."}
        )
    assert answer.json()["words"] == 3
    assert finals(await heard(server, scene("Busco un regalo."))) == ["Busco un regalo."]
