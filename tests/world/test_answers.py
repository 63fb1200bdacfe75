"""The scripted brain answers what it knows, says so when it does not, and obeys what it can sense."""

from __future__ import annotations

import pytest

from clara_kit.prompts.briefing import brief
from clara_kit.world.answers import AnswerBook, tokenize
from clara_kit.world.instructions import RULES, SENSED, apply, nearest, sense

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
PLAIN = "Es suave."
OBEYED = {
    "name": ("Soy Clara.", "Soy Sofía."),
    "customer": (PLAIN, "Ana, es suave."),
    "no_name": (PLAIN, PLAIN),
    "sentences": (TEXT, None),
    "words": (TEXT, None),
    "brief": (TEXT, "Te recomiendo el gel Brisa."),
    "formal": ("Te sirve para tu piel.", "Le sirve para su piel."),
    "familiar": ("Te sirve para tu piel.", "Te sirve para tu piel."),
    "question": (PLAIN, "Es suave. ¿Te ayudo con algo más?"),
    "no_question": ("Es suave. ¿Quieres probarlo?", PLAIN),
    "no_prices": (TEXT, "Te recomiendo el gel Brisa. Es suave con tu piel."),
    "prices": (
        "Te recomiendo el gel limpiador Brisa.",
        "Te recomiendo el gel limpiador Brisa. Gel limpiador Brisa cuesta $9.990.",
    ),
    "signoff": (PLAIN, "Es suave. Un abrazo"),
    "opening": (PLAIN, "Mira, Es suave."),
    "forbidden": (TEXT, "Es suave con tu piel. Cuesta $9.990."),
    "required": (PLAIN, "Es suave. Sin perfume."),
    "emoji": (PLAIN, "Es suave. 😊"),
    "no_emoji": (PLAIN, PLAIN),
    "greeting": (PLAIN, "¡Hola! Es suave."),
    "no_greeting": ("¡Hola! Es suave.", PLAIN),
    "thanks": (PLAIN, "Es suave. Gracias por preguntar."),
    "doctor": (PLAIN, "Es suave. Si la molestia sigue, conviene ver a un dermatólogo."),
    "shipping": (PLAIN, "Es suave. El envío es gratis desde $30.000."),
    "sunscreen": (PLAIN, "Es suave. Y de día, no olvides el protector solar."),
    "calm": ("¡Claro! Es suave.", "Claro. Es suave."),
}
MOST = {"una": 1, "sola": 1, "dos": 2, "2": 2, "tres": 3, "6": 6, "veinte": 20, "15": 15}


def test_every_published_instruction_has_a_case_here() -> None:
    assert {kind for kind, _ in SENSED} == {*OBEYED, "skin", "concerns"}  # these two: test_known_customer.py


@pytest.mark.parametrize(("kind", "form"), [(rule.kind, form) for rule in RULES for form in rule.forms])
def test_each_usual_form_of_an_instruction_is_sensed_and_obeyed(kind: str, form: str) -> None:
    sensed = sense(form)
    assert [i.kind for i in sensed.instructions] == [kind] and sensed.unsensed == ()
    before, after = OBEYED[kind]
    if after is not None:
        assert apply(before, sensed, products=BOOK.products) == after
        return
    most = next(n for word, n in MOST.items() if word in form.split())
    long = " ".join(f"La frase {n} dice algo." for n in range(12))
    kept = apply(long, sensed)
    assert kept.count("frase") == most if kind == "sentences" else len(kept.split()) <= most


@pytest.mark.parametrize(
    ("instructions", "before", "after"),
    [
        ("Nombra siempre el precio. Usa una sola frase.", TEXT, "Te recomiendo el gel Brisa. Cuesta $9.990."),
        ("La clienta se llama Ana. No uses el nombre.", PLAIN, PLAIN),
        ("Trátala de usted. Mejor: tutéala.", "Te sirve.", "Te sirve."),
        ("No uses emojis. Bueno, usa emojis.", PLAIN, "Es suave. 😊"),
        ("Termina con una pregunta. No hagas preguntas.", "Es suave. ¿Quieres?", PLAIN),
    ],
)
def test_of_two_instructions_the_later_one_counts_and_both_where_both_can(
    instructions: str, before: str, after: str
) -> None:
    assert apply(before, sense(instructions)) == after


@pytest.mark.parametrize(
    "sentence",
    ["No seas breve.", "Di los precios en pesos chilenos, por ejemplo $12.990.", "Nunca trates de usted a nadie.",
     "Si no entendiste, pregunta una sola cosa, breve.", "Habla del nombre de cada producto.",
     "Si hay dolor, sugiere consultar a un dermatólogo.", "Cuando se despida, termina con una pregunta."],
)  # fmt: skip
def test_what_only_looks_like_an_instruction_is_none(sentence: str) -> None:
    assert sense(sentence).instructions == ()


def test_a_sentence_that_is_not_sensed_is_told_the_nearest_that_is() -> None:
    assert nearest("Contesta en no más de dos líneas.") == "Contesta en no más de dos oraciones."
    assert nearest("Habla como una poeta del siglo de oro.") == ""


def test_what_cannot_be_sensed_is_said() -> None:
    sensed = sense("Te llamas Clara. Habla como una poeta del siglo de oro.")
    assert sensed.unsensed == ("Habla como una poeta del siglo de oro.",)


def test_claras_prompt_is_long_enough_to_be_cached() -> None:
    assert len(tokenize(brief("warm").prompt.static)) >= 512  # Haiku 5.5's minimum
