"""ElevenLabs' provider: a context for each utterance, silence on leaving, times of words, and a server that misbehaves."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

from clara_kit.core.errors import ProviderError, SettingsError
from clara_kit.core.events import SpokenWord
from clara_kit.providers.tts import elevenlabs
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, Warms
from clara_kit.providers.tts.elevenlabs import ElevenLabsTTS
from clara_kit.world.faults import Fault
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.pace import now_s
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.elevenlabs.twin import ElevenLabsTwin
from clara_kit.world.twins.server import TwinServer
from clara_kit.world.voices import clara_voice
from tests.providers.test_aura import marks, pieces, sound_ms, spoken

TEXTS = ("Hola.", "Te cuento algo.", "Chao.")


@pytest.fixture
async def twin() -> ElevenLabsTwin:
    return ElevenLabsTwin(TwinContext(profile=LatencyProfile.load("fast")), clara_voice())


@pytest.fixture
async def voice(twin: ElevenLabsTwin) -> AsyncIterator[ElevenLabsTTS]:
    async with TwinServer([twin]) as server:
        tts = ElevenLabsTTS(api_key="test-key", base_url=server.addresses["elevenlabs"]["base_url"])
        yield tts
        await tts.aclose()


# --- over its twin -------------------------------------------------------------------------------------


async def test_every_utterance_is_a_context_of_one_socket_and_is_closed(
    voice: ElevenLabsTTS, twin: ElevenLabsTwin
) -> None:
    for _ in range(7):  # of five that may be open
        parts = await spoken(voice, *TEXTS)
        assert marks(parts) == [1, 2, 3] and sound_ms(parts) > 1000
    (connection,) = twin.connections
    assert connection["query"]["output_format"] == "pcm_24000" and connection["query"]["language_code"] == "es"
    closed = [m["context_id"] for m in connection["messages"] if m.get("close_context")]
    assert closed == [f"u{n}" for n in range(1, 8)]


async def test_the_voice_is_as_quick_as_was_set_within_what_the_vendor_offers(twin: ElevenLabsTwin) -> None:
    async with TwinServer([twin]) as server:
        for speed, told in ((1.0, None), (0.9, 0.9), (1.5, 1.2)):
            access = {"api_key": "test-key", "base_url": server.addresses["elevenlabs"]["base_url"]}
            voice = ElevenLabsTTS(**access, voice="mía", speed=speed)
            await spoken(voice, "Hola.")
            await voice.aclose()
            connection = twin.connections[-1]
            assert connection["messages"][0].get("voice_settings", {}).get("speed") == told
            assert "/mía/" in connection["path"]


async def test_an_utterance_left_early_is_silenced_by_one_message_and_does_not_sound_in_the_next(
    voice: ElevenLabsTTS, twin: ElevenLabsTwin
) -> None:
    alone = sound_ms(await spoken(voice, "Otra."))
    for _ in range(6):
        async with voice.speak(pieces("Una frase bastante larga que nadie oye entera.", gap_s=60)) as stream:
            await anext(stream)
            began = now_s()
        assert now_s() - began < 0.3
    assert sound_ms(await spoken(voice, "Otra.")) == pytest.approx(alone, abs=1)
    assert len(twin.connections) == 1


async def test_words_are_timed_and_stand_for_what_was_written(voice: ElevenLabsTTS) -> None:
    parts = await spoken(voice, "**La Roche-Posay** cuesta $ 12.990.", "😊 ¿Sí?")
    words = [word for part in parts if isinstance(part, PiecesVoiced) for word in part.words]
    written = "**La Roche-Posay** cuesta $ 12.990. 😊 ¿Sí?"
    assert [written[: w.char_end] for w in words if written[: w.char_end].endswith(("cuesta", "12.990."))]
    assert words[-1].char_end == len(written) and words[-1].end_ms <= sound_ms(parts) + 1
    assert [w.end_ms for w in words] == sorted(w.end_ms for w in words) and words[0].end_ms > 50


async def test_a_pause_between_pieces_is_no_stall_and_what_is_complete_is_told_meanwhile(voice: ElevenLabsTTS) -> None:
    told: list[tuple[int, float]] = []
    began = now_s()
    async with asyncio.timeout(60), voice.speak(pieces("Hola.", "Chao.", gap_s=12)) as stream:
        async for part in stream:
            if isinstance(part, PiecesVoiced):
                told.append((part.pieces, now_s() - began))
    assert [count for count, _ in told] == [1, 2] and told[0][1] < 6


async def test_a_socket_that_the_vendor_closed_for_idleness_is_opened_again(
    twin: ElevenLabsTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elevenlabs, "IDLE_S", 20)
    async with TwinServer([twin]) as server:
        voice = ElevenLabsTTS(api_key="test-key", base_url=server.addresses["elevenlabs"]["base_url"])
        assert isinstance(voice, Warms)
        await voice.warm()
        await asyncio.sleep(25)
        assert marks(await spoken(voice, "Hola.")) == [1]
        await voice.aclose()
    assert len(twin.connections) == 2 and twin.connections[0]["closed"] == 1008


async def test_only_what_can_be_said_is_sent(voice: ElevenLabsTTS, twin: ElevenLabsTwin) -> None:
    assert await spoken(voice) == []
    assert marks(await spoken(voice, "😊", "---")) == [2]
    assert twin.connections[0]["messages"] == []


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [(401, "refused", False), (402, "refused", False), (429, "rate_limited", True), (503, "overloaded", True)],
)
async def test_a_refusal_is_told_with_a_remedy_and_the_vendors_wish(
    voice: ElevenLabsTTS, twin: ElevenLabsTwin, status: int, kind: str, retryable: bool
) -> None:
    twin.context.faults.add(Fault(service="tts", kind="refuse", status=status, for_ms=2500))
    with pytest.raises(ProviderError, match=f"HTTP {status}") as caught:
        await spoken(voice, "Hola.")
    assert (caught.value.kind, caught.value.retryable, caught.value.retry_after_ms) == (kind, retryable, 2500)
    assert caught.value.hint and marks(await spoken(voice, "Hola.")) == [1]


@pytest.mark.parametrize(("fault", "kind"), [("cut", "cut"), ("stall", "stalled")])
async def test_a_break_is_told_and_the_next_utterance_is_whole(
    voice: ElevenLabsTTS, twin: ElevenLabsTwin, fault: Any, kind: str
) -> None:
    twin.context.faults.add(Fault(service="tts", kind=fault, after_ms=5))
    twin.context.faults.add(Fault(service="tts", kind="slow", for_ms=300))
    with pytest.raises(ProviderError) as caught:
        await spoken(voice, *TEXTS)
    assert (caught.value.kind, caught.value.retryable) == (kind, True)
    assert marks(await spoken(voice, *TEXTS)) == [1, 2, 3] and len(twin.connections) == 2


async def test_a_wrong_key_is_refused_also_in_a_first_message(twin: ElevenLabsTwin) -> None:
    async with TwinServer([twin]) as server:
        base = server.addresses["elevenlabs"]
        with pytest.raises(ProviderError, match="HTTP 401") as caught:
            await ElevenLabsTTS(api_key="wrong", base_url=base["base_url"]).warm()
        assert "ELEVENLABS_API_KEY" in caught.value.hint
        query = "?model_id=eleven_flash_v2_5&output_format=pcm_24000"
        url = f"{base['ws_url']}/v1/text-to-speech/v/multi-stream-input{query}"
        async with websockets.connect(url) as socket:
            await socket.send(json.dumps({"text": " ", "context_id": "a", "xi_api_key": "wrong"}))
            assert json.loads(await socket.recv())["error"] == "invalid_api_key"
    with pytest.raises(SettingsError, match="ELEVENLABS_API_KEY is empty"):
        ElevenLabsTTS(api_key=" ")


# --- over a server that sends what it should not -------------------------------------------------------

Play = Callable[["Far", str], Awaitable[None]]


class Far:
    """Answers each flushed text by `play`, in the vendor's own words."""

    def __init__(self, socket: ServerConnection, play: Play) -> None:
        self.socket, self.play, self.name = socket, play, ""

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps({"context_id": self.name, **message}))

    async def sound(self, text: str, **more: Any) -> None:
        """Its bytes are the text, two letters a sample."""
        await self.say(audio=b64encode(text.encode()).decode(), **more)

    async def serve(self) -> None:
        async for raw in self.socket:
            message = json.loads(raw)
            if message.get("close_context"):
                await self.say(isFinal=True)
            elif message.get("flush"):
                self.name = message["context_id"]
                await self.play(self, message["text"].strip())


