"""The gate: open only for what was tried and met."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clara_kit.cli import main
from clara_kit.core.errors import ClaraError
from clara_kit.core.settings import Keys, Settings
from clara_kit.lab.calls.brains import brain_for
from clara_kit.lab.experiment.design import Design
from clara_kit.lab.experiment.gate import gate
from clara_kit.lab.experiment.playing import play
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.scenario import Scenario
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer

ASKS = {"title": "A cleanser", "topic": "routine", "lines": ["Hola, ¿qué limpiador me recomiendas?"]}


def scenario(name: str = "limpiador", **demands: Any) -> Scenario:
    return Scenario.of({**ASKS, **demands}, name=name)


MET = scenario(must=[["limpiador", "limpiadora"]], must_not=["retinol"])
NEVER = scenario("nunca", must=[{"says": ["rinoceronte"], "why": "an animal was asked for"}])


def test_it_is_open_where_everything_was_tried_and_met() -> None:
    found = gate("warm", scenarios=[MET], customers=["", "camila"])
    assert found.open and found.exit_code == 0
    assert (found.conversations, found.demands) == (2, 4)
    assert found.told().startswith("«warm» may pass. Conversations held: 2, scenarios: 1, demands: 4.")
    assert "tests scenarios, customers and settings, not the prompt" in found.told()
    assert "puede pasar" in found.told("es")


def test_one_demand_that_is_not_met_shuts_it_and_is_shown_with_its_reason() -> None:
    found = gate("warm", scenarios=[MET, NEVER], customers=["", "camila"])
    assert found.exit_code == 1
    assert found.rows() == [("must", "nunca", "", "a stranger, camila", "an animal was asked for", "")]
    assert "an animal was asked for" in found._repr_html_()


def test_what_the_prompt_in_production_does_not_meet_either_does_not_count() -> None:
    found = gate("brief", beside="warm", scenarios=[MET, NEVER], customers=[""])
    assert found.open
    assert found.rows()[0][0] == "must, known"
    assert "Not met, but not by «warm» either, and not counted: 1." in found.told()


def test_a_file_with_a_mistake_is_not_tested_and_keeps_it_shut(tmp_path: Path) -> None:
    bad = tmp_path / "mal.yaml"
    bad.write_text("title: Bad\ntopic: routine\nlines: [Hola]\nmust: [{sings: la}]\n", encoding="utf-8")
    found = gate("warm", scenarios=[MET, str(bad)], customers=[""])
    assert not found.open and len(found.not_tested) == 1
    assert found.rows()[0][0] == "not tested"
    assert not gate("warm", scenarios=[str(bad)]).open


def test_a_rule_that_is_none_is_not_tested() -> None:
    found = gate("warm", scenarios=[scenario(must=[{"check": "charming"}])], customers=[""])
    assert not found.open and "'charming'" in found.not_tested[0].why


def test_where_nothing_is_demanded_nothing_was_tested() -> None:
    found = gate("warm", scenarios=[scenario()], customers=[""])
    assert not found.open
    assert "Nothing was demanded" in found.told()


def test_what_is_not_recorded_is_not_tested_and_what_is_recorded_is(tmp_path: Path) -> None:
    twin = AnthropicTwin(TwinContext(profile=LatencyProfile.load("fast"), faults=FaultBox(())), AnswerBook.load())
    server = TwinServer([twin])
    with server:
        keys = Keys(anthropic_api_key="test-key", anthropic_base_url=server.addresses["anthropic"]["base_url"])  # type: ignore[arg-type]
        brain = brain_for("recorded", Settings(), keys=keys, folder=tmp_path)
        design = Design.of({"prompt": "warm"}, [MET], [""], llm="recorded")
        for cell in design.cells:
            play(design, cell, brain)
    recorded = gate("warm", llm="recorded", scenarios=[MET], customers=[""], keys=keys, calls=tmp_path)
    assert recorded.open
    assert recorded.told().endswith("The answers are recorded ones of a twin, which are scripted.")
    both = gate("warm", llm="recorded", scenarios=[MET], customers=["", "camila"], keys=keys, calls=tmp_path)
    assert not both.open
    assert (both.conversations, len(both.not_tested), both.broken) == (1, 1, ())
    assert both.rows()[0][:5] == ("not tested", "limpiador", "", "camila", "an answer is not recorded")
    assert "No answer is kept for request" in both.rows()[0][5]
    assert "Conversations not tested: 1." in both.told()


def test_the_command_ends_with_zero_or_one_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, never = tmp_path / "bien.yaml", tmp_path / "nunca.yaml"
    good.write_text(
        "title: Good\ntopic: routine\nlines: ['¿Qué limpiador me recomiendas?']\nmust: [limpiador]\n", encoding="utf-8"
    )
    never.write_text(
        good.read_text(encoding="utf-8").replace("must: [limpiador]", "must: [rinoceronte]"), encoding="utf-8"
    )
    usual = ["gate", "warm", "--customer", "camila", "--scenario", str(good)]
    assert main(usual) == 0
    assert "«warm» may pass." in capsys.readouterr().out
    assert main([*usual, "--scenario", str(never), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["open"], told["broken"], told["rows"][0]["scenario"]) == (False, 1, "nunca")
    assert main([*usual, "--answers", "recorded", "--calls", str(tmp_path)]) == 1
    assert "not tested" in capsys.readouterr().out
    assert main(["gate", "no_such_prompt"]) == 1


def test_nobody_is_asked() -> None:
    with pytest.raises(ClaraError, match="no live answers"):
        gate("warm", llm="live")  # type: ignore[arg-type]
