"""Two prompts side by side, by the methods that the buttons call."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import soundfile

from clara_kit import Comparison
from clara_kit.lab.apart import Pair, answers
from clara_kit.lab.questions import USUAL
from clara_kit.world.script import Script
from clara_kit.world.voices import clara_voice


def test_differences_are_marked_and_the_pieces_joined_are_the_answers() -> None:
    pair = Pair("¿?", "Te recomiendo el gel Brisa. Cuesta $9.990.", "Te recomiendo la crema Alba. Cuesta $9.990.")
    left, right = pair.pieces()
    assert [words for words, differs in left if differs] == ["el gel Brisa."]
    assert [words for words, differs in right if differs] == ["la crema Alba."]
    assert " ".join(words for words, _ in left) == pair.left and not pair.same
    assert Pair("¿?", "", "").same and Pair("¿?", "uno", "").pieces() == ([("uno", True)], [])


def test_each_question_is_asked_of_both_prompts() -> None:
    pairs = answers(["¿Hacen despachos a regiones?", "", " ¿Qué limpiador uso? "], "camila", "warm", "brief")
    assert [pair.question for pair in pairs] == ["¿Hacen despachos a regiones?", "¿Qué limpiador uso?"]
    assert not pairs[1].same and "Brisa" in pairs[1].left and "Brisa" in pairs[1].right
    assert all(pair.same for pair in answers(["¿Hacen despachos?"], "camila", "warm", "warm"))


def test_questions_are_kept_by_a_name_and_taken_again(tmp_path: Path) -> None:
    widget = Comparison(folder=tmp_path / "lists")
    widget.questions = "¿Cuánto cuesta?\n\n  ¿Y si compro   dos? \n"
    widget._handle_custom_msg({"kind": "keep", "name": "  los  precios "}, [])
    assert widget.problem == "" and widget.kept_at == str(tmp_path / "lists" / "los precios.txt")
    assert ["mine/los precios", "los precios"] in widget.question_lists
    widget._handle_custom_msg({"kind": "take", "name": "demo"}, [])
    assert widget.questions.splitlines() == [line.text for line in Script.load("demo").lines if line.text]
    widget._handle_custom_msg({"kind": "take", "name": "mine/los precios"}, [])
    assert widget.questions == "¿Cuánto cuesta?\n¿Y si compro dos?"
    assert widget.take("usual") == USUAL
    for name in ("../elsewhere", "", "a/b", "x" * 61, "\0"):
        widget._handle_custom_msg({"kind": "keep", "name": name}, [])
        assert "no name for a list" in widget.problem
    for name in ("mine/never kept", "mine/../lists/los precios", "no such script"):
        widget._handle_custom_msg({"kind": "take", "name": name}, [])
        assert widget.problem
    widget.questions = " \n"
    widget._handle_custom_msg({"kind": "keep", "name": "nothing"}, [])
    assert "no question" in widget.problem and len(list(tmp_path.glob("lists/*"))) == 1


def test_how_far_it_is_is_told_while_it_compares() -> None:
    widget, told = Comparison(), []
    widget.observe(lambda change: told.append(change.new), names="progress")
    widget.compare("¿Hacen despachos?\nGracias.")
    assert told == ["1 / 2", "2 / 2", ""]


def test_the_buttons_compare_and_let_each_answer_be_heard() -> None:
    widget = Comparison("camila", "warm", "brief")
    widget.questions = "¿Qué limpiador uso?\n¿Hacen despachos a regiones?"
    widget._handle_custom_msg({"kind": "compare"}, [])
    assert len(widget.rows) == 2 and widget.same == sum(pair.same for pair in widget.pairs)
    sent: list[Any] = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers))  # type: ignore[method-assign]
    widget._handle_custom_msg({"kind": "hear", "row": 0, "side": "right"}, [])
    sound, _ = soundfile.read(io.BytesIO(sent[0][1][0]), dtype="int16")
    assert (sound == clara_voice().synthesize(widget.pairs[0].right).sound.samples).all()
    for nonsense in (
        None,
        [],
        {"kind": "hear"},
        {"kind": "hear", "row": 9, "side": "left"},
        {"kind": "hear", "row": 0, "side": "x"},
    ):
        widget._handle_custom_msg(nonsense, [])
    assert len(sent) == 1
    widget._handle_custom_msg({"kind": "compare"}, [])
    assert widget.asked == ["warm", "brief"] and widget.progress == ""
    widget.choose(left="no such prompt")
    widget._handle_custom_msg({"kind": "compare"}, [])
    assert "no such prompt" in widget.problem


def test_a_comparison_without_a_question_says_so() -> None:
    compared = Comparison("camila", "warm", "brief", language="es")
    compared.questions = " \n"
    compared._handle_custom_msg({"kind": "compare"}, [])
    assert compared.rows == [] and "ninguna pregunta" in compared.problem
