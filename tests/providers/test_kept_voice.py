"""Sound that is kept: at once, in order, never somebody else's, and bounded."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from clara_kit.audio.pcm import concat, silence
from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderUnavailable
from clara_kit.providers.avatar.liveavatar import LiveAvatarLite
from clara_kit.providers.tts import kept
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, Voiced
from clara_kit.providers.tts.deepgram_aura import DeepgramAuraTTS
from clara_kit.providers.tts.flushing import Flushes
from clara_kit.providers.tts.kept import KeptVoice, SoundStore
from clara_kit.providers.tts.trimmed import TrimmedVoice
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.deepgram.twin import DeepgramTwin
from clara_kit.world.twins.liveavatar.twin import SANDBOX_AVATAR, LiveAvatarTwin
from clara_kit.world.twins.server import TwinServer
from clara_kit.world.voices import clara_voice

RATE_HZ = 24_000
Part = AudioChunk | PiecesVoiced


def tone(ms: float, loud: int) -> bytes:
    return np.full(round(ms * RATE_HZ / 1000), loud, dtype="<i2").tobytes()


@dataclass
class Tones:
    """A voice that speaks each piece as 100 ms of its own loudness, after 200 ms of silence. `asked`: what it was given."""

    rate_hz: int = RATE_HZ
    asked: list[list[str]] = field(default_factory=list)
    flushes: Flushes = field(default_factory=Flushes)
    left: int = 0
    broken: bool = False

    @asynccontextmanager
    async def speak(self, pieces: AsyncIterator[str]) -> AsyncIterator[Voiced]:
        self.asked.append([])
        try:
            yield self._stream(pieces)
        finally:
            self.left += 1

    async def _stream(self, pieces: AsyncIterator[str]) -> AsyncIterator[Part]:
        count = 0
        async for piece in pieces:
            self.asked[-1].append(piece)
            if self.broken:
                raise ProviderUnavailable("The voice is gone.", hint="wait.", kind="cut")
            count += 1
            yield AudioChunk(bytes(200 * 48))
            yield AudioChunk(tone(100, loudness(piece)))
            yield PiecesVoiced(count, count * 300.0, (ev.SpokenWord(char_end=len(piece), end_ms=count * 300.0),))

    async def aclose(self) -> None:
        return


def loudness(piece: str) -> int:
    return 1000 + 10 * sum(map(ord, piece)) % 20_000


def store(path: Path | None = None, **more: object) -> SoundStore:
    return SoundStore(path, **{"voice": ("twin", "deepgram", "celeste", "1"), "pronunciation": (), **more})  # type: ignore[arg-type]


async def coming(*pieces: str, gap_s: float = 0.0) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(gap_s)


async def spoken(voice: KeptVoice | TrimmedVoice, *pieces: str) -> list[Part]:
    async with voice.speak(coming(*pieces)) as sound:
        return [part async for part in sound]


def heard(parts: list[Part]) -> list[int]:
    """The loudness of what is heard, each once in a row."""
    samples = np.frombuffer(b"".join(p.pcm for p in parts if isinstance(p, AudioChunk)), dtype="<i2")
    loud = [int(x) for x in samples if x]
    return [one for one, other in pairwise([*loud, 0]) if one != other]


async def test_kept_and_fresh_pieces_come_in_their_order_with_marks_that_add_up() -> None:
    inner = Tones()
    voice = KeptVoice(inner, store())
    assert await voice.prepare(["A ver.", "Claro.", "A ver."]) == 2 and await voice.prepare(["Claro."]) == 0
    inner.asked.clear()
    pieces = ("A ver.", "uno", "dos", "Claro.", "tres")
    parts = await spoken(voice, *pieces)
    assert heard(parts) == [loudness(piece) for piece in pieces]
    assert inner.asked == [["uno", "dos"], ["tres"]]
    marks = [p for p in parts if isinstance(p, PiecesVoiced)]
    assert [m.pieces for m in marks] == [1, 2, 3, 4, 5]
    sound_ms = 0.0
    for part in parts:
        if isinstance(part, AudioChunk):
            sound_ms += len(part.pcm) / 48
        else:
            assert part.audio_ms == pytest.approx(sound_ms)
    words = [word for mark in marks for word in mark.words]
    text = " ".join(pieces)
    assert [text[: word.char_end].rsplit(" ", 1)[-1] for word in words][-1] == "tres"
    assert words[-1].end_ms == pytest.approx(sound_ms)


async def test_what_is_kept_has_no_silence_at_its_head_and_little_at_its_end() -> None:
    voice = KeptVoice(Tones(), store())
    await voice.prepare(["A ver."])
    (sound, mark) = await spoken(voice, "A ver.")
    assert isinstance(sound, AudioChunk) and isinstance(mark, PiecesVoiced)
    assert mark.audio_ms == pytest.approx(120) and len(sound.pcm) == 120 * 48


async def test_for_kept_sound_the_voice_is_not_even_entered() -> None:
    inner = Tones(broken=True)
    voice = KeptVoice(inner, sounds := store())
    assert sounds.put("A ver.", tone(100, 5000))
    assert heard(await spoken(voice, "A ver.")) == [5000] and inner.asked == []
    with pytest.raises(ProviderUnavailable):
        await spoken(voice, "A ver.", "uno")


async def test_sound_is_kept_as_it_is_spoken_where_somebody_wants_it() -> None:
    inner = Tones()
    voice = KeptVoice(inner, store(), keep=lambda text: text != "dos")
    first = await spoken(voice, "uno", "dos", "tres")
    await voice.aclose()
    assert heard(await spoken(voice, "uno", "dos", "tres")) == heard(first)
    assert inner.asked == [["uno", "dos", "tres"], ["dos"]]


async def test_leaving_early_leaves_the_voice_too() -> None:
    inner = Tones()
    voice = KeptVoice(inner, store())
    async with voice.speak(coming("uno", "dos")) as sound:
        async for _ in sound:
            break
    assert inner.left == 1
    assert heard(await spoken(voice, "tres")) == [loudness("tres")]


def test_another_voice_speed_or_way_to_say_it_has_another_sound(tmp_path: Path) -> None:
    path = tmp_path / "sounds.sqlite3"
    sounds = store(path)
    assert sounds.put("Sí, SPF 50.", tone(100, 5000))
    assert store(path).get("Sí, SPF 50.") == sounds.get("Sí, SPF 50.") != None  # noqa: E711
    for other in ("live", "deepgram", "celeste", "1"), ("twin", "deepgram", "celeste", "1.1"):
        assert not store(path, voice=other).has("Sí, SPF 50.")
    assert not store(path, pronunciation=(("SPF", "ese pe efe"),)).has("Sí, SPF 50.")
    assert store(path).has("Sí, SPF cincuenta."), "the same is said"


def test_what_is_silent_or_endless_is_not_kept() -> None:
    sounds = store()
    assert not sounds.put("…", tone(100, 5000)) and not sounds.put("Hola.", bytes(4800))
    assert not sounds.put("Hola.", tone(kept.LONGEST_MS + 1, 5000)) and not sounds.has("Hola.")


def test_a_damaged_sound_is_not_played(tmp_path: Path) -> None:
    path = tmp_path / "sounds.sqlite3"
    assert store(path).put("A ver.", tone(100, 5000))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE entries SET value = zeroblob(length(value))")
    db.close()
    again = store(path)
    assert again.has("A ver.") and again.get("A ver.") is None and not again.has("A ver.")
    assert again.warnings and again.put("A ver.", tone(100, 5000)) and store(path).get("A ver.")


def test_disk_and_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MEMORY_BYTES", 15_000)
    now = [0.0]

    def clock() -> float:
        now[0] += 1
        return now[0]

    sounds = store(tmp_path / "sounds.sqlite3", most=5, clock=clock)
    names = [f"palabra {word}" for word in ["uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho"]]
    for name in names:
        assert sounds.put(name, tone(100, 5000))
    assert [sounds.has(name) for name in names] == [False] * 3 + [True] * 5
    assert sum(map(len, sounds._memory.values())) <= 15_000
    assert all(store(tmp_path / "sounds.sqlite3", clock=clock).get(name) for name in names[3:])


def test_where_there_is_no_disk_it_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    sounds = store(tmp_path / "a file" / "sounds.sqlite3")
    assert sounds.put("A ver.", tone(100, 5000)) and sounds.get("A ver.") and sounds.warnings


async def test_an_opener_is_out_within_fifty_milliseconds_and_the_reply_follows_it() -> None:
    """Over both twins' sockets: the vendor's voice needs 140 ms, and then comes 200 ms of silence."""
    context = TwinContext(profile=LatencyProfile.load("published"), seed=4)
    vendors = [DeepgramTwin(context, LineBook(), clara_voice()), LiveAvatarTwin(context, connected_after_ms=5.0)]
    async with TwinServer(vendors) as twins:
        aura = DeepgramAuraTTS(api_key="test-key", base_url=twins.addresses["deepgram"]["base_url"])
        voice = KeptVoice(aura, store())
        assert await voice.prepare(["A ver, déjame pensar."]) == 1
        clock, seen = MonotonicClock(), list[ev.Event]()
        async with LiveAvatarLite(
            api_key="test-key", tts=TrimmedVoice(voice), clock=clock, avatar_id=SANDBOX_AVATAR,
            base_url=twins.addresses["liveavatar"]["base_url"], playout_ms=185.0,
        ) as avatar:  # fmt: skip
            ordered_ms = clock.now_ms()
            await avatar.speak(1, 0, "A ver, déjame pensar.")
            await avatar.speak(1, 1, "El protector solar cuesta doce mil pesos.")
            await avatar.end_speech(1)
            async with asyncio.timeout(30):
                async for event in avatar.events():
                    seen.append(event)
                    if isinstance(event, ev.SpeakingEnded):
                        break
        await voice.aclose()
    first = next(e for e in seen if isinstance(e, ev.FirstAudio))
    opener, reply = (e for e in seen if isinstance(e, ev.SpeechVoiced))
    started = next(e for e in seen if isinstance(e, ev.SpeakingStarted))
    assert first.at_ms - ordered_ms <= 50 and opener.piece_no == 0 and opener.lead_ms <= 40
    assert reply.first_ms is not None and reply.first_ms >= first.at_ms and reply.lead_ms <= 100
    assert reply.first_ms < started.at_ms + opener.audio_ms, "no gap between the two"
    assert started.playout_ms == 185.0
    (played,) = next(s for s in vendors[1].sessions.values()).utterances  # type: ignore[union-attr]
    assert played.underruns == 0 and played.samples * 1000 / RATE_HZ == pytest.approx(reply.audio_ms, abs=1)


async def test_a_trimmed_voice_loses_silence_and_nothing_else() -> None:
    inner = Tones()
    parts = await spoken(TrimmedVoice(inner), "uno", "dos")
    assert heard(parts) == [loudness("uno"), loudness("dos")]
    assert [p.audio_ms for p in parts if isinstance(p, PiecesVoiced)] == pytest.approx([120, 300])
    assert [w.end_ms for p in parts if isinstance(p, PiecesVoiced) for w in p.words] == pytest.approx([120, 300])


async def test_what_was_cut_does_not_delay_the_next_flush() -> None:
    inner = Tones()
    inner.flushes.sound(600, 1000)  # as a voice counts two pieces of 300 ms
    await spoken(TrimmedVoice(KeptVoice(inner, store())), "uno", "dos")
    assert inner.flushes.ends_ms == pytest.approx(1000 + 120 + 180)


async def test_a_cut_in_the_middle_leaves_nothing_of_the_opener_or_the_reply_behind() -> None:
    context = TwinContext(profile=LatencyProfile.load("fast"), seed=4)
    vendors = [DeepgramTwin(context, LineBook(), clara_voice()), LiveAvatarTwin(context, connected_after_ms=5.0)]
    async with TwinServer(vendors) as twins:
        aura = DeepgramAuraTTS(api_key="test-key", base_url=twins.addresses["deepgram"]["base_url"])
        voice = KeptVoice(aura, store())
        await voice.prepare(["A ver, déjame pensar.", "Claro."])
        async with LiveAvatarLite(
            api_key="test-key", tts=TrimmedVoice(voice), clock=MonotonicClock(), avatar_id=SANDBOX_AVATAR,
            base_url=twins.addresses["liveavatar"]["base_url"],
        ) as avatar:  # fmt: skip
            seen: list[ev.Event] = []
            await avatar.speak(1, 0, "A ver, déjame pensar.")
            await avatar.speak(1, 1, "El protector solar cuesta doce mil pesos y llega en tres días.")
            async with asyncio.timeout(30):
                async for event in avatar.events():
                    seen.append(event)
                    if isinstance(event, ev.SpeechVoiced) and event.piece_no == 1:
                        await avatar.interrupt(1)
                        await avatar.speak(2, 0, "Claro.")
                        await avatar.end_speech(2)
                    elif isinstance(event, ev.SpeakingEnded | ev.ProviderFailed):
                        break
        await voice.aclose()
    assert [type(e) for e in seen if getattr(e, "utterance_id", 0) == 1][-1] is ev.SpeakingInterrupted
    voiced = [e for e in seen if isinstance(e, ev.SpeechVoiced) and e.utterance_id == 2]
    cut, whole = next(s for s in vendors[1].sessions.values()).utterances  # type: ignore[union-attr]
    assert cut.interrupted and isinstance(seen[-1], ev.SpeakingEnded)
    assert whole.samples * 1000 / RATE_HZ == pytest.approx(voiced[-1].audio_ms, abs=1)


def test_a_voice_is_as_it_was_after_its_silence_was_cut() -> None:
    speech = clara_voice().synthesize("Sí, claro que sí.").sound.at_rate(RATE_HZ)
    whole = concat(silence(180, RATE_HZ), speech, silence(300, RATE_HZ)).to_bytes()
    sounds = store()
    assert sounds.put("Sí, claro que sí.", whole)
    cut = np.frombuffer(sounds.get("Sí, claro que sí.") or b"", dtype="<i2")
    loud = np.flatnonzero(np.abs(speech.samples.astype(int)) > 33)
    inside = speech.samples[loud[0] : loud[-1] + 1]
    at = np.flatnonzero(np.abs(cut.astype(int)) > 33)[0]
    assert np.array_equal(cut[at : at + len(inside)], inside), "not a sample of what was said is missing"
    assert at <= 25 * 24 and len(cut) - at - len(inside) <= 105 * 24
