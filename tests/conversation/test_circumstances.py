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
