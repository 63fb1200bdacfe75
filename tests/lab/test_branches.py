"""Any moment of a recorded conversation can be entered again, and something else said in it."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Mapping
from pathlib import Path

import pytest

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError, SettingsError, TemplateError
from clara_kit.core.profile import CustomerProfile
from clara_kit.core.settings import Keys, Settings
from clara_kit.lab.again import script_of
from clara_kit.lab.branches import Branch, branch
from clara_kit.lab.calls.brains import brain_for
from clara_kit.lab.replay import replay
from clara_kit.lab.shelf import kept
from clara_kit.measure.run import Run
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.world.brain import Written
from clara_kit.world.sim import simulate

LINES = ["¿Qué limpiador me recomiendas para la piel mixta?", "¿Y cuánto cuesta el despacho?", "Muchas gracias, Clara."]
OTHER = "¿Tienen algo para las manchas?"


@pytest.fixture(scope="module")
def run() -> Run:
    return simulate(
        {"title": "recorded", "lines": LINES}, Settings.preset("tuned"), seed=7, customer="camila", template="warm"
    )


def _starts(run: Run, number: int) -> float:
    return [e.at_ms for e in run.events if type(e) is ev.SpeakingStarted][number]


def test_the_same_moment_gets_another_answer_and_what_was_before_it_stays(run: Run) -> None:
    at = branch(run, at_ms=_starts(run, 1) + 1500)
    other = at.go_on(OTHER)
    before = len([r for r in run.trace if r.at_ms <= at.at_ms])
    assert other.run.trace[:before] == run.trace[:before]
    assert "manchas" in other.answer and other.turn is not None and other.turn.total_ms is not None
    assert not any(
        isinstance(e, ev.TranscriptFinal) and e.at_ms > at.at_ms for e in other.run.events
    )  # the customer is another
    assert replay(other.run).same


def test_what_clara_remembers_there_is_what_was_heard(run: Run) -> None:
    other = branch(run, at_ms=_starts(run, 1) + 1500).go_on(OTHER)
    asked = [r for r in other.run.trace if isinstance(r, do.RequestReply)][-1]
    answer = run.ledger[1].clara
    heard = [m.text for m in asked.messages if m.role == "assistant"][-1]
    assert answer not in heard and any(heard.endswith(answer[:n]) for n in range(5, len(answer)))


def test_who_is_cut_in_on_is_told_so_and_may_be_let_finish(run: Run) -> None:
    at = branch(run, at_ms=_starts(run, 1) + 1500)
    cut, after = at.go_on(OTHER), at.go_on(OTHER, cuts_in=False)
    assert [name for name, _ in cut.notes] == ["cut"] and cut.about["under_way"] == "cut"
    assert [name for name, _ in after.notes] == ["continued"] and after.about["under_way"] == "continued"
    assert after.run.ledger[1].heard is None and cut.run.ledger[1].unheard
    assert "went unheard" in cut.told()[0] and "no se oyó" in cut.told("es")[0]


def test_a_reply_in_the_middle_is_dropped_or_comes_as_it_was_recorded(run: Run) -> None:
    deltas = [n for n, e in enumerate(run.events) if type(e) is ev.ReplyDelta]
    at = branch(run, deltas[2])
    dropped = at.go_on(OTHER)
    assert "dropped" in dict(dropped.notes)
    assert at.go_on(OTHER, cuts_in=False).run.ledger[1].clara == run.ledger[1].clara


def test_words_of_the_customer_that_were_under_way_go_on_in_the_line(run: Run) -> None:
    interim = next(n for n, e in enumerate(run.events) if type(e) is ev.TranscriptInterim)
    other = branch(run, interim).go_on("para las manchas")
    asked = [r for r in other.run.trace if isinstance(r, do.RequestReply)][-1]
    assert (
        "words" in dict(other.notes)
        and asked.text.endswith("para las {concern_1}")
        and len(asked.text) > len("para las {concern_1}")
    )


def test_every_moment_can_be_gone_on_from(run: Run) -> None:
    for step in range(0, len(run.events), 7):
        for cuts_in in (True, False):
            other = branch(run, step).go_on(OTHER, cuts_in=cuts_in)
            assert other.turn is not None and other.turn.customer.endswith("{concern_1}?") and other.answer, (
                step,
                cuts_in,
            )
            assert replay(other.run).same


def test_equal_branches_have_equal_bytes_and_another_line_has_other_ones(run: Run) -> None:
    texts = [branch(run, at_ms=9000).go_on(line).run.to_jsonl() for line in (OTHER, OTHER, OTHER + " ¿Sí?")]
    assert texts[0] == texts[1] != texts[2]


def test_prompt_customer_and_settings_may_be_others(run: Run) -> None:
    at = branch(run, at_ms=9000)
    usual, brief, hers, few = (
        at.go_on(LINES[0]), at.go_on(LINES[0], template="brief"), at.go_on(LINES[0], customer="antonia"),
        at.go_on(LINES[0], settings={"llm_max_tokens": 5}),
    )  # fmt: skip
    assert len({one.answer for one in (usual, brief, hers, few)}) == 4
    assert usual.run.inputs["template"]["id"] == "warm" and brief.run.inputs["template"]["id"] == "brief"
    assert "Antonia" in hers.run.revealed().to_jsonl() and "Camila" not in hers.run.revealed().to_jsonl()
    assert few.run.settings == run.settings and replay(few.run).same  # the change is an event of its own
    left, right = usual.beside(brief)
    assert any(differs for _, differs in left + right)


def test_branches_of_branches_are_a_tree(run: Run) -> None:
    at = branch(run, at_ms=9000)
    one, two = at.go_on(OTHER), at.go_on("¿Hacen envíos a regiones?")
    deeper = one.go_on("¿Y cuánto cuesta?")
    again = deeper.go_on("Otra cosa", at_ms=10_000)
    assert [node.number for node in at.walk()] == ["", "1", "1.1", "1.1.1", "2"]
    assert deeper.about["of"] == one.id == one.run.experiment_id and again.from_ms == 10_000 and two.root is at
    assert [turn.customer for turn in deeper.run.revealed().ledger][-2:] == [OTHER, "¿Y cuánto cuesta?"]
    one.drop()
    assert [node.number for node in at.walk()] == ["", "2"]
    assert at.go_on(OTHER).number == "3"


def test_a_kept_branch_is_a_run_like_any_other_and_names_where_it_comes_from(run: Run, tmp_path: Path) -> None:
    other = branch(run, at_ms=9000).go_on(OTHER)
    folder = other.keep("The other way", root=tmp_path).folder
    assert folder is not None
    again = Run.load(folder)
    assert again.to_jsonl() == other.run.to_jsonl() and again.title == "The other way" and again.problems == ()
    assert again.inputs["branch"]["of"] == run.run_id and again.inputs["branch"]["at_ms"] == 9000
    assert kept(tmp_path)[0].customer == "camila"
    assert _channels(folder.joinpath("conversation.wav").read_bytes()) == 2
    assert "manchas" in branch(folder).go_on(OTHER).answer
    assert [line.text for line in script_of(again).lines] == [LINES[0], OTHER][
        -len(again.ledger) + 1 :
    ]  # played again: its own lines
    other.go_on("¿Y cuánto cuesta?").keep(root=tmp_path)
    found = branch(run, at_ms=9000)
    found.gather(tmp_path)
    assert [(node.name, node.line) for node in found.walk()][1:] == [
        ("The other way", OTHER),
        ("recorded ▸ 1.1", "¿Y cuánto cuesta?"),
    ]
    found.gather(tmp_path)
    assert len([*found.walk()]) == 3 and found.children[0].told() == other.told()


def test_the_words_of_a_shops_customer_are_not_written(run: Run, tmp_path: Path) -> None:
    real = Run(
        inputs={**run.inputs, "modes": dict.fromkeys(run.modes, "live"), "customer": "0" * 12}, trace=run.trace, facts={"run_id": "r"},
        words={name: "Zunilda" if name == "{first_name}" else word for name, word in run.words.items()},
    )  # fmt: skip
    other = branch(real, at_ms=9000).go_on("Soy Zunilda, ¿tienen algo para las manchas?", name="hers")
    assert (
        "{first_name}" in other.line
        and "Zunilda" not in repr(other)
        and other.run.mix.startswith("stt live, llm live then sim")
    )
    folder = other.keep(root=tmp_path).folder
    assert folder is not None and not (folder / "customer_words.json").exists()
    written = "".join(path.read_text() for path in folder.glob("*.json*"))
    assert "Zunilda" not in written and "{first_name}" in written and "known" in dict(other.notes)


def test_a_customer_given_to_a_run_that_had_none_is_known_from_there_on() -> None:
    plain = simulate(LINES[:1], Settings.preset("tuned"))
    other = branch(plain).go_on("Hola, ¿qué me recomiendas?", customer="antonia")
    assert other.run.modes["shop"] == "sim" and other.run.inputs["template"]["id"] == "warm" and other.run.words
    profile = CustomerProfile(first_name="Rigoberta")
    assert "Rigoberta" not in json.dumps(branch(plain).go_on("Hola, soy Rigoberta", customer=profile).run.inputs)


def test_the_sound_is_the_recorded_one_up_to_the_moment_and_the_offline_voice_from_there(
    run: Run, tmp_path: Path
) -> None:
    at = branch(run, at_ms=9000)
    first = at.go_on(OTHER)
    folder = first.keep(root=tmp_path).folder
    assert folder is not None
    whole = (folder / "conversation.wav").read_bytes()
    deeper = branch(folder).go_on("Gracias")
    assert deeper.sound(0.0)[44 : 44 + 8000] == whole[44 : 44 + 8000]  # not spoken again
    assert any(deeper.sound()[44:]) and len(at.sound(at.run.sound_from_ms, at.at_ms)) == 44 + 4 * round(9000 * 22.05)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"line": "  "}, ClaraError), ({"line": "x", "settings": {"greeting": None, "stt_keyterms": ("a",)}}, SettingsError),
        ({"line": "x", "template": "no-such"}, TemplateError), ({"line": "x", "customer": "camila", "template": "Eres Clara, breve."}, SettingsError),
        ({"line": "x", "step": 99_999}, ClaraError),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_hint_and_leaves_no_branch(
    run: Run, wrong: dict[str, object], error: type[ClaraError]
) -> None:
    at = branch(run, at_ms=9000)
    with pytest.raises(error) as told:
        at.go_on(**wrong)  # type: ignore[arg-type]
    assert told.value.hint and at.children == []


def test_a_run_without_events_has_no_moment() -> None:
    with pytest.raises(ClaraError, match="no moment"):
        branch(Run(inputs={"modes": {}, "settings": {}}, trace=()))


def _channels(data: bytes) -> int:
    with wave.open(io.BytesIO(data)) as file:
        return file.getnchannels()


def test_another_brain_writes_the_answer_and_the_run_says_which(run: Run, tmp_path: Path) -> None:
    class Recorded:
        mode = "recorded"

        def write(self, request: ReplyRequest, *, words: Mapping[str, str]) -> Written:
            assert request.messages[-1].text.endswith("{concern_1}?")  # what is kept holds no words of hers
            return Written(
                chunks=((300.0, "Te va bien "), (350.0, "el sérum Aurora.")),
                ends_ms=400.0,
                source="recorded",
                model="claude-x",
            )

    at = branch(run, at_ms=9000)
    other = at.go_on(OTHER, llm=Recorded())
    assert (
        other.answer == "Te va bien el sérum Aurora."
        and other.run.modes["llm"] == "sim then recorded"
        and replay(other.run).same
    )
    assert other.run.inputs["written"] and "written" not in at.go_on(OTHER).run.inputs
    silent = at.go_on(OTHER, llm=brain_for("recorded", Settings(), keys=Keys(), folder=tmp_path) or Recorded())
    assert "failed" in dict(silent.notes) and silent.told()[-1].startswith("The model did not answer")
    with pytest.raises(SettingsError):
        at.go_on(OTHER, llm="parrot")  # type: ignore[arg-type]


def test_a_branch_tells_what_it_is(run: Run) -> None:
    at: Branch = branch(run, at_ms=9000)
    other = at.go_on(OTHER, name="spots")
    assert "1 went on from it" in repr(at) and "spots" in repr(other) and "simulated" in repr(other)
    assert at.answer == "" and at.turn is None and at.moment.at_ms <= 9000
