"""The twins as clients meet them that are not ours: the vendors' defaults, nulls, and shapes of every "no"."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
import soundfile
from websockets.asyncio.client import connect

from clara_kit.core.outside import request_id
from clara_kit.world.faults import FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.every import every_twin
from clara_kit.world.twins.server import TwinServer

ASK: dict[str, Any] = {
    "model": "claude-haiku-5-5", "max_tokens": 200, "messages": [{"role": "user", "content": "¿Hacen despachos?"}],
}  # fmt: skip
CLAUDE = {"x-api-key": "test-key", "anthropic-version": "2026-10-21"}
TOKEN = {"Authorization": "Token test-key"}
HEYGEN = {"x-api-key": "test-key"}


@pytest.fixture(scope="module")
def server() -> Iterator[TwinServer]:
    context = TwinContext(profile=LatencyProfile.load("fast"), faults=FaultBox(), keys=frozenset({"test-key"}))
    with TwinServer(every_twin(context, LineBook())) as running:
        yield running


@pytest.fixture(scope="module")
def http(server: TwinServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        yield client


# --- Claude --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason", "stop"),
    [
        ({"thinking": {"type": "disabled"}}, "end_turn", None),
        ({}, "end_turn", None),  # thinks unless told not to
        ({"max_tokens": 3}, "max_tokens", None),
        (
            {"stop_sequences": ["xyz", " regiones", " a "]},
            "stop_sequence",
            " a ",
        ),  # the first in the text, not the list
        ({"stop_sequences": ["S"]}, "stop_sequence", "S"),  # nothing is left to say
        ({"stop_sequences": ["no such words"]}, "end_turn", None),
    ],
)
async def test_claudes_twin_gives_the_same_message_streamed_and_unstreamed(
    server: TwinServer, changes: dict[str, Any], reason: str, stop: str | None
) -> None:
    body = {**ASK, **changes}
    async with anthropic.AsyncAnthropic(
        api_key="test-key", base_url=server.addresses["anthropic"]["base_url"], max_retries=0
    ) as client:
        whole = await client.messages.create(**body)
        async with client.messages.stream(**body) as stream:
            streamed = await stream.get_final_message()
    for message in (whole, streamed):
        assert (message.stop_reason, message.stop_sequence) == (reason, stop)
        text = "".join(block.text for block in message.content if block.type == "text")
        assert stop is None or stop not in text
    assert whole.usage == streamed.usage and whole.usage.output_tokens >= 1
    assert [b.model_dump() for b in whole.content] == [_plain(b.model_dump()) for b in streamed.content]


def _plain(block: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name != "parsed_output"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "kind", "word"),
    [
        ("POST", "/v1/messages", {}, ASK, 401, "authentication_error", "x-api-key"),
        ("POST", "/v1/messages", {"x-api-key": "no"}, ASK, 401, "authentication_error", "invalid x-api-key"),
        ("POST", "/v1/messages", {"x-api-key": "test-key"}, ASK, 400, "invalid_request_error", "anthropic-version"),
        ("POST", "/v1/messages", {**CLAUDE, "anthropic-version": "2020"}, ASK, 400, "invalid_request_error", "valid version"),
        ("POST", "/v1/messages", CLAUDE, b"{", 400, "invalid_request_error", "JSON"),
        ("POST", "/v1/messages", CLAUDE, b"\xff", 400, "invalid_request_error", "JSON"),
        ("POST", "/v1/messages", CLAUDE, [], 400, "invalid_request_error", "JSON"),
        ("POST", "/v1/messages", CLAUDE, {**ASK, "model": "claude-neverwas"}, 404, "not_found_error", "claude-neverwas"),
        ("POST", "/v1/messages", CLAUDE, {**ASK, "model": 7}, 400, "invalid_request_error", "model"),
        ("POST", "/v1/messages", CLAUDE, {**ASK, "stream": "yes"}, 400, "invalid_request_error", "stream"),
        ("POST", "/v1/messages", CLAUDE, {**ASK, "stop_sequences": "S"}, 400, "invalid_request_error", "stop_sequences"),
        ("POST", "/v1/messages", CLAUDE, {**ASK, "stop_sequences": [" "]}, 400, "invalid_request_error", "whitespace"),
        ("POST", "/v1/messages", CLAUDE, {**ASK, "system": [{"type": "text", "text": "x", "cache_control": "yes"}]}, 400, "invalid_request_error", "cache_control"),
        ("GET", "/v1/messages", CLAUDE, None, 405, "invalid_request_error", "Method"),
        ("DELETE", "/v1/models", {}, None, 405, "invalid_request_error", "Method"),
        ("GET", "/v1/nothing", CLAUDE, None, 404, "not_found_error", "Not Found"),
        ("POST", "/v1/complete", {}, ASK, 404, "not_found_error", "Not Found"),
        ("GET", "/v1/models?limit=0", CLAUDE, None, 400, "invalid_request_error", "limit"),
        ("GET", "/v1/models/claude-neverwas", CLAUDE, None, 404, "not_found_error", "claude-neverwas"),
    ],
)  # fmt: skip
def test_every_no_of_claudes_twin_has_the_apis_shape(
    http: httpx.Client, method: str, path: str, headers: dict[str, str], body: Any, status: int, kind: str, word: str
) -> None:
    content = body if isinstance(body, bytes) or body is None else json.dumps(body)
    answer = http.request(method, f"/anthropic{path}", headers=headers, content=content)
    told = answer.json()
    assert (answer.status_code, told["type"], told["error"]["type"]) == (status, "error", kind)
    assert word in told["error"]["message"]
    assert told["request_id"] == answer.headers["request-id"] == request_id(told["request_id"])


def test_claudes_twin_takes_the_turns_of_a_tool(http: httpx.Client) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "price", "input": {}}
    for result in ({"content": "5"}, {"content": [{"type": "text", "text": "5"}]}, {}):
        turns = ("assistant", [use]), ("user", [{"type": "tool_result", "tool_use_id": "toolu_1", **result}])
        messages = [*ASK["messages"], *({"role": role, "content": content} for role, content in turns)]
        answer = http.post("/anthropic/v1/messages", headers=CLAUDE, json={**ASK, "messages": messages})
        assert answer.status_code == 200 and answer.json()["stop_reason"] == "end_turn"
    empty = {**ASK, "messages": [{"role": "user", "content": []}]}
    assert http.post("/anthropic/v1/messages", headers=CLAUDE, json=empty).status_code == 400


def test_claudes_twin_lists_its_models_page_by_page(http: httpx.Client) -> None:
    seen: list[str] = []
    while True:
        after = f"&after_id={seen[-1]}" if seen else ""
        page = http.get(f"/anthropic/v1/models?limit=2{after}", headers=CLAUDE).json()
        seen += [model["id"] for model in page["data"]]
        if not page["has_more"]:
            break
    assert len(seen) == len(set(seen)) >= 5 and page["last_id"] == seen[-1]


# --- Deepgram ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "kind", "file", "subtype", "rate_hz"),
    [
        ("", "audio/mpeg", "MP3", "MPEG_LAYER_III", 22_050),
        ("?encoding=linear16", "audio/wav", "WAV", "PCM_16", 24_000),
        ("?encoding=linear16&sample_rate=16000&container=wav", "audio/wav", "WAV", "PCM_16", 16_000),
        ("?encoding=linear16&container=none", "audio/l16", "", "PCM_16", 24_000),
        ("?encoding=mulaw", "audio/wav", "WAV", "ULAW", 8000),
        ("?encoding=alaw&container=none", "audio/alaw", "", "ALAW", 8000),
        ("?encoding=opus", "audio/ogg;codecs=opus", "OGG", "OPUS", 48_000),
        ("?encoding=flac&sample_rate=16000", "audio/flac", "FLAC", "PCM_16", 16_000),
    ],
)
def test_aura_speaks_in_the_vendors_format_unless_asked_for_another(
    http: httpx.Client, query: str, kind: str, file: str, subtype: str, rate_hz: int
) -> None:
    answer = http.post(f"/deepgram/v1/speak{query}", headers=TOKEN, json={"text": "Hola, soy Clara."})
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    raw = {} if file else {"samplerate": rate_hz, "channels": 1, "format": "RAW", "subtype": subtype}
    with soundfile.SoundFile(io.BytesIO(answer.content), **raw) as sound:
        assert (sound.format, sound.subtype, sound.samplerate) == (file or "RAW", subtype, rate_hz)
        assert 0.5 < sound.frames / rate_hz < 5


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/speak", {"text": ""}, 400),
        ("POST", "/v1/speak", {"text": " \n"}, 400),
        ("POST", "/v1/speak", {"text": None}, 400),
        ("POST", "/v1/speak", {"text": 7}, 400),
        ("POST", "/v1/speak", {}, 400),
        ("POST", "/v1/speak", [], 400),
        ("POST", "/v1/speak", b"{", 400),
        ("POST", "/v1/speak", {"text": "a" * 2001}, 413),
        ("POST", "/v1/speak?encoding=mp3&sample_rate=8000", {"text": "Hola"}, 400),
        ("POST", "/v1/speak?encoding=mp3&container=wav", {"text": "Hola"}, 400),
        ("POST", "/v1/speak?encoding=nothing", {"text": "Hola"}, 400),
        ("POST", "/v1/speak?model=aura-2-nobody-es", {"text": "Hola"}, 400),
        ("POST", "/v1/listen?model=nova-3", b"RIFF", 403),
        ("GET", "/v1/listen", None, 400),
        ("GET", "/v1/speak", None, 400),
        ("DELETE", "/v1/speak", None, 405),
        ("GET", "/v1/auth/grant", None, 405),
        ("GET", "/v1/nothing", None, 404),
        ("GET", "/", None, 404),
    ],
)
def test_every_no_of_deepgrams_twin_has_the_vendors_shape(
    http: httpx.Client, method: str, path: str, body: Any, status: int
) -> None:
    content = body if isinstance(body, bytes) or body is None else json.dumps(body)
    answer = http.request(method, f"/deepgram{path}", headers=TOKEN, content=content)
    told = answer.json()
    assert answer.status_code == status and set(told) == {"err_code", "err_msg", "request_id"}
    assert answer.headers["dg-error"] == told["err_msg"] and told["err_msg"]
    assert answer.headers["dg-request-id"] == told["request_id"] == request_id(told["request_id"])


async def test_a_browser_gives_its_key_as_a_sockets_protocol_and_no_option_is_needed(server: TwinServer) -> None:
    url = server.addresses["deepgram"]["ws_url"] + "/v1/speak"
    async with connect(url, subprotocols=["token", "test-key"], compression=None) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "token"
        await socket.send('{"type":"Speak","text":"Hola."}')
        await socket.send('{"type":"Flush"}')
        got = []
        async for message in socket:
            got.append(message)
            if isinstance(message, str) and "Flushed" in message:
                break
    sound = sum(len(m) for m in got if isinstance(m, bytes))
    assert 0.2 < sound / 2 / 24_000 < 3  # linear16 at 24000 Hz


# --- HeyGen --------------------------------------------------------------------------------------------


def test_heygens_twin_takes_null_for_whatever_may_be_left_out(http: httpx.Client) -> None:
    names = ("quality", "knowledge_id", "knowledge_base", "video_encoding", "disable_idle_timeout",
             "activity_idle_timeout", "language", "stt_settings")  # fmt: skip
    body = {"avatar_id": "a", "version": "v2", "voice": {"voice_id": None, "rate": None}, **dict.fromkeys(names)}
    session = http.post("/heygen/v1/streaming.new", headers=HEYGEN, json=body).json()["data"]
    assert all(session[n] for n in ("session_id", "access_token", "url", "realtime_endpoint", "livekit_agent_token"))
    one = {"session_id": session["session_id"]}
    assert http.post("/heygen/v1/streaming.start", headers=HEYGEN, json=one).json()["code"] == 100
    task = {**one, "text": "Hola.", "task_type": "repeat", "task_mode": None}
    assert http.post("/heygen/v1/streaming.task", headers=HEYGEN, json=task).json()["data"]["duration_ms"] > 200
    assert http.post("/heygen/v1/streaming.stop", headers=HEYGEN, json=one).json()["code"] == 100
    for wrong in (29, 3601, 60.5, True, "120"):
        refused = http.post("/heygen/v1/streaming.new", headers=HEYGEN, json={**body, "activity_idle_timeout": wrong})
        assert refused.status_code == 400 and "activity_idle_timeout" in refused.json()["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/heygen/v1/nothing", 404), ("GET", "/heygen/v1/streaming.new", 405), ("DELETE", "/heygen/v1/streaming.list", 405),
     ("GET", "/liveavatar/v1/nothing", 404), ("DELETE", "/liveavatar/v1/sessions/token", 405)],
)  # fmt: skip
def test_unknown_paths_and_wrong_methods_are_refused_as_their_vendors_do(
    http: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = http.request(method, path, headers=HEYGEN)
    assert answer.status_code == status and answer.json()["code"] and answer.json()["message"]
