"""What every avatar promises (`providers/avatar/base.py`), asked of each implementation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from clara_kit.core import events as ev
from clara_kit.core.settings import Settings
from clara_kit.providers.avatar.base import AvatarProvider
from clara_kit.providers.avatar.full import LiveAvatarFull
from clara_kit.providers.avatar.heygen_streaming import HeyGenStreamingAvatar
from clara_kit.providers.avatar.liveavatar import LiveAvatarLite
from clara_kit.providers.avatar.sound_only import SoundOnly
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import clara_voice, compose
from clara_kit.world.answers import AnswerBook
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.pace import now_s
from clara_kit.world.played_halves import PlayedFace
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.heygen.twin import HeyGenTwin
from clara_kit.world.twins.liveavatar.twin import SANDBOX_AVATAR, LiveAvatarTwin
from clara_kit.world.twins.server import TwinServer
from tests.offline_tts import OfflineTTS

FAST = LatencyProfile.load("fast")
TERMINAL = (ev.SpeakingEnded, ev.SpeakingInterrupted, ev.ProviderFailed)


class Heard:
    """An entered avatar, and everything that its `events()` gave."""

    def __init__(self, avatar: AvatarProvider) -> None:
        self.avatar = avatar
        self.events: list[ev.Event] = []

    async def read(self) -> None:
        async for event in self.avatar.events():
            self.events.append(event)

    def of(self, utterance_id: int) -> list[ev.Event]:
        return [e for e in self.events if getattr(e, "utterance_id", None) == utterance_id]

    def ends(self, utterance_id: int) -> list[ev.Event]:
        return [e for e in self.of(utterance_id) if isinstance(e, TERMINAL)]

    async def until(self, happened: Callable[[], object], timeout_s: float = 8) -> None:
        async with asyncio.timeout(timeout_s):
            while not happened():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def lite() -> AsyncIterator[AvatarProvider]:
    async with TwinServer([LiveAvatarTwin(TwinContext(profile=FAST), connected_after_ms=5.0)]) as twins:
        yield LiveAvatarLite(
            api_key="test-key",
            base_url=twins.addresses["liveavatar"]["base_url"],
            tts=OfflineTTS(clara_voice()),
            clock=MonotonicClock(),
            avatar_id=SANDBOX_AVATAR,
        )


@asynccontextmanager
async def full() -> AsyncIterator[AvatarProvider]:
    async with TwinServer([LiveAvatarTwin(TwinContext(profile=FAST))]) as twins:
        yield LiveAvatarFull(
            api_key="test-key",
            base_url=twins.addresses["liveavatar"]["base_url"],
            clock=MonotonicClock(),
            avatar_id=SANDBOX_AVATAR,
            prompt="Eres Clara.",
        )


@asynccontextmanager
async def heygen() -> AsyncIterator[AvatarProvider]:
    async with TwinServer([HeyGenTwin(TwinContext(profile=FAST), clara_voice(), AnswerBook.load())]) as twins:
        yield HeyGenStreamingAvatar(
            api_key="test-key",
            base_url=twins.addresses["heygen"]["base_url"],
            clock=MonotonicClock(),
            avatar_name="twin",
            knowledge_base="Eres Clara.",
            assumed_start_ms=5,
        )


@asynccontextmanager
async def played() -> AsyncIterator[AvatarProvider]:
    services, clock = compose("sim", latency=FAST), MonotonicClock()
    yield services.avatar(clock, services.tts(clock))


@asynccontextmanager
async def played_face() -> AsyncIterator[AvatarProvider]:
    yield PlayedFace(compose("sim", latency=FAST).stage(MonotonicClock()), OfflineTTS(clara_voice()))


@asynccontextmanager
async def sound_only() -> AsyncIterator[AvatarProvider]:
    yield SoundOnly(tts=OfflineTTS(clara_voice()), clock=MonotonicClock())


@asynccontextmanager
async def classic() -> AsyncIterator[AvatarProvider]:
    services = compose("sim", latency=FAST, settings=Settings.of(avatar_vendor="heygen"))
    clock = MonotonicClock()
    yield services.avatar(clock, services.tts(clock))


EVERY = {
    "liveavatar": lite, "liveavatar full": full, "heygen": heygen, "sound only": sound_only, "played": played, "played face": played_face,
    "classic": classic,
}  # fmt: skip


@pytest.fixture(params=EVERY.values(), ids=EVERY)
async def heard(request: pytest.FixtureRequest) -> AsyncIterator[Heard]:
    async with request.param() as avatar, avatar:
        heard = Heard(avatar)
        task = asyncio.create_task(heard.read())
        yield heard
        task.cancel()
        await asyncio.wait({task})


async def test_an_utterance_is_sent_sounds_starts_and_ends_once(heard: Heard) -> None:
    await heard.avatar.speak(1, 0, "Hola.")
    await heard.avatar.speak(1, 1, "¿Qué tal?")
    await heard.avatar.end_speech(1)
    await heard.until(lambda: heard.ends(1))
    await asyncio.sleep(0.2)
    kinds = [type(e) for e in heard.of(1)]
    assert kinds.count(ev.SpeechSent) == 2
    assert [e.piece_no for e in heard.of(1) if isinstance(e, ev.SpeechSent)] == [0, 1]
    assert kinds.count(ev.FirstAudio) == kinds.count(ev.SpeakingStarted) == 1
    assert kinds.index(ev.SpeechSent) < kinds.index(ev.FirstAudio) < kinds.index(ev.SpeakingStarted)
    assert kinds[-1] is ev.SpeakingEnded and len(heard.ends(1)) == 1
    voiced = [e for e in heard.of(1) if isinstance(e, ev.SpeechVoiced)]
    assert voiced[-1].piece_no == 1 and voiced[-1].audio_ms > 300
    began = next(e.at_ms for e in heard.of(1) if isinstance(e, ev.SpeakingStarted))
    assert heard.ends(1)[0].at_ms - began == pytest.approx(voiced[-1].audio_ms, abs=400)


async def test_an_interruption_ends_the_utterance_once_and_soon(heard: Heard) -> None:
    await heard.avatar.speak(1, 0, "Esta es una frase bastante larga, que nadie va a oír hasta el final.")
    await heard.avatar.end_speech(1)
    await heard.until(lambda: any(isinstance(e, ev.SpeakingStarted) for e in heard.of(1)))
    asked = now_s()
    await heard.avatar.interrupt(1)
    await heard.until(lambda: heard.ends(1))
    assert now_s() - asked < 1
    assert [type(e) for e in heard.ends(1)] == [ev.SpeakingInterrupted]
    await heard.avatar.interrupt(1)  # again: nothing happens
    await asyncio.sleep(0.2)
    assert len(heard.ends(1)) == 1 and isinstance(heard.of(1)[-1], ev.SpeakingInterrupted)


async def test_an_interruption_before_the_first_sound_leaves_the_next_utterance_whole(heard: Heard) -> None:
    await heard.avatar.speak(1, 0, "Esto no se oye.")
    await heard.avatar.interrupt(1)
    await heard.avatar.speak(2, 0, "Hola.")
    await heard.avatar.end_speech(2)
    await heard.until(lambda: heard.ends(2))
    await asyncio.sleep(0.1)
    assert [type(e) for e in heard.ends(2)] == [ev.SpeakingEnded]
    assert len(heard.ends(1)) <= 1 and not any(isinstance(e, ev.SpeakingStarted) for e in heard.of(1))


async def test_utterances_given_one_after_the_other_each_end_once(heard: Heard) -> None:
    for utterance_id in (1, 2, 3):
        await heard.avatar.speak(utterance_id, 0, "Hola.")
        await heard.avatar.end_speech(utterance_id)
    await heard.until(lambda: heard.ends(3))
    await asyncio.sleep(0.1)
    assert [len(heard.ends(n)) for n in (1, 2, 3)] == [1, 1, 1]
    assert isinstance(heard.ends(3)[0], ev.SpeakingEnded)


async def test_orders_for_what_is_unknown_or_over_are_no_error(heard: Heard) -> None:
    await heard.avatar.end_speech(7)
    await heard.avatar.interrupt(7)
    await asyncio.sleep(0.1)
    assert heard.events == []


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
async def test_leaving_in_mid_word_takes_less_than_a_second(make: Callable[[], object]) -> None:
    async with make() as avatar:  # type: ignore[attr-defined]
        async with avatar:
            heard = Heard(avatar)
            task = asyncio.create_task(heard.read())
            await avatar.speak(1, 0, "Esta es una frase bastante larga, que nadie va a oír hasta el final.")
            await heard.until(lambda: any(isinstance(e, ev.SpeakingStarted) for e in heard.of(1)))
            began = now_s()
        assert now_s() - began < 1
        task.cancel()
        await asyncio.wait({task})
