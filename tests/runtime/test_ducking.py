"""Clara's sound is lowered while it is not known what the customer's sound is, wherever it is played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from clara_kit import ConversationManager, ConversationState, Settings, compose
from clara_kit.conversation import conversation
from clara_kit.conversation.pen import Pen
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.runtime.ears import FRAME_BYTES, FRAME_MS, Recorder
from clara_kit.world.played import PlayedAvatar

TONE = (10_000 * np.sin(2 * np.pi * 200 / 24_000 * np.arange(3 * 24_000))).astype("<i2").tobytes()


def duck(on: bool, at_ms: float) -> do.Duck:
    return do.Duck(at_ms=at_ms, reason="by hand", on=on)


def recorded(path: Path, *orders: Any, until_ms: int = 2000) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Clara's channel at 16 kHz: a tone from 0 ms on, with these orders in between."""
    recorder = Recorder(path)
    for who in (1, 2):
        recorder.sent(who, TONE, 24_000)
    recorder.saw(ev.SpeakingStarted(at_ms=0.0, utterance_id=1))
    waiting = list(orders)
    for captured_ms in range(0, until_ms, FRAME_MS):
        while waiting and waiting[0].at_ms <= captured_ms + FRAME_MS:
            recorder.saw(waiting.pop(0))
        recorder.frame(bytes(FRAME_BYTES), float(captured_ms))
    recorder.close()
    return soundfile.read(path, dtype="int16")[0][:, 1].astype(int)  # type: ignore[no-any-return]


def loudness(samples: Any, from_ms: int, to_ms: int) -> float:
    """Its peak as a share of the tone's."""
    return float(np.abs(samples[from_ms * 16 : to_ms * 16]).max()) / 10_000


def test_the_recording_is_lowered_and_comes_back_without_a_click(tmp_path: Path) -> None:
    heard = recorded(tmp_path / "a.wav", duck(True, 510.0), duck(False, 1010.0))
    assert loudness(heard, 300, 510) > 0.98
    assert 0.22 < loudness(heard, 560, 1010) < 0.27
    assert loudness(heard, 1115, 1400) > 0.98
    steps = np.abs(np.diff(heard[: 16 * 1500]))
    assert steps.max() <= 10_000 * 2 * np.pi * 200 / 16_000 * 1.05  # no steeper than the tone itself


def test_what_is_told_to_stop_does_not_rise_again_before_it_has_stopped(tmp_path: Path) -> None:
    stop = do.InterruptAvatar(at_ms=800.0, reason="by hand", utterance_id=1)
    heard = recorded(
        tmp_path / "a.wav", duck(True, 500.0), stop, duck(False, 800.0), ev.SpeakingInterrupted(at_ms=950.0, utterance_id=1)
    )  # fmt: skip
    assert loudness(heard, 560, 940) < 0.27 and not heard[16 * 980 :].any()


def test_a_new_utterance_begins_at_its_full_loudness_and_a_late_order_does_no_harm(tmp_path: Path) -> None:
    over = ev.SpeakingEnded(at_ms=700.0, utterance_id=1)
    again = ev.SpeakingStarted(at_ms=1000.0, utterance_id=2)
    heard = recorded(tmp_path / "a.wav", duck(True, 500.0), over, duck(True, 720.0), again)
    assert loudness(heard, 560, 690) < 0.27 and not heard[16 * 730 : 16 * 990].any()
    assert loudness(heard, 1040, 1400) > 0.98


@pytest.fixture
def ducks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A conversation that lowers her sound at each beginning of a sound and brings it back at its end; an avatar that can."""
    told: list[bool] = []

    def also(kind: type[ev.Event], on: bool) -> None:
        usual = conversation.REDUCERS[kind]

        def both(pen: Pen, event: Any) -> None:
            usual(pen, event)
            pen.do(do.Duck, "by hand", on=on)

        monkeypatch.setitem(conversation.REDUCERS, kind, both)

    also(ev.SpeechStarted, True)
    also(ev.SpeechEnded, False)
    monkeypatch.setattr(PlayedAvatar, "duck", lambda self, on: told.append(on), raising=False)
    return told


async def test_the_order_reaches_the_avatar_the_recording_and_whoever_looks_on(
    tmp_path: Path, ducks: list[bool]
) -> None:
    greeting = "Hola, soy Clara, y hoy te cuento de nuestras cremas, de los protectores solares y de los despachos."
    settings = Settings.of(local_vad=False, greeting=greeting, barge_in_debounce_ms=5000)
    clara = ConversationManager(compose("sim", settings=settings, latency="fast"), log_root=tmp_path, record=True)
    seen: list[tuple[bool, float]] = []
    clara.subscribe(lambda r: seen.append((r.on, r.at_ms)) if isinstance(r, do.Duck) else None)

    async def sound(kind: type[ev.SpeechStarted | ev.SpeechEnded]) -> None:
        await clara._call(clara._feed_now(lambda at_ms: kind(at_ms=at_ms, source="script", sound_at_ms=at_ms)))

    async with clara:
        await clara.until(ConversationState.AVATAR_SPEAKING)
        await clara.wait(1)
        await sound(ev.SpeechStarted)
        await clara.wait(1)
        await sound(ev.SpeechEnded)
        await clara.wait(1.2)
    assert [on for on, _ in seen] == ducks == [True, False]
    run = clara.run
    assert run is not None and run.folder is not None
    hers = soundfile.read(run.folder / "conversation.wav", dtype="int16")[0][:, 1].astype(float)
    (_, down_ms), (_, up_ms) = ((on, int(at_ms - run.sound_from_ms)) for on, at_ms in seen)
    before, lowered, after = (
        np.sqrt((hers[16 * a : 16 * b] ** 2).mean())
        for a, b in ((down_ms - 900, down_ms), (down_ms + 60, up_ms), (up_ms + 120, up_ms + 1100))
    )
    assert lowered < 0.5 * min(before, after)
