"""Two steps: a sound makes Clara low, and only what means it stops her. What was cut for nothing goes on."""

from __future__ import annotations

from typing import Any

import pytest

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.policies import STANDARD
from clara_kit.conversation.policy import Policy, Yield
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState as S
from clara_kit.turns import usual_policies

FIRST, SECOND = "Para tu piel, el gel Brisa va muy bien, y cuesta poco.", "También hay una crema."


class Talking:
    """A conversation in which Clara is heard from 2,000 ms on; 4,000 ms of sound for each sentence."""

    def __init__(self, *, written: bool = True, preset: Any = "tuned", **changes: Any) -> None:
        settings = Settings.preset(preset).with_changes(**{"words_so_far_ms": 0, **changes})
        self.conversation = Conversation(settings, policies=usual_policies())
        self.said("Quiero algo para la cara", 0, 900)
        self(ev.ReplyStarted(at_ms=1310, reply_id=1, model="m"))
        self(ev.ReplyDelta(at_ms=1400, reply_id=1, text=f"{FIRST} {SECOND} Y" if written else f"{FIRST} Tamb"))
        if written:
            self(ev.ReplyCompleted(at_ms=1500, reply_id=1, stop_reason="end_turn"))
        self(ev.SpeechVoiced(at_ms=1600, utterance_id=1, piece_no=0, audio_ms=4000))
        self(ev.SpeakingStarted(at_ms=2000, utterance_id=1))

    def __call__(self, event: ev.Event) -> list[do.Command]:
        return list(self.conversation.handle(event))

    def said(self, text: str, from_ms: float, until_ms: float) -> list[do.Command]:
        return self(
            ev.TranscriptFinal(at_ms=until_ms + 400, text=text, speech_started_ms=from_ms, speech_ended_ms=until_ms)
        )

    def sound(self, from_ms: float, *ears: str) -> list[do.Command]:
        begun = [
            ev.SpeechStarted(at_ms=from_ms + 90, source=ear, sound_at_ms=from_ms)  # type: ignore[arg-type]
            for ear in ears or ("vad", "vendor")
        ]
        return [command for event in begun for command in self(event)]

    def silence(self, at_ms: float) -> list[do.Command]:
        return self(ev.SpeechEnded(at_ms=at_ms + 64, source="vad", sound_at_ms=at_ms))

    def ring(self, kind: str) -> list[do.Command]:
        timer = self.conversation.talk.timers[kind]
        return self(ev.TimerFired(at_ms=timer.due_ms, timer_id=timer.timer_id))


def names(commands: list[do.Command]) -> list[str]:
    return [type(c).__name__ for c in commands if not isinstance(c, do.SetTimer | do.CancelTimer)]


def ducked(commands: list[do.Command]) -> list[bool]:
    return [c.on for c in commands if isinstance(c, do.Duck)]


def spoken(commands: list[do.Command]) -> list[str]:
    return [c.text for c in commands if isinstance(c, do.Speak)]


def test_a_sound_makes_her_low_at_its_onset_and_its_end_brings_her_back() -> None:
    talk = Talking()
    assert ducked(talk.sound(3000)) == [True]
    assert ducked(talk.silence(3300)) == [False]
    assert talk.conversation.state is S.AVATAR_SPEAKING


def test_words_that_mean_it_stop_her_first_and_then_let_the_sound_be() -> None:
    talk = Talking(written=False)
    talk.sound(3000)
    stopped = names(talk(ev.TranscriptInterim(at_ms=3500, text="espera un")))
    assert stopped == ["InterruptAvatar", "CancelReply", "Duck"]


@pytest.mark.parametrize("settings", [{"duck": False}, {"preset": "plan"}])
def test_who_does_not_want_it_hears_no_duck(settings: dict[str, Any]) -> None:
    talk = Talking(**settings)
    assert ducked([*talk.sound(3000), *talk.ring("barge_in")]) == []


def test_no_new_piece_is_begun_while_a_sound_is_held_and_then_all_are() -> None:
    talk = Talking(written=False)
    talk.sound(3000)
    assert names(talk(ev.ReplyDelta(at_ms=3100, reply_id=1, text="ién hay una crema. "))) == []
    assert names(talk(ev.ReplyCompleted(at_ms=3150, reply_id=1, stop_reason="end_turn"))) == []
    assert names(talk.silence(3400)) == ["FinalizeWords", "Duck", "Speak", "EndSpeech"]


