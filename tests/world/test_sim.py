"""The simulated world: equal inputs give equal bytes, replays agree, every turn adds up, faults are survived."""

from __future__ import annotations

from pathlib import Path

import pytest

from clara_kit import Run, Settings, replay, simulate
from clara_kit.core.errors import RunLogError, ScriptError
from clara_kit.core.events import FaultInjected, TranscriptFinal
from clara_kit.world.faults import APPLIES, Fault
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.script import Script

PROFILES = ("published", "optimistic", "long_tail", "classic", "fast")


@pytest.mark.parametrize("profile", PROFILES)
def test_equal_inputs_give_equal_bytes_and_the_replay_agrees(profile: str) -> None:
    run = simulate("demo", seed=3, profile=profile)
    assert run.to_jsonl() == simulate("demo", seed=3, profile=profile).to_jsonl()
    assert run.run_id == run.experiment_id
    assert replay(run).same
    again = Run.from_jsonl(run.to_jsonl())
    assert again.to_jsonl() == run.to_jsonl()
    assert replay(again).same


def test_another_seed_gives_other_times_but_the_same_words() -> None:
    one, two = simulate(["Hola"], seed=1), simulate(["Hola"], seed=2)
    assert one.to_jsonl() != two.to_jsonl()
    assert one.turns["clara"].to_list() == two.turns["clara"].to_list()


@pytest.mark.parametrize("seed", range(5))
def test_every_turn_of_the_demo_adds_up_or_says_why_not(seed: int) -> None:
    run = simulate("demo", seed=seed)
    for turn in run.ledger:
        assert turn.problem == "", turn
        assert all(ms >= 0 for ms in turn.stages.values())
    assert run.turns["interrupted"].any()
    assert set(run.turns["mix"]) == {"simulated"}


def test_a_pause_in_mid_turn_is_one_turn() -> None:
    run = simulate([{"text": "Busco un protector solar que no deje grasa", "pauses": [{"after_word": 4, "ms": 700}]}])
    finals = [e.text for e in run.events if isinstance(e, TranscriptFinal)]
    assert finals == ["Busco un protector solar", "que no deje grasa"]
    assert run.turns["customer"].to_list()[1:] == ["Busco un protector solar que no deje grasa"]


@pytest.mark.parametrize(("service", "kind"), [(s, k) for s, kinds in APPLIES.items() for k in kinds])
def test_every_fault_is_survived_and_the_run_can_be_replayed(service: str, kind: str) -> None:
    faults = [Fault(service=service, kind=kind, on=1, after_ms=100, for_ms=500)]  # type: ignore[arg-type]
    backup = service == "backup"
    if backup:  # which is asked where the model is not there
        faults += [Fault(service="llm", kind="refuse", status=529, on=n) for n in range(1, 5)]
    run = simulate(
        ["Hola", "¿Cuánto cuesta el protector solar?", "Gracias"],
        faults=faults,
        settings=Settings.of(greeting="", enable_auto_fallback=backup),
        customer="camila" if service == "shop" else None,
    )
    assert any(isinstance(e, FaultInjected) and e.service == service for e in run.events)
    assert replay(run).same
    assert run.ledger


def test_a_long_script_is_played_to_its_end() -> None:
    assert len(simulate(["Hola"] * 700).ledger) == 701


def test_a_changed_decision_shows_as_a_difference() -> None:
    run = simulate("demo")
    altered = Run(
        inputs={**run.inputs, "settings": Settings.of(barge_in_debounce_ms=300).model_dump(mode="json")},
        trace=run.trace,
    )
    outcome = replay(altered)
    assert not outcome.same
    assert "record" in str(outcome.differences[0])


def test_a_damaged_record_says_which_line(tmp_path: Path) -> None:
    text = simulate(["Hola"]).to_jsonl()
    lines = text.splitlines()
    with pytest.raises(RunLogError, match="Line 3"):
        Run.from_jsonl("\n".join([*lines[:2], "{nonsense", *lines[3:]]))
    with pytest.raises(RunLogError, match="no readable run"):
        Run.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [""],
        [{"text": "a b", "pauses": [{"after_word": 5, "ms": 1}]}],
        {"lines": ["a"], "faults": [{"service": "stt"}]},
        [{"sound": "bark"}],
        "no_such_script",
        5,
    ],
)
def test_a_bad_script_says_what_is_wrong(bad: object) -> None:
    with pytest.raises(ScriptError):
        Script.of(bad)  # type: ignore[arg-type]


def test_every_latency_says_its_source_and_a_bad_profile_is_refused() -> None:
    for name in PROFILES:
        assert all(law.source for law in LatencyProfile.load(name).laws.values())
    with pytest.raises(ScriptError, match="published"):
        LatencyProfile.load("nope")
    with pytest.raises(ScriptError, match="missing stages"):
        LatencyProfile.from_dict({"stages": {}}, name="x")
