"""What a model is told of a cut: in the customer's next message, and nowhere in Clara's own words."""

from __future__ import annotations

import pytest

from clara_kit import Settings, simulate
from clara_kit.conversation.history import CUT, History, without_notes
from clara_kit.core.commands import RequestReply
from clara_kit.core.records import HeardEstimated
from clara_kit.lab.stepping import Stepper
from clara_kit.world.answers import tokenize

CUT_OFF = [
    "¿Qué protector solar me recomiendas?",
    {"text": "espera, ¿y hacen despachos a regiones?", "interrupt_after_ms": 2500},
    "Gracias.",
]


def told(history: History, question: str = "¿y?") -> list[tuple[str, str]]:
    return [(m.role[0], m.text) for m in history.messages(question)]


def test_a_cut_is_told_before_the_customers_next_words_and_stays_where_it_was() -> None:
    history = History()
    history.add_user("Hola")
    history.add_assistant("Te recomiendo el", cut=True)
    assert told(history, "¿Cuánto?") == [("u", "Hola"), ("a", "Te recomiendo el"), ("u", f"{CUT} ¿Cuánto?")]
    history.add_user("¿Cuánto?")
    history.add_assistant("Doce mil.")
    assert told(history)[2:] == [("u", f"{CUT} ¿Cuánto?"), ("a", "Doce mil."), ("u", "¿y?")]


def test_of_words_that_were_said_to_the_end_after_all_no_cut_is_told() -> None:
    history = History()
    history.add_user("Hola")
    history.add_assistant("Te recomiendo", cut=True)
    history.add_assistant("el gel Brisa.")
    assert told(history)[1:] == [("a", "Te recomiendo el gel Brisa."), ("u", "¿y?")]


def test_where_nothing_was_heard_roles_alternate_and_no_message_is_empty() -> None:
    history = History()
    history.add_user("Hola")
    history.add_assistant("", cut=True)
    history.add_assistant("  ", cut=True)
    assert told(history) == [("u", "Hola ¿y?")]


def test_a_greeting_that_was_cut_off_is_one_too() -> None:
    history = History()
    history.add_assistant("¡Hola! Soy", cut=True)
    history.add_aside("ajá")
    assert [role for role, _ in told(history)] == ["u", "a", "u"] and told(history)[-1][1].startswith(CUT)


@pytest.mark.parametrize("asides", [True, False])
def test_notes_are_no_words_of_the_customer(asides: bool) -> None:
    text = f"{CUT} (Mientras tanto dijo: «ajá».) ¿Cuánto cuesta?"
    assert (
        without_notes(text, asides=asides) == ("(Mientras tanto dijo: «ajá».) " if asides else "") + "¿Cuánto cuesta?"
    )


def test_the_model_sees_the_cut_in_a_few_tokens_people_do_not_and_offline_answers_are_the_same() -> None:
    run = simulate(CUT_OFF, Settings.preset("tuned"), seed=5)
    heard = next(r for r in run.trace if isinstance(r, HeardEstimated))
    asked = [r for r in run.trace if isinstance(r, RequestReply)]
    assert asked[1].text == "espera, ¿y hacen despachos a regiones?"
    assert [m.text for m in asked[1].messages][-2:] == [heard.heard, f"{CUT} {asked[1].text}"]
    assert heard.unheard and len(tokenize(CUT)) <= 20
    said = Stepper(run.trace, run.settings).moment(len(run.events) - 1).said
    assert not any(CUT in one.text for one in said) and any(one.text == asked[1].text for one in said)
    answer = "".join(r.text for r in run.trace if type(r).__name__ == "Speak" and r.turn_id == asked[1].turn_id)
    assert "regiones" in answer
