"""Recorded requests are sent again: what differs is told, kept apart, and never costs more than it may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clara_kit.core.errors import SettingsError
from clara_kit.core.settings import Keys, Settings
from clara_kit.lab.calls.brains import brain_for
from clara_kit.lab.calls.drift import drift
from clara_kit.lab.calls.store import CallStore, calls
from clara_kit.lab.experiment.runner import run_experiment
from clara_kit.world.faults import Fault
from clara_kit.world.sim import simulate
from clara_kit.world.twins.anthropic.message import Said
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from tests.lab.vendor import Vendor, playing

QUESTIONS = ["¿Qué limpiador me recomiendas?", "¿Tienen despacho a regiones?", "¿Cuánto cuesta el sérum de niacinamida?", "¿Qué bloqueador me sirve?", "¿Hacen devoluciones?"]  # fmt: skip


class Changing(AnthropicTwin):
    """Another model behind the same name, from a day on."""

    chatty = False

    def _answer(self, checked: Any) -> Said:
        said = super()._answer(checked)
        return (
            Said([*said.tokens, *["", "Es", "un", "sitio", "genial:", "www.beta.cl"]], said.reason)
            if self.chatty
            else said
        )


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    yield from playing(Vendor(Changing))


@pytest.fixture
def recorded(vendor: Vendor, tmp_path: Path) -> Path:
    brain = brain_for("recorded", Settings(), keys=vendor.keys, folder=tmp_path)
    for question, customer in zip(QUESTIONS, ("camila", "antonia", "rosario", "paz", "matias"), strict=True):
        simulate([question], brain=brain, customer=customer)
    return tmp_path


def test_a_model_that_answers_as_it_did_has_not_drifted(vendor: Vendor, recorded: Path) -> None:
    found = drift(recorded, cap_usd=1, keys=vendor.keys)
    assert found.rows["differs"].to_list() == [False] * 5
    assert found.rows["then"].to_list() == found.rows["now"].to_list()
    assert found.told().startswith("0 of 5 answers differ; the rule checks held alike; first words after ")
    assert "the twin's answers, not the vendor's" in found.told()
    assert 0 < found.spent_usd < 1
    assert "Camila" in str(found.rows["then"].to_list())


def test_one_that_answers_otherwise_is_told_with_what_it_does_to_the_checks(vendor: Vendor, recorded: Path) -> None:
    vendor.twin.chatty = True
    found = drift(recorded, cap_usd=1, keys=vendor.keys)
    assert found.differ == 5
    assert "5 of 5 answers differ; rule checks held, of 9: −1.0" in found.told()
    assert "5 de 5 respuestas son distintas; reglas cumplidas, de 9: −1.0" in found.told("es")
    assert found.rows["held_now"].sum() < found.rows["held_then"].sum()
    assert "www.beta.cl" in found._repr_html_()


def test_new_answers_are_kept_apart_and_replace_none(vendor: Vendor, recorded: Path) -> None:
    before = {path: path.read_bytes() for path in recorded.glob("*.jsonl")}
    vendor.twin.chatty = True
    first, second = (drift(recorded, cap_usd=1, keys=vendor.keys) for _ in range(2))
    assert {path: path.read_bytes() for path in recorded.glob("*.jsonl")} == before
    assert first.folder.parent == second.folder.parent == recorded / "drift"
    assert first.folder != second.folder
    assert calls(first.folder)["calls"].sum() == 5
    assert len(list(CallStore(recorded).all())) == 5


def test_no_request_is_sent_that_could_lead_beyond_the_cap(vendor: Vendor, recorded: Path) -> None:
    found = drift(recorded, cap_usd=0.0004, keys=vendor.keys)
    assert 0 < len(found.rows) < 5
    assert found.spent_usd <= 0.0004
    assert f"left {5 - len(found.rows)} unasked" in found.told()
    assert (
        drift(recorded, cap_usd=0, keys=vendor.keys).told()
        == "0 of 0 answers differ; the cap of US$ 0.00 left 5 unasked (the twin's answers, not the vendor's)."
    )


def test_equal_seeds_take_equal_samples(vendor: Vendor, recorded: Path) -> None:
    asked = [
        drift(recorded, 2, cap_usd=1, keys=vendor.keys, seed=seed).rows["question"].to_list() for seed in (1, 1, 2, 3)
    ]
    assert asked[0] == asked[1]
    assert len({tuple(one) for one in asked}) > 1


def test_an_answer_that_fails_is_no_difference(vendor: Vendor, recorded: Path) -> None:
    vendor.faults.inject(Fault(service="llm", kind="refuse", status=401))
    found = drift(recorded, 2, cap_usd=1, keys=vendor.keys)
    assert found.rows["differs"].to_list() == [False, False]
    assert "0 of 1 answers differ" in found.told()
    assert "1 were not answered" in found.told()


def test_an_experiment_is_asked_again_by_what_it_asked(vendor: Vendor, recorded: Path, tmp_path: Path) -> None:
    asked = {
        "llm": "recorded",
        "keys": vendor.keys,
        "calls": recorded,
        "folder": tmp_path / "one",
        "ask": lambda plan: True,
    }
    one = run_experiment(["warm"], ["limpiador_piel_mixta"], ["camila"], **asked)  # type: ignore[arg-type]
    vendor.twin.chatty = True
    found = drift(one, cap_usd=1, keys=vendor.keys, calls=recorded)
    assert 0 < len(found.rows) < 6
    assert len(drift(cap_usd=1, keys=vendor.keys, calls=recorded).rows)  # and not of another folder
    assert set(found.rows["customer"]) == {"camila"}
    assert found.differ == len(found.rows)
    scripted = run_experiment(["warm"], ["limpiador_piel_mixta"], ["camila"], folder=tmp_path / "two")
    with pytest.raises(SettingsError, match="nothing of it is recorded"):
        drift(scripted, cap_usd=1, keys=vendor.keys)


def test_it_needs_a_key_and_something_that_is_kept(vendor: Vendor, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY"):
        drift(tmp_path, cap_usd=1, keys=Keys())
    for wrong in ({"cap_usd": float("nan")}, {"cap_usd": "1"}, {"cap_usd": -1}, {"cap_usd": 1, "sample": 1.5}):
        with pytest.raises(SettingsError, match="cannot be"):
            drift(tmp_path, keys=vendor.keys, **wrong)
    assert drift(tmp_path, cap_usd=1, keys=vendor.keys).told() == "Nothing is kept that could be asked again."
