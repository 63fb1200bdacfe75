"""Every sound that may have been an interruption, its four times, and what became of it: from the trace alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit import Run, Settings, simulate
from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record
from clara_kit.measure.interruptions import interruptions
from clara_kit.turns import usual_policies
from tests.conversation.test_any_order import EVENTS

ASKED = "¿Qué protector solar me recomiendas?"  # answered in two sentences, about twelve seconds
COUGH = {"sound": "cough", "interrupt_after_ms": 2000}


def play(*lines: Any, preset: Any = "tuned") -> Run:
    return simulate([ASKED, *lines], Settings.preset(preset), seed=5, latency="published")


def during(text: str, after_ms: float = 2000, **more: Any) -> dict[str, Any]:
    return {"text": text, "interrupt_after_ms": after_ms, **more}


@pytest.mark.parametrize(
    ("line", "outcome", "by"),
    [
        (during("ajá"), "backchannel", "backchannel"),
        (during("espera"), "yielded", "any_word"),
        (COUGH | {"sound_ms": 200}, "let go", "sustained"),
        (COUGH | {"sound_ms": 3000}, "yielded", "sustained"),
        (during("¿Cuánto cuesta el protector solar que tiene color?"), "yielded", None),
        (during("¿Cuánto cuesta?", typed=True), "yielded", ""),
        (during("Muchas gracias", 12_000), "Clara had ended", ""),
    ],
)
def test_each_sound_is_one_row_that_says_what_became_of_it(line: dict[str, Any], outcome: str, by: str | None) -> None:
    (row,) = play(line).interruptions.rows(named=True)
    assert row["outcome"] == outcome and by in (None, row["by"]) and row["reason"] and row["turn_id"] == 1
    assert (row["yielded_ms"] is None) == (outcome != "yielded") == (row["released_ms"] is not None)
    assert (row["sound_ms"] is None) == line.get("typed", False)


def test_the_four_times_come_one_after_the_other_and_are_those_of_the_trace() -> None:
    run = play(during("espera"))
    (row,) = run.interruptions.rows(named=True)
    stop = next(r for r in run.trace if isinstance(r, do.InterruptAvatar))
    told = next(r for r in run.trace if isinstance(r, ev.SpeakingInterrupted))
    assert (row["yielded_ms"], row["acknowledged_ms"], row["silent_ms"]) == (stop.at_ms, told.at_ms, told.at_ms)
    assert row["sound_ms"] < row["suspected_ms"] < row["yielded_ms"] < row["silent_ms"]
    assert row["silent_known"] and f"{row['heard']} {row['unheard']}" == run.ledger[1].clara
    assert row["plus_minus_words"] == 1 and row["resumed_ms"] is None and row["mix"] == "simulated"


def test_a_stop_for_nothing_shows_when_she_went_on() -> None:
    run = play(COUGH | {"sound_ms": 200}, preset="plan")
    (row,) = run.interruptions.rows(named=True)
    again = [r for r in run.trace if isinstance(r, do.Speak) and "resuming" in r.reason]
    assert row["outcome"] == "yielded" and row["resumed_ms"] == again[0].at_ms
    assert play(during("espera"), preset="plan").interruptions["resumed_ms"].to_list() == [None]


def test_when_a_real_avatar_was_silent_is_an_estimate() -> None:
    run = play(during("espera"))
    live = Run(inputs={**run.inputs, "modes": {**run.modes, "avatar": "live"}}, trace=run.trace)
    assert live.interruptions["silent_known"].to_list() == [False]
    unconfirmed = tuple(
        ev.SpeakingInterrupted(at_ms=r.at_ms, utterance_id=r.utterance_id, estimated=True)
        if isinstance(r, ev.SpeakingInterrupted)
        else r
        for r in run.trace
    )
    (row,) = replace(run, trace=unconfirmed).interruptions.rows(named=True)
    assert row["acknowledged_ms"] is None and row["silent_ms"] is not None and not row["silent_known"]


def ducked(trace: tuple[Record, ...]) -> tuple[Record, ...]:
    """As if her sound were lowered with each sound that is held, and brought back with what is decided about it."""
    out: list[Record] = []
    for record in trace:
        out.append(record)
        if isinstance(record, do.SetTimer) and record.timer_id.startswith("barge_in"):
            out.append(do.Duck(at_ms=record.at_ms, reason=record.reason, on=True))
        elif isinstance(record, do.CancelTimer) and record.timer_id.startswith("barge_in"):
            out.append(do.Duck(at_ms=record.at_ms, reason=record.reason, on=False))
    return tuple(out)


@pytest.mark.parametrize("said", ["ajá", "espera"])
def test_lowering_her_sound_is_told_with_the_sound_for_which_it_was_done(said: str) -> None:
    run = play(during(said))
    (one,) = interruptions(ducked(run.trace))
    assert one.ducked_ms == one.suspected_ms and one.loud_ms is not None and one.loud_ms > one.ducked_ms
    assert one.outcome == ("backchannel" if said == "ajá" else "yielded")
    assert one.released_ms == (one.loud_ms if said == "ajá" else None)


def told(*events: ev.Event) -> Conversation:
    """A greeting that is heard from 100 ms on, and these."""
    conversation = Conversation(Settings.preset("plan"), policies=usual_policies())
    conversation.handle(ev.ConversationStarted(at_ms=0.0, greeting="Hola, soy Clara, y te cuento de nuestras cremas."))
    for event in (ev.SpeakingStarted(at_ms=100.0, utterance_id=1), *events):
        conversation.handle(event)
    return conversation


SOUND = ev.SpeechStarted(at_ms=500.0, source="vad", sound_at_ms=430.0)


def test_who_hangs_up_interrupts_nobody_and_an_avatar_that_breaks_off_is_no_interruption() -> None:
    (never,) = interruptions(told(SOUND, ev.ConversationStopped(at_ms=550.0)).trace)
    assert never.outcome == "open" and never.yielded_ms is None
    broken = ev.ProviderFailed(at_ms=550.0, service="avatar", kind="stalled", message="It is stuck.", utterance_id=1)
    assert [one.yielded_ms for one in interruptions(told(SOUND, broken).trace)] == [None]
    assert interruptions(told(broken).trace) == ()


def test_a_sound_while_the_answer_is_prepared_is_one_too() -> None:
    ended = ev.SpeakingEnded(at_ms=2000.0, utterance_id=1)
    asked = ev.TranscriptFinal(at_ms=4000.0, text="¿Hacen despachos?", speech_started_ms=3000.0, speech_ended_ms=3900.0)
    sound = ev.SpeechStarted(at_ms=4200.0, source="vad", sound_at_ms=4130.0)
    conversation = told(ended, asked, sound)
    timer = next(r for r in conversation.trace if isinstance(r, do.SetTimer) and r.timer_id.startswith("barge_in"))
    conversation.handle(ev.TimerFired(at_ms=timer.due_ms, timer_id=timer.timer_id))
    (one,) = interruptions(conversation.trace)
    assert (one.outcome, one.yielded_ms, one.turn_id, one.silent_ms) == ("yielded", timer.due_ms, 1, None)


def test_lowering_her_sound_by_hand_is_told_where_no_sound_was_held() -> None:
    down, up = (do.Duck(at_ms=ms, reason="by hand", on=ms < 600) for ms in (520.0, 700.0))
    quiet = ev.ProviderWarned(at_ms=700.0, service="stt", message="It is slow.")
    trace = (*told().trace, SOUND, down, quiet, up, *ducked(tuple(told(SOUND).trace)))
    first, *more = interruptions(trace)
    assert (first.ducked_ms, first.released_ms, first.outcome) == (520.0, 700.0, "let go") and len(more) == 1


def test_a_run_of_the_first_version_has_them_too() -> None:
    run = Run.load(Path(__file__).with_name("run_of_the_first_version"))
    assert run.interruptions["reason"].to_list() == ["the button was pressed"]
    assert run.interruptions["acknowledged_ms"][0] > run.interruptions["yielded_ms"][0]


@given(events=st.lists(EVENTS, max_size=40), tuned=st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_comes_in_whatever_order_every_stop_for_the_customer_is_told(
    events: list[ev.Event], tuned: bool
) -> None:
    conversation = Conversation(Settings.preset("tuned" if tuned else "plan"), policies=usual_policies())
    stops = set()
    for event in (ev.ConversationStarted(at_ms=0.0, greeting="Hola."), *events):
        commands = conversation.handle(event)
        if isinstance(event, ev.SpeechStarted | ev.TranscriptInterim | ev.TranscriptFinal | ev.TextTyped):
            stops |= {c.utterance_id for c in commands if isinstance(c, do.InterruptAvatar)}
    found = interruptions(ducked(tuple(conversation.trace)))
    assert sum(one.outcome == "yielded" for one in found) >= len(stops)
    for one in found:
        assert (one.yielded_ms is not None) == (one.outcome == "yielded")
        assert one.yielded_ms is None or one.released_ms is None
    half = interruptions(conversation.trace[: len(conversation.trace) // 2])
    assert len(half) <= len(interruptions(conversation.trace))


def test_a_turn_whose_answer_was_taken_back_is_measured_from_its_last_words() -> None:
    lines = ["¿Qué protector solar me recomiendas?", {"text": "que no deje grasa", "interrupt_after_ms": 100}]
    run = simulate(lines, Settings.preset("tuned"), seed=5)
    (total_ms,) = run.turns.filter(turn=1)["total_latency"].to_list()
    words = [e for e in run.trace if isinstance(e, ev.TranscriptFinal)]
    began = [e.at_ms for e in run.trace if isinstance(e, ev.SpeakingStarted)]
    assert total_ms == pytest.approx(began[-1] - words[-1].speech_ended_ms, abs=0.1)