@asynccontextmanager
async def far(play: Play) -> AsyncIterator[ElevenLabsTTS]:
    async def handle(socket: ServerConnection) -> None:
        try:
            await Far(socket, play).serve()
        except websockets.ConnectionClosed:
            pass

    async with serve(handle, "127.0.0.1", 0) as server:
        tts = ElevenLabsTTS(api_key="k", base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        yield tts
        await tts.aclose()


def heard(parts: Any) -> str:
    return b"".join(p.pcm for p in parts if isinstance(p, AudioChunk)).decode().strip()


async def test_sound_of_another_context_and_what_no_document_describes_are_passed_over() -> None:
    async def odd(at: Far, text: str) -> None:
        await at.sound("old!", context_id="u0")
        await at.say(isFinal=True, context_id="u0")
        for strange in (
            "no JSON",
            "[1]",
            "{}",
            '{"audio": "!", "context_id": "u1"}',
            '{"audio": 7, "context_id": "u1"}',
        ):
            await at.socket.send(strange)
        await at.sound("nameless", context_id=None)
        await at.sound(text)

    async with far(odd) as tts:
        assert heard(await spoken(tts, "Buenas")) == "Buenas"


async def test_sound_that_breaks_off_in_the_middle_of_a_sample_is_joined() -> None:
    async def halves(at: Far, text: str) -> None:
        for part in (text[:3], text[3:5], text[5:]):
            await at.sound(part, contextId=at.name, context_id=None)  # its older spelling

    async with far(halves) as tts:
        parts = await spoken(tts, "Buenas")
        assert heard(parts) == "Buenas" and all(len(p.pcm) % 2 == 0 for p in parts if isinstance(p, AudioChunk))


@pytest.mark.parametrize(
    "alignment", [None, {}, {"chars": 3}, {"chars": ["H"], "charStartTimesMs": ["x"], "charDurationsMs": [1]}, [1]]
)
async def test_without_places_of_letters_all_is_said_and_marked_at_the_end(alignment: Any) -> None:
    async def plain(at: Far, text: str) -> None:
        await at.sound(text, alignment=alignment)

    async with far(plain) as tts:
        parts = await spoken(tts, "Hola", "Chao", gap_s=9)
        assert marks(parts)[-1] == 2 and heard(parts) == "HolaChao"


@pytest.mark.parametrize("counted", ["from each message", "from the utterance", "all with the first message"])
async def test_however_the_vendor_counts_the_places_of_letters_the_words_are_timed_alike(counted: str) -> None:
    """Ten letters a second; a message holds 500 ms."""

    async def aligned(at: Far, text: str) -> None:
        letters = [c for c in text if c.isalnum()]
        for number in range(len(letters) // 5):
            first = number * 5
            here = letters[first : first + 5]
            if counted.startswith("all"):
                here, begin = ([] if number else letters), 0
            else:
                begin = 0 if counted == "from each message" else first
            starts = [(begin + n) * 100 for n in range(len(here))]
            told = {"chars": here, "charStartTimesMs": starts, "charDurationsMs": [100] * len(here)}
            await at.sound(" " * 24_000, alignment=told if here else None)

    async with far(aligned) as tts:
        parts = await spoken(tts, "Hola Clara mía dos.")
    words = [word for part in parts if isinstance(part, PiecesVoiced) for word in part.words]
    assert words == [SpokenWord(char_end=c, end_ms=ms) for c, ms in ((4, 400), (10, 900), (14, 1200), (19, 1500))]
    assert sound_ms(parts) == 1500


async def test_a_letter_that_is_told_to_end_after_its_sound_ends_with_it() -> None:
    async def late(at: Far, text: str) -> None:
        letters = [c for c in text if c.isalnum()]
        times = {"charStartTimesMs": [0] * len(letters), "charDurationsMs": [9000] * len(letters)}
        await at.sound(" " * 4800, alignment={"chars": letters, **times})

    async with far(late) as tts:
        parts = await spoken(tts, "Sí.")
    assert [p.words for p in parts if isinstance(p, PiecesVoiced)] == [(SpokenWord(char_end=3, end_ms=100.0),)]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"error": "quota_exceeded", "message": "This request exceeds your quota."}, "refused"),
        ({"error": "max_active_conversations", "message": "Maximum simultaneous contexts"}, "rate_limited"),
        ({"error": "input_timeout_exceeded", "message": "Have not received a new text"}, "cut"),
        ({"error": "something else"}, "unknown"),
    ],
)
async def test_an_error_on_the_socket_is_told_by_what_it_speaks_of(error: dict[str, str], kind: str) -> None:
    async def fail(at: Far, text: str) -> None:
        await at.socket.send(json.dumps({**error, "code": 1008}))
        await at.socket.close(1008, error.get("message", ""))

    async with far(fail) as tts:
        with pytest.raises(ProviderError) as caught:
            await spoken(tts, "Hola.")
    assert caught.value.kind == kind and caught.value.retryable == (kind != "refused")


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (1008, "This request exceeds your quota", "refused"),
        (1008, "A voice with that id does not exist.", "refused"),
        (1009, "", "bad_input"),
        (1011, "", "cut"),
        (1013, "", "overloaded"),
    ],
)
async def test_a_socket_that_is_closed_says_by_its_reason_whether_to_try_again(
    code: int, reason: str, kind: str
) -> None:
    async def leave(at: Far, text: str) -> None:
        await at.socket.close(code, reason)

    async with far(leave) as tts:
        with pytest.raises(ProviderError, match=str(code)) as caught:
            await spoken(tts, "Hola.")
    assert (caught.value.kind == kind and reason not in str(caught.value).replace(str(code), "")) or not reason


