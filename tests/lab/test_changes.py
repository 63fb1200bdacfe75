"""What a run depended on that has changed since is named, then and now; a simulation is played anew."""

from __future__ import annotations

import shutil
from dataclasses import replace
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import pytest

from clara_kit import Run, Scenario, Settings, replay, replay_experiment, run_experiment, simulate
from clara_kit.conversation.policies import STANDARD
from clara_kit.core.errors import RunLogError
from clara_kit.lab import again as anew
from clara_kit.lab.again import Change, again, apart, changes
from clara_kit.lab.differences import differences
from clara_kit.prompts import file as template_file
from clara_kit.prompts.briefing import brief
from clara_kit.prompts.template import PromptTemplate

LINES: list[Any] = ["¿Hacen despachos a regiones?", {"text": "Espera, ¿cuánto cuesta?", "interrupt_after_ms": 900}]


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped prompts, as a copy that may be edited."""
    folder = Path(shutil.copytree(template_file.SHIPPED, tmp_path / "prompts"))
    monkeypatch.setattr(template_file, "SHIPPED", folder)
    return folder


def recorded(prompts: Path) -> Run:
    """A simulation that keeps the text of its prompt, as a run's log does."""
    template = PromptTemplate.load("warm")
    run = simulate(LINES, customer="camila", template=template, seed=3)
    return changed(run, inputs={**run.inputs, "prompt": brief(template).prompt.text})


def test_a_simulation_is_proven_to_give_the_same_numbers(prompts: Path) -> None:
    outcome = replay(recorded(prompts))
    assert outcome.same and outcome.proven and outcome.changes == ()
    assert all(was == now for was, now in outcome.numbers.values())
    assert "its numbers are the same; nothing that it depends on has changed" in outcome.verdict


def test_one_byte_of_a_prompt_is_named_with_its_line(prompts: Path) -> None:
    run = recorded(prompts)
    text = (prompts / "warm.md").read_text("utf-8")
    assert "cálido, claro" in text
    (prompts / "warm.md").write_text(text.replace("cálido, claro", "cálido; claro"), "utf-8")
    hashed, line = replay(run).changes
    assert (hashed.kind, hashed.name, hashed.then) == ("prompt", "warm v1", run.inputs["template"]["hash"])
    assert hashed.now == PromptTemplate.load("warm").hash != hashed.then
    assert line.name == "warm v1, line 2" and "cálido, claro" in line.then and "cálido; claro" in line.now
    (prompts / "warm.md").unlink()
    assert [c.now for c in replay(run).changes] == ["–"]


