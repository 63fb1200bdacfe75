"""Judgement is a table: rules are added, removed and signed without a word changed anywhere else."""

from __future__ import annotations

import pytest

from clara_kit.conversation.conversation import REDUCERS, Conversation
from clara_kit.conversation.policies import STANDARD, Policies
from clara_kit.conversation.policy import Drop, Ignore, Piece, Policy, Words
from clara_kit.conversation.talk import Reply, Talk
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Ignored
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState as S
from clara_kit.measure.codec import TYPES


def _polite(talk: Talk, words: Words) -> Ignore | None:
    """A rule as someone would add it: «gracias» does not stop Clara."""
    thanks = words.text.lower().strip(" .!") == "gracias"
    return Ignore(reason="only a thank you") if thanks and talk.state is S.AVATAR_SPEAKING else None


POLITE = Policy("polite", _polite, knows="es")


def speaking(policies: Policies) -> Conversation:
    """A conversation in which Clara says her greeting."""
    conversation = Conversation(Settings(), policies=policies)
    conversation.handle(ev.ConversationStarted(at_ms=0, greeting="Hola, soy Clara."))
    conversation.handle(ev.SpeakingStarted(at_ms=900, utterance_id=1))
    assert conversation.state is S.AVATAR_SPEAKING
    return conversation


def thank(conversation: Conversation) -> tuple[do.Command, ...]:
    final = ev.TranscriptFinal(at_ms=1500, text="¡Gracias!", speech_started_ms=1000, speech_ended_ms=1300)
    return conversation.handle(
        final if conversation.state is not S.AVATAR_SPEAKING else ev.TranscriptInterim(at_ms=1400, text="Gracias")
    )


def test_a_rule_is_added_from_outside_decides_signs_and_is_removed_again() -> None:
    with_rule = STANDARD.first("words", POLITE)
    polite = speaking(with_rule)
    assert thank(polite) == () and polite.state is S.AVATAR_SPEAKING
    (ignored,) = [r for r in polite.trace if isinstance(r, Ignored)]
    assert (ignored.by, ignored.reason) == ("polite", "only a thank you")
    assert with_rule.to_dict()["words"][0] == "polite 1 es"

    without = speaking(with_rule.without("polite"))
    assert with_rule.without("polite") == STANDARD
    assert any(isinstance(c, do.InterruptAvatar) and c.by == "any_word" for c in thank(without))


def test_every_decision_of_a_turn_is_signed_by_its_policy() -> None:
    conversation = Conversation()
    (listening,) = conversation.handle(ev.ConversationStarted(at_ms=0))
    assert listening.by == ""  # mechanics: nobody was asked
    asked = conversation.handle(ev.TranscriptFinal(at_ms=9, text="Hola", speech_started_ms=0, speech_ended_ms=5))
    assert [(type(c).__name__, c.by) for c in asked] == [("RequestReply", "model"), ("SetTimer", "model")]
    said = conversation.handle(ev.ReplyDelta(at_ms=10, reply_id=1, text="Hola. Dime"))
    assert [(type(c).__name__, c.by) for c in said] == [("Speak", "speak_at_once")]


def test_a_question_that_no_policy_answers_is_seen_and_not_felt() -> None:
    conversation = Conversation(policies=STANDARD.without("model"))
    conversation.handle(ev.TextTyped(at_ms=0, text="Hola"))
    alert = conversation.trace[-1]
    assert isinstance(alert, do.RaiseAlert) and "no policy answers Answer" in alert.message


def test_pieces_may_be_dropped_by_a_rule_and_the_others_are_still_said() -> None:
    def no_emoji(talk: Talk, piece: Piece) -> Drop | None:
        return Drop(reason="cannot be said") if "☀" in piece.text else None

    conversation = Conversation(policies=STANDARD.first("piece", Policy("no_emoji", no_emoji)))
    conversation.handle(ev.TextTyped(at_ms=0, text="Hola"))
    out = conversation.handle(ev.ReplyDelta(at_ms=1, reply_id=1, text="Buen día ☀. Dime. Te escucho. Ya"))
    assert [c.text for c in out if isinstance(c, do.Speak)] == ["Dime.", "Te escucho."]


def test_a_snapshot_goes_on_by_itself() -> None:
    conversation = Conversation()
    for turn in range(90):
        at_ms = turn * 10_000.0
        conversation.handle(ev.TextTyped(at_ms=at_ms, text=f"Pregunta {turn}"))
        conversation.handle(ev.ReplyDelta(at_ms=at_ms + 1, reply_id=turn + 1, text="Una respuesta. Y"))
        conversation.handle(ev.ReplyCompleted(at_ms=at_ms + 2, reply_id=turn + 1, stop_reason="end_turn"))
        conversation.handle(ev.SpeakingStarted(at_ms=at_ms + 3, utterance_id=turn + 1))
        if turn < 89:
            conversation.handle(ev.SpeakingEnded(at_ms=at_ms + 4, utterance_id=turn + 1))
    kept = conversation.snapshot()
    branch = Conversation(talk=kept)
    one = conversation.handle(ev.TextTyped(at_ms=1e6, text="Otra cosa"))
    assert branch.state is S.AVATAR_SPEAKING and branch.trace == []  # what happens to one does not change the other
    assert branch.handle(ev.TextTyped(at_ms=1e6, text="Otra cosa")) == one
    assert branch.history.said == conversation.history.said


