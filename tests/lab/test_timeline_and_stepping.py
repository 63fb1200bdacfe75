"""The lanes of a conversation, and walking through it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit import Fault, Run, Settings, simulate
from clara_kit.lab.stepping import Stepper
from clara_kit.lab.sweep import sweep
from clara_kit.lab.timeline import LANES, timeline
from clara_kit.measure.interruptions import interruptions
from clara_kit.world.script import Line, Script
from tests.lab.test_interruptions import ducked

SCRIPT = Script(
    lines=(
        Line(text="¿Hacen despachos a regiones?"),
        Line(text="Espera, ¿cuánto cuesta el protector solar?", interrupt_after_ms=900),
        Line(text="Gracias", typed=True),
    )
)


@pytest.fixture(scope="module")
def run() -> Run:
    return simulate(SCRIPT, seed=3, faults=[Fault(service="llm", kind="refuse", status=529, on=2)])


def test_the_lanes_show_who_spoke_what_was_written_and_what_was_never_heard(run: Run) -> None:
    line = timeline(run.trace)
    kinds = {(s.lane, s.kind) for s in line.spans}
    assert {
        ("customer", "words"), ("customer", "sound"), ("state", "INTERRUPTED"), ("model", "waiting"), ("model", "writing"),
        ("Clara", "on the way"), ("Clara", "speaking"), ("Clara", "unheard"),
    } <= kinds  # fmt: skip
    cut = run.ledger[1]
    unheard = next(s for s in line.spans if s.kind == "unheard")
    heard = next(s for s in line.spans if s.kind == "speaking" and s.to_ms == unheard.from_ms)
    assert (heard.label, unheard.label) == (cut.heard, cut.unheard)
    assert {"fault", "failed", "typed", "piece", "interrupt", "interim"} <= {m.kind for m in line.marks}


def test_the_states_cover_the_whole_conversation_without_a_gap(run: Run) -> None:
    line = timeline(run.trace)
    states = [s for s in line.spans if s.lane == "state"]
    assert states[0].from_ms == 0 and states[-1].to_ms == line.end_ms
    assert all(a.to_ms == b.from_ms for a, b in zip(states, states[1:], strict=False))


def test_everything_lies_inside_the_conversation_and_knows_its_event(run: Run) -> None:
    line = timeline(run.trace)
    assert all(0 <= s.from_ms <= s.to_ms <= line.end_ms and s.lane in LANES for s in line.spans)
    assert all(0 <= e.step < len(run.events) for e in (*line.spans, *line.marks))


@given(cut=st.integers(min_value=0, max_value=400))
@settings(max_examples=30, deadline=None)
def test_a_growing_conversation_can_be_drawn_at_any_moment(cut: int) -> None:
    trace = simulate(SCRIPT, seed=3).trace
    line = timeline(trace[:cut])
    assert all(s.from_ms <= s.to_ms for s in line.spans)
    assert line.to_dict()["end_ms"] >= 0


def test_every_step_decides_what_was_decided(run: Run) -> None:
    stepper = Stepper(run.trace, run.settings)
    assert len(stepper) == len(run.events)
    for step in range(0, len(stepper), 7):
        moment = stepper.moment(step)
        assert moment.at_ms == run.events[step].at_ms
        assert all(reason for _, reason in moment.decided)
    end = stepper.moment(len(stepper) - 1)
    assert end.timers == ()
    assert any(s.unheard and s.text.endswith(run.ledger[1].heard or "?") for s in end.said)


def test_a_run_is_decided_with_placeholders_and_told_with_the_words() -> None:
    line = {"text": "Espera, ¿cuánto cuesta el despacho?"}
    script = ["¿Qué protector solar me recomiendas?", line]
    for after_ms in range(1200, 3000, 300):  # a name of another length would have been cut elsewhere
        line["interrupt_after_ms"] = after_ms  # type: ignore[assignment]
        run = simulate(script, seed=1, customer="camila", latency="optimistic")
        shown = [turn for turn in run.revealed().ledger if turn.interrupted and turn.unheard]
        stepper = Stepper(run.trace, run.settings, words=run.words)
        said = stepper.moment(len(stepper) - 1).said
        assert shown and shown[0].unheard in [one.unheard for one in said]
        assert not any("{" in one.text + one.unheard for one in said)


def test_a_moment_says_why_with_the_numbers(run: Run) -> None:
    stepper = Stepper(run.trace, run.settings)
    final = next(n for n, e in enumerate(run.events) if type(e).__name__ == "TranscriptFinal")
    moment = stepper.moment(final)
    assert "RequestReply, because words are final after 300 ms of silence" in moment.why
    assert repr(moment) == moment.why and moment.to_dict()["state"] == "PROCESSING"
    assert stepper.nearest(moment.at_ms) >= final


@pytest.mark.parametrize("step", [-1, 10**6])
def test_a_step_that_is_not_there_is_an_index_error(run: Run, step: int) -> None:
    with pytest.raises(IndexError, match="There is no step"):
        Stepper(run.trace, run.settings).moment(step)


def test_a_sweep_compares_only_the_turns_that_were_answered_under_both_choices() -> None:
    lines = ["¿Qué limpiador me recomiendas?", "¿Y cuánto cuesta el despacho?"]
    told = str(sweep(lines, {"as shipped": {}, "long": {"turn_hold_ms": 60000}, "no": {"turn_hold_ms": -1}}, seed=7))
    compared = sweep(lines, {"as shipped": {}, "long": {"turn_hold_ms": 60000}}, seed=7)
    usual, long = (row[1] for row in compared.table().select("settings", "turn 1").iter_rows())
    assert f"long: {long - usual:+,.0f} ms beside «as shipped» (simulated); 1 of 2 turns not answered." in told
    assert "no: ✗" in told and str(sweep(lines, {})) == "There is no choice to simulate."


def test_a_sweep_has_a_row_for_each_choice_and_names_its_mix() -> None:
    compared = sweep(["Hola"], {"a": Settings(), "b": Settings.of(turn_hold_ms=400)}, seed=1)
    assert compared.table().columns == ["settings", "turn 1", "mean", "mix"]
    a, b = compared.table()["mean"].to_list()
    assert b - a == pytest.approx(400, abs=1)
    assert set(compared.waits["mix"]) == {"simulated"}
    assert "(simulated)" in compared.figure("x").layout.xaxis.title.text


def test_while_a_sound_is_judged_and_hers_is_lowered_is_drawn_and_the_times_are_told() -> None:
    asked = "¿Qué protector solar me recomiendas?"
    lines = [asked, {"text": "ajá", "interrupt_after_ms": 2000}, asked, {"text": "espera", "interrupt_after_ms": 2000}]
    trace = ducked(simulate(lines, Settings.preset("tuned"), seed=5).trace)
    let_go, meant = interruptions(trace)
    line = timeline(trace)
    for kind, ends in (("held", (let_go.released_ms, meant.yielded_ms)), ("ducked", (let_go.loud_ms, meant.loud_ms))):
        spans = [span for span in line.spans if span.kind == kind]
        assert [(span.lane, span.from_ms) for span in spans] == [("Clara", one.suspected_ms) for one in (let_go, meant)]
        assert tuple(span.to_ms for span in spans) == ends
    (mark,) = (mark for mark in line.marks if mark.kind == "interrupt")
    assert meant.sound_ms is not None and meant.silent_ms is not None
    assert mark.label.startswith("An interruption: Clara stopped (it was words).")
    assert f"silent {meant.silent_ms - meant.sound_ms:.0f}" in mark.label and "lowered" in mark.label
    spanish = [span.label for span in timeline(trace, "es").spans if span.kind == "held"]
    assert spanish[0].startswith("Solo un «sigue»") and "orden de callar" in spanish[1]
