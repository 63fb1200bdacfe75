"""What a scenario demands, and what the conversation itself shows, in one `score`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clara_kit.core.errors import ScriptError
from clara_kit.core.settings import Settings
from clara_kit.lab.scores.heard import Heard
from clara_kit.lab.scores.metrics import METRICS
from clara_kit.lab.scores.scoring import score
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story
from clara_kit.world.faults import Fault
from clara_kit.world.saying import said
from clara_kit.world.scenario import Scenario
from clara_kit.world.script import Script
from clara_kit.world.sim import simulate


def scenario(must: tuple = (), must_not: tuple = ()) -> Scenario:
    return Scenario.model_validate({
        "title": "x", "topic": "routine",
        "must": must, "must_not": must_not,
    })  # fmt: skip


@pytest.fixture(scope="module")
def run() -> Run:
    return simulate(["¿Qué limpiador me recomiendas para piel mixta?", "¿Y cuánto cuesta?"], customer="camila")


@pytest.fixture(scope="module")
def interrupted() -> Run:
    return simulate("demo", customer="camila")


def test_a_good_conversation_keeps_its_rules_and_tells_its_figures(run: Run) -> None:
    scored = score(run, Scenario.load("limpiador_piel_mixta"))
    assert scored.values["kept"] is True and not scored.broken
    assert scored.values["turns"] == 2 and scored.values["heard_share"] == 1.0
    assert scored.values["first_sound_ms"] == run.figures["first_sound_ms"]
    assert scored.values["usd_per_turn"] is None  # the scripted brain has no price
    assert set(scored.values) == set(METRICS)


def test_what_was_not_said_is_told_with_its_turn_its_reason_and_what_was_heard_instead(run: Run) -> None:
    rule = {"says": ["bloqueador"], "turn": 2, "why": "she asked for it"}
    (failure,) = score(run, scenario((rule,))).broken
    assert (failure.turn, failure.rule, failure.why) == (2, "must", "she asked for it")
    assert failure.text.startswith("El protector Sol Ligero cuesta")  # filled: no placeholder


def test_an_answer_that_never_came_keeps_no_must(run: Run) -> None:
    (failure,) = score(run, scenario(({"says": ["hola"], "turn": 9},))).broken
    assert (failure.turn, failure.text) == (9, "")


def test_only_what_was_heard_counts(interrupted: Run) -> None:
    heard, unheard = {"says": ["te va a gustar"], "turn": 2}, {"says": ["se absorbe rápido"], "turn": 2}
    assert [one.why for one in score(interrupted, scenario((heard, unheard))).broken] == [
        "never heard: se absorbe rápido"
    ]
    assert score(interrupted, scenario((), (unheard,))).values["kept"] is True
    assert score(interrupted, scenario((), (heard,))).values["kept"] is False
    assert 0 < score(interrupted, scenario()).values["heard_share"] < 1
    assert score(interrupted, scenario()).values["interruptions"] == 1


def test_a_must_not_names_the_words_also_in_the_greeting(run: Run) -> None:
    (failure,) = score(run, scenario((), ({"says": ["QUE GUSTO"]},))).broken
    assert (failure.turn, failure.text) == (0, "Qué gusto")


def test_without_rules_it_is_not_known_whether_they_are_kept(run: Run) -> None:
    assert score(run, scenario()).values["kept"] is None


@pytest.mark.parametrize(
    ("says", "text", "found"),
    [
        ("limpiador", "Un LIMPIADOR suave", "LIMPIADOR"),
        ("cura", "procura descansar", ""),
        ("jabón", "un jabon", "jabon"),
        ("sol  ligero", "el Sol\nLigero", "Sol\nLigero"),
        (r"/no\s+s[eé]/", "No sé", "No sé"),
        ("nueve mil", "Cuesta $9.990.", "nueve mil"),
        ("veinte por ciento", "un 20 % menos", "veinte por ciento"),
        ("$9.990", "Cuesta $9.990.", "$9.990"),
    ],
)
def test_words_are_found_whole_without_case_and_accents_as_written_or_as_said(says: str, text: str, found: str) -> None:
    assert said((says,), text) == found


def test_a_rule_that_is_none_is_named() -> None:
    with pytest.raises(ScriptError, match="no regular expression"):
        said(("/(/",), "hola")


def test_an_unknown_check_is_named_with_those_there_are(run: Run) -> None:
    with pytest.raises(ScriptError, match="no check 'nice'"):
        score(run, scenario(({"check": "nice"},)))


def test_what_a_customer_who_reacts_did_comes_from_the_runs_facts(run: Run) -> None:
    told = replace(run, facts={"customer": {"goal_reached": True, "hung_up": False, "ended_ms": 12_345.6}})
    values = score(told, scenario()).values
    assert (values["goal_reached"], values["hung_up"], values["seconds"]) == (True, False, 12.346)


def test_who_is_never_heard_breaks_no_rule_and_keeps_none() -> None:
    down = [Fault(service="llm", kind="refuse", status=401, on=n) for n in range(1, 40)]
    silent = simulate(["¿Cuánto cuesta el gel Brisa?"], Settings.of(apology="", greeting=""), faults=down)

    values = score(silent, scenario((), ({"says": ["gratis"]},))).values

    assert values["heard_share"] is None
    assert values["kept"] is values["price_right"] is values["answers_question"] is None
    assert score(silent, scenario(({"says": ["precio"]},))).values["kept"] is False


def test_of_a_recording_nobody_knows_what_was_said(run: Run) -> None:
    sound = replace(run, inputs={"modes": dict.fromkeys(run.modes, "recording")}, trace=())

    scored = score(sound, scenario(({"says": ["precio"]},)))

    assert scored.values["kept"] is None and not scored.failed


@pytest.mark.parametrize(
    "told", ["x", [1], {"ended_ms": "x", "goal_reached": "yes", "hung_up": 3}, {"ended_ms": float("nan")}]
)
def test_what_a_run_says_of_the_customer_is_used_where_it_can_be(run: Run, told: object) -> None:
    values = score(replace(run, facts={"customer": told}), scenario()).values

    assert values["goal_reached"] is values["hung_up"] is None
    assert values["seconds"] == score(run, scenario()).values["seconds"]


def test_what_is_no_run_or_no_scenario_is_told(run: Run) -> None:
    wrong: list[Any] = [("x", scenario()), (run, None), (run, "price")]
    for pair in wrong:
        with pytest.raises(ScriptError, match="scored by a scenario"):
            score(*pair)


def test_a_run_without_an_answer_is_scored_too() -> None:
    values = score(Run(inputs={}, trace=()), scenario()).values
    assert values["turns"] == 0 and values["first_sound_ms"] is None and values["heard_share"] is None


def test_a_run_of_the_first_version_is_scored_too() -> None:
    scored = score(
        Run.load(Path(__file__).with_name("run_of_the_first_version")), scenario(({"says": ["despachamos"]},))
    )
    assert scored.values["kept"] is True and scored.values["interruptions"] == 1


@pytest.mark.parametrize("after_ms", [300, 1500, 3000])
def test_an_answer_that_a_noise_broke_off_and_that_went_on_was_heard_wholly_and_once(after_ms: int) -> None:
    noise = {"sound": "noise", "sound_ms": 1500, "interrupt_after_ms": after_ms}
    run = simulate(Script.of({"lines": ["¿Qué limpiador me recomiendas?", noise]}), customer="camila")
    assert len(Story(run.trace).turns[1].utterances) == 2
    answer = Heard.of(run).answers[-1]
    assert answer.text.startswith("Camila, para piel mixta te recomiendo el gel limpiador Brisa") and not answer.unheard
    assert answer.text.count("Camila") == 1 and answer.text.endswith("Cuesta $9.990.")
    assert score(run, scenario()).values["heard_share"] == 1.0
    assert "Cuesta $9.990." in run.turns["heard"].to_list()[1]