def test_pieces_that_waited_are_said_also_where_what_was_given_is_over_meanwhile() -> None:
    talk = Talking(written=False)
    talk.sound(3000)
    talk(ev.ReplyDelta(at_ms=3100, reply_id=1, text="ién hay una crema. "))
    talk(ev.ReplyCompleted(at_ms=3150, reply_id=1, stop_reason="end_turn"))
    talk(ev.SpeakingEnded(at_ms=3300, utterance_id=1))
    assert spoken(talk.silence(3400)) == [SECOND]
    talk(ev.SpeakingStarted(at_ms=3700, utterance_id=2))
    talk(ev.SpeakingEnded(at_ms=4700, utterance_id=2))
    assert [m.text for m in talk.conversation.history.said][1:] == [f"{FIRST} {SECOND}"]


def test_a_sound_alone_stops_only_her_sound_and_what_is_written_meanwhile_is_said_after_it() -> None:
    talk = Talking(written=False)
    talk.sound(3000)
    assert names(talk.ring("barge_in")) == ["InterruptAvatar", "Duck"]
    talk(ev.SpeakingInterrupted(at_ms=3800, utterance_id=1))
    assert names(talk(ev.ReplyDelta(at_ms=3900, reply_id=1, text="ién hay una crema. Y"))) == []
    talk.silence(4200)
    assert spoken(talk.ring("no_words")) == ["el gel Brisa va muy bien, y cuesta poco.", SECOND]
    assert names(talk(ev.ReplyCompleted(at_ms=5200, reply_id=1, stop_reason="end_turn"))) == ["Speak", "EndSpeech"]


def test_words_after_such_a_stop_end_the_model_s_work_and_nothing_of_the_rest_is_said() -> None:
    talk = Talking(written=False)
    talk.sound(3000)
    talk.ring("barge_in")
    assert names(talk(ev.TranscriptInterim(at_ms=4000, text="no, otra cosa"))) == ["CancelReply"]
    assert names(talk.said("no, otra cosa", 3000, 4200)) == ["RequestReply"]


def test_the_rest_is_said_from_the_cut_clause() -> None:
    talk = Talking()
    talk.sound(4500)  # 2.5 s of 4 s: after «el gel Brisa va»
    talk.ring("barge_in")
    talk(ev.SpeakingInterrupted(at_ms=5300, utterance_id=1))
    talk.silence(5400)
    assert spoken(talk.ring("no_words")) == ["y cuesta poco.", SECOND, "Y"]
    assert talk.conversation.history.said[-1].text == "Para tu piel, el gel Brisa va muy bien,"


def test_between_two_sentences_a_sound_loses_nothing_either() -> None:
    talk = Talking(written=False)
    talk(ev.SpeakingEnded(at_ms=6000, utterance_id=1))
    assert talk.conversation.state is S.PROCESSING
    talk.sound(6100)
    talk.ring("barge_in")
    talk(ev.ReplyDelta(at_ms=7000, reply_id=1, text="ién hay una crema. Y"))
    talk.silence(7100)
    assert spoken(talk.ring("no_words")) == [SECOND]
    assert talk.conversation.state is S.PROCESSING


def test_a_sound_while_the_answer_is_prepared_does_not_throw_it_away() -> None:
    talk = Talking()
    talk(ev.SpeakingEnded(at_ms=9000, utterance_id=1))
    talk.said("¿Y cuánto cuesta?", 10_000, 11_000)
    talk.sound(11_500)
    talk.ring("barge_in")
    assert talk.conversation.state is S.USER_SPEAKING
    assert names(talk(ev.ReplyDelta(at_ms=12_400, reply_id=2, text="Cuesta poco. Y"))) == []
    talk.silence(12_600)
    (piece,) = (c for c in talk.ring("no_words") if isinstance(c, do.Speak))
    assert piece.text == "Cuesta poco." and talk.conversation.state is S.PROCESSING


