"""Moments that a person has labelled: made from a run, kept, and held against the decisions as regression tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clara_kit import ConversationWindow, Run, Settings, check_labels, labels, simulate
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError, ScriptError
from clara_kit.lab import labels as kept
from clara_kit.lab.labels import Labelled, case_of, judge

ASKED = "¿Qué protector solar me recomiendas?"
PLAN, TUNED = Settings.preset("plan"), Settings.preset("tuned")
COUGH = {"sound": "cough", "sound_ms": 300, "interrupt_after_ms": 2000}
CASES = [*((c, "shipped") for c in kept.read(kept.SHIPPED)), *((c, "mine") for c in kept.read(kept.MINE))]


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kept, "MINE", tmp_path / "turns" / "mine" / "cases.yml")
    return kept.MINE


def first(run: Run, kind: type) -> float:
    return next(r.at_ms for r in run.trace if isinstance(r, kind))


@pytest.mark.parametrize(
    "case", [c for c, _ in CASES], ids=[f"{n} {whose}, {c.label}" for n, (c, whose) in enumerate(CASES)]
)
def test_a_labelled_moment_comes_out_as_the_person_wants_it(case: Labelled) -> None:
    assert judge(case, TUNED).right, f"{case.label}, but: {judge(case, TUNED)}; recorded: {case.decided}"


def test_each_shipped_one_was_a_mistake_of_some_settings() -> None:
    shipped = kept.read(kept.SHIPPED)
    assert len(shipped) >= 3 and {c.label for c in shipped} == set(kept.LABELS)
    worst = [PLAN, Settings.of(enable_barge_in=False)]
    assert all(any(not judge(c, s).right for s in worst) for c in shipped)


@pytest.mark.parametrize("settings", [PLAN, TUNED, Settings.of(sustained_ms=250)], ids=["plan", "tuned", "250 ms"])
@pytest.mark.parametrize("line", [COUGH, {"text": "ajá", "interrupt_after_ms": 2000}, {"text": "espera", "interrupt_after_ms": 900}])  # fmt: skip
def test_a_case_is_decided_as_the_whole_conversation_is(line: dict[str, object], settings: Settings) -> None:
    before = simulate([ASKED, line], PLAN, seed=5)
    case = case_of(before, first(before, do.InterruptAvatar) + 300, "should not have stopped")
    assert judge(case, PLAN).at_ms == pytest.approx(case.decided_ms, abs=0.2)
    really = simulate([ASKED, line], settings, seed=5)
    stops = [r.at_ms for r in really.trace if isinstance(r, do.InterruptAvatar)]
    judged = judge(case, settings)
    assert judged.stopped is bool(stops) and judged.right is not judged.stopped
    if stops:
        zero = [e.at_ms for e in really.events if isinstance(e, ev.SpeakingStarted)][1]
        assert judged.at_ms == pytest.approx(
            stops[0] - zero, abs=60
        )  # the simulated recogniser takes as long as it draws


def test_who_is_answered_too_early_is_waited_for_or_not() -> None:
    run = simulate(["Y también quería", {"text": "una crema de manos", "at_most_ms": 700}], PLAN, seed=5)
    case = case_of(run, first(run, do.RequestReply), "answered too early")
    assert case.goes_on_ms == pytest.approx(700, abs=1) and case.words[-1][0] == "una crema de manos"
    assert not judge(case, PLAN).right and judge(case, TUNED).right
    assert judge(case, Settings.of(turn_hold_ms=100)) == (False, judge(case, Settings.of(turn_hold_ms=100)).at_ms, True)
    alone = simulate(["Y también quería"], PLAN, seed=5)
    felt = case_of(alone, first(alone, do.RequestReply) + 100, "answered too early")
    assert felt.goes_on_ms is None and not judge(felt, PLAN).right and judge(felt, Settings.of(turn_hold_ms=100)).right


def test_kept_listed_undone_and_checked(mine: Path) -> None:
    run = simulate([ASKED, COUGH], PLAN, seed=5)
    case = case_of(run, first(run, do.InterruptAvatar), "should not have stopped")
    assert kept.keep(case) == mine and labels(mine=True) == (case,) and labels()[-1] == case
    assert case.run == run.run_id and case.begins_ms == 2000.0 and case.words == ()
    (row,) = check_labels(PLAN, [case]).rows
    assert row == (case, (True, case.decided_ms, False))
    assert check_labels(TUNED).right == len(labels()) and "should not have stopped" in check_labels(PLAN)._repr_html_()
    assert kept.undo() == case and kept.undo() is None and labels(mine=True) == ()
    mine.write_text("- {label: nonsense}", "utf-8")
    for ask in (labels, lambda: kept.keep(case)):
        with pytest.raises(ScriptError, match=r"cases\.yml, line 1"):
            ask()
    assert mine.read_text("utf-8") == "- {label: nonsense}"  # what cannot be read is not written over


def test_nothing_personal_is_kept_not_even_of_a_run_that_is_shown_with_its_words() -> None:
    lines = ["Hola, soy Camila", {"text": "espera, Camila", "interrupt_after_ms": 1500}]
    run = simulate(lines, PLAN, customer="camila", seed=5)
    assert "Camila" in run.words.values()
    shown = run.revealed()
    at_ms = [r.at_ms for r in run.trace if isinstance(r, do.InterruptAvatar)][-1]
    for one in (run, shown):
        text = kept.written([case_of(one, at_ms, "should not have stopped")])
        assert "Camila" not in text and "{first_name}" in text


def test_a_name_is_hidden_where_it_is_a_word_and_not_within_another_one() -> None:
    run = simulate([ASKED, {"text": "espera, hasta mañana", "interrupt_after_ms": 1500}], PLAN, seed=5)
    shown = replace(run, words={"{first_name}": "ana", "{purchase_1}": "text", "{purchase_2}": "espera"})
    case = case_of(shown, first(run, do.InterruptAvatar), "should have stopped")
    assert case.words[-1][0] == "{purchase_2}, hasta mañana"


def test_a_damaged_file_says_where_and_what_is_wrong(tmp_path: Path) -> None:
    for text, says in (
        ("- label: yes", r"line 1: \[0\]\.label is malformed"),
        ("- should have stopped", r"line 1: \[0\] is malformed"),
        ("yes", "line 1: the file is malformed"),
    ):
        (path := tmp_path / "cases.yml").write_text(text, "utf-8")
        with pytest.raises(ScriptError, match=says):
            kept.read(path)


def test_a_moment_that_the_label_cannot_mean_is_said() -> None:
    run = simulate([ASKED], PLAN, seed=5)
    with pytest.raises(ClaraError, match="was not stopped"):
        case_of(run, 9000.0, "should not have stopped")
    with pytest.raises(ClaraError, match="had not begun to speak"):
        case_of(run, -5000.0, "should have stopped")
    with pytest.raises(ClaraError, match="had not begun to answer"):
        case_of(run, 100.0, "answered too early")
    with pytest.raises(ClaraError, match="is no label"):
        case_of(run, 100.0, "wrong")  # type: ignore[arg-type]


def test_the_buttons_of_the_window_label_the_moment_that_it_shows(mine: Path) -> None:
    run = simulate([ASKED, COUGH], PLAN, seed=5)
    window = ConversationWindow(run, language="es")
    assert window.can_label
    window.at(first(run, do.InterruptAvatar))
    window._handle_custom_msg({"kind": "label", "label": 0}, [])
    assert [c.label for c in labels(mine=True)] == ["should not have stopped"] and "Tus casos: 1" in window.labelled
    window.go_to(0)
    window._handle_custom_msg({"kind": "label", "label": 2}, [])
    assert "no había empezado a responder" in window.labelled and len(labels(mine=True)) == 1
    for nonsense in ({"kind": "label", "label": 7}, {"kind": "label", "label": "x"}):
        window._handle_custom_msg(nonsense, [])
    window._handle_custom_msg({"kind": "label", "label": None}, [])
    assert labels(mine=True) == () and window.labelled == "Deshecho. Tus casos: 0."