def test_two_replies_can_be_alive_and_only_the_adopted_one_is_said() -> None:
    conversation = Conversation()
    conversation.handle(ev.TextTyped(at_ms=0, text="Hola"))
    talk = conversation.talk
    adopted = talk.replies[1]
    talk.replies[7] = Reply(7, adopted.chunker.copy(), phase="speculative")
    assert talk.reply is adopted and len(talk.copy().replies) == 2
    cancelled = conversation.handle(ev.InterruptRequested(at_ms=5))
    assert {c.reply_id for c in cancelled if isinstance(c, do.CancelReply)} == {1, 7}


def test_every_event_has_a_reducer() -> None:
    assert set(REDUCERS) == {cls for cls in TYPES.values() if issubclass(cls, ev.Event)}


@pytest.mark.parametrize("service", ["stt", "avatar"])
def test_a_connection_is_tried_at_once_then_by_the_policy_then_given_up_and_the_rest_goes_on(service: str) -> None:
    conversation = Conversation(Settings.of(max_retries=2, initial_retry_delay_ms=100, failure_threshold=9))
    conversation.handle(ev.ConversationStarted(at_ms=0))
    told: list[do.Command] = []
    at_ms = 20_000.0
    for _ in range(4):
        failed = ev.ProviderFailed(at_ms=at_ms, service=service, kind="cut", message="cut", retryable=True)  # type: ignore[arg-type]
        out = conversation.handle(failed)
        timers = [c for c in out if isinstance(c, do.SetTimer)]
        for timer in timers:
            at_ms = timer.due_ms
            out += conversation.handle(ev.TimerFired(at_ms=at_ms, timer_id=timer.timer_id))
        told += out
    waits = [c.due_ms - c.at_ms for c in told if isinstance(c, do.SetTimer)]
    assert waits == [100.0, 200.0]
    assert sum(isinstance(c, do.Connect) for c in told) == 3
    assert sum(isinstance(c, do.Disconnect) and c.by == "give_up" for c in told) == 1
    assert not conversation.talk.over
    assert any(isinstance(c, do.RequestReply) for c in conversation.handle(ev.TextTyped(at_ms=at_ms, text="Hola")))


@pytest.mark.parametrize("service", ["tts", "avatar"])
def test_what_failed_before_it_was_heard_is_said_again_and_the_reply_goes_on_meanwhile(service: str) -> None:
    conversation = Conversation(Settings.of(initial_retry_delay_ms=100))
    conversation.handle(ev.TextTyped(at_ms=0, text="Hola"))
    conversation.handle(ev.ReplyDelta(at_ms=1, reply_id=1, text="Uno. Dos"))
    failed = ev.ProviderFailed(
        at_ms=2,
        service=service,
        kind="cut",
        message="cut",
        retryable=True,
        utterance_id=1,  # type: ignore[arg-type]
    )
    (timer,) = [c for c in conversation.handle(failed) if isinstance(c, do.SetTimer)]
    assert timer.due_ms == 102
    conversation.handle(ev.ReplyDelta(at_ms=3, reply_id=1, text=". Tres"))
    conversation.handle(ev.ReplyCompleted(at_ms=4, reply_id=1, stop_reason="end_turn"))
    out = conversation.handle(ev.TimerFired(at_ms=102, timer_id=timer.timer_id))
    assert [(c.utterance_id, c.piece_no, c.text) for c in out if isinstance(c, do.Speak)] == [
        (2, 0, "Uno."), (2, 1, "Dos."), (2, 2, "Tres"),
    ]  # fmt: skip
    assert isinstance(out[-1], do.EndSpeech)


def test_the_shop_is_asked_again_while_the_greeting_can_wait_and_by_itself_afterwards() -> None:
    for deadline_ms, greets in ((1500, False), (50, True)):
        conversation = Conversation(Settings.of(initial_retry_delay_ms=100, profile_deadline_ms=deadline_ms))
        conversation.handle(ev.ConversationStarted(at_ms=0, greeting="Hola", customer_key="k"))
        failed = ev.ProviderFailed(at_ms=10, service="shop", kind="overloaded", message="busy", retryable=True)
        out = conversation.handle(failed)
        assert any(isinstance(c, do.Speak) for c in out) is greets
        (timer,) = [c for c in out if isinstance(c, do.SetTimer)]
        again = conversation.handle(ev.TimerFired(at_ms=110, timer_id=timer.timer_id))
        assert [c.customer_key for c in again if isinstance(c, do.LoadProfile)] == ["k"]
