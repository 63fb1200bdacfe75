"""What differs between two runs, told apart from what only looks so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clara_kit import Run, Settings, simulate
from clara_kit.core.events import ServiceExchanged
from clara_kit.lab.differences import CUT, PARTS, Contrast, differences

LINES = ["¿Hacen despachos a regiones?", "¿Qué limpiador me recomiendas?", "Muchas gracias."]


def found(left: Run, right: Run, part: str) -> dict[tuple[str, str], Contrast]:
    return {
        (one.where, one.what): one for one in differences(left, right).contrasts if one.part == part and not one.same
    }


def test_a_run_does_not_differ_from_itself() -> None:
    run = simulate(LINES, seed=3, customer="camila", template="warm")
    apart = differences(run, run)
    assert apart.comparable and apart.notes == () and apart.frame["same"].all()
    assert {one.part for one in apart.contrasts} == set(PARTS)
    assert set(apart.frame["left_mix"]) == {"simulated"}


def test_a_setting_shows_with_what_it_does_to_each_stage() -> None:
    a, b = simulate(LINES, seed=3), simulate(LINES, Settings.of(turn_hold_ms=400), seed=3)
    (changed,) = found(a, b, "settings").values()
    assert (changed.what, changed.left, changed.right) == ("turn_hold_ms", "0.0", "400.0")
    ledger = found(a, b, "ledger")
    for x, y in zip(a.ledger, b.ledger, strict=True):
        if x.kind != "greeting":
            assert x.total_ms is not None and y.total_ms is not None
            assert ledger[x.customer, "total"].change == pytest.approx(y.total_ms - x.total_ms, abs=0.1)
            assert ledger[x.customer, "hear"].change == pytest.approx(400, abs=0.1)
    assert found(a, b, "talk") == {}
    assert "turn_hold_ms" in differences(a, b)._repr_html_() and "simulated" in differences(a, b)._repr_html_()


def test_questions_are_paired_by_their_words_and_the_answers_words_are_marked() -> None:
    a = simulate(LINES, seed=3, customer="camila", template="warm")
    b = simulate(
        ["¿hacen despachos a regiones", "¿Cuánto cuesta?", *LINES[1:]], seed=3, customer="camila", template="brief"
    )
    talk = found(a, b, "talk")
    alone, both = talk["¿Cuánto cuesta?", "answer"], talk["¿Qué limpiador me recomiendas?", "answer"]
    assert alone.left is None and alone.right
    left, right = both.pieces()
    assert (
        "Camila" in str(both.left) and any(apart for _, apart in left + right) and not all(apart for _, apart in left)
    )
    assert ("Muchas gracias.", "answer") not in talk or talk["Muchas gracias.", "answer"].left is not None


def test_changed_sentences_of_a_prompt_stand_beside_each_other() -> None:
    a = simulate(LINES[:1])
    texts = ["Eres Clara. Trata de tú. Sé breve.", "Eres Clara. Trata de usted. Sé breve.\nNombra el precio."]
    one, other = (replace(a, inputs={**a.inputs, "prompt": text}) for text in texts)
    prompt = list(found(one, other, "prompt").values())
    assert [(line.left, line.right) for line in prompt] == [
        ("Trata de tú.", "Trata de usted."),
        (None, "Nombra el precio."),
    ]


def test_what_was_never_heard_stands_behind_a_sign() -> None:
    run = simulate("demo")
    answers = [str(one.left) for one in differences(run, run).contrasts if one.what == "answer"]
    cut = [turn for turn in run.revealed().ledger if turn.unheard]
    assert cut and [f"{turn.heard}{CUT}{turn.unheard}" for turn in cut] == [text for text in answers if CUT in text]


def test_times_of_another_mix_or_speed_are_not_comparable() -> None:
    a = simulate(LINES[:1], seed=1)
    twins = replace(a, inputs={**a.inputs, "modes": dict.fromkeys(a.modes, "twin")})
    assert not differences(a, twins).comparable and differences(a, twins).notes == ("mix",)
    exchanged = replace(a, trace=(*a.trace, ServiceExchanged(at_ms=1e5, service="llm", mode="live")))
    assert differences(a, exchanged).notes == ("mix",)
    slow = simulate(LINES[:1], seed=1, latency="long_tail")
    assert not differences(a, slow).comparable and "speed" in differences(a, slow).notes
    other = simulate(["¿Cuánto cuesta el despacho?"], seed=1, customer="rosario")
    assert {"questions", "customer"} <= set(differences(a, other).notes)
    assert "damaged" in differences(a, replace(a, problems=("cut",))).notes


def test_a_run_of_which_next_to_nothing_is_left_is_still_compared() -> None:
    bare = Run(inputs={"settings": [], "template": 7, "modes": None}, trace=(), facts={"started": 4, "versions": []})
    run = simulate(LINES[:1])
    assert "mix" in differences(bare, run).notes and len(differences(run, bare).frame)
    assert differences(bare, bare).frame["same"].all()
