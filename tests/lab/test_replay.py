"""Runs recorded earlier: they open, are decided the same, and say which policy decides otherwise now."""

from __future__ import annotations

from dataclasses import replace as changed
from pathlib import Path

from clara_kit import Run, Settings, replay, simulate
from clara_kit.conversation.policies import STANDARD
from clara_kit.conversation.policy import Finished, Policy, Turn
from clara_kit.conversation.talk import Talk

FIRST_VERSION = Path(__file__).parent / "run_of_the_first_version"


def test_a_run_of_the_first_version_opens_and_is_decided_the_same() -> None:
    run = Run.load(FIRST_VERSION)
    assert [turn.customer for turn in run.ledger][1:] == [
        "¿Hacen despachos a regiones?", "¿Cuánto cuesta el protector solar?",
    ]  # fmt: skip
    assert run.ledger[2].interrupted and all(turn.problem == "" for turn in run.ledger)
    assert replay(FIRST_VERSION).same and run.problems == ()


def test_a_difference_names_the_policy_that_decided_and_what_changed_of_it() -> None:
    def at_once(talk: Talk, turn: Turn) -> Finished | None:
        return Finished(reason="no patience") if turn.occasion == "final" else None

    run = simulate(["Hola"], Settings.of(turn_hold_ms=600))
    turn = run.inputs["policies"]["turn"]
    assert [rule.split()[0] for rule in turn] == ["no_speculation", "unfinished", "hold", "endpointing"]
    outcome = replay(run, policies=STANDARD.first("turn", Policy("impatient", at_once, version=3)))
    assert not outcome.same
    cause = outcome.differences[0].cause
    assert "decided by impatient" in cause and f"turn: {', '.join(turn)} then" in cause
    assert "impatient 3" in cause


def test_a_run_from_before_policies_had_versions_says_so() -> None:
    run = simulate(["Hola"])
    old = changed(run, inputs={k: v for k, v in run.inputs.items() if k != "policies"})
    assert replay(old).same
    outcome = replay(old, policies=STANDARD.without("no_speculation", "hold"))
    assert outcome.same  # neither had anything to say
    patient = changed(old, inputs={**old.inputs, "settings": {**old.inputs["settings"], "turn_hold_ms": 500}})
    assert "recorded before policies had versions" in replay(patient).differences[0].cause
