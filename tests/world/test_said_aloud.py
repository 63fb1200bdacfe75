"""Simulated voices: as long as what is said, and flushed as Aura is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clara_kit import ConversationManager, Settings, compose, replay, simulate
from clara_kit.core import events as ev
from clara_kit.world import sim
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.mouths import Mouth, spoken_ms

FAST = LatencyProfile.load("fast")
SLOW_WRITER = replace(
    FAST, laws={**FAST.laws, "llm_tokens_per_s": replace(FAST.laws["llm_tokens_per_s"], low=4.0, high=4.0)}
)
QUESTION = "busco un protector solar que no deje la piel grasosa"  # three sentences answer it
PATIENT = Settings.of(greeting="", slow_response_ms=60_000)  # nobody says «dame un momento» in between


def of(events: Any, kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_a_length_is_that_of_what_is_said() -> None:
    assert spoken_ms("**$12.990** 😊") == spoken_ms("doce mil novecientos noventa pesos")
    assert spoken_ms("AHA", 1.0, (("AHA", "alfa hidroxiácido"),)) == spoken_ms("alfa hidroxiácido")


def test_a_change_of_the_list_changes_lengths_and_the_inputs_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    before = simulate(["Hola"])
    monkeypatch.setattr(sim, "usual_pronunciation", lambda: (("Clara", "doña Clarisa"),))
    after = simulate(["Hola"])
    assert before.inputs["pronunciation"] != after.inputs["pronunciation"]
    assert of(after.events, ev.SpeechVoiced)[0].audio_ms > of(before.events, ev.SpeechVoiced)[0].audio_ms + 100
    assert replay(before).same and replay(after).same


def test_what_waits_is_voiced_when_the_sound_runs_out_though_the_reply_is_still_being_written() -> None:
    run = simulate([QUESTION], PATIENT, latency=SLOW_WRITER)
    (completed,), voiced = of(run.events, ev.ReplyCompleted), of(run.events, ev.SpeechVoiced)
    assert [v.piece_no for v in voiced] == [0, 1, 2] and voiced[1].at_ms < completed.at_ms
    quick = of(simulate([QUESTION], Settings.of(greeting=""), latency=FAST).events, ev.SpeechVoiced)
    assert [v.piece_no for v in quick] == [0, 2]


def test_what_waits_of_a_silenced_utterance_is_not_voiced() -> None:
    mouth = Mouth(Settings(), lambda stage: 0.15 if stage == "tts_realtime_factor" else 100.0)
    mouth.begin(1, ())
    mouth.speak(0, "Sí.", 0.0)
    mouth.speak(1, "Ya te cuento.", 50.0)
    due_ms = mouth.due_ms(50.0)
    assert 50.0 < due_ms < 500.0 and mouth.go_on(due_ms - 1) == []
    mouth.interrupt(due_ms - 1)
    assert mouth.go_on(due_ms) == []


async def test_a_conversation_played_in_this_process_does_the_same(tmp_path: Any) -> None:
    services = compose("sim", settings=PATIENT, latency=SLOW_WRITER)
    async with ConversationManager(services, log_root=tmp_path) as clara:
        await clara.ask(QUESTION)
    assert clara.run is not None and clara.run.inputs["pronunciation"]
    (completed,), voiced = of(clara.run.events, ev.ReplyCompleted), of(clara.run.events, ev.SpeechVoiced)
    assert [v.piece_no for v in voiced] == [0, 1, 2] and voiced[1].at_ms < completed.at_ms
