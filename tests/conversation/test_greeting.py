"""Clara greets with what the shop knows, if it comes in time, and never keeps anyone waiting for it."""

from __future__ import annotations

from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState as S

USUAL = "¡Hola! Soy Clara."
PERSONAL = "¡Hola {first_name}! Vi que tienes piel {skin_type}."


def begun(settings: Settings | None = None) -> tuple[Conversation, tuple[do.Command, ...]]:
    talk = Conversation(settings)
    return talk, talk.handle(ev.ConversationStarted(at_ms=0, greeting=USUAL, customer_key="k1"))


def spoken(commands: tuple[do.Command, ...]) -> list[str]:
    return [c.text for c in commands if isinstance(c, do.Speak)]


def loaded(at_ms: float, greeting: str = PERSONAL) -> ev.ProfileLoaded:
    return ev.ProfileLoaded(at_ms=at_ms, known_fields=("first_name", "skin_type"), greeting=greeting)


def shop_failed(at_ms: float) -> ev.ProviderFailed:
    return ev.ProviderFailed(at_ms=at_ms, service="shop", kind="refused", message="No.", hint="Look.")


def deadline(commands: tuple[do.Command, ...]) -> do.SetTimer:
    return next(c for c in commands if isinstance(c, do.SetTimer))


def test_the_profile_is_asked_for_first_and_the_greeting_waits_for_it() -> None:
    talk, commands = begun()
    assert [type(c).__name__ for c in commands] == ["StartListening", "LoadProfile", "SetTimer"]
    assert deadline(commands).due_ms == 1500
    assert spoken(talk.handle(loaded(400))) == [PERSONAL]
    assert not talk.is_quiet


def test_after_the_deadline_clara_greets_as_she_greets_everyone_and_never_twice() -> None:
    talk, commands = begun()
    late = ev.TimerFired(at_ms=1500, timer_id=deadline(commands).timer_id)
    assert spoken(talk.handle(late)) == [USUAL]
    assert spoken(talk.handle(loaded(2000))) == []
    assert spoken(talk.handle(loaded(2100))) == []


def test_the_customer_does_not_notice_that_the_shop_failed_but_the_people_in_front_of_the_screen_do() -> None:
    talk, _ = begun()
    commands = talk.handle(shop_failed(300))
    assert spoken(commands) == [USUAL]
    assert [c.message for c in commands if isinstance(c, do.Notify)] == ["No. What to do: Look."]
    assert spoken(talk.handle(shop_failed(400))) == []


def test_a_profile_without_a_greeting_of_its_own_brings_the_usual_one() -> None:
    talk, _ = begun()
    assert spoken(talk.handle(loaded(300, greeting=" "))) == [USUAL]


def test_switched_off_nothing_is_asked() -> None:
    _, commands = begun(Settings.of(enable_personalization=False))
    assert [type(c).__name__ for c in commands] == ["StartListening", "Speak", "EndSpeech"]
    assert spoken(commands) == [USUAL]


def test_who_speaks_before_the_profile_comes_is_answered_and_not_greeted() -> None:
    talk, _ = begun()
    talk.handle(ev.SpeechStarted(at_ms=200, source="vad", sound_at_ms=100))
    talk.handle(ev.TranscriptFinal(at_ms=900, text="Hola", speech_started_ms=100, speech_ended_ms=500))
    assert talk.state is S.PROCESSING
    assert spoken(talk.handle(loaded(1000))) == []


def test_a_cough_before_the_profile_comes_only_delays_the_greeting() -> None:
    talk, _ = begun()
    (timer,) = talk.handle(ev.SpeechStarted(at_ms=200, source="vad", sound_at_ms=100))
    assert spoken(talk.handle(loaded(400))) == []
    assert isinstance(timer, do.SetTimer)
    assert spoken(talk.handle(ev.TimerFired(at_ms=timer.due_ms, timer_id=timer.timer_id))) == [PERSONAL]


def test_hanging_up_while_the_profile_is_awaited_leaves_nothing_behind() -> None:
    talk, _ = begun()
    talk.handle(ev.ConversationStopped(at_ms=500))
    assert talk.is_quiet
    assert spoken(talk.handle(loaded(600))) == []
