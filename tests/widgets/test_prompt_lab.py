"""The prompt lab without a browser: choose, plan, run, stop, go on, read, hear, rate, judge, save; by what the page sends."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import soundfile

from clara_kit.core.errors import ClaraError
from clara_kit.lab.experiment.plan import Plan
from clara_kit.lab.kernel import Kernel
from clara_kit.lab.scores.judge import Judged, Verdicts
from clara_kit.prompts.template import PromptTemplate
from clara_kit.widgets import prompt_lab as module
from clara_kit.widgets import prompt_lab_judge as judge_module
from clara_kit.widgets import prompt_studio
from clara_kit.widgets.prompt_lab import STEPS, PromptLab
from clara_kit.widgets.prompt_lab_judge import Judging
from clara_kit.world.scenario import Scenario
from clara_kit.world.voices import clara_voice

CLEANSER = "limpiador_piel_mixta"


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    fresh = Kernel()
    for one in (module, prompt_studio):
        monkeypatch.setattr(one, "KERNEL", fresh)
    return fresh


@pytest.fixture
def lab(tmp_path: Path) -> PromptLab:
    lab = PromptLab(folder=tmp_path / "prompts", root=tmp_path / "experiments", scenarios=tmp_path / "mine")
    lab.choose(scenarios=[CLEANSER], customers=["camila", "rosario"])
    return lab


def by_hand(lab: PromptLab, kind: Any, **more: Any) -> None:
    """What the page sends."""
    lab._view._handle_custom_msg({"kind": kind, **more}, [])


def refuse(*_: Any) -> Any:
    raise ClaraError("There is no key.")


def test_what_a_choice_takes_is_said_before_it_begins(lab: PromptLab, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand(lab, "choose", changes={"seeds": 3, "customers": ["camila"], "nobody": 1, "llm": 7})
    by_hand(lab, "plan")
    plan = lab._view.plan
    assert (plan["conversations"], plan["calls"], plan["usd"], plan["few"]) == (6, 0, "0", True)
    assert lab._view.chosen["llm"] == "scripted" and "nobody" not in lab._view.chosen
    monkeypatch.setattr(module.shown, "planned", refuse)
    by_hand(lab, "plan")
    assert lab._view.plan == {} and "no key" in lab._view.problem  # and not what the other choice would have taken
    monkeypatch.undo()
    by_hand(lab, "choose", changes={"customers": []})
    by_hand(lab, "plan")
    assert lab._view.plan["nothing"]
    by_hand(lab, "run")
    assert "Nothing is chosen" in lab._view.problem and lab.experiment is None


def test_both_prompts_meet_the_same_occasions_and_what_differs_is_marked(lab: PromptLab) -> None:
    by_hand(lab, "run")
    assert lab.wait() == "done"
    assert [pair["key"] for pair in lab._view.pairs] == [[CLEANSER, c, 0] for c in ("camila", "rosario")]
    assert all(pair["differs"] for pair in lab._view.pairs)
    by_hand(lab, "go", step="read")
    reading = lab._view.reading
    assert reading["title"] == Scenario.load(CLEANSER).title and reading["mix"] == "simulated"
    greeting = reading["turns"][0]["sides"]
    assert any(differs for _, differs in greeting[0]["pieces"]) and "Camila" in greeting[0]["pieces"][0][0]
    by_hand(lab, "read", key=[CLEANSER, "rosario", 0])
    assert lab._view.reading["key"][1] == "rosario"


def test_a_prompt_against_itself_differs_nowhere(lab: PromptLab) -> None:
    lab.choose(a="brief")
    assert lab._view.sides["equal"]
    lab.run()
    lab.wait()
    assert not any(pair["differs"] for pair in lab._view.pairs)
    lab.read(CLEANSER, "camila", 0)
    assert all(turn["same"] for turn in lab._view.reading["turns"])


def test_an_answer_is_heard_as_it_was_written(lab: PromptLab) -> None:
    lab.run()
    lab.wait()
    lab.go("read")
    sent: list[Any] = []
    lab._view.send = lambda content, buffers=None: sent.append((content, buffers))  # type: ignore[method-assign]
    by_hand(lab, "hear", side=1, turn=1, of="x")
    sound, _ = soundfile.read(io.BytesIO(sent[0][1][0]), dtype="int16")
    words = " ".join(text for text, _ in lab._view.reading["turns"][1]["sides"][1]["pieces"])
    assert (sound == clara_voice().synthesize(words).sound.samples).all() and sent[0][0]["of"] == "x"


def test_a_bad_answer_becomes_a_scenario(lab: PromptLab, tmp_path: Path) -> None:
    lab.run()
    lab.wait()
    lab.go("read")
    by_hand(lab, "make", side=1, turn=2)
    (kept,) = (tmp_path / "mine").glob("*.yaml")
    made = Scenario.load(kept)
    assert made.topic == "routine" and made.script is not None and lab._view.reading["made"] == made.title
    assert [line.text for line in made.script.lines] == [line.text for line in Scenario.load(CLEANSER).script.lines]  # type: ignore[union-attr]
    by_hand(lab, "make", side=0, turn=0)
    assert lab._view.problem  # a greeting answers nobody


def test_a_rater_never_learns_which_prompt_is_which_goes_on_where_they_were_and_may_undo(lab: PromptLab) -> None:
    by_hand(lab, "rater", name="ana")
    assert "nothing to rate" in lab._view.problem
    lab.run()
    lab.wait()
    by_hand(lab, "go", step="rate")
    by_hand(lab, "rater", name="ana")
    rating = lab._view.rating
    assert (rating["n"], rating["all"], rating["can_undo"]) == (0, 2, False)
    assert not {"key", "left", "right", "runs"} & rating.keys()
    by_hand(lab, "rate", which="left")
    preferred = lab._blind.blind.ratings.kept()[0].preferred  # type: ignore[union-attr]
    by_hand(lab, "rate", which="undo")
    assert lab._view.rating["sides"] == rating["sides"]  # the same pair, the same sides
    by_hand(lab, "rate", which="right")
    by_hand(lab, "rater", name="ana")
    assert lab._view.rating["n"] == 1
    by_hand(lab, "rates")
    other = "B" if preferred == "A" else "A"
    assert f"{other} {'preferred ' if other == 'A' else ''}1 times" in lab._view.rating["result"]
    for nonsense in ("nobody", None):
        by_hand(lab, "rate", which=nonsense)
        assert lab._view.rating["n"] == 1 and "no choice" in lab._view.problem
    by_hand(lab, "rater", name="  ")
    assert "alias" in lab._view.problem


def test_a_stopped_run_goes_on_where_it_was_and_other_choices_make_its_results_stale(lab: PromptLab) -> None:
    lab._running.stop = lambda: None  # type: ignore[method-assign]
    lab._running._stop.clear = lambda: lab._running._stop.set()  # type: ignore[method-assign]
    lab.run()
    assert lab.wait() == "stopped" and lab._view.progress["state"] == "stopped"
    lab._running._stop = type(lab._running._stop)()
    lab.run()
    assert lab.wait() == "done" and not lab._view.progress["stale"]
    lab.studio.edit(lab.studio.text.replace("Soy Clara.", "Te habla Clara."))
    assert lab._view.progress["stale"] and "not saved" in lab._view.sides["b"]
    lab.studio.undo()
    assert not lab._view.progress["stale"]


def test_a_verdict_on_scripted_answers_is_headed_as_a_rehearsal_in_both_languages(tmp_path: Path) -> None:
    for language, word in (("en", "rehearsal"), ("es", "ensayo")):
        lab = PromptLab(root=tmp_path, language=language)  # type: ignore[arg-type]
        lab.choose(scenarios=[CLEANSER], customers=["camila"])
        lab.run()
        lab.wait()
        verdict = lab._view.verdict
        assert verdict["rehearsal"] and word in verdict["heading"] and word in verdict["sentence"]
        assert {row["sure"] for row in verdict["effects"]} == {"unsure"}  # one scenario: nothing can be said


def test_the_method_is_tried_on_what_was_run(lab: PromptLab) -> None:
    lab.choose(scenarios=[one.name for one in Scenario.all(mine=False)][:6], customers=["camila"])
    lab.run()
    lab.wait()
    by_hand(lab, "by", metric="kept")
    by_hand(lab, "check")
    assert lab._view.verdict["checking"] and lab._checking is not None
    lab._checking.exception()
    by_hand(lab, "look")
    assert "equal by construction" in lab._view.verdict["checked"] and not lab._view.verdict["checking"]


def test_nobody_spends_money_without_having_agreed(lab: PromptLab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def spends(*_: Any, ask: Any, budget_usd: float, **__: Any) -> Any:
        asked.append(
            ask(
                Plan(
                    id="",
                    conversations=2,
                    known=0,
                    calls=4,
                    usd=0.5,
                    usd_more=0.2,
                    seconds=9,
                    llm="recorded",
                    pays=True,
                )
            )
        )
        raise ClaraError(f"It would have run for US$ {budget_usd}.")

    monkeypatch.setattr(module, "run_experiment", spends)
    for llm in ("live", "recorded"):  # recorded answers that are missing are asked for, where there is a key
        lab.choose(llm=llm, budget_usd=2)
        by_hand(lab, "run")
        lab.wait()
        assert asked == [] and "costs money" in lab._view.progress["error"]
    by_hand(lab, "run", agreed=True)
    lab.wait()
    assert asked == [True] and "US$ 2" in lab._view.progress["error"]


def test_answers_that_are_not_recorded_are_said_to_be_not_tested(lab: PromptLab) -> None:
    lab.choose(llm="recorded")
    lab.studio.edit(lab.studio.text.replace("Soy Clara.", "Te habla Clara, la de las pruebas."))
    assert lab.plan()["missing"] >= 2
    lab.run()
    lab.wait()
    assert "not tested" in lab._view.verdict["mix"]


def test_the_winner_is_saved_as_a_new_version_and_used(lab: PromptLab, tmp_path: Path, kernel: Kernel) -> None:
    by_hand(lab, "save", side="B", note="x")
    assert "nothing to save" in lab._view.saved["text"] and not (tmp_path / "prompts").exists()
    lab.studio.edit(lab.studio.text.replace("Soy Clara.", "Te habla Clara."))
    by_hand(lab, "save", side="B", note="más cálida", use=True)
    saved = PromptTemplate.load(tmp_path / "prompts" / "brief.v2.md")
    assert saved.note == "más cálida" and "Te habla Clara." in saved.source
    assert kernel.prompt == saved.name and "brief v2" in lab._view.saved["text"]
    by_hand(lab, "save", side="A", use=True)
    assert kernel.prompt == "warm"


def test_nonsense_from_a_page_changes_nothing(lab: PromptLab) -> None:
    for nonsense in (
        None,
        [],
        {"kind": "hear"},
        {"kind": "read", "key": 3},
        {"kind": "choose"},
        {"kind": "choose", "changes": 3},
        {"kind": ["x"]},
    ):
        lab._view._handle_custom_msg(nonsense, [])
    assert lab._view.step == STEPS[0]
    by_hand(lab, "go", step="nowhere")
    assert "no step" in lab._view.problem
    with pytest.raises(ClaraError):
        lab.choose(a="no such prompt")
    by_hand(lab, "choose", changes={"a": "no such prompt"})
    assert "no such prompt" in lab._view.problem and lab._view.chosen["a"] == "warm"


def test_what_is_read_is_labelled_as_it_ran_and_another_choice_shows_nothing_of_the_one_before(lab: PromptLab) -> None:
    by_hand(lab, "read", key=[CLEANSER, "camila", 0])
    assert "nothing to read yet" in lab._view.problem
    lab.run()
    lab.wait()
    lab.choose(a="expert")
    lab.read(CLEANSER, "camila", 0)
    assert lab._view.reading["sides"]["a"].startswith("warm") and lab._view.sides["a"].startswith("expert")
    lab.choose(llm="recorded")
    lab.run()  # other answers: not those of before while it runs, or where it fails
    lab.wait()
    assert lab.experiment is None or lab.experiment.inputs["llm"] == "recorded"


def test_a_run_may_end_when_it_is_sure_and_then_says_by_what(lab: PromptLab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lab._asked_for()["stop_when_sure"] == ""
    by_hand(lab, "choose", changes={"until_sure": True})
    assert lab._asked_for()["stop_when_sure"] == "kept"
    lab.run()
    assert lab.wait() == "done" and module.shown.early(lab.experiment, "en") == []
    lab.experiment.facts["ended_early"] = "it was sure"
    told = module.shown.early(lab.experiment, "es")
    assert told[0].startswith("Terminó antes, como se pidió, por «cumple todo lo exigido»")


def test_scripted_answers_have_no_judge_and_say_why(lab: PromptLab) -> None:
    by_hand(lab, "judge", agreed=True)
    assert "nothing to rate yet" in lab._view.problem
    lab.run()
    lab.wait()
    lab.go("rate")
    assert "scripted" in lab._view.rating["judge"]["why_not"]
    by_hand(lab, "judge", agreed=True)
    assert "nothing to judge" in lab._view.problem


def test_a_judge_is_asked_by_whoever_agreed_and_what_it_says_is_counted(
    lab: PromptLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run()
    lab.wait()
    judging = Judging(lab.experiment, "en")
    lab.experiment.inputs["llm"], lab.experiment.__dict__["rehearsal"] = "recorded", False
    rows = tuple(((CLEANSER, who, 0), Judged(preference="right", calls=2, usd=0.01)) for who in ("camila", "rosario"))
    monkeypatch.setattr(judge_module, "judge_experiment", lambda *_, **__: Verdicts("A", "B", rows))
    lab._judging = judging
    by_hand(lab, "judge")
    assert "costs money" in lab._view.problem
    assert judging.shown()["calls"] == 4 and float(judging.shown()["usd"]) > 0
    by_hand(lab, "judge", agreed=True)
    assert judging._at is not None and judging._at.result(30)
    assert "preferred A 0 times, B 2 times" in judging.shown()["said"]


def test_a_rater_whose_alias_is_none_goes_on_as_before(lab: PromptLab) -> None:
    lab.run()
    lab.wait()
    lab.go("rate")
    by_hand(lab, "rater", name="")
    assert lab._view.problem
    by_hand(lab, "rate", which="left")
    assert lab._view.rating["n"] == 1
