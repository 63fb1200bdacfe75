"""A word that is ready is said while the answer is being written: when, and what becomes of it."""

from __future__ import annotations

import pytest

from clara_kit import Fault, Run, Settings, simulate
from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.states import ConversationState as S
from clara_kit.turns import usual_lexicon, usual_policies
from clara_kit.world.answers import AnswerBook

OPEN = Settings.preset("tuned").with_changes(openers=True, greeting="")
ASK = "¿Qué me recomiendas para las manchas?"


def openers(run: Run) -> list[str]:
    return [r.text for r in run.trace if isinstance(r, do.Speak) and r.by == "opener"]


def begun() -> Conversation:
    conversation = Conversation(OPEN, policies=usual_policies())
    conversation.handle(ev.ConversationStarted(at_ms=0, greeting=""))
    conversation.handle(ev.TranscriptFinal(at_ms=900, text=ASK, speech_started_ms=0, speech_ended_ms=500))
    return conversation


def test_the_opener_is_the_first_piece_of_the_answer_and_never_the_same_twice() -> None:
    run = simulate([ASK, "¿Cuál es mejor para la noche?", "¿Y cómo la uso en la mañana?"], OPEN, seed=3)
    said = openers(run)
    assert (
        len(said) == 3
        and all(one != other for one, other in zip(said, said[1:]))
        and {*said} <= {*usual_lexicon().openers}
    )
    for turn in run.ledger:
        assert turn.opener and turn.clara.startswith(turn.opener) and turn.problem == "", turn.problem
        assert turn.answer_ms is not None and turn.total_ms is not None and turn.answer_ms > turn.total_ms


@pytest.mark.parametrize("text", [
    "Hola", "Ya, gracias", "Me salieron ronchas con la crema", "¿Dónde está mi pedido?", "Estoy embarazada, ¿puedo usar retinol?",
    "Quiero hablar con una persona", "¿Les queda stock del sérum?", "La crema llegó rota y quiero un reembolso", "¿Mi hijo puede usarla?",
    "Me quiero morir", "Me siento muy sola hoy", "Muchas gracias, Clara. Chao.", "Llevo dos semanas esperando y nadie responde", "Se me peló toda la cara",
    "Me sangra la piel de la nariz", "Me engañaron con el precio", "Me mandaron otro producto", "¿Es seguro el retinol con isotretinoína?",
    "¿Por qué me salen granos con su crema?", "¿Cuándo llega mi compra?", "No sé cómo seguir viviendo",
])  # fmt: skip
def test_none_is_said_where_there_is_nothing_to_think_about_or_the_answer_may_be_bad_news(text: str) -> None:
    assert openers(simulate([text], OPEN)) == []


def test_whoever_speaks_while_only_the_opener_was_heard_goes_on_with_the_same_turn() -> None:
    conversation = begun()
    spoken = next(r for r in conversation.trace if isinstance(r, do.Speak))
    conversation.handle(ev.SpeakingStarted(at_ms=1100, utterance_id=spoken.utterance_id))
    assert conversation.state is S.AVATAR_SPEAKING and conversation.history.said == ()
    conversation.handle(ev.TextTyped(at_ms=1300, text="pero sin fragancia"))
    asked = [r for r in conversation.trace if isinstance(r, do.RequestReply)]
    assert asked[-1].text == f"{ASK} pero sin fragancia" and [m.text for m in asked[-1].messages] == [asked[-1].text]


def test_an_opener_that_ends_before_the_answer_is_no_answer() -> None:
    conversation = begun()
    spoken = next(r for r in conversation.trace if isinstance(r, do.Speak))
    who = spoken.utterance_id
    for event in (ev.SpeakingStarted(at_ms=1100, utterance_id=who), ev.SpeakingEnded(at_ms=1500, utterance_id=who)):
        conversation.handle(event)
    assert conversation.state is S.PROCESSING and conversation.history.said == ()
    conversation.handle(ev.ReplyDelta(at_ms=1600, reply_id=1, text="La Clara Día. "))
    told = conversation.handle(ev.ReplyCompleted(at_ms=1700, reply_id=1, stop_reason="end_turn"))
    answer = [r for r in told if isinstance(r, do.Speak)]
    assert [r.text for r in answer] == ["La Clara Día."] and answer[0].utterance_id != who
    for event in (
        ev.SpeakingStarted(at_ms=1900, utterance_id=answer[0].utterance_id),
        ev.SpeakingEnded(at_ms=2500, utterance_id=answer[0].utterance_id),
    ):
        conversation.handle(event)
    assert [m.text for m in conversation.history.said] == [ASK, "La Clara Día."] and conversation.is_quiet


@pytest.mark.parametrize("fault", [
    Fault(service="llm", kind="refuse", status=529), Fault(service="llm", kind="decline"), Fault(service="llm", kind="cut"),
    Fault(service="llm", kind="slow", for_ms=9000), Fault(service="tts", kind="cut"), Fault(service="avatar", kind="cut"),
])  # fmt: skip
def test_what_fails_behind_an_opener_is_answered_all_the_same(fault: Fault) -> None:
    run = simulate([ASK], OPEN, faults=[fault], seed=5)
    said = " ".join(turn.clara for turn in run.ledger)
    apology = OPEN.apology in said
    assert openers(run) and (apology or AnswerBook.load().reply(ASK).text.split(".")[0] in said), said
    assert not any(isinstance(r, do.RaiseAlert) and r.name in ("internal_error", "unanswered") for r in run.trace)


def test_without_the_setting_there_is_none() -> None:
    assert openers(simulate([ASK], Settings.preset("fast").with_changes(enable_response_cache=False))) == []


def test_an_avatar_that_begins_anew_with_each_piece_gets_none() -> None:
    assert openers(simulate([ASK], OPEN.with_changes(avatar_vendor="heygen"))) == []