def test_what_only_the_local_ear_hears_must_last_nearly_twice_as_long_and_a_door_does_not() -> None:
    talk = Talking()
    talk.sound(3000, "vad")
    assert names(talk.ring("barge_in")) == []
    assert ducked(talk.silence(4200)) == [False] and talk.conversation.state is S.AVATAR_SPEAKING
    talk.sound(5000, "vad")
    talk.ring("barge_in")
    assert "InterruptAvatar" in names(talk.ring("barge_in"))


def test_what_only_the_recogniser_hears_is_left_to_its_words() -> None:
    talk = Talking()
    talk.sound(3000, "vendor")
    talk.ring("barge_in")
    assert names(talk.ring("barge_in")) == ["Duck"] and talk.conversation.state is S.AVATAR_SPEAKING
    assert "InterruptAvatar" in names(talk(ev.TranscriptInterim(at_ms=5000, text="oye espera")))


def test_the_words_so_far_of_a_sound_that_lasts_are_asked_for_and_decide_before_its_length_does() -> None:
    talk = Talking(words_so_far_ms=460)
    talk.sound(3000)
    (asked,) = (c for c in talk.ring("barge_in") if isinstance(c, do.FinalizeWords))
    assert asked.at_ms == 3460 and not asked.over
    said = talk(ev.TranscriptInterim(at_ms=3710, text="sí, claro"))
    assert names(said) == ["FinalizeWords"]  # they ask for nothing: what follows?
    assert names(talk.ring("barge_in")) == []
    assert names(talk(ev.TranscriptInterim(at_ms=4010, text="sí, claro que"))) == ["FinalizeWords"]
    assert "Duck" in names(talk.silence(4100)) and talk.conversation.state is S.AVATAR_SPEAKING


def test_where_the_recogniser_is_gone_the_local_ear_is_believed() -> None:
    talk = Talking()
    talk(ev.ProviderFailed(at_ms=2100, service="stt", kind="cut", message="gone", retryable=True))
    talk.sound(3000, "vad")
    assert "InterruptAvatar" in names(talk.ring("barge_in"))


def test_a_customer_who_goes_on_as_she_begins_is_answered_once_with_both_parts() -> None:
    talk = Talking()
    talk.sound(2300)
    talk(ev.TranscriptInterim(at_ms=2900, text="que no sea"))
    (request,) = (c for c in talk.said("que no sea cara", 2300, 3300) if isinstance(c, do.RequestReply))
    assert request.text == "Quiero algo para la cara que no sea cara"
    assert [(m.role, m.text) for m in request.messages] == [("user", request.text)]
    assert request.turn_id == 1


@pytest.mark.parametrize(("text", "from_ms"), [("espera", 2300), ("que no sea cara", 3000)])
def test_an_order_and_what_comes_later_begin_a_turn_of_their_own(text: str, from_ms: float) -> None:
    talk = Talking()
    (request,) = (c for c in talk.said(text, from_ms, from_ms + 600) if isinstance(c, do.RequestReply))
    assert request.text == text and len(request.messages) == 3


def test_her_opening_is_protected_from_sounds_and_not_from_words() -> None:
    talk = Talking(protected_opening_ms=500)
    talk.sound(2100)
    assert names(talk.ring("barge_in")) == [] and talk.conversation.state is S.AVATAR_SPEAKING
    assert "InterruptAvatar" in names(talk(ev.TranscriptInterim(at_ms=2850, text="no quiero un gel")))


@pytest.mark.parametrize(
    ("text", "stops"), [("crema", False), ("crema mejor", True), ("espera", True), ("¿cuál?", True)]
)
def test_fewer_words_than_asked_for_stop_her_only_where_they_mean_it(text: str, stops: bool) -> None:
    talk = Talking(min_words=2)
    asked = [c.text for c in talk.said(text, 4000, 4500) if isinstance(c, do.RequestReply)]
    assert asked == ([text] if stops else [])


def test_under_the_plan_what_was_not_written_is_asked_for_once_more() -> None:
    talk = Talking(written=False, preset="plan")
    talk.sound(3000)
    assert names(talk.ring("barge_in")) == ["InterruptAvatar", "CancelReply"]
    (request,) = (c for c in talk.ring("no_words") if isinstance(c, do.RequestReply))
    roles = [m.role for m in request.messages]
    assert request.text == "Quiero algo para la cara" and roles == ["user", "assistant", "user"]
    assert talk.conversation.state is S.PROCESSING


