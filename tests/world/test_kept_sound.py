"""What is kept, what is cut and what is late of Clara's sound, in simulation and over twins."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from clara_kit import Fault, Settings, simulate
from clara_kit.audio.lead import BETWEEN_MS, HEAD_MS
from clara_kit.core import events as ev
from clara_kit.providers.avatar.liveavatar import LiveAvatarLite
from clara_kit.providers.tts.deepgram_aura import DeepgramAuraTTS
from clara_kit.providers.tts.trimmed import TrimmedVoice
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.mouths import ClassicMouth, Mouth
from clara_kit.world.timelines import Drawn
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.deepgram.twin import DeepgramTwin
from clara_kit.world.twins.liveavatar.twin import SANDBOX_AVATAR, LiveAvatarTwin
from clara_kit.world.twins.server import TwinServer
from clara_kit.world.voices import clara_voice

PUBLISHED = LatencyProfile.load("published")


def mouth(*, trims: bool = False, seed: int = 3) -> Mouth:
    voice = Mouth(Settings.of(trim_lead_silence=trims), Drawn(PUBLISHED, seed), lambda text: 60.0 * len(text))
    voice.begin(1, ())
    return voice


def one(events: Sequence[ev.Event], kind: type[ev.Event]) -> ev.Event:
    (found,) = (event for event in events if type(event) is kind)
    return found


def to_the_ear(events: Sequence[ev.Event]) -> float:
    started = next(e for e in events if isinstance(e, ev.SpeakingStarted))
    voiced = next(e for e in events if isinstance(e, ev.SpeechVoiced))
    return started.at_ms + voiced.lead_ms + started.playout_ms


@pytest.mark.parametrize("seed", range(5))
def test_cut_silence_is_heard_earlier_by_what_was_cut_less_the_wait_for_its_end(seed: int) -> None:
    whole, cut = (mouth(trims=trims, seed=seed).speak(0, "Hola.", 1000) for trims in (False, True))
    before, after = one(whole, ev.SpeechVoiced), one(cut, ev.SpeechVoiced)
    assert isinstance(before, ev.SpeechVoiced) and isinstance(after, ev.SpeechVoiced)
    assert 150 <= before.lead_ms <= 250 and after.lead_ms == HEAD_MS
    lost_ms = before.lead_ms - HEAD_MS
    waited_ms = one(cut, ev.FirstAudio).at_ms - one(whole, ev.FirstAudio).at_ms
    assert waited_ms == pytest.approx(lost_ms * PUBLISHED.laws["tts_realtime_factor"].middle)
    assert to_the_ear(whole) - to_the_ear(cut) == pytest.approx(lost_ms - waited_ms) and lost_ms - waited_ms > 100
    assert before.audio_ms - after.audio_ms == pytest.approx(lost_ms) and before.at_ms == after.at_ms


def test_between_sentences_some_silence_is_left() -> None:
    voice = mouth(trims=True)
    voice.speak(0, "Hola.", 0)
    voice.speak(1, "¿Qué tal?", 10)
    assert [e.lead_ms for e in voice.end(20) if isinstance(e, ev.SpeechVoiced)] == [BETWEEN_MS]


def test_kept_sound_is_there_when_it_is_ordered_and_the_reply_is_flushed_at_once_behind_it() -> None:
    voice = mouth()
    opener = voice.say(0, "A ver.", 1000, kept=True)
    first, sound = one(opener, ev.FirstAudio), one(opener, ev.SpeechVoiced)
    assert first.at_ms == sound.at_ms == 1000 and isinstance(sound, ev.SpeechVoiced)
    assert sound.lead_ms == HEAD_MS and sound.audio_ms == HEAD_MS + 360
    reply = voice.say(1, "Cuesta doce mil pesos.", 1100)
    (voiced,) = (e for e in reply if isinstance(e, ev.SpeechVoiced))
    assert voiced.piece_no == 1 and voiced.first_ms is not None and 1100 < voiced.first_ms < 1500
    assert not any(isinstance(e, ev.SpeakingStarted) for e in reply)
    assert not any(isinstance(e, ev.SpeechVoiced) for e in voice.say(2, "¿Algo más?", 1200)), "it waits, as ever"


def test_a_kept_piece_in_the_middle_comes_after_what_was_said_before_it() -> None:
    voice = mouth()
    told = [*voice.say(0, "Hola.", 0), *voice.say(1, "Uno.", 600)]
    told += [*voice.say(2, "Claro.", 610, kept=True), *voice.end(620)]
    voiced = [e for e in told if isinstance(e, ev.SpeechVoiced)]
    assert [e.piece_no for e in voiced] == [0, 1, 2]
    assert all(a.at_ms <= b.at_ms and a.audio_ms < b.audio_ms for a, b in pairwise(voiced))
    assert voiced[2].first_ms == voiced[1].at_ms


def test_the_avatars_own_voice_is_kept_by_nobody() -> None:
    voice = ClassicMouth(Settings(), Drawn(PUBLISHED, 1), lambda text: 500.0, assumed_ms=3000)
    voice.begin(1, ())
    assert one(voice.say(0, "A ver.", 0, kept=True), ev.FirstAudio).at_ms > 1000
    first, second = (next(e for e in voice.speak(n, "Sí.", 0) if isinstance(e, ev.SpeechVoiced)) for n in (1, 2))
    assert first.first_ms == first.at_ms - 500 and second.first_ms == second.at_ms - 500
    assert second.first_ms - first.at_ms > 500, "each task costs its start: a gap that shows"


def test_a_voice_that_breaks_strikes_the_reply_and_not_the_opener_before_it() -> None:
    settings = Settings.of(openers=True, retry_jitter=0.0)
    lines = ["¿Qué protector solar me recomiendas?"]
    run = simulate(
        lines, settings, seed=2, faults=[Fault(service="tts", kind="cut", on=2)]
    )  # the first is the greeting
    opener = next(e for e in run.trace if getattr(e, "by", "") == "opener")
    about = [e for e in run.events if getattr(e, "utterance_id", None) == opener.utterance_id]  # type: ignore[union-attr]
    kinds = [type(e) for e in about]
    assert ev.SpeakingStarted in kinds or ev.ProviderFailed in kinds
    failed = next(e for e in run.events if isinstance(e, ev.ProviderFailed))
    assert failed.service == "tts" and failed.at_ms > next(e.at_ms for e in about if isinstance(e, ev.FirstAudio))


async def spoken_over_twins(seed: int, *, trims: bool, slow_second_piece_s: float = 0.0) -> tuple[list[ev.Event], int]:
    """What an utterance of two pieces told, and how often the avatar ran dry."""
    context = TwinContext(profile=PUBLISHED, seed=seed)
    vendors = [DeepgramTwin(context, LineBook(), clara_voice()), LiveAvatarTwin(context, connected_after_ms=5.0)]
    seen: list[ev.Event] = []
    async with TwinServer(vendors) as twins:
        aura = DeepgramAuraTTS(api_key="test-key", base_url=twins.addresses["deepgram"]["base_url"])
        await aura.warm()
        async with LiveAvatarLite(
            api_key="test-key", tts=TrimmedVoice(aura) if trims else aura, clock=MonotonicClock(),
            avatar_id=SANDBOX_AVATAR, base_url=twins.addresses["liveavatar"]["base_url"], playout_ms=185.0,
        ) as avatar:  # fmt: skip
            await avatar.speak(1, 0, "Sí, claro.")
            await asyncio.sleep(slow_second_piece_s)
            await avatar.speak(1, 1, "Cuesta doce mil pesos.")
            await avatar.end_speech(1)
            async with asyncio.timeout(60):
                async for event in avatar.events():
                    seen.append(event)
                    if isinstance(event, ev.SpeakingEnded):
                        break
        await aura.aclose()
    (played,) = next(s for s in vendors[1].sessions.values()).utterances  # type: ignore[union-attr]
    return seen, played.underruns


async def test_over_twins_the_first_word_is_heard_more_than_a_tenth_of_a_second_earlier() -> None:
    gains = []
    for seed in range(3):
        whole, _ = await spoken_over_twins(seed, trims=False)
        cut, dry = await spoken_over_twins(seed, trims=True)
        began = [next(e.at_ms for e in run if isinstance(e, ev.SpeechSent)) for run in (whole, cut)]
        gains.append(to_the_ear(whole) - began[0] - to_the_ear(cut) + began[1])
        leads = [e.lead_ms for e in cut if isinstance(e, ev.SpeechVoiced)]
        assert leads[0] <= HEAD_MS + 30 and leads[1] <= BETWEEN_MS + 30 and not dry
    assert sorted(gains)[1] > 100


async def test_a_piece_that_comes_too_late_shows_as_a_gap_where_the_avatar_ran_dry() -> None:
    for late_s, gap in ((0.0, False), (10.0, True)):
        seen, dry = await spoken_over_twins(1, trims=True, slow_second_piece_s=late_s)
        started = next(e for e in seen if isinstance(e, ev.SpeakingStarted))
        first, second = (e for e in seen if isinstance(e, ev.SpeechVoiced))
        assert second.first_ms is not None
        assert bool(dry) == gap == (second.first_ms > started.at_ms + first.audio_ms)


def test_an_avatar_that_was_woken_has_begun_when_there_is_sound() -> None:
    asleep, early, late, dropped = (mouth() for _ in range(4))
    usual = one(asleep.speak(0, "Hola.", 2000), ev.SpeakingStarted).at_ms
    sound_ms = one(mouth().speak(0, "Hola.", 2000), ev.FirstAudio).at_ms
    for woken, at_ms in ((early, 0.0), (late, 1900.0), (dropped, 0.0)):
        woken.utterance_id = -1
        woken.wake(True, at_ms)
        woken.wake(True, at_ms + 1)
        if woken is dropped:
            woken.wake(False, 500)
        woken.begin(1, ())
    assert one(early.speak(0, "Hola.", 2000), ev.SpeakingStarted).at_ms == sound_ms
    started_ms = 1900 + usual - sound_ms + 100
    assert one(late.speak(0, "Hola.", 2000), ev.SpeakingStarted).at_ms == pytest.approx(started_ms)
    assert one(dropped.speak(0, "Hola.", 2000), ev.SpeakingStarted).at_ms != sound_ms