@pytest.mark.parametrize("final", [True, False])
async def test_words_without_any_sound_are_a_failure(final: bool) -> None:
    async def silent(at: Far, text: str) -> None:
        if not final:
            await at.say(isFinal=True)

    async with far(silent) as tts:
        with pytest.raises(ProviderError, match=r"gave no sound|before all was said"):
            await spoken(tts, "Hola.", "Chao.", gap_s=1)


async def test_sound_that_only_dribbles_is_a_stall() -> None:
    async def dribble(at: Far, text: str) -> None:
        while True:
            await at.sound(" " * 48, alignment={"chars": ["H"], "charStartTimesMs": [0], "charDurationsMs": [1]})
            await asyncio.sleep(3)

    async with far(dribble) as tts:
        with pytest.raises(ProviderError) as caught:
            await spoken(tts, "Una frase de muchas letras.")
    assert caught.value.kind == "stalled"


async def test_a_reply_that_breaks_off_with_an_error_leaves_the_socket_usable() -> None:
    async def broken() -> AsyncIterator[str]:
        yield "Hola"
        raise LookupError("the model is gone")

    async def echo(at: Far, text: str) -> None:
        await at.sound(text)

    async with far(echo) as tts:
        with pytest.raises(LookupError):
            async with asyncio.timeout(20), tts.speak(broken()) as stream:
                async for _ in stream:
                    pass
        assert heard(await spoken(tts, "Otra")) == "Otra"