def test_whoever_wants_silence_after_a_stop_has_it() -> None:
    talk = Talking(written=False, after_false_interruption="end")
    talk.sound(3000)
    talk.ring("barge_in")
    talk.silence(4200)
    assert names(talk.ring("no_words")) == ["CancelReply"] and talk.conversation.state is S.IDLE


@pytest.mark.parametrize("broken", ["tts", "avatar"])
def test_where_voice_or_avatar_broke_off_the_rest_is_said_and_the_model_writes_on(broken: Any) -> None:
    talk = Talking(written=False)
    failed = ev.ProviderFailed(at_ms=4800, service=broken, kind="cut", message="cut", retryable=True, utterance_id=1)
    assert spoken(talk(failed)) == ["el gel Brisa va muy bien, y cuesta poco."]
    assert spoken(talk(ev.ReplyDelta(at_ms=4900, reply_id=1, text="ién hay una crema. Y"))) == [SECOND]


def test_a_voice_that_breaks_off_at_the_same_place_again_and_again_is_let_be() -> None:
    talk, said = Talking(), []
    for number in range(1, 9):
        at_ms = 2000 + 100 * number
        talk(ev.SpeakingStarted(at_ms=at_ms, utterance_id=number))
        said += spoken(talk(ev.ProviderFailed(
            at_ms=at_ms + 10, service="tts", kind="cut", message="cut", retryable=True, utterance_id=number
        )))  # fmt: skip
    assert said.count(FIRST) == Settings().max_retries and talk.conversation.state is S.IDLE


def test_a_second_sound_before_the_rest_is_heard_holds_it_back_again() -> None:
    talk = Talking()
    talk.sound(3000)
    talk.ring("barge_in")
    talk.silence(4000)
    talk.ring("no_words")
    talk.sound(5000)
    assert "InterruptAvatar" in names(talk.ring("barge_in"))
    talk.silence(6000)
    assert spoken(talk.ring("no_words")) == [FIRST.removeprefix("Para tu piel, "), SECOND, "Y"]


def test_withdrawn_words_bring_back_also_what_the_model_had_not_written() -> None:
    talk = Talking(written=False)
    talk.sound(3000)
    talk(ev.TranscriptInterim(at_ms=3900, text="mejor otra"))
    commands = talk.said("", 3000, 4000)
    assert "RequestReply" in names(commands)


def test_the_decisions_are_policies_that_can_be_left_out() -> None:
    every = Policy("every_sound", lambda talk, sound: Yield(reason="try") if sound.occasion == "began" else None)
    conversation = Talking().conversation
    other = Conversation(talk=conversation.snapshot(), policies=STANDARD.first("sound", every))
    commands = other.handle(ev.SpeechStarted(at_ms=3000, source="vad", sound_at_ms=2910))
    assert isinstance(commands[0], do.InterruptAvatar) and commands[0].by == "every_sound"


def test_a_hold_outlasts_the_vendor_s_word_that_the_sound_is_over() -> None:
    talk = Conversation(Settings.preset("tuned"), policies=usual_policies())
    talk.handle(ev.TranscriptFinal(at_ms=1300, text="me gustaría saber si", speech_started_ms=0, speech_ended_ms=900))
    assert talk.handle(ev.SpeechEnded(at_ms=1500, source="vendor", sound_at_ms=900)) == ()
    assert talk.state is S.USER_SPEAKING


def test_who_has_long_gone_on_when_she_would_begin_is_not_talked_into_and_a_nod_costs_nothing() -> None:
    talk = Talking(words_so_far_ms=460)
    talk(ev.SpeakingEnded(at_ms=6000, utterance_id=1))
    talk.said("¿Y el gel?", 7000, 8000)
    talk(ev.ReplyDelta(at_ms=8450, reply_id=2, text="Claro, el gel cuesta poco. Y"))
    talk.sound(8500)
    assert names(talk.ring("barge_in"))[:1] == ["InterruptAvatar"]  # unheard: nothing is lost
    out = talk(ev.TranscriptFinal(at_ms=9500, text="ajá", speech_started_ms=8500, speech_ended_ms=9100))
    assert [c.text for c in out if isinstance(c, do.Speak)] == ["Claro, el gel cuesta poco."]
