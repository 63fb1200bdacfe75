"""The same question under several settings: what is said of the waits is what was simulated, and what is heard has them."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from clara_kit import Settings
from clara_kit.lab.budget import sheets
from clara_kit.lab.budget.heard import BEFORE_MS, DESIGNS, heard
from clara_kit.lab.budget.levers import PLAN, Given

FAST = Settings.preset("fast").with_changes(enable_response_cache=False)


def test_the_waits_that_are_told_are_those_of_the_runs_and_now_is_sooner_than_the_plan() -> None:
    both = heard({"the plan's design": DESIGNS["the plan's design"], "now": FAST}, rounds=9)
    plan_s, now_s = both.waits_s.values()
    assert plan_s > now_s + 0.2
    for run, wait_s in zip(both.runs.values(), both.waits_s.values(), strict=True):
        assert run.figures["first_sound_ms"] == pytest.approx(wait_s * 1000, rel=0.001)
    assert f"The plan's design {plan_s:.1f} s, now {now_s:.1f} s" in str(both) and "simulated" in str(both)


def test_what_is_heard_keeps_silent_for_as_long_as_the_customer_waits() -> None:
    pytest.importorskip("espeakng_loader")
    both = heard({"one": FAST.with_changes(openers=True)}, rounds=3)
    (run,) = both.runs.values()
    turn = next(turn for turn in run.ledger if turn.kind != "greeting")
    with wave.open(io.BytesIO(both.sound())) as file:
        rate = file.getframerate()
        sound = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    (loud,) = np.nonzero(np.abs(sound[:, 1].astype(int)) > 300)
    began_ms = loud[0] * 1000 / rate
    words_ended_ms = turn.points["words_ended"]
    spoke_ms = next(e.sound_at_ms for e in run.events if hasattr(e, "sound_at_ms"))
    expected_ms = BEFORE_MS + words_ended_ms - spoke_ms + (turn.total_ms or 0.0)
    assert began_ms == pytest.approx(expected_ms, abs=60)
    assert "<audio" in both._repr_html_() and "One after the other" in both._repr_html_()


def test_the_tables_say_unknown_where_nothing_is_published_and_name_every_source() -> None:
    told = repr(sheets.designs({"the plan": PLAN}))
    assert (
        "unknown: nobody has published it" in told
        and "Calculated from «published» (never calibrated: published figures)" in told
    )
    levers = sheets.sources()
    assert len(levers) == 11 and all(levers.frame["source"]) and "assumed for this avatar" in repr(levers)
    stages = sheets.stages(Given(profile="classic"))
    assert all(stages.frame["source"]) and {"2", "1000", "not said"} <= {*stages.frame["measured how often"]}
