"""The latency budget without a browser: what its messages do, what it shows, and what makes no sense."""

from __future__ import annotations

import pytest

from clara_kit.lab.budget.figures import figures
from clara_kit.lab.budget.levers import FAST, LEVERS, OPENERS, PLAN, Given
from clara_kit.widgets.budget import PRESETS, PROFILES, SLIDERS, LatencyBudget
from clara_kit.widgets.words import WORDS


def test_a_lever_and_a_slider_are_answered_with_the_figures_of_the_calculation() -> None:
    budget = LatencyBudget()
    assert budget.levers == FAST and budget.chosen["openers"] is False
    budget._handle_custom_msg({"kind": "choose", "changes": {"openers": True}}, [])
    assert budget.levers == OPENERS and budget.figures == figures(OPENERS, Given())
    rows = dict(budget.rows)
    ear = figures(OPENERS, Given()).ear_p50
    assert rows["first_p50"][1] == [f"{ear.value:.0f} ms", f"{ear.low:.0f}–{ear.high:.0f}"]
    assert sum(ms for _, ms in budget.bars["yours"]["stages"]) == pytest.approx(ear.value, rel=0.02)
    assert sum(budget.curves["yours"]) == pytest.approx(1, abs=0.01)
    budget._handle_custom_msg({"kind": "give", "changes": {"reply_tokens": 120, "hit_share": 0.5}}, [])
    assert budget.given["reply_tokens"] == 120 and rows["first_p50"][0] != dict(budget.rows)["first_p50"][0]
    budget._handle_custom_msg({"kind": "take", "preset": "plan"}, [])
    assert budget.levers == PLAN and budget.bars["yours"] == budget.bars["plan"]
    assert budget.answered == 3 and not budget.problem


def test_counting_to_the_avatars_word_leaves_out_the_way_to_the_ear() -> None:
    budget = LatencyBudget()
    heard = dict(budget.rows)["first_p50"][1]
    budget._handle_custom_msg({"kind": "listen", "heard": False}, [])
    assert [name for name, _ in budget.bars["plan"]["stages"]][-1] == "avatar"
    assert float(dict(budget.rows)["first_p50"][1][0].split()[0]) < float(heard[0].split()[0]) - 150


def test_a_target_is_answered_again_whenever_what_is_given_changes() -> None:
    budget = LatencyBudget()
    budget._handle_custom_msg({"kind": "ask", "target": 800, "share": 0.5}, [])
    before = budget.asked["told"]
    assert "below 800 ms" in before and "n = 3" in before
    budget._handle_custom_msg({"kind": "give", "changes": {"profile": "classic"}}, [])
    assert "n = 2" in budget.asked["told"] and budget.asked["told"] != before


def test_the_plan_and_yours_are_heard_with_the_waits_that_were_simulated() -> None:
    pytest.importorskip("espeakng_loader")
    budget = LatencyBudget(OPENERS)
    budget._handle_custom_msg({"kind": "hear", "question": "¿Qué protector solar me recomiendas?"}, [])
    assert budget.sound[:4] == b"RIFF" and not budget.problem
    plan_s, yours_s = budget.hear().waits_s.values()
    assert plan_s > yours_s + 1 and f"{plan_s:.1f} s in the plan and {yours_s:.1f} s" in budget.waits


def test_without_the_slow_starts_fewer_turns_are_above_three_seconds() -> None:
    budget = LatencyBudget()
    before = dict(budget.rows)["over_3000"]
    budget._handle_custom_msg({"kind": "give", "changes": {"slow_share": 0}}, [])
    assert budget.given["slow_share"] == 0 and dict(budget.rows)["over_3000"] != before
    budget._handle_custom_msg({"kind": "give", "changes": {"slow_share": None}}, [])
    assert dict(budget.rows)["over_3000"] == before


def test_what_makes_no_sense_is_told_or_left_alone() -> None:
    budget = LatencyBudget(language="es")
    sent: list[object] = [
        None, 3, {"kind": "take", "preset": "x"}, {"kind": "give", "changes": {"profile": "x"}}, {"kind": "ask", "target": "x"},
        {"kind": "choose", "changes": {"magic": True}}, {"kind": "choose", "changes": 3},
    ]  # fmt: skip
    for one in sent:
        budget._handle_custom_msg(one, [])
    assert budget.levers == FAST and not budget.problem and not budget.asked
    budget._handle_custom_msg({"kind": "give", "changes": {"reply_tokens": 9999}}, [])
    assert "reply_tokens" in budget.problem and budget.given["reply_tokens"] == 60


def test_everything_shown_has_words_in_both_languages_and_says_that_it_is_not_measured() -> None:
    budget = LatencyBudget()
    names = [
        *(f"lb_lever_{name}" for name in LEVERS), *(f"lb_mark_{lever.mark}" for lever in LEVERS.values()),
        *(f"lb_take_{name}" for name in PRESETS), *(f"lb_profile_{name}" for name in PROFILES), *(f"lb_{name}" for name in SLIDERS),
        *(f"lb_row_{name}" for name, _ in budget.rows), *(f"lb_stage_{name}" for name, _ in budget.bars["plan"]["stages"]),
    ]  # fmt: skip
    assert not [name for name in names if name not in WORDS]
    assert "not measured" in repr(budget) and budget.mark == "never calibrated: published figures"
    assert "unknown: nobody has published it" in str(dict(budget.rows)["cut_off"])
    budget.choose(finalize=True)
    assert dict(budget.rows)["cut_off"][1] == "22\u00a0% (6 of 27, in English)"
