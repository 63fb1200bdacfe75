"""The scripted brain answers what it knows, says so when it does not, and obeys what it can sense."""

from __future__ import annotations

import pytest

from clara_kit.prompts.briefing import brief
from clara_kit.world.answers import AnswerBook, tokenize
from clara_kit.world.instructions import SENSED, apply, sense

BOOK = AnswerBook.load()


@pytest.mark.parametrize(
    ("question", "entry"),
    [
        ("Hola Clara, ¿qué limpiador me recomiendas para la piel mixta?", "cleanser_mixed"),
        ("También busco un protector solar que no deje la piel grasosa.", "sunscreen_oil_free"),
        ("Espera, ¿cuánto cuesta el protector solar?", "sunscreen_price"),
        ("¿Hacen despachos a regiones?", "shipping"),
        ("¿Puedo devolver un producto?", "returns"),
        ("Muchas gracias, Clara. Chao.", "thanks"),
        ("¿puedo usar retinol estando embarazada?", "retinol_pregnant"),
    ],
)
def test_a_question_finds_its_answer(question: str, entry: str) -> None:
    assert BOOK.reply(question).entry_id == entry


@pytest.mark.parametrize(
    ("question", "entry"),
    [
        ("¿Tienen crema para piel seca?", "moisturizer_dry"),  # no hand cream
        ("¿Cuánto vale la crema Nube Rica?", "price of crema-nube-rica"),  # not the sunscreen's
        ("¿Qué precio tiene el gel Brisa?", "price of gel-limpiador-brisa"),
        ("¿Cuánto cuesta el sérum de vitamina C?", "vitamin_c_price"),
        ("¿Cuánto sale... cuánto vale el envío a Arica?", "shipping_price"),
        ("¿Y si compro dos?", "two"),
        ("¿Me haces precio si llevo 2?", "two"),
    ],
)
def test_what_is_asked_is_what_is_answered(question: str, entry: str) -> None:
    assert BOOK.reply(question).entry_id == entry


@pytest.mark.parametrize(
    ("question", "before", "entry"),
    [
        ("¿Y cuánto cuesta?", "¿Qué sérum me recomiendas para piel seca?", "price of serum-manantial"),
        ("¿Y el precio?", "¿Qué limpiador me recomiendas para la piel mixta?", "price of gel-limpiador-brisa"),
        ("¿Y si llevo dos?", "¿Qué protector solar me recomiendas?", "two"),
        ("¿Y si lo devuelvo?", "¿Cuánto cuesta el protector solar?", "returns"),
        ("¿Y dónde queda la luna?", "¿Cuánto cuesta el protector solar?", None),
    ],
)
def test_a_follow_up_is_about_what_was_spoken_of(question: str, before: str, entry: str | None) -> None:
    assert BOOK.reply(question, (before,)).entry_id == entry


@pytest.mark.parametrize(
    "question", ["¿Cuál es la capital de Francia?", "¿Quién ganó el partido ayer?", "¿Me arreglas el computador?"]
)
def test_what_it_does_not_know_it_says(question: str) -> None:
    answer = BOOK.reply(question)
    assert answer.entry_id is None
    assert "no" in answer.text.lower() and "sé" in answer.text.lower()


def test_tokens_joined_are_the_text() -> None:
    for entry in ("Hola, ¿qué tal?  Bien…", "$12.990", "", "áéí 😊"):
        assert "".join(tokenize(entry)) == entry


TEXT = "Te recomiendo el gel Brisa. Es suave con tu piel. Cuesta $9.990."
OBEYED = {
    "name": ("Te llamas Sofía.", "Soy Clara.", "Soy Sofía."),
    "customer": ("La clienta se llama Ana.", "Es suave.", "Ana, es suave."),
    "sentences": ("Responde en una frase.", TEXT, "Te recomiendo el gel Brisa."),
    "words": ("Usa como mucho 6 palabras.", TEXT, "Te recomiendo el gel Brisa."),
    "brief": ("Sé breve.", TEXT, "Te recomiendo el gel Brisa."),
    "formal": ("Trata de usted a la persona.", "Te sirve para tu piel.", "Te sirve para su piel."),
    "question": ("Termina con una pregunta.", "Es suave.", "Es suave. ¿Te ayudo con algo más?"),
    "no_prices": ("No menciones los precios.", TEXT, "Te recomiendo el gel Brisa. Es suave con tu piel."),
    "signoff": ("Despídete con «Un abrazo».", "Es suave.", "Es suave. Un abrazo"),
    "opening": ("Comienza con «Mira,».", "Es suave.", "Mira, Es suave."),
    "forbidden": ("No digas «gel».", TEXT, "Es suave con tu piel. Cuesta $9.990."),
    "emoji": ("Siempre usa emojis.", "Es suave.", "Es suave. 😊"),
}


def test_every_published_instruction_has_a_case_here() -> None:
    assert {kind for kind, _ in SENSED} == {*OBEYED, "skin", "concerns"}  # these two: test_known_customer.py


@pytest.mark.parametrize("kind", OBEYED)
def test_a_sensed_instruction_is_obeyed(kind: str) -> None:
    prompt, before, after = OBEYED[kind]
    sensed = sense(prompt)
    assert [i.kind for i in sensed.instructions] == [kind]
    assert apply(before, sensed) == after


def test_what_cannot_be_sensed_is_said() -> None:
    sensed = sense("Te llamas Clara. Habla como una poeta del siglo de oro.")
    assert sensed.unsensed == ("Habla como una poeta del siglo de oro.",)


def test_claras_prompt_is_long_enough_to_be_cached() -> None:
    assert len(tokenize(brief("warm").prompt.static)) >= 512  # Haiku 5.5's minimum
