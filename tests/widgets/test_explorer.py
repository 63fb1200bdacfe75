"""The explorer of turn-taking, by the methods that sliders and buttons call."""

from __future__ import annotations

from typing import Any

import pytest

from clara_kit import Explorer, Settings
from clara_kit.core import events as ev
from clara_kit.core.settings import PRESETS
from clara_kit.lab.labels import Label, Labelled
from clara_kit.lab.overlaps import overlaps
from clara_kit.widgets import explorer as module
from clara_kit.widgets.words import WORDS


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    module._sample.cache_clear()
    monkeypatch.setattr(module, "CASES", 200)
    monkeypatch.setattr(module, "QUICK", 100)


def test_the_settings_in_force_stand_on_the_curve_and_a_slider_moves_its_mark() -> None:
    explorer = Explorer()
    assert set(explorer.marks) == {*PRESETS, "yours"} and explorer.marks["yours"] == explorer.marks["tuned"]
    assert (
        explorer.marks["plan"][1] > explorer.marks["tuned"][1]
        and explorer.marks["plan"][0] < explorer.marks["tuned"][0]
    )
    explorer._handle_custom_msg({"kind": "choose", "quick": True, "changes": {"sustained_ms": 350}}, [])
    assert explorer.settings == Settings.preset("tuned").with_changes(sustained_ms=350)
    assert explorer.chosen["sustained_ms"] == 350 and explorer.marks["yours"][0] == pytest.approx(350, abs=5)
    assert explorer.figures["yours"].penalty_s.low is None  # at once, without an interval
    explorer._handle_custom_msg({"kind": "choose", "changes": {}}, [])
    assert explorer.figures["yours"].penalty_s.low is not None
    explorer._handle_custom_msg({"kind": "take", "preset": "plan"}, [])
    assert explorer.settings == Settings() and explorer.marks["yours"] == explorer.marks["plan"]
    assert explorer.answered == 3 and not explorer.problem


def test_the_curves_come_one_by_one_and_another_world_has_its_own() -> None:
    explorer = Explorer()
    explorer._handle_custom_msg({"kind": "draw", "rule": "tuned"}, [])
    assert list(explorer.curves) == ["tuned"] and len(explorer.curves["tuned"]) == 20
    stops = [stops for _, stops, _ in explorer.curves["tuned"]]
    assert stops[0] > 2 * stops[-1]
    before = explorer.figures["tuned"].cut_off.value
    explorer._handle_custom_msg({"kind": "world", "world": "she answers in 0.8 s"}, [])
    assert not explorer.curves and (explorer.figures["tuned"].cut_off.value or 0) >= (before or 0)


def test_what_makes_no_sense_is_told_or_left_alone() -> None:
    explorer = Explorer(language="es")
    for sent in (
        None,
        3,
        {"kind": "draw", "rule": "x"},
        {"kind": "world", "world": "x"},
        {"kind": "choose", "changes": {"llm_model": "x"}},
    ):
        explorer._handle_custom_msg(sent, [])
    assert explorer.settings == Settings.preset("tuned") and not explorer.problem
    explorer._handle_custom_msg({"kind": "choose", "changes": {"min_words": 99}}, [])
    assert "min_words" in explorer.problem and explorer.settings.min_words == 1


def test_labelled_moments_are_dots_full_where_the_settings_are_right() -> None:
    cases = [case for case in overlaps(200, 5) if case.kind in ("cough", "interruption")]
    explorer = Explorer(Settings(), labelled=cases)
    assert len(explorer.dots) == len(cases) and not all(right for _, right, _ in explorer.dots)
    explorer.take("tuned")
    assert sum(right for _, right, _ in explorer.dots) > len(cases) * 0.8


def labelled(label: Label, *events: Any) -> Labelled:
    said = "Para tu piel te va bien el gel Brisa. Cuesta $9.990 y dura dos meses."
    return Labelled(label=label, events=events, said=said, lasts_ms=5000.0)


def test_what_a_person_labelled_is_taken_as_it_is_kept() -> None:
    cough = (
        ev.SpeechStarted(at_ms=1090, source="vad", sound_at_ms=1000), ev.SpeechEnded(at_ms=1364, source="vad", sound_at_ms=1300),
    )  # fmt: skip
    first, second = ((-2000, -1000, "y también quería"), (500, 1500, "una crema de manos"))
    early = tuple(
        event
        for start, end, text in (first, second)
        for event in (
            ev.SpeechStarted(at_ms=start + 90, source="vad", sound_at_ms=start),
            ev.SpeechEnded(at_ms=end + 64, source="vad", sound_at_ms=end),
            ev.TranscriptFinal(at_ms=end + 550, text=text, speech_started_ms=start, speech_ended_ms=end),
        )
    )
    moments = [
        labelled("should not have stopped", *cough),
        labelled("answered too early", *early),
        labelled("should have stopped"),
    ]
    explorer = Explorer(Settings(), labelled=moments)
    assert [right for _, right, _ in explorer.dots] == [False, True]  # the second: half a second later, she is slow
    assert [told for _, _, told in explorer.dots] == ["labelled: go_on", "y también quería una crema de manos: wait"]
    explorer.take("tuned")
    assert [right for _, right, _ in explorer.dots] == [True, True]


def test_numbers_say_everywhere_that_they_are_generated() -> None:
    explorer = Explorer()
    assert "generated, never yet on customers" in repr(explorer)
    assert WORDS["ex_generated"] == ("generated, never yet on customers", "generado, todavía nunca con clientes")
    for key, _ in explorer.rows:
        assert f"ex_fig_{key}" in WORDS
    assert all(f"ex_rule_{rule}" in WORDS for rule in explorer.rules)
