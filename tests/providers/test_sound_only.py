"""A voice without a face: all of it is given away, a second ahead at most, and nothing after an interruption."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from clara_kit.core import events as ev
from clara_kit.core.errors import SettingsError
from clara_kit.providers.avatar.base import Ducks, TapsAudio
from clara_kit.providers.avatar.sound_only import SoundOnly
from clara_kit.runtime.clock import MonotonicClock
from tests.providers.test_liveavatar import BYTES_PER_MS, FakeTTS


class Room:
    """What was tapped, and when; what was told."""

    def __init__(self, avatar: SoundOnly, clock: MonotonicClock) -> None:
        self.avatar, self.clock = avatar, clock
        self.taps: list[tuple[int, float, float]] = []  # utterance, length in ms, when
        self.events: list[ev.Event] = []
        avatar.on_audio = lambda who, pcm: self.taps.append((who, len(pcm) / BYTES_PER_MS, clock.now_ms()))

    async def read(self) -> None:
        async for event in self.avatar.events():
            self.events.append(event)

    def of(self, utterance_id: int, *kinds: type) -> list[ev.Event]:
        return [e for e in self.events if getattr(e, "utterance_id", None) == utterance_id and isinstance(e, kinds)]

    async def until(self, utterance_id: int, *kinds: type) -> ev.Event:
        async with asyncio.timeout(30):
            while not self.of(utterance_id, *kinds):
                await asyncio.sleep(0.01)
        return self.of(utterance_id, *kinds)[-1]

    async def say(self, utterance_id: int, *texts: str) -> None:
        for number, text in enumerate(texts):
            await self.avatar.speak(utterance_id, number, text)
        await self.avatar.end_speech(utterance_id)


ENDS = (ev.SpeakingEnded, ev.SpeakingInterrupted, ev.ProviderFailed)


@asynccontextmanager
async def room(tts: FakeTTS) -> AsyncIterator[Room]:
    clock = MonotonicClock()
    async with SoundOnly(tts=tts, clock=clock) as avatar:
        here = Room(avatar, clock)
        reading = asyncio.create_task(here.read())
        yield here
    await asyncio.wait({reading}, timeout=1)
    assert reading.done()  # its events ended with it


async def test_all_sound_is_given_away_at_the_pace_of_sound_and_a_second_ahead_at_most() -> None:
    async with room(FakeTTS(ms=3000)) as here:
        await here.say(1, "Una frase.", "Otra más.")
        end = await here.until(1, *ENDS)
    began = here.of(1, ev.SpeakingStarted)[0].at_ms
    assert isinstance(end, ev.SpeakingEnded) and end.estimated
    assert end.at_ms - began == pytest.approx(6000, abs=200)
    given_ms = 0.0
    for _, length_ms, at_ms in here.taps:
        given_ms += length_ms
        assert given_ms - (at_ms - began) <= 1050
    assert given_ms == 6000


async def test_it_begins_with_its_first_sound_and_waits_for_a_slow_voice() -> None:
    async with room(FakeTTS(ms=600, chunk_ms=100, gap_s=0.3)) as here:
        await here.say(1, "Hola.")
        end = await here.until(1, *ENDS)
    first, began = here.of(1, ev.FirstAudio)[0].at_ms, here.of(1, ev.SpeakingStarted)[0].at_ms
    assert 0 <= began - first < 150 and end.at_ms - began > 1400


async def test_after_an_interruption_nothing_more_is_given_away() -> None:
    async with room(FakeTTS(ms=5000)) as here:
        await here.say(1, "Una frase larga.")
        await here.until(1, ev.SpeakingStarted)
        await asyncio.sleep(0.5)
        await here.avatar.interrupt(1)
        given, end = len(here.taps), await here.until(1, *ENDS)
        await here.say(2, "Chao.")
        await here.until(2, ev.SpeakingStarted)
    assert isinstance(end, ev.SpeakingInterrupted) and not end.estimated
    assert {who for who, _, _ in here.taps[given:]} == {2}


@pytest.mark.parametrize("after_ms", [0.0, 700.0])
async def test_a_voice_that_fails_is_told_once_and_the_next_utterance_is_spoken(after_ms: float) -> None:
    tts = FakeTTS(ms=2000, fail_after_ms=after_ms)
    async with room(tts) as here:
        await here.say(1, "Una frase.")
        failed = await here.until(1, *ENDS)
        assert isinstance(failed, ev.ProviderFailed) and failed.service == "tts"
        tts.fail_after_ms = None
        await here.say(2, "Otra.")
        assert isinstance(await here.until(2, *ENDS), ev.SpeakingEnded)
    assert len(here.of(1, *ENDS)) == 1
    assert sum(ms for who, ms, _ in here.taps if who == 1) == after_ms


async def test_leaving_in_mid_word_leaves_no_task_and_closes_the_voice() -> None:
    before, tts = asyncio.all_tasks(), FakeTTS(ms=5000)
    async with room(tts) as here:
        await here.say(1, "Una frase larga.")
        await here.until(1, ev.SpeakingStarted)
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() <= before and tts.entered == tts.left == 1


async def test_a_listener_that_breaks_ends_the_session_and_leaves_nothing_waiting() -> None:
    avatar = SoundOnly(tts=FakeTTS(ms=500), clock=MonotonicClock())
    avatar.on_audio = lambda who, pcm: [][who]
    async with avatar, asyncio.timeout(5):
        await avatar.speak(1, 0, "Hola.")
        await avatar.speak(2, 0, "Otra.")
        failed = [e for e in [e async for e in avatar.events()] if isinstance(e, ev.ProviderFailed)]
    assert [f.utterance_id for f in failed] == [1, 2, None]


def test_who_plays_its_sound_lowers_it_and_another_rate_is_refused() -> None:
    avatar = SoundOnly(tts=FakeTTS(), clock=MonotonicClock())
    assert isinstance(avatar, TapsAudio) and not isinstance(avatar, Ducks)
    with pytest.raises(SettingsError, match="16000"):
        SoundOnly(tts=FakeTTS(rate_hz=16_000), clock=MonotonicClock())
