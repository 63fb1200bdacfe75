"""A month of conversations, drawn from rates whose sources are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from clara_kit import simulate
from clara_kit.core.errors import ScriptError
from clara_kit.lab.survival.checked import checked
from clara_kit.lab.survival.matrix import LINES, settings_of
from clara_kit.lab.survival.month import Rates, drawn, month


def test_every_rate_says_where_it_comes_from_and_is_of_something_that_can_happen() -> None:
    rates = Rates.load()
    every = (*rates.incidents, *rates.mishaps)
    assert all(one.source for one in every)
    assert any(one.source != "assumed" for one in every)
    assert {one.service for one in every} >= {"stt", "llm", "tts", "avatar"}


def test_a_file_with_a_trouble_that_is_none_is_refused(tmp_path: Path) -> None:
    text = (Path("data") / "incidents.yaml").read_text(encoding="utf-8")
    (wrong := tmp_path / "incidents.yaml").write_text(text.replace("what: mute", "what: bored"), encoding="utf-8")
    with pytest.raises(ScriptError, match="bored"):
        Rates.load(wrong)
    wrong.write_text(text.replace("per_month: 0.3", "per_month: often"), encoding="utf-8")
    with pytest.raises(ScriptError, match="per_month"):
        Rates.load(wrong)


def test_the_same_month_is_drawn_with_fallback_and_without_and_another_seed_is_another() -> None:
    assert drawn(seed=1) == drawn(seed=1) != drawn(seed=2)
    assert 20 < len(drawn(conversations=2000)) < 400


@pytest.mark.parametrize("fallback", [False, True], ids=["off", "on"])
def test_nothing_is_lost_in_a_month_and_the_figures_add_up(fallback: bool) -> None:
    found = month(fallback=fallback, conversations=3000)
    assert sum(found.counts.values()) == 3000
    assert (found.lost, found.counts["lost"]) == (0, 0)
    assert "simulated" in found.sentence and "assumed" in found.sentence
    assert str(len(found.struck)) in found._repr_html_()


def test_those_to_whom_nothing_happens_survive() -> None:
    for seed in range(5):
        for fallback in (False, True):
            assert checked(simulate(list(LINES), settings_of(fallback=fallback), seed=seed)).outcome == "survived"
