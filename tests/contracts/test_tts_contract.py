"""What every voice promises (`providers/tts/base.py`), asked of each implementation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, TTSProvider
from clara_kit.providers.tts.deepgram_aura import DeepgramAuraTTS
from clara_kit.providers.tts.elevenlabs import ElevenLabsTTS
from clara_kit.providers.tts.kept import KeptVoice, SoundStore
from clara_kit.providers.tts.trimmed import TrimmedVoice
from clara_kit.runtime.compose import clara_voice
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.deepgram.twin import DeepgramTwin
from clara_kit.world.twins.elevenlabs.twin import ElevenLabsTwin
from clara_kit.world.twins.server import TwinServer
from tests.offline_tts import OfflineTTS

PIECES = ("Hola.", "Te cuento algo.", "¡Chao!")


@pytest.fixture(params=["aura", "elevenlabs", "offline", "trimmed", "kept"])
async def tts(request: pytest.FixtureRequest) -> AsyncIterator[TTSProvider]:
    if request.param == "offline":
        yield OfflineTTS(clara_voice())
        return
    context = TwinContext(profile=LatencyProfile.load("fast"))
    vendors = [DeepgramTwin(context, LineBook(), clara_voice()), ElevenLabsTwin(context, clara_voice())]
    async with TwinServer(vendors) as twins:
        vendor, kind = ("elevenlabs", ElevenLabsTTS) if request.param == "elevenlabs" else ("deepgram", DeepgramAuraTTS)
        voice: TTSProvider = kind(api_key="test-key", base_url=twins.addresses[vendor]["base_url"])
        if request.param == "kept":
            voice = KeptVoice(voice, SoundStore(None, voice=("aura",), pronunciation=()))
            await voice.prepare(["Te cuento algo.", "Hola."])
        if request.param in ("kept", "trimmed"):
            voice = TrimmedVoice(voice)
        yield voice
        await voice.aclose()


async def text(*pieces: str, gap_s: float = 0.0) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(gap_s)


async def spoken(tts: TTSProvider, pieces: AsyncIterator[str]) -> list[AudioChunk | PiecesVoiced]:
    async with asyncio.timeout(15), tts.speak(pieces) as stream:
        return [part async for part in stream]


@pytest.mark.parametrize("gap_s", [0.0, 0.15], ids=["at once", "as they are written"])
async def test_every_piece_is_voiced_and_the_marks_tell_how_long(tts: TTSProvider, gap_s: float) -> None:
    parts = await spoken(tts, text(*PIECES, gap_s=gap_s))
    marks = [p for p in parts if isinstance(p, PiecesVoiced)]
    assert [m.pieces for m in marks] == sorted({m.pieces for m in marks}) and marks[-1].pieces == len(PIECES)
    assert isinstance(parts[-1], PiecesVoiced)
    sound_ms = 0.0
    for part in parts:
        if isinstance(part, AudioChunk):
            assert part.pcm and len(part.pcm) % 2 == 0
            sound_ms += len(part.pcm) / 2 / tts.rate_hz * 1000
        else:
            assert part.audio_ms == pytest.approx(sound_ms, abs=1)
    assert sound_ms > 500
    ends = [(w.char_end, w.end_ms) for m in marks for w in m.words]
    assert ends == sorted(ends) and all(end_ms <= sound_ms + 1 for _, end_ms in ends)


async def test_no_pieces_make_no_sound(tts: TTSProvider) -> None:
    assert not any(isinstance(p, AudioChunk) for p in await spoken(tts, text()))


@pytest.mark.parametrize("odd", ["…", "🙂", "¿?", "  ", "$12.990 con SPF 50+", "a" * 1900, "<b>hola</b> & chao"])
async def test_odd_texts_do_not_stop_what_follows(tts: TTSProvider, odd: str) -> None:
    parts = await spoken(tts, text(odd, "Hola."))
    assert [p.pieces for p in parts if isinstance(p, PiecesVoiced)][-1] == 2
    assert any(isinstance(p, AudioChunk) for p in parts)


async def test_leaving_early_stops_at_once_and_the_voice_can_speak_again(tts: TTSProvider) -> None:
    async with asyncio.timeout(5), tts.speak(text("Esto es una frase bastante larga, para cortarla.", *PIECES)) as s:
        async for part in s:
            if isinstance(part, AudioChunk):
                break
    assert any(isinstance(p, AudioChunk) for p in await spoken(tts, text("Hola.")))


async def test_two_utterances_at_once_do_not_mix(tts: TTSProvider) -> None:
    alone = await spoken(tts, text("Uno."))
    one, two = await asyncio.gather(spoken(tts, text("Uno.")), spoken(tts, text("Dos, y algo más.")))

    def sound(parts: list[AudioChunk | PiecesVoiced]) -> int:
        return sum(len(p.pcm) for p in parts if isinstance(p, AudioChunk))

    assert sound(one) == pytest.approx(sound(alone), rel=0.2)
    assert sound(two) > sound(one)


async def test_closing_twice_is_no_error(tts: TTSProvider) -> None:
    await tts.aclose()
    await tts.aclose()
