"""What Clara does when people interrupt, cough, go on, or fall silent."""

from __future__ import annotations

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.history import CUT
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import HeardEstimated
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState as S


def final(at_ms: float, text: str) -> ev.TranscriptFinal:
    return ev.TranscriptFinal(at_ms=at_ms, text=text, speech_started_ms=at_ms - 1500, speech_ended_ms=at_ms - 500)


def speaking(settings: Settings | None = None) -> Conversation:
    """Clara has been answering «Hola» with two sentences for a second; utterance 1, reply 1."""
    talk = Conversation(settings)
    talk.handle(final(1000, "Hola"))
    talk.handle(ev.ReplyStarted(at_ms=1001, reply_id=1, model="m"))
    talk.handle(ev.ReplyDelta(at_ms=1500, reply_id=1, text="Te recomiendo el gel Brisa. Cuesta poco."))
    talk.handle(ev.ReplyCompleted(at_ms=1600, reply_id=1, stop_reason="end_turn"))
    talk.handle(ev.SpeechVoiced(at_ms=1700, utterance_id=1, piece_no=1, audio_ms=4000))
    talk.handle(ev.SpeakingStarted(at_ms=2000, utterance_id=1))
    assert talk.state is S.AVATAR_SPEAKING
    return talk


def names(commands: tuple[do.Command, ...]) -> list[str]:
    return [type(c).__name__ for c in commands]


def sound(at_ms: float) -> ev.SpeechStarted:
    return ev.SpeechStarted(at_ms=at_ms, source="vad", sound_at_ms=at_ms - 64)


def test_a_sound_interrupts_clara_only_after_the_debounce_sound_first_work_second() -> None:
    talk = Conversation()
    talk.handle(final(1000, "Hola"))
    talk.handle(ev.ReplyDelta(at_ms=1500, reply_id=1, text="Te cuento. Es"))
    talk.handle(ev.SpeakingStarted(at_ms=2000, utterance_id=1))
    (timer,) = talk.handle(sound(3000))
    assert isinstance(timer, do.SetTimer) and timer.due_ms == 3100
    commands = talk.handle(ev.TimerFired(at_ms=3100, timer_id=timer.timer_id))
    assert names(commands)[:2] == ["InterruptAvatar", "CancelReply"]
    assert talk.state is S.INTERRUPTED
    assert all(c.reason for c in commands)


def test_a_short_sound_does_not_stop_clara() -> None:
    talk = speaking()
    talk.handle(sound(3000))
    ended = ev.SpeechEnded(at_ms=3080, source="vad", sound_at_ms=3010)
    assert names(talk.handle(ended)) == ["CancelTimer"]
    assert talk.state is S.AVATAR_SPEAKING


def test_the_history_keeps_only_the_heard_words() -> None:
    talk = speaking()
    (timer,) = talk.handle(sound(4000))
    talk.handle(ev.TimerFired(at_ms=4100, timer_id=timer.timer_id))  # type: ignore[attr-defined]
    talk.handle(ev.SpeakingInterrupted(at_ms=4200, utterance_id=1))
    talk.handle(ev.TranscriptInterim(at_ms=4500, text="Espera"))
    (request,) = (c for c in talk.handle(final(6000, "Espera, otra cosa")) if isinstance(c, do.RequestReply))
    heard = next(r for r in talk.trace if isinstance(r, HeardEstimated))
    assert f"{heard.heard} {heard.unheard}" == "Te recomiendo el gel Brisa. Cuesta poco."
    assert [(m.role, m.text) for m in request.messages] == [
        ("user", "Hola"), ("assistant", heard.heard), ("user", f"{CUT} Espera, otra cosa"),
    ]  # fmt: skip
    assert heard.heard == "Te recomiendo el gel"


