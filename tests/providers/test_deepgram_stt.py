"""The recogniser's provider against a server written from Deepgram's documents, and against the twin."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

from clara_kit.core.errors import ProviderRefused, ProviderUnavailable, SettingsError
from clara_kit.core.events import (
    Event,
    ProviderFailed,
    ProviderWarned,
    SpeechEnded,
    SpeechStarted,
    TranscriptFinal,
    TranscriptInterim,
)
from clara_kit.providers.stt.deepgram import DeepgramStreamingSTT
from clara_kit.world.pace import now_s


class Clock:
    def now_ms(self) -> float:
        return now_s() * 1000


def results(text: str, start: float, duration: float, *, final: bool = True, speech_final: bool = False) -> str:
    words = text.split()
    step = duration / max(1, len(words))
    spoken = [
        {
            "word": w.lower(),
            "punctuated_word": w,
            "start": start + n * step,
            "end": start + (n + 1) * step,
            "confidence": 0.9,
        }
        for n, w in enumerate(words)
    ]
    return json.dumps(
        {"type": "Results", "channel_index": [0, 1], "duration": duration, "start": start, "is_final": final,
         "speech_final": speech_final, "channel": {"alternatives": [{"transcript": text, "confidence": 0.9, "words": spoken}]}}
    )  # fmt: skip


def message(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


Play = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def deepgram(play: Play, **options: Any) -> AsyncIterator[DeepgramStreamingSTT]:
    """A provider connected to a server that plays a script after the first sound."""

    async def handle(socket: ServerConnection) -> None:
        try:
            await socket.recv()
            await play(socket)
        except websockets.ConnectionClosed:
            pass

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with DeepgramStreamingSTT(
            api_key="test-key", clock=Clock(), base_url=f"http://127.0.0.1:{port}", **options
        ) as stt:
            await stt.send(bytes(32_000), 1000.0)  # one second, heard from 1000 ms on
            yield stt


async def collect(play: Play, **options: Any) -> list[Event]:
    """Everything that one connection gives; it is left when it breaks."""
    events = []
    async with asyncio.timeout(8), deepgram(play, **options) as stt:
        async for event in stt.events():
            events.append(event)
            if isinstance(event, ProviderFailed):
                await stt.__aexit__(None, None, None)
    return events


def script(*lines: str) -> Play:
    async def play(socket: ServerConnection) -> None:
        for line in lines:
            await socket.send(line)
        await socket.close(1000)

    return play


def words_of(events: list[Event]) -> list[str]:
    return [e.text for e in events if isinstance(e, TranscriptFinal)]


async def test_all_final_segments_are_joined_until_speech_final_and_the_end_is_the_last_words() -> None:
    events = await collect(
        script(
            message("SpeechStarted", channel=[0, 1], timestamp=0.1),
            results("Hola,", 0.1, 0.2, final=False),
            results("Hola, busco", 0.1, 0.4),
            results("un protector.", 0.5, 0.3, speech_final=True),
            message("UtteranceEnd", channel=[0, 1], last_word_end=0.8),
        )
    )
    assert [type(e) for e in events[:-1]] == [SpeechStarted, TranscriptInterim, TranscriptInterim, TranscriptFinal]
    assert isinstance(events[0], SpeechStarted) and events[0].sound_at_ms == 1100
    (final,) = [e for e in events if isinstance(e, TranscriptFinal)]
    assert final.text == "Hola, busco un protector."
    assert final.speech_ended_ms == pytest.approx(1800)


async def test_utterance_end_closes_what_no_speech_final_did_and_an_empty_speech_final_closes_what_came_before() -> (
    None
):
    events = await collect(
        script(
            results("Uno", 0.1, 0.2),
            message("UtteranceEnd", channel=[0, 1], last_word_end=0.3),
            results("Dos", 0.4, 0.2),
            results("", 0.6, 0.2, speech_final=True),
        )
    )
    assert words_of(events) == ["Uno", "Dos"]


async def test_a_sound_without_words_ends_as_such_and_silence_says_nothing() -> None:
    events = await collect(
        script(
            results("", 0.0, 0.1, speech_final=True),
            message("SpeechStarted", channel=[0, 1], timestamp=0.1),
            results("", 0.1, 0.2, speech_final=True),
        )
    )
    assert [type(e) for e in events[:-1]] == [SpeechStarted, SpeechEnded]


async def test_what_no_document_describes_is_passed_over() -> None:
    events = await collect(
        script(
            message("BrandNew", what=1),
            '{"type": "Results"}',
            '{"no": "type"}',
            "[1, 2]",
            results("Hola", 0.1, 0.2, speech_final=True),
        )
    )
    assert words_of(events) == ["Hola"]


ODD_TIMES = ["NaN", "Infinity", "-Infinity", "-3", "1e300", "true", '"soon"', "[1]", "{}"]


@pytest.mark.parametrize("odd", [*ODD_TIMES, "null"])
@pytest.mark.parametrize("where", ["start", "duration", "a word"])
async def test_a_time_that_is_none_is_passed_over_and_the_words_are_kept(where: str, odd: str) -> None:
    said = json.loads(results("Hola amigo", 0.1, 0.4, speech_final=True))
    said["channel"]["alternatives"][0]["words"][0]["end"] = "@word"
    text = json.dumps(said)
    text = text.replace('"@word"', odd if where == "a word" else "0.3")
    if where != "a word":
        text = text.replace(f'"{where}": {said[where]}', f'"{where}": {odd}', 1)
    events = await collect(script(text, results("Chao", 0.6, 0.2, speech_final=True)))
    assert words_of(events) == ["Hola amigo", "Chao"]
    for event in events:
        if isinstance(event, TranscriptFinal):
            times = [
                event.speech_started_ms,
                event.speech_ended_ms,
                *(t for w in event.words for t in (w.start_ms, w.end_ms)),
            ]
            assert all(math.isfinite(t) and 0 <= t <= event.at_ms for t in times)
            assert event.speech_started_ms <= event.speech_ended_ms
    warned = [e for e in events if isinstance(e, ProviderWarned)]
    assert len(warned) == (odd != "null") and all("no time" in w.message for w in warned)


@pytest.mark.parametrize("odd", [odd for odd in ODD_TIMES if odd != "true"])  # the SDK makes a second of that
async def test_a_beginning_or_an_end_at_no_time_is_taken_to_be_now_or_the_last_words(odd: str) -> None:
    events = await collect(
        script(
            f'{{"type": "SpeechStarted", "channel": [0, 1], "timestamp": {odd}}}',
            results("Hola", 0.1, 0.2),
            f'{{"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": {odd}}}',
        )
    )
    (began,) = [e for e in events if isinstance(e, SpeechStarted)]
    assert began.sound_at_ms == began.at_ms
    (final,) = [e for e in events if isinstance(e, TranscriptFinal)]
    assert final.speech_ended_ms == pytest.approx(1300)
    assert {e.message for e in events if isinstance(e, ProviderWarned)}


async def test_a_final_that_comes_twice_is_one_and_a_late_interim_begins_nothing() -> None:
    one = results("Hola,", 0.1, 0.2)
    two = results("busco un protector.", 0.3, 0.3, speech_final=True)
    late = results("busco un protector.", 0.3, 0.3, final=False)
    events = await collect(script(one, one, two, two, late, results("Hola,", 0.7, 0.2, speech_final=True)))
    assert words_of(events) == ["Hola, busco un protector.", "Hola,"]  # said again is not sent again
    assert [e.text for e in events if isinstance(e, TranscriptInterim)] == ["Hola,"]
    assert [e.message for e in events if isinstance(e, ProviderWarned)] == [
        "Deepgram's recogniser sent a result twice; it is passed over."
    ]


async def test_a_repeated_end_that_comes_late_does_not_end_what_is_being_said() -> None:
    first, then = results("Hola.", 0.1, 0.2, speech_final=True), results("Busco un", 0.3, 0.3)
    events = await collect(script(first, then, first, results("protector.", 0.6, 0.3, speech_final=True)))
    assert words_of(events) == ["Hola.", "Busco un protector."]


async def test_an_utterance_end_that_comes_late_does_not_end_what_is_being_said() -> None:
    first, then = results("Hola.", 0.1, 0.2, speech_final=True), results("Busco un", 0.5, 0.3)
    late = message("UtteranceEnd", channel=[0, 1], last_word_end=0.3)
    events = await collect(script(first, then, late, results("protector.", 0.8, 0.2, speech_final=True)))
    assert words_of(events) == ["Hola.", "Busco un protector."]


async def test_the_end_that_comes_with_a_repeated_result_is_believed() -> None:
    events = await collect(script(results("Hola", 0.1, 0.2), results("Hola", 0.1, 0.2, speech_final=True)))
    assert words_of(events) == ["Hola"]


@pytest.mark.parametrize(
    "channel",
    [
        {"alternatives": []},
        {"alternatives": None},
        {},
        None,
        7,
        {"alternatives": [{}]},
        {"alternatives": [{"transcript": None, "words": None}]},
        {"alternatives": [{"transcript": 3}]},
        {"alternatives": "x"},
    ],
)
async def test_results_of_an_odd_shape_lose_nothing_that_was_said_before_or_after(channel: Any) -> None:
    odd = {**json.loads(results("", 0.3, 0.1, speech_final=True)), "channel": channel}
    events = await collect(
        script(results("Hola", 0.1, 0.2), json.dumps(odd), results("Chao", 0.5, 0.2, speech_final=True))
    )
    assert " ".join(words_of(events)) == "Hola Chao"


@pytest.mark.parametrize(
    "words", [None, {}, 3, "x", [None], [{}], [{"word": 3}], [{"word": "hola", "confidence": "x"}]]
)
async def test_words_of_an_odd_shape_do_not_cost_the_sentence(words: Any) -> None:
    said = json.loads(results("Hola", 0.1, 0.2, speech_final=True))
    said["channel"]["alternatives"][0]["words"] = words
    assert words_of(await collect(script(json.dumps(said)))) == ["Hola"]


@pytest.mark.parametrize("sure", ["NaN", "Infinity", "-1", "7", "null", '"x"'])
async def test_how_sure_it_is_is_a_share_or_nothing(sure: str) -> None:
    text = results("Hola", 0.1, 0.2, speech_final=True).replace('"confidence": 0.9', f'"confidence": {sure}')
    (final,) = [e for e in await collect(script(text)) if isinstance(e, TranscriptFinal)]
    assert final.confidence == 0.0 and final.words[0].confidence == 0.0


async def test_a_recogniser_made_in_one_event_loop_hears_in_another_and_its_events_stay_ended() -> None:
    async def handle(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(results("Hola", 0.1, 0.2, speech_final=True))
        async for message in socket:
            if isinstance(message, str) and "CloseStream" in message:
                return

    async def hear() -> list[Event]:
        async with stt:
            await stt.send(bytes(32_000), 0.0)
            await stt.finish()
            events = [event async for event in stt.events()]
        assert [event async for event in stt.events()] == []
        await stt.send(bytes(640), 0.0)
        await stt.reopen()
        return events

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        stt = DeepgramStreamingSTT(api_key="test-key", clock=Clock(), base_url=f"http://127.0.0.1:{port}")
        events = await asyncio.to_thread(asyncio.run, asyncio.wait_for(hear(), 10))
    assert words_of(events) == ["Hola"]


async def test_words_that_were_final_are_not_lost_when_the_connection_breaks() -> None:
    async def play(socket: ServerConnection) -> None:
        await socket.send(results("Hola", 0.1, 0.2))
        await socket.close(1011, "NET-0001: no audio")

    events = await collect(play)
    assert words_of(events) == ["Hola"]
    (failed,) = [e for e in events if isinstance(e, ProviderFailed)]
    assert (failed.kind, failed.retryable) == ("stalled", True)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ProviderRefused),
        (401, ProviderRefused),
        (402, ProviderRefused),
        (429, ProviderUnavailable),
        (503, ProviderUnavailable),
    ],
)
async def test_a_refused_handshake_gives_what_it_is_about_and_a_remedy(status: int, error: type[Exception]) -> None:
    async def refuse(connection: ServerConnection, request: Any) -> Any:
        response = connection.respond(HTTPStatus(status), "no")
        response.headers["dg-error"] = "the language of my-secret"
        response.headers["dg-request-id"] = "0a1b2c3d-0000-4000-8000-00000000000a"
        return response

    async with serve(lambda s: s.wait_closed(), "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(
            error,
            match=rf"\(HTTP {status}; it speaks of language; dg-request-id 0a1b2c3d-0000-4000-8000-00000000000a\).*What to do",
        ) as caught:
            async with DeepgramStreamingSTT(api_key="my-secret", clock=Clock(), base_url=f"ws://127.0.0.1:{port}"):
                pass
        assert "my-secret" not in str(caught.value)


async def test_a_server_that_is_not_there_is_said_to_be_unreachable() -> None:
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        async with DeepgramStreamingSTT(api_key="test-key", clock=Clock(), base_url="http://127.0.0.1:9"):
            pass


async def test_leaving_a_silent_peer_takes_less_than_a_second() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        key = next(
            line.split(b": ")[1] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
        )
        from websockets.utils import accept_key

        accept = accept_key(key.decode())
        writer.write(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        await asyncio.sleep(60)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with DeepgramStreamingSTT(
        api_key="test-key", clock=Clock(), base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    ) as stt:
        await stt.send(bytes(640), 0.0)
        began = now_s()
    assert now_s() - began < 1.0
    server.close()


def test_keyterms_and_nova_2_do_not_go_together() -> None:
    with pytest.raises(SettingsError, match="nova-3"):
        DeepgramStreamingSTT(api_key="test-key", clock=Clock(), model="nova-2", keyterms=["Brisa"])


def asked_for(*lines: str, answer: str = "", before_close_s: float = 2.0) -> tuple[Play, list[str]]:
    """A server that sends lines, and `answer` when it is asked to finalize; and what it was asked."""
    asked: list[str] = []

    async def play(socket: ServerConnection) -> None:
        for line in lines:
            await socket.send(line)
        try:
            async with asyncio.timeout(before_close_s):
                async for received in socket:
                    if isinstance(received, str) and json.loads(received)["type"] == "Finalize":
                        asked.append(received)
                        if answer:
                            await socket.send(answer)
        except TimeoutError:
            await socket.close(1000)

    return play, asked


INTERIM = results("Busco un", 0.1, 0.4, final=False)
OVER = message("UtteranceEnd", channel=[0, 1], last_word_end=0.5)


async def test_where_only_interims_came_the_words_are_asked_for_once_when_the_utterance_is_over() -> None:
    final = json.dumps({**json.loads(results("Busco un protector.", 0.1, 0.6)), "from_finalize": True})
    play, asked = asked_for(INTERIM, OVER, OVER, answer=final)
    assert words_of(await collect(play)) == ["Busco un protector."] and len(asked) == 1


async def test_where_none_come_then_what_was_told_is_taken_and_its_late_final_is_not_another() -> None:
    play, asked = asked_for(INTERIM, OVER)
    events = await collect(play)
    (final,) = [e for e in events if isinstance(e, TranscriptFinal)]
    assert final.text == "Busco un" and len(asked) == 1
    assert [(w.text, w.start_ms, w.end_ms) for w in final.words] == [
        ("Busco", pytest.approx(1100), pytest.approx(1300)), ("un", pytest.approx(1300), pytest.approx(1500)),
    ]  # fmt: skip


async def test_words_that_were_told_after_final_ones_are_asked_for_too() -> None:
    play, asked = asked_for(results("Hola,", 0.0, 0.1), INTERIM, OVER)
    assert words_of(await collect(play)) == ["Hola, Busco un"] and len(asked) == 1


async def test_who_goes_on_after_a_gap_is_not_cut_off() -> None:
    async def play(socket: ServerConnection) -> None:
        for line in (INTERIM, OVER, results("Busco un protector", 0.1, 0.8, final=False)):
            await socket.send(line)
        await asyncio.sleep(2)
        await socket.send(results("Busco un protector solar.", 0.1, 1.2, speech_final=True))
        await socket.close(1000)

    assert words_of(await collect(play)) == ["Busco un protector solar."]


async def test_a_late_utterance_end_asks_for_nothing() -> None:
    play, asked = asked_for(
        results("Hola.", 0.0, 0.1, speech_final=True), INTERIM, message("UtteranceEnd", channel=[0, 1], last_word_end=0.1),
        before_close_s=1.0,
    )  # fmt: skip
    events = await collect(play)
    assert words_of(events) == ["Hola.", "Busco un"] and not asked  # the second as the stream was at its end


@pytest.mark.parametrize("end", [{"speech_final": True}, {"from_finalize": True}, {}])
async def test_interim_words_that_an_empty_final_covers_are_withdrawn(end: dict[str, bool]) -> None:
    nothing = json.dumps({**json.loads(results("", 0.1, 0.4)), **end})
    events = await collect(
        script(message("SpeechStarted", channel=[0, 1], timestamp=0.1), results("eh", 0.1, 0.3, final=False), nothing)
    )
    assert words_of(events) == [""]
    (withdrawn,) = [e for e in events if isinstance(e, TranscriptFinal)]
    assert withdrawn.speech_started_ms == pytest.approx(1100)
    assert sum(isinstance(e, SpeechEnded) for e in events) == bool(end)


async def test_an_empty_final_that_ends_before_the_words_leaves_them_open() -> None:
    events = await collect(
        script(
            results("eh", 0.3, 0.3, final=False),
            results("", 0.0, 0.3),
            results("eh, hola", 0.3, 0.5, speech_final=True),
        )
    )
    assert words_of(events) == ["eh, hola"]


async def test_what_was_only_told_is_not_lost_when_the_recogniser_is_given_up() -> None:
    async def play(socket: ServerConnection) -> None:
        await socket.send(INTERIM)
        await socket.close(1011, "NET-0000: no")

    assert words_of(await collect(play)) == ["Busco un"]