def test_data_settings_policies_packages_and_code_are_told_apart(
    prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recorded(prompts)
    turn = [
        f"{rule.split()[0]} 0" if rule.startswith("endpointing") else rule for rule in run.inputs["policies"]["turn"]
    ]
    laws = {**run.inputs["latency"]["laws"], "stt_onset": ["fixed", 5.0, 5.0, 0.0, 0.0, 0.0]}
    old = changed(
        run,
        inputs={
            **run.inputs,
            "settings": {k: v for k, v in run.inputs["settings"].items() if k != "min_words"},
            "policies": {**run.inputs["policies"], "turn": turn, "words": run.inputs["policies"]["words"][1:]},
            "latency": {"name": "published", "laws": laws},
            "pronunciation": "another",
            "customer": "nobody here",
        },
        facts={"versions": {**anew.versions(), "polars": "1.0.0"}, "commit": "4795c3438f", "patch": ""},
    )
    monkeypatch.setattr(anew, "code", lambda: {"commit": "58eef57452", "patch": "- a\n+ b"})
    told = {(c.kind, c.name): (c.then, c.now) for c in replay(old).changes}
    polars = anew.versions()["polars"]
    assert told[("settings", "min_words")] == ("–", "1")
    assert told[("policy", "turn.endpointing")][0] == "version 0" and ("policy", "words.barge_in_off") in told
    assert told[("data", "data/latency/published.yaml, stt_onset")][0] == "fixed 5 5 0 0 0"
    assert told[("data", "data/pronunciation.csv")][0] == "another" and told[("data", "data/customers")][1] == "–"
    assert told[("package", "polars")] == ("1.0.0", polars)
    then, now = told[("code", "clara_kit")]
    assert then == "4795c34" and now.startswith("58eef57, edited")
    assert len(told) == 8


def test_lists_of_words_that_changed_are_data_and_not_rules(prompts: Path) -> None:
    run = recorded(prompts)
    knows = next(rule for rule in run.inputs["policies"]["words"] if rule.startswith("backchannel")).split()[-1]
    before = {k: [r.replace(knows, "000000000000") for r in rules] for k, rules in run.inputs["policies"].items()}
    old = changed(run, inputs={**run.inputs, "policies": before})
    assert replay(old).changes == (Change("data", "data/turns/es-419.yml", "000000000000", knows),)
    assert any(c.kind == "policy" for c in changes(run, STANDARD))


def test_a_conversation_that_was_no_simulation_is_played_again_with_the_lines_that_were_heard() -> None:
    played = simulate(LINES, Settings.of(greeting="Hola."), customer="camila", seed=3)
    twins = changed(
        played, inputs={**{k: v for k, v in played.inputs.items() if k != "script"}, "modes": {"llm": "twin"}}
    )
    assert replay(twins).proven is None
    once_more = again(twins)
    assert [turn.customer for turn in once_more.ledger] == [turn.customer for turn in played.ledger]
    assert once_more.ledger[1].interrupted and once_more.words == played.words
    assert "mix" in differences(twins, once_more).notes
    with pytest.raises(RunLogError, match="said nothing"):
        again(changed(twins, trace=twins.trace[:3]))


def test_where_two_texts_part_is_shown_with_some_words_around() -> None:
    a, b = apart("x" * 60 + "uno" + "y" * 60, "x" * 60 + "dos" + "y" * 60)
    assert a == f"«…{'x' * 24}uno{'y' * 24}…»" and b == f"«…{'x' * 24}dos{'y' * 24}…»"
    assert apart("uno", "uno y dos") == ("«uno»", "«uno y dos»")


def test_an_experiment_is_played_again_and_one_byte_of_a_prompt_is_named(prompts: Path, tmp_path: Path) -> None:
    scenario = Scenario.load("limpiador_piel_mixta")
    done = run_experiment(
        {"A": "warm", "B": "brief"}, [scenario], ["camila", ""], folder=tmp_path / "e", ask=lambda _: True
    )
    found = replay_experiment(done)
    assert found.same and found.played == 4 and found.changes == ()
    assert repr(found).endswith("4 of 4 conversations come out as they are kept; nothing has changed since>")
    text = (prompts / "warm.md").read_text("utf-8")
    (prompts / "warm.md").write_text(text.replace("cálido, claro", "cálido; claro"), "utf-8")
    found = replay_experiment(done.folder, most=2)
    assert found.same and found.played == 2  # it has its own prompts with it
    assert "2 of 2 conversations come out as they are kept (4 there are); changed" in repr(found)
    names = [(c.kind, c.name) for c in found.changes]
    line = 1 + next(n for n, one in enumerate(text.splitlines()) if "cálido, claro" in one)
    assert (
        f"changed since: prompt warm v1; prompt warm v1, line 2; prompt data/prompts/warm.md for «A», line {line}"
        in repr(found)
    )
    assert names == [
        ("prompt", "warm v1"), ("prompt", "warm v1, line 2"), ("prompt", f"data/prompts/warm.md for «A», line {line}"),
    ]  # fmt: skip
    assert "cálido, claro" in found.changes[-1].then and "cálido; claro" in found.changes[-1].now
    kept = {**done.inputs, "scenarios": [{**done.inputs["scenarios"][0], "title": "Another"}]}
    kept["data"] = {**kept["data"], "customers": ["another", ""], "catalog": "another"}
    old = replace(done, inputs=kept, facts={**done.facts, "code": "0.1.0 (older)"})
    found = replay_experiment(old)
    assert not found.same and "other data" in found.refused
    told = {(c.kind, c.name): c.then for c in found.changes if c.kind != "prompt"}
    assert told == {
        ("data", "data/catalog/products.json"): "another", ("data", "data/customers/camila.yaml"): "another",
        ("data", "data/scenarios/limpiador_piel_mixta.yaml, title"): "«Another»", ("code", "clara_kit"): "0.1.0 (older)",
    }  # fmt: skip