def test_words_that_go_on_before_clara_speaks_are_one_turn() -> None:
    talk = Conversation()
    talk.handle(final(1000, "Quiero algo"))
    assert names(talk.handle(ev.TranscriptInterim(at_ms=1200, text="barato"))) == [
        "SetTimer",
        "CancelTimer",
        "CancelReply",
    ]
    (request,) = (c for c in talk.handle(final(2000, "barato para mi hermana")) if isinstance(c, do.RequestReply))
    assert request.text == "Quiero algo barato para mi hermana"
    assert (request.turn_id, request.reply_id) == (1, 2)


def test_a_false_interruption_resumes_from_the_cut_sentence() -> None:
    talk = speaking()
    (timer,) = talk.handle(sound(4000))
    (_, no_words) = talk.handle(ev.TimerFired(at_ms=4100, timer_id=timer.timer_id))  # type: ignore[attr-defined]
    commands = talk.handle(ev.TimerFired(at_ms=6600, timer_id=no_words.timer_id))  # type: ignore[attr-defined]
    assert [c.text for c in commands if isinstance(c, do.Speak)] == ["Te recomiendo el gel Brisa.", "Cuesta poco."]
    talk.handle(ev.SpeakingStarted(at_ms=7000, utterance_id=2))
    talk.handle(ev.SpeakingEnded(at_ms=11000, utterance_id=2))
    assert [m.text for m in talk.history.messages("¿y?")] == ["Hola", "Te recomiendo el gel Brisa. Cuesta poco.", "¿y?"]


def test_late_events_of_an_interrupted_reply_are_ignored() -> None:
    talk = speaking()
    talk.handle(ev.TextTyped(at_ms=3000, text="Otra cosa"))
    assert talk.state is S.PROCESSING
    for late in (
        ev.ReplyDelta(at_ms=3100, reply_id=1, text="Hola. Chao."),
        ev.SpeakingStarted(at_ms=3100, utterance_id=1),
        ev.ReplyCompleted(at_ms=3100, reply_id=1, stop_reason="end_turn"),
    ):
        assert talk.handle(late) == ()
    assert talk.state is S.PROCESSING


def test_a_failing_model_is_tried_again_with_the_plans_delays_and_then_clara_apologises() -> None:
    talk = Conversation()
    talk.handle(final(1000, "Hola"))
    delays, now_ms = [], 1000.0
    for reply_id in range(1, 4):
        failed = ev.ProviderFailed(
            at_ms=now_ms, service="llm", kind="overloaded", message="busy", retryable=True, reply_id=reply_id
        )
        timer = next(c for c in talk.handle(failed) if isinstance(c, do.SetTimer))
        delays.append(timer.due_ms - now_ms)
        now_ms = timer.due_ms
        talk.handle(ev.TimerFired(at_ms=now_ms, timer_id=timer.timer_id))
    assert delays == [1000, 2000, 4000]
    failed = ev.ProviderFailed(
        at_ms=now_ms, service="llm", kind="overloaded", message="busy", retryable=True, reply_id=4
    )
    assert [c.text for c in talk.handle(failed) if isinstance(c, do.Speak)] == [Settings().apology]


def test_words_whose_final_never_comes_are_answered_all_the_same() -> None:
    talk = Conversation()
    talk.handle(sound(100))
    talk.handle(ev.TranscriptInterim(at_ms=1000, text="¿Cuánto cuesta?"))
    timer = next(r for r in reversed(talk.trace) if isinstance(r, do.SetTimer))
    (request,) = (
        c
        for c in talk.handle(ev.TimerFired(at_ms=timer.due_ms, timer_id=timer.timer_id))
        if isinstance(c, do.RequestReply)
    )
    assert request.text == "¿Cuánto cuesta?"


def test_without_chunked_sending_the_reply_is_spoken_in_one_piece() -> None:
    talk = Conversation(Settings.of(enable_chunked_heygen=False))
    talk.handle(final(1000, "Hola"))
    assert talk.handle(ev.ReplyDelta(at_ms=1500, reply_id=1, text="Uno. Dos. Tres")) == ()
    commands = talk.handle(ev.ReplyCompleted(at_ms=1600, reply_id=1, stop_reason="end_turn"))
    assert [c.text for c in commands if isinstance(c, do.Speak)] == ["Uno. Dos. Tres"]
