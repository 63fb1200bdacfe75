"""One setting asked of a whole shelf, and a prompt for some customers first, by what their pages send."""

from __future__ import annotations

from pathlib import Path

import pytest

from clara_kit.lab.experiment.assignment import assign
from clara_kit.lab.scenarios import practice_shelf
from clara_kit.widgets.asking_shelf import ShelfWhatIfs
from clara_kit.widgets.rollout import Rollout


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return practice_shelf(tmp_path_factory.mktemp("shelf"))


def answers(asking: ShelfWhatIfs, monkeypatch: pytest.MonkeyPatch, **asked: object) -> list[object]:
    """What the page is told after a message of its own."""
    told: list[object] = []
    monkeypatch.setattr(asking._view, "send", lambda content, buffers=None: told.append(content))
    asking._view._handle_custom_msg({"kind": "ask", **asked}, [])
    return told


def test_what_was_asked_stands_before_what_was_found_and_the_page_is_told_each_time(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = ShelfWhatIfs(shelf, language="es")
    for _ in range(2):  # the second answer says the same, and is an answer nevertheless
        assert answers(asking, monkeypatch, setting="sustained_ms", value=400) == [{"kind": "done"}]
        assert asking._view.said.startswith("«un sonido la detiene tras» = 400 ms: De 40 conversaciones")
    answers(asking, monkeypatch, setting="duck", value=0)
    assert asking._view.said.startswith("«su sonido baja mientras tanto» = no: ")
    assert answers(asking, monkeypatch, setting="sustained_ms", value=-1) == [{"kind": "done"}]
    assert "Un ajuste está mal" in asking._view.problem


def test_a_shelf_without_runs_answers_as_often_as_it_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = ShelfWhatIfs(tmp_path)
    for _ in range(2):
        assert answers(asking, monkeypatch, setting="sustained_ms", value=400) == [{"kind": "done"}]
    assert "Of 0 conversations none" in asking._view.said and not asking._view.progress


def test_a_name_that_nobody_chose_follows_the_prompts() -> None:
    rollout = Rollout("expert", "warm", share=0.2, language="en")
    assert rollout.experiment == "expert or warm" and "'expert or warm'" in rollout.code
    rollout.new = "brief"
    assert rollout.experiment == "brief or warm" and "{'brief': 0.2, 'warm': 0.8}" in rollout.code
    rollout.experiment = "spring"
    rollout.new = "expert"
    assert rollout.experiment == "spring"
    before = {who for who, prompt in rollout.met.items() if prompt == "expert"}
    rollout.share = 0.6
    assert before <= {who for who, prompt in rollout.met.items() if prompt == "expert"}
    assert assign("gid://shopify/Customer/1", "spring", rollout.shares) in rollout.shares


def test_where_nothing_can_be_dealt_nothing_of_before_is_left() -> None:
    rollout = Rollout("expert", "warm", language="es")
    rollout.counts = [50, 950]
    assert rollout.ratio and rollout.told and "lista_rota" not in rollout.met
    rollout.new = "warm"
    assert "el mismo prompt" in rollout.problem
    assert not (rollout.told or rollout.code or rollout.ratio or rollout.met)
    rollout.new = "expert"
    assert not rollout.problem and rollout.told and rollout.ratio
