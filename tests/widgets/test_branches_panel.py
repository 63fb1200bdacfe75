"""«Go on from here» in the conversation window, by its methods: what a click does, a call does too."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clara_kit import ConversationWindow, Settings, simulate
from clara_kit.core.errors import ClaraError
from clara_kit.lab.shelf import kept
from clara_kit.measure.run import Run
from clara_kit.runtime.run_log import RunLog
from clara_kit.widgets.branches import KNOBS
from clara_kit.widgets.words import WORDS

OTHER = "¿Tienen algo para las manchas?"


@pytest.fixture
def window(tmp_path: Path) -> ConversationWindow:
    run = simulate(
        ["¿Qué limpiador me recomiendas?", "Gracias"],
        Settings.preset("tuned"),
        seed=7,
        customer="camila",
        template="warm",
    )
    folder = RunLog(run.inputs, title="recorded", root=tmp_path).close([*run.trace], words=run.words).folder
    assert folder is not None
    return ConversationWindow(folder)


def _press(window: ConversationWindow, act: str, **more: Any) -> None:
    window._handle_custom_msg({"kind": "branch", "do": act, **more}, [])


def test_the_panel_offers_prompts_customers_and_settings_and_begins_at_the_chosen_moment(
    window: ConversationWindow,
) -> None:
    window._handle_custom_msg({"kind": "at", "at_ms": 5000.0}, [])
    assert window.branch_at == 5000 and window.can_branch and not window.branch_open
    _press(window, "open")
    assert (
        window.branch_open
        and "brief" in window.branch_choices["prompts"]
        and [row["number"] for row in window.branch_tree] == [""]
    )
    assert {name for name, *_ in window.branch_choices["knobs"]} == set(KNOBS)
    assert all(f"br_{name}" in WORDS for name in KNOBS)
    window.next()
    assert window.branch_at == window.here.at_ms
    window._handle_custom_msg({"kind": "at", "at_ms": 1e9}, [])
    assert window.branch_at == window._run.events[-1].at_ms  # type: ignore[union-attr]


def test_answers_of_one_moment_are_siblings_and_what_is_shown_is_gone_on_from(window: ConversationWindow) -> None:
    window._handle_custom_msg({"kind": "at", "at_ms": 5000.0}, [])
    for more in ({}, {"template": "brief"}, {"customer": "antonia", "settings": {"tts_speed": 1.2}, "cuts_in": False}):
        _press(window, "ask", text=OTHER, **more)
    assert [row["number"] for row in window.branch_tree] == ["", "1", "2", "3"] and window.branch_problem == ""
    last = window.branch_tree[-1]
    assert last["changed"] == ["antonia", "Voice speed 1.2"] and "Antonia" in last["answer"] and last["ms"] > 0
    assert window.branch_tree[1]["notes"][0].startswith("Clara was speaking") and sum(
        ms for _, ms in last["stages"]
    ) == pytest.approx(last["ms"], abs=3)
    steps = window.steps
    _press(window, "show", number="2")
    assert window.branch_shown == "2" and window.steps != steps and window.has_sound and "simulated" in window.whose
    assert window.branch_at == 5000 and window.here.at_ms <= 5000
    window.branch_at = 1e9
    window.go_on("¿Y cuánto cuesta?")
    assert window.branch_tree[3]["number"] == "2.1" and window.branch_tree[3]["depth"] == 2
    _press(window, "show", number="")
    assert window.steps == steps


def test_an_answer_is_heard_renamed_kept_and_deleted(
    window: ConversationWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(window, "send", lambda content, buffers=None: sent.append((content, buffers)))
    window.go_on(OTHER, at_ms=5000)
    _press(window, "hear", number="1")
    assert sent[0][0] == {"kind": "branch_sound", "number": "1"} and sent[0][1][0][:4] == b"RIFF"
    _press(window, "name", number="1", text="  spots \n first ")
    assert window.branch_tree[1]["name"] == "spots first"
    _press(window, "keep", number="1")
    assert [one.title for one in kept(tmp_path)][:1] == ["spots first"] and window.branch_tree[1]["kept"]
    again = ConversationWindow(kept(tmp_path)[1].folder)
    _press(again, "open")
    assert [row["name"] for row in again.branch_tree] == ["", "spots first"]  # it is found again
    _press(window, "show", number="1")
    _press(window, "delete", number="1")
    assert len(window.branch_tree) == 1 and window.branch_shown == "" and len(kept(tmp_path)) == 2


def test_two_answers_are_put_side_by_side(window: ConversationWindow) -> None:
    window.go_on("¿Qué limpiador me recomiendas?", at_ms=5000)
    window.go_on("¿Qué limpiador me recomiendas?", at_ms=5000, template="brief")
    _press(window, "beside", number="1", text="2")
    left, right = window.branch_apart["sides"]
    assert left[0] == "1" and right[0] == "2" and any(differs for _, differs in left[3] + right[3])


def test_what_goes_wrong_is_told_in_the_panel_and_nonsense_changes_nothing(window: ConversationWindow) -> None:
    for act, more in (
        ("ask", {"text": " "}),
        ("show", {"number": "7"}),
        ("keep", {"number": ""}),
        ("delete", {"number": ""}),
    ):
        _press(window, act, **more)
        assert window.branch_problem, act
    for nonsense in (
        {},
        {"do": "ask"},
        {"do": "show", "number": 3},
        {"do": "ask", "text": 7},
        {"do": "name", "number": "1"},
    ):
        window._handle_custom_msg({"kind": "branch", **nonsense}, [])
    _press(window, "ask", text=OTHER, settings={"seed": 3, "tts_speed": "fast"}, template=7, customer=None)
    assert window.branch_problem == "" and window.branch_tree[-1]["changed"] == []
    window.language = "es"
    _press(window, "ask", text=" ")
    assert "línea" in window.branch_problem


def test_a_real_customers_words_stay_out_of_what_the_page_keeps(window: ConversationWindow) -> None:
    run = window._run
    assert isinstance(run, Run)
    real = replace(run, inputs={**run.inputs, "modes": {**run.modes, "shop": "live"}, "customer": "0" * 12}, folder=None,
                   words={name: "Zunilda" if name == "{first_name}" else word for name, word in run.words.items()})  # fmt: skip
    shown = ConversationWindow(real)
    shown.go_on("Soy Zunilda, ¿tienen algo para las manchas?", at_ms=5000)
    assert "Zunilda" not in json.dumps(
        {name: value for name, value in shown.get_state().items() if name not in ("_esm", "_css")}, default=str
    )


def test_a_run_that_never_began_has_nothing_to_go_on_from() -> None:
    empty = ConversationWindow(Run(inputs={"modes": {"llm": "sim"}, "settings": {}}, trace=()))
    assert not empty.can_branch
    with pytest.raises(ClaraError):
        empty.go_on("Hola")
