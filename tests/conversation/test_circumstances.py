"""What a customer told of themselves earlier: no kept answer knows of it, and nothing is learnt from what follows it."""

from __future__ import annotations

import pytest

from clara_kit import Settings, simulate
from clara_kit.conversation.circumstances import told
from clara_kit.core.commands import LookUpAnswer, StoreAnswer
from clara_kit.core.events import AnswerFound

FAST = Settings.preset("fast").with_changes(greeting="")


@pytest.mark.parametrize(
    ("before", "question"),
    [
        ("Soy alérgica a las almendras.", "¿Qué limpiador me recomiendas para piel seca?"),
        ("Tengo alergia a la miel.", "¿Tienen algo para los labios resecos?"),
        ("Estoy embarazada.", "¿Qué crema tiene retinol?"),
        ("Es para mi guagua.", "¿Cuál es la rutina de mañana?"),
        ("En verdad mi piel es grasa.", "¿Qué protector solar me recomiendas?"),
    ],
)
def test_after_such_words_the_model_is_asked_what_they_may_bear_on(before: str, question: str) -> None:
    alone = simulate([question], FAST, customer="camila")
    assert [e for e in alone.events if isinstance(e, AnswerFound)], "it is ready for anybody else"
    run = simulate([before, question, "¿Cuánto cuesta el despacho?"], FAST, customer="camila")
    asked = [command.question for command in run.trace if isinstance(command, LookUpAnswer)]
    assert question not in asked and "¿Cuánto cuesta el despacho?" in asked
    assert question not in [command.question for command in run.trace if isinstance(command, StoreAnswer)]
    reasons = [r for r in run.trace if "no kept answer knows of it" in getattr(r, "reason", "")]
    assert reasons


@pytest.mark.parametrize(
    "said", ["¿Hacen despachos a regiones?", "Gracias.", "¿Qué productos venden?", "¿Para qué sirve la niacinamida?"]
)
def test_a_plain_question_before_changes_nothing(said: str) -> None:
    assert not told([said], "¿Qué crema tiene retinol?")


@pytest.mark.parametrize(
    "before",
    """la miel me da ronchas | soy intolerante a la lanolina | estoy con quimio | me hice un láser | tengo la piel súper seca
    tengo el cutis graso | estoy encinta | tengo cinco meses | es para mi hijita | es para mi abuelita | para mi suegra | tengo catorce
    uso tretinoína | me salen espinillas | quiero algo vegano | que no tenga perfume | nada con alcohol | la quiero de menos de diez mil
    ando con la cara roja | es para un escolar | le doy pecho | ya probé el Aurora""".replace("\n", "|").split("|"),
)
def test_whatever_is_told_of_a_skin_a_person_or_a_wish_counts_however_it_is_put(before: str) -> None:
    assert told([before.strip()], "¿Qué crema me recomiendas para piel seca?")


@pytest.mark.parametrize(
    "question",
    ["¿A qué hora me pongo el retinol?", "¿Cada cuántas horas se repite?", "¿Qué es lo que cuesta menos?", "¿Cuánto cuesta la crema para piel seca?"],
)  # fmt: skip
def test_a_word_of_the_shop_in_a_question_of_care_excuses_nothing(question: str) -> None:
    assert told(["Tengo alergia a la miel."], question)


@pytest.mark.parametrize(
    "said", ["Tengo una pregunta.", "Estoy buscando un protector.", "¿Dónde está mi pedido?", "¿Cuánto sale el envío?"]
)
def test_what_everybody_says_to_a_shop_tells_nothing(said: str) -> None:
    assert not told([said], "¿Qué crema tiene retinol?")
