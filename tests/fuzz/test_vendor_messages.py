"""Whatever a vendor may send, in any order, damaged in any way: nothing crashes, nothing hangs.

Messages are the documented ones with random damage: fields dropped, retyped, nested, duplicated; text cut, bytes
flipped. A tenth of a second each in `make test`, hundreds of thousands of messages in `make soak`.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from clara_kit.core import events as ev
from clara_kit.core.commands import Message
from clara_kit.core.errors import ProviderError
from clara_kit.core.prompt import Prompt
from clara_kit.providers.avatar.liveavatar import LiveAvatarLite
from clara_kit.providers.avatar.pacing import Timing
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.claude import ClaudeStreamingLLM
from clara_kit.providers.stt.deepgram import DeepgramStreamingSTT
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced
from clara_kit.providers.tts.elevenlabs import ElevenLabsTTS
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import clara_voice
from tests.offline_tts import OfflineTTS

SIZES = [
    pytest.param(1_500, id="quick"),
    pytest.param(340_000, id="soak", marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
]
ODD: list[Any] = [None, True, -1, 1e308, "", "x" * 5000, [], {}, [[[]]], {"a": {"a": None}}, "\u0000", "NaN", 2**70]

DEEPGRAM: list[Any] = [
    {"type": "Results", "channel_index": [0, 1], "duration": 1.0, "start": 0.5, "is_final": True, "speech_final": False,
     "channel": {"alternatives": [{"transcript": "hola", "confidence": 0.9,
                                   "words": [{"word": "hola", "start": 0.6, "end": 0.9, "confidence": 0.9}]}]}},
    {"type": "Results", "channel_index": [0, 1], "duration": 1.0, "start": 0.5, "is_final": False,
     "speech_final": False, "channel": {"alternatives": [{"transcript": "ho", "confidence": 0.5, "words": []}]}},
    {"type": "SpeechStarted", "channel": [0, 1], "timestamp": 0.4},
    {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 1.4},
    {"type": "Metadata", "request_id": "x", "duration": 1.0, "channels": 1},
    {"type": "Warning", "message": "?"},
]  # fmt: skip
LITE: list[Any] = [
    {"type": "session.state_updated", "state": "connected"},
    {"type": "agent.speak_started", "event_id": "u1", "task": {"id": "t1"}},
    {"type": "agent.speak_ended", "event_id": "u1", "task": {"id": "t1"}},
    {"type": "agent.speak_interrupted", "event_id": "u1", "source_event_id": None},
    {"type": "agent.audio_buffer_cleared", "event_id": "u1"},
    {"type": "agent.state_updated", "previous_state": "idle", "new_state": "talking"},
    {"type": "error", "error": {"type": "video_starvation", "message": "?", "event_id": "u1"}},
    {"type": "warning", "warning": {"type": "?", "message": "?"}},
]
ELEVENLABS: list[Any] = [
    *({"audio": "AAABAAIAAwA=", "context_id": "u1", name: {"chars": ["H", "o"], "charStartTimesMs": [0, 40],
                                                           "charDurationsMs": [40, 40]}}
      for name in ("alignment", "normalizedAlignment")),
    {"audio": "AAA=", "contextId": "u1", "alignment": None},
    {"audio": "AAAA", "context_id": "u0"},
    {"isFinal": True, "context_id": "u0"},
]  # fmt: skip
CLAUDE: list[Any] = [
    {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": [],
                                          "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1}}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hola. "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "thinking_delta", "thinking": "?"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
]  # fmt: skip


def damaged(value: Any, rng: random.Random) -> Any:
    """A message with something wrong somewhere in it."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        changed = dict(value)
        roll = rng.random()
        if roll < 0.25:
            del changed[key]
        elif roll < 0.35:
            changed[key + "_"] = changed.pop(key)
        else:
            changed[key] = damaged(changed[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.8:
        return [*value[:-1], damaged(value[-1], rng)] if rng.random() < 0.7 else value * 3
    return rng.choice(ODD)


def frames(kinds: list[Any], count: int, seed: int) -> list[str | bytes]:
    """`count` messages, most of them damaged, some of them no messages at all."""
    rng = random.Random(seed)
    out: list[str | bytes] = []
    for _ in range(count):
        message = rng.choice(kinds)
        text = json.dumps(damaged(message, rng) if rng.random() < 0.8 else message)
        roll = rng.random()
        if roll < 0.05:
            text = text[: rng.randrange(len(text) + 1)]
        elif roll < 0.08:
            out.append(text.encode()[::-1])
            continue
        out.append(text)
    return out


@asynccontextmanager
async def socket_server(messages: list[str | bytes]) -> AsyncIterator[str]:
    """Sends everything to whoever connects and says something, then closes."""

    async def handle(socket: ServerConnection) -> None:
        try:
            await socket.recv()
            for message in messages:
                await socket.send(message)
            await socket.close(1000)
        except ConnectionClosed:
            pass

    async with serve(handle, "127.0.0.1", 0, max_size=None) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("count", SIZES)
async def test_the_recogniser_survives_any_message(count: int) -> None:
    async with socket_server(frames(DEEPGRAM, count, seed=1)) as address:
        stt = DeepgramStreamingSTT(api_key="test-key", clock=MonotonicClock(), base_url=f"http://{address}")
        events = []
        async with asyncio.timeout(600), stt:
            await stt.send(bytes(32_000), 0.0)
            async for event in stt.events():
                events.append(event)
                if isinstance(event, ev.ProviderFailed):
                    break
    assert isinstance(events[-1], ev.ProviderFailed) and stt.passed_over > count / 20
    # Of so many within one second of sound most say the same of the same moment, and count once.
    assert sum(isinstance(e, ev.TranscriptFinal) for e in events) > count / 1000


@pytest.mark.parametrize("count", SIZES)
async def test_the_model_survives_any_message(count: int) -> None:
    replies = max(20, count // 60)
    rng = random.Random(2)

    async def answer(_request: web.Request) -> web.StreamResponse:
        lines = []
        for text in frames(CLAUDE, 60, seed=rng.randrange(10**9)):
            body = text if isinstance(text, str) else text.decode("utf-8", "replace")
            name = (
                rng.choice(["content_block_delta", "message_start", "brand_new", "error"]) if rng.random() < 0.1 else ""
            )
            try:
                kind = json.loads(body).get("type", "x")
            except (ValueError, AttributeError):
                kind = "x"
            lines.append(f"event: {name or kind}\ndata: {body}\n\n")
        return web.Response(text="".join(lines), content_type="text/event-stream")

    app = web.Application()
    app.router.add_post("/v1/messages", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    llm = ClaudeStreamingLLM(
        api_key="test-key", clock=MonotonicClock(), base_url=f"http://127.0.0.1:{runner.addresses[0][1]}"
    )
    ends: list[type] = []
    async with asyncio.timeout(600):
        for n in range(replies):
            request = ReplyRequest(reply_id=n, prompt=Prompt(static="x"), messages=(Message(role="user", text="Hola"),))
            async with llm.reply(request) as stream:
                events = [event async for event in stream]
            assert sum(isinstance(e, ev.ReplyCompleted | ev.ProviderFailed) for e in events) == 1
            ends.append(type(events[-1]))
    assert set(ends) <= {ev.ReplyCompleted, ev.ProviderFailed}
    await llm.aclose()
    await runner.cleanup()


@pytest.mark.parametrize("count", SIZES)
async def test_the_other_voice_survives_any_message(count: int) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "Hola, ¿qué tal?"

    ends: set[str] = set()
    for seed in range(max(20, count // 100)):
        last = json.dumps({"isFinal": True, "context_id": "u1"})
        async with socket_server([*frames(ELEVENLABS, 50, seed), *[last] * (seed % 2)]) as address:
            voice = ElevenLabsTTS(api_key="test-key", base_url=f"http://{address}")
            parts: list[AudioChunk | PiecesVoiced] = []
            try:
                async with asyncio.timeout(60), voice.speak(pieces()) as stream:
                    parts += [part async for part in stream]
                ends.add("spoken")
                assert isinstance(parts[-1], PiecesVoiced) and parts[-1].pieces == 1
            except ProviderError as exc:
                ends.add(exc.kind)
            await voice.aclose()
        ends_ms = [word.end_ms for part in parts if isinstance(part, PiecesVoiced) for word in part.words]
        assert ends_ms == sorted(ends_ms)
        assert all(len(part.pcm) % 2 == 0 for part in parts if isinstance(part, AudioChunk))
    assert {"spoken", "cut"} <= ends


@pytest.mark.parametrize("count", SIZES)
async def test_the_avatar_survives_any_message(count: int) -> None:
    async with socket_server([json.dumps(LITE[0]), *frames(LITE, count, seed=3)]) as address:

        async def answer(request: web.Request) -> web.Response:
            data = {"session_id": "s", "session_token": "t", "ws_url": f"ws://{address}", "livekit_url": "", "x": [1]}
            return web.json_response({"code": 1000, "data": data})

        app = web.Application()
        app.router.add_post("/{tail:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        avatar = LiveAvatarLite(
            api_key="test-key",
            base_url=f"http://127.0.0.1:{runner.addresses[0][1]}",
            tts=OfflineTTS(clara_voice()),
            clock=MonotonicClock(),
            avatar_id="x",
            timing=Timing(keep_alive_ms=50),
        )
        events: list[ev.Event] = []
        async with asyncio.timeout(600), avatar:
            await avatar.speak(1, 0, "Hola.")
            await avatar.end_speech(1)
            async for event in avatar.events():
                events.append(event)
                if isinstance(event, ev.ProviderFailed) and event.utterance_id is None:
                    break
        await runner.cleanup()
    ends = [e for e in events if isinstance(e, ev.SpeakingEnded | ev.SpeakingInterrupted)]
    assert len(ends) <= 1 and isinstance(events[-1], ev.ProviderFailed)
