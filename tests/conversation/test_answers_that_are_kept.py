"""Answers that are kept: looked for before the model is asked, said like any other, and trusted less when they were wrong."""

from __future__ import annotations

from typing import Any

from clara_kit import Settings
from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.states import ConversationState as S
from clara_kit.measure.ledger import turns
from clara_kit.turns import usual_policies

KEEPS = Settings.preset("tuned").with_changes(enable_response_cache=True, greeting="")
ASK, ANSWER = "¿Hacen despachos a regiones?", "Sí, a todo Chile. Demora de tres a cinco días."


def asked(text: str = ASK, settings: Settings = KEEPS) -> Conversation:
    conversation = Conversation(settings, policies=usual_policies())
    conversation.handle(ev.ConversationStarted(at_ms=0, greeting=""))
    conversation.handle(ev.TextTyped(at_ms=1000, text=text))
    return conversation


def given(conversation: Conversation, kind: type) -> list[Any]:
    return [record for record in conversation.trace if type(record) is kind]


def speaks(conversation: Conversation, from_ms: float, until_ms: float | None = None) -> None:
    who = given(conversation, do.Speak)[-1].utterance_id
    conversation.handle(ev.SpeechSent(at_ms=from_ms, utterance_id=who, piece_no=0))
    conversation.handle(ev.FirstAudio(at_ms=from_ms, utterance_id=who))
    conversation.handle(ev.SpeakingStarted(at_ms=from_ms, utterance_id=who))
    if until_ms is not None:
        conversation.handle(ev.SpeakingEnded(at_ms=until_ms, utterance_id=who))


def test_a_kept_answer_is_said_and_nobody_is_asked() -> None:
    conversation = asked()
    assert [r.question for r in given(conversation, do.LookUpAnswer)] == [ASK] and not given(
        conversation, do.RequestReply
    )
    conversation.handle(ev.AnswerFound(at_ms=1004, turn_id=1, text=ANSWER, why="the same words"))
    assert [(r.text, r.by) for r in given(conversation, do.Speak)] == [
        ("Sí, a todo Chile.", "kept_answer"), ("Demora de tres a cinco días.", "kept_answer"),
    ]  # fmt: skip
    speaks(conversation, 1100, 4000)
    assert [m.text for m in conversation.history.said] == [ASK, ANSWER] and conversation.is_quiet
    assert not given(conversation, do.RequestReply) and not given(conversation, do.StoreAnswer)
    turn = turns(conversation.trace)[-1]
    assert (turn.kept, turn.requests, turn.usage, turn.problem, turn.clara) == (True, 0, None, "", ANSWER)
    assert turn.total_ms == 100 and turn.stages["turn_decided → request_sent"] == 4


def test_where_none_fits_or_nobody_knows_the_model_is_asked_once() -> None:
    for event in (
        ev.AnswerNotFound(at_ms=1004, turn_id=1, why="nothing like it"),
        ev.AnswerFound(at_ms=1004, turn_id=1, text="  "),
        ev.TimerFired(at_ms=1150, timer_id="look_up#1"),
    ):
        conversation = asked()
        conversation.handle(event)
        conversation.handle(ev.AnswerFound(at_ms=1300, turn_id=1, text=ANSWER))  # late: it is not said as well
        assert len(given(conversation, do.RequestReply)) == 1 and not given(conversation, do.Speak)
        conversation.handle(ev.ReplyStarted(at_ms=1310, reply_id=1, model="m"))
        assert turns(conversation.trace)[-1].points["turn_decided"] == 1000


def test_words_that_come_meanwhile_are_looked_up_together() -> None:
    conversation = asked("¿Hacen despachos")
    conversation.handle(ev.TextTyped(at_ms=1050, text="a regiones?"))
    assert [r.question for r in given(conversation, do.LookUpAnswer)] == ["¿Hacen despachos", ASK]
    conversation.handle(ev.AnswerNotFound(at_ms=1060, turn_id=1, why="nothing like it"))
    assert [r.text for r in given(conversation, do.RequestReply)] == [ASK]


def model_answers(conversation: Conversation, at_ms: float, text: str, stop_reason: str = "end_turn") -> None:
    reply_id, turn_id = len(given(conversation, do.RequestReply)) + 1, len(given(conversation, do.LookUpAnswer))
    conversation.handle(ev.AnswerNotFound(at_ms=at_ms, turn_id=turn_id, why="nothing like it"))
    conversation.handle(ev.ReplyDelta(at_ms=at_ms + 1, reply_id=reply_id, text=text))
    conversation.handle(ev.ReplyCompleted(at_ms=at_ms + 2, reply_id=reply_id, stop_reason=stop_reason))


def test_an_answer_that_was_heard_to_its_end_may_be_kept() -> None:
    conversation = asked()
    model_answers(conversation, 1010, ANSWER)
    speaks(conversation, 1200, 4000)
    conversation.handle(ev.TextTyped(at_ms=5000, text="¿Y cuánto cuesta?"))
    model_answers(conversation, 5010, "Cuesta tres mil pesos.")
    speaks(conversation, 5200, 6000)
    assert [(r.question, r.answer, r.follows) for r in given(conversation, do.StoreAnswer)] == [
        (ASK, ANSWER, False), ("¿Y cuánto cuesta?", "Cuesta tres mil pesos.", True),
    ]  # fmt: skip


def test_what_was_interrupted_or_cut_off_is_not_kept() -> None:
    cut = asked()
    model_answers(cut, 1010, ANSWER)
    speaks(cut, 1200)
    cut.handle(ev.TextTyped(at_ms=1500, text="Espera"))
    short = asked()
    model_answers(short, 1010, "Sí, a todo Chile. Demora", stop_reason="max_tokens")
    speaks(short, 1200, 3000)
    assert not given(cut, do.StoreAnswer) and not given(short, do.StoreAnswer) and short.state is S.IDLE


def test_a_kept_answer_that_was_interrupted_or_corrected_is_trusted_less() -> None:
    for until_ms, then, trusted_less in (
        (None, "Espera", True), (4000.0, "No te pregunté eso", True), (4000.0, "Gracias, ¿y a Punta Arenas?", False),
    ):  # fmt: skip
        conversation = asked()
        conversation.handle(ev.AnswerFound(at_ms=1004, turn_id=1, text=ANSWER))
        speaks(conversation, 1100, until_ms)
        conversation.handle(ev.TextTyped(at_ms=5000 if until_ms else 1500, text=then))
        assert [(r.question, r.answer) for r in given(conversation, do.DistrustAnswer)] == [
            (ASK, ANSWER)
        ] * trusted_less


def test_without_the_flag_nothing_is_looked_for_and_nothing_kept() -> None:
    conversation = asked(settings=KEEPS.with_changes(enable_response_cache=False))
    conversation.handle(ev.ReplyDelta(at_ms=1100, reply_id=1, text=ANSWER))
    conversation.handle(ev.ReplyCompleted(at_ms=1200, reply_id=1, stop_reason="end_turn"))
    speaks(conversation, 1300, 4000)
    assert not given(conversation, do.LookUpAnswer) and not given(conversation, do.StoreAnswer)
