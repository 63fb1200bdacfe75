"""The figures of the explorer: against cases whose outcome is known, their intervals, and what tuning finds on the other half."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from clara_kit import Settings
from clara_kit.core.settings import PRESETS
from clara_kit.lab import explorer
from clara_kit.lab.explorer import APART_S, CUT_OFF_S, MISSED_S, RULES, VALUES, Sample, outcome, tune
from clara_kit.lab.overlaps import overlaps

CASES = overlaps(400, 4)
BY_KIND = {case.kind: case for case in CASES}


def test_a_cough_that_stops_her_costs_the_silence_until_she_is_heard_again() -> None:
    cough = next(case for case in CASES if case.kind == "cough" and case.ends_ms - case.begins_ms > 250)
    stopped = outcome(cough, [("stop", cough.begins_ms + 200, ""), ("say", cough.begins_ms + 1200, "")])
    assert stopped.false_stop == 1 and stopped.penalty_s == pytest.approx(1 + cough.restart_ms / 1000)
    let_go = outcome(cough, [("duck", cough.begins_ms + 90, ""), ("back", cough.begins_ms + 490, "")])
    assert let_go.false_stop == 0 and let_go.duck_ms == pytest.approx(90) and let_go.penalty_s == pytest.approx(0.2)
    assert outcome(cough, []).penalty_s == 0


def test_an_interruption_costs_what_is_said_over_it_and_lowered_sound_half_of_that() -> None:
    case, from_ms = BY_KIND["interruption"], BY_KIND["interruption"].begins_ms
    told = [("stop", from_ms + 700, ""), ("ask", case.ends_ms, case.text)]
    assert outcome(case, told).yield_ms == pytest.approx(700) and outcome(case, told).penalty_s == pytest.approx(0.7)
    ducked = outcome(case, [("duck", from_ms + 100, ""), *told])
    assert ducked.penalty_s == pytest.approx(0.1 + 0.6 / 2) and ducked.missed == 0
    assert outcome(case, []).missed == 1 and outcome(case, []).penalty_s >= MISSED_S


def test_an_answer_in_mid_thought_is_a_cut_off_turn_and_one_before_she_is_heard_only_wasted() -> None:
    case = BY_KIND["unfinished"]
    asked = [("ask", case.ends_ms - 600, "…"), ("ask", case.ends_ms + 500, case.text)]
    begun = outcome(case, [asked[0], ("begin", case.ends_ms - 200, ""), asked[1]])
    wasted = outcome(case, asked)
    assert (begun.cut_off, begun.wasted, wasted.cut_off, wasted.wasted) == (1, 1, 0, 1)
    assert begun.penalty_s == pytest.approx(wasted.penalty_s + CUT_OFF_S)
    apart = outcome(case, [asked[0], ("ask", case.ends_ms + 500, case.text.split()[-1])])
    assert (apart.apart, wasted.apart) == (1, 0) and apart.penalty_s == pytest.approx(wasted.penalty_s + APART_S)


def test_figures_are_rates_and_shares_with_intervals_and_two_settings_are_compared_in_pairs() -> None:
    sample = Sample(CASES)
    plan, tuned = (sample.figures(Settings.of(**PRESETS[name])) for name in ("plan", "tuned"))
    assert plan.answered.value == 1 and (tuned.answered.value or 1) < 0.5
    assert (plan.false_stops_per_min.value or 0) > 2 * (tuned.false_stops_per_min.value or 9)
    assert tuned.penalty_s.low is not None and tuned.penalty_s.high is not None and tuned.penalty_s.value is not None
    assert tuned.penalty_s.low < tuned.penalty_s.value < tuned.penalty_s.high
    spared = sample.better(Settings.preset("tuned"), Settings())
    assert spared.value == pytest.approx((plan.penalty_s.value or 0) - tuned.penalty_s.value) and (spared.low or 0) > 0
    same = sample.better(Settings(), Settings())
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_a_labelled_case_counts_in_the_penalty_and_in_no_rate() -> None:
    labelled = [replace(case, per_min=0.0) for case in CASES[:30]]
    alone = Sample(labelled).figures(Settings())
    assert alone.false_stops_per_min.value is None and str(alone.false_stops_per_min) == "–"
    assert alone.penalty_s.value is not None and alone.answered.value == 1
    rates = [Sample([*CASES, *more], draws=5).figures(Settings()).false_stops_per_min.value for more in ((), labelled)]
    assert rates[0] == pytest.approx(rates[1])


def test_every_set_of_rules_is_swept_at_twenty_values_and_a_longer_time_stops_her_less_often() -> None:
    sample = Sample(CASES[::4], draws=1)
    for rule in RULES:
        points = sample.swept(rule)
        assert [value for value, _ in points] == [*VALUES[RULES[rule][0]]] and len(points) == 20
        stops = [figures.false_stops_per_min.value or 0.0 for _, figures in points]
        assert stops == sorted(stops, reverse=True), rule


def test_tuning_looks_at_one_half_and_tells_of_the_other() -> None:
    found = tune(CASES, {"sustained_ms": 150}, knobs={"sustained_ms": (150, 700), "ignore_backchannels": (False, True)})
    assert found.chosen == {"sustained_ms": 700, "ignore_backchannels": True}
    assert (found.spared.low or 0) > 0 and "held-out half" in repr(found)
    one, other = explorer._halves(CASES)
    assert len(one) + len(other) == len(CASES) and sum(c.per_min for c in one) == pytest.approx(
        sum(c.per_min for c in CASES)
    )


def test_the_readme_s_figures_are_what_the_explorer_says() -> None:
    assert explorer.README.read_text(encoding="utf-8") == explorer.readme(), "python -m clara_kit.lab.explorer"


def test_the_readme_s_settings_are_the_tuned_preset_s() -> None:
    rows = [
        line.split(" | ") for line in explorer.README.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    told = {row[0].strip("| `"): row[1] for row in rows}
    assert told == {name: str(value).lower() for name, value in PRESETS["tuned"].items()}
