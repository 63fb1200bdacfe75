"""The checks of what is spoken, held against labelled answers: `score_examples.yml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit.lab.scores.checks import CHECKS
from clara_kit.lab.scores.heard import Answer, Failure, Heard, sentences
from clara_kit.lab.scores.metrics import METRICS
from clara_kit.lab.scores.products import amounts, masked, named
from clara_kit.lab.scores.scoring import told
from clara_kit.lab.sentences import in_plain
from clara_kit.prompts.catalog import Catalog

EXAMPLES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("score_examples.yml").read_text("utf-8"))
KNOWN_MISSES = {  # «espuma» is a kind of product, too; a name without its kind and its house is any word
    "El jabón Espuma de Mar limpia sin resecar.",
    "La Effaclar es buenísima.",
}


def heard(one: Any) -> Heard:
    one = {"a": one} if isinstance(one, str) else one
    says = one.get("say") or [one["a"]]
    answers = (Answer(n, one.get("q", "") if n == 1 else "", a, one.get("unheard", "")) for n, a in enumerate(says, 1))
    return Heard(tuple(answers), one.get("name", ""))


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_finds_the_bad_answers_and_leaves_the_good_ones_alone(check: str) -> None:
    examples = EXAMPLES[check]
    assert min(len(examples["good"]), len(examples["bad"])) >= 8
    false_alarms = [one for one in examples["good"] if list(CHECKS[check](heard(one)))]
    missed = [one for one in examples["bad"] if not list(CHECKS[check](heard(one))) and one not in KNOWN_MISSES]
    assert (false_alarms, missed) == ([], [])


def test_of_whole_answers_all_checks_together_find_what_is_wrong_and_nothing_else() -> None:
    wrong = {}
    for one in EXAMPLES["mixed"]:
        found = {name for name, check in CHECKS.items() if list(check(heard(one)))}
        if found != set(one.get("wrong", ())) and one["a"] not in KNOWN_MISSES:
            wrong[one["a"]] = found
    assert not wrong


def test_the_kits_own_answers_to_its_own_questions_pass_every_check() -> None:
    book = yaml.safe_load(Path("data/answers/skincare_es.yaml").read_text("utf-8"))
    found = [
        failure
        for entry in book["entries"] for check in CHECKS.values()
        for failure in check(Heard(tuple(Answer(n, question, entry["a"]) for n, question in enumerate(entry["q"], 1))))
    ]  # fmt: skip
    assert not found and len(book["entries"]) > 50


def test_every_failure_names_its_answer_its_reason_and_words_of_it() -> None:
    for name, check in CHECKS.items():
        for one in EXAMPLES[name]["bad"]:
            whole = heard(one)
            texts = " ".join(f"{a.text} {a.unheard}" for a in whole.answers).lower()
            for failure in check(whole):
                assert failure.rule == name and failure.why and 1 <= failure.turn <= len(whole.answers)
                if name not in (
                    "price_right",
                    "spanish",
                ):  # an amount is told as it is said, foreign words without accents
                    assert all(part.lower().strip() in texts for part in failure.text.replace(", ", " … ").split(" … "))


def test_every_reason_is_told_in_spanish_too() -> None:
    for name, check in CHECKS.items():
        for one in EXAMPLES[name]["bad"]:
            for failure in check(heard(one)):
                assert in_plain(failure.why, "es") not in ("", failure.why), failure.why
    failure = Failure(2, "price_right", "the price of another product", "doce mil pesos")
    assert told(failure, "es") == "precios correctos: es el precio de otro producto («doce mil pesos»)"
    assert told(Failure(1, "must", "she asked for it"), "en") == "must be said: she asked for it"


def test_every_check_is_a_metric() -> None:
    assert set(CHECKS) <= set(METRICS)


def test_sentences_are_those_that_a_voice_gets() -> None:
    assert sentences("Hola. ¿Qué tal? El Dr. Soto, a $9.990. Bien.") == (
        "Hola.",
        "¿Qué tal?",
        "El Dr. Soto, a $9.990.",
        "Bien.",
    )


@pytest.mark.parametrize(
    ("text", "pesos"),
    [
        ("Cuesta $12.990.", [12990]),
        ("doce mil novecientos noventa pesos", [12990]),
        ("a veintiún mil quinientos", [21500]),
        ("un millón de pesos", [1_000_000]),
        ("quince lucas", [15000]),
        ("dos gotas, 30 ml y SPF 50", []),
        ("más de dos mil clientes", []),
    ],
)
def test_an_amount_is_understood_in_figures_and_in_words(text: str, pesos: list[int]) -> None:
    assert [amount.pesos for amount in amounts(text)] == pesos


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("el gel Brisa con ácido salicílico", ["Gel Brisa con ácido salicílico"]),
        ("la crema de manos Nube y la Crema Nube Rica", ["Crema de manos Nube", "Crema Nube Rica"]),
        ("el Sol Ligero", ["Protector Sol Ligero"]),
        ("Calma la piel y brilla el sol.", []),
        ("Soy Clara.", []),
    ],
)
def test_a_product_is_known_by_its_kind_and_name(text: str, titles: list[str]) -> None:
    assert [p.title for one in named(text, Catalog.load()) for p in one.products] == titles


_PIECES = st.sampled_from(
    [
        "Camila",
        "usted",
        "gel",
        "Brisa",
        "Sol",
        "crema",
        "Nube",
        "mil",
        "pesos",
        "$12.990",
        "«a»",
        "**",
        "-",
        "1.",
        "¿",
        "?",
        ".",
        ",",
        "{first_name}",
        "[x]",
        "😀",
        "the",
        "no",
        "cura",
        "é",
        "\n",
    ]
)


@given(
    st.lists(_PIECES | st.text(max_size=3), max_size=40).map(" ".join), st.sampled_from(["", "Ana", "María José", "(x"])
)
@settings(max_examples=60)
def test_whatever_is_said_every_check_says_something_of_it_or_nothing(text: str, name: str) -> None:
    whole = Heard((Answer(0, "", text), Answer(1, text[::-1], text, text[:5])), name)
    assert len(masked(text, Catalog.load())) == len(text)
    for rule, check in CHECKS.items():
        assert all(failure.rule == rule and failure.turn in (0, 1) for failure in check(whole))
