"""What is passed by, when, and how it comes back; and that nothing the customer said stays without an answer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from clara_kit import FallbackManager, RetryPolicy, Settings, simulate
from clara_kit.conversation import switching
from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.world.faults import Fault

ON = Settings.of(enable_auto_fallback=True, greeting="")
LINES = ["¿Qué protector solar me recomiendas?", "¿Y cuánto cuesta?", "¿Hacen despachos a regiones?", "Gracias."]


def of(commands: Any, *kinds: type) -> list[Any]:
    return [one for one in commands if isinstance(one, kinds)]


def refused(service: Any, count: int, *, status: int = 503) -> list[Fault]:
    return [Fault(service=service, kind="refuse", on=n, status=status) for n in range(1, count + 1)]


def test_the_jitter_is_the_same_for_a_seed_and_another_for_every_attempt_and_service() -> None:
    policy = RetryPolicy()
    assert [policy.delay_ms(n) for n in (1, 2, 3, 4)] == [1000, 2000, 4000, None]  # the plan's, without a seed
    delays = {
        (s, v, n): policy.delay_ms(n, seed=s, service=v) for s in (1, 2) for v in ("llm", "stt") for n in (1, 2, 3)
    }
    assert delays == {key: policy.delay_ms(key[2], seed=key[0], service=key[1]) for key in delays}
    assert len(set(delays.values())) == len(delays)
    assert all(abs(ms / (1000 * 2 ** (n - 1)) - 1) <= 0.1 for (_, _, n), ms in delays.items() if ms is not None)
    assert policy.delay_ms(1, 5000, seed=1, service="llm") == 5000  # never less than a vendor asks for
    assert RetryPolicy(max_delay_ms=1500).delay_ms(3, seed=3, service="llm") == 1500


def test_three_failures_in_a_row_open_a_circuit_and_two_answers_in_a_row_close_it() -> None:
    manager = FallbackManager(threshold=3, open_ms=1000, successes=2)
    assert [manager.record_failure("llm", at_ms) for at_ms in (1, 2)] == [False, False]
    assert not manager.reset_failure_count("llm")  # it answered in between
    assert [manager.record_failure("llm", at_ms) for at_ms in (3, 4, 5)] == [False, False, True]
    assert manager.health("llm").circuit == "open" and manager.probe_at_ms("llm") == 1005
    manager.probed("llm")
    assert manager.record_failure("llm", 2000)  # on trial one is enough, and it is passed by for twice as long
    assert manager.probe_at_ms("llm") == 4000
    manager.probed("llm")
    assert [manager.reset_failure_count("llm") for _ in range(2)] == [False, True]
    assert manager.health("llm").circuit == "closed" and manager.health("stt").circuit == "closed"


def test_claude_lost_is_answered_by_the_backup_within_two_seconds_of_the_deciding_failure() -> None:
    run = simulate(LINES, ON, faults=refused("llm", 3))
    (switch, *_) = of(run.trace, do.SwitchTo)
    assert (switch.service, switch.target) == ("llm", "backup")
    third = [e for e in run.events if isinstance(e, ev.ProviderFailed)][2]
    spoken = next(r for r in run.trace if isinstance(r, do.Speak) and r.at_ms >= switch.at_ms)
    assert spoken.text == ON.fallback_notice and spoken.at_ms - third.at_ms < 2000
    assert any(n.message == "Cambiando a modo de respaldo…" for n in of(run.trace, do.Notify))
    (asked, *_) = of(run.trace, do.AskBackup)
    assert asked.text == LINES[0] and not asked.heard
    started = [e.utterance_id for e in run.events if isinstance(e, ev.SpeakingStarted)]
    assert asked.utterance_id in started


def test_a_notice_that_nobody_heard_is_said_as_soon_as_the_customer_is_silent() -> None:
    """The recogniser's key is refused as the customer begins: Clara's notice is cut before its first sound."""
    blows = [Fault(service="stt", kind="cut", on=2), Fault(service="stt", kind="refuse", on=3, status=401)]
    run = simulate(LINES[:2], ON, faults=blows)
    switched = next(s.at_ms for s in of(run.trace, do.SwitchTo) if s.service == "stt")
    silent = next(e.at_ms for e in of(run.trace, ev.SpeechEnded) if e.at_ms > switched)
    notices = [s for s in of(run.trace, do.Speak) if s.text == ON.fallback_notice]
    heard = {e.utterance_id for e in of(run.trace, ev.SpeakingStarted)}
    assert [n.utterance_id in heard for n in notices] == [False, True] and notices[-1].at_ms == silent
    assert [a.text for a in of(run.trace, do.AskBackup)] == LINES[1:2]


def test_nothing_is_asked_of_the_model_while_it_is_passed_by_and_it_comes_back_after_its_trial() -> None:
    run = simulate(LINES * 4, ON.with_changes(fallback_open_ms=8000), faults=refused("llm", 3))
    switches = of(run.trace, do.SwitchTo)
    away, back = (next(s.at_ms for s in switches if s.service == "llm" and s.target == t) for t in ("backup", ""))
    assert not [r for r in of(run.trace, do.RequestReply) if away <= r.at_ms < back]
    probe = next(p for p in of(run.trace, do.ProbePrimary) if p.service == "llm")
    assert probe.at_ms - away == 8000
    later = [r for r in of(run.trace, do.RequestReply, do.AskBackup) if r.at_ms >= back]
    assert later and isinstance(later[0], do.RequestReply)
    assert (switches[-1].service, switches[-1].target) == ("avatar", "")  # and Clara has her own face again
    assert of(run.trace, do.CloseBackup)


def test_two_requests_are_never_under_way_at_once() -> None:
    faults = [*refused("llm", 3), Fault(service="llm", kind="stall", on=5), Fault(service="backup", kind="cut", on=2)]
    run = simulate(LINES * 3, ON.with_changes(fallback_open_ms=6000), faults=faults)
    alive: set[int] = set()
    for record in run.trace:
        match record:
            case do.RequestReply() | do.AskBackup():
                assert not alive, record
                alive.add(record.reply_id)
            case do.CancelReply() | ev.ReplyCompleted():
                alive.discard(record.reply_id)
            case ev.ProviderFailed(reply_id=int(n)):
                alive.discard(n)
            case ev.ProviderFailed(service="backup"):
                alive.clear()
            case _:
                pass


@pytest.mark.parametrize("on", [True, False])
def test_a_model_that_sends_nothing_for_three_seconds_is_passed_by_or_named_and_the_customer_hears_a_word(
    on: bool,
) -> None:
    settings = Settings.of(enable_auto_fallback=on, greeting="")
    run = simulate(LINES[:1], settings, faults=[Fault(service="llm", kind="stall", on=1)])
    asked = of(run.trace, do.RequestReply)[0]
    alert = next(a for a in of(run.trace, do.RaiseAlert) if a.name == "slow_llm")
    assert alert.at_ms - asked.at_ms == pytest.approx(settings.slow_response_ms)
    word = next(s for s in of(run.trace, do.Speak) if s.at_ms >= alert.at_ms)
    assert word.text == (settings.fallback_notice if on else settings.hold_phrase)
    assert bool(of(run.trace, do.SwitchTo)) is on
    assert run.ledger[-1].clara.startswith(("El protector", "Te recomiendo", "Para"))


def test_a_slow_avatar_is_named_and_switches_nothing() -> None:
    run = simulate(LINES[:1], ON, faults=[Fault(service="avatar", kind="slow", on=1, for_ms=5000)])
    assert "slow_avatar" in [alert.name for alert in of(run.trace, do.RaiseAlert)]
    assert not of(run.trace, do.SwitchTo)


def test_who_asks_whether_somebody_is_there_starts_nothing_anew() -> None:
    lines = [
        {"text": LINES[0]},
        {"text": "¿Aló?", "at_most_ms": 4200},
        {"text": "Hola, ¿sigues ahí?", "at_most_ms": 1500},
    ]
    run = simulate(
        {"lines": lines}, Settings.of(greeting=""), faults=[Fault(service="llm", kind="slow", on=1, for_ms=6500)]
    )  # type: ignore[arg-type]
    assert len(of(run.trace, do.RequestReply)) == 1 and not of(run.trace, do.CancelReply)
    assert [s.text for s in of(run.trace, do.Speak)].count("Dame un momento, por favor.") == 1


def test_the_rest_of_a_reply_that_breaks_off_is_asked_for_behind_what_was_said() -> None:
    run = simulate(LINES[:1], Settings.of(greeting=""), faults=[Fault(service="llm", kind="cut", on=1, after_ms=500)])
    first, rest = of(run.trace, do.RequestReply)
    assert first.messages == rest.messages[:1] and [m.role for m in rest.messages] == ["user", "assistant", "user"]
    pieces = of(run.trace, do.Speak)
    assert rest.messages[1].text.startswith(pieces[0].text) and pieces[-1].utterance_id >= pieces[0].utterance_id
    assert not any(a.name == "unanswered" for a in of(run.trace, do.RaiseAlert))


def test_where_the_rest_does_not_come_that_is_said() -> None:
    faults = [
        Fault(service="llm", kind="cut", on=1, after_ms=500),
        *(Fault(service="llm", kind="refuse", on=n) for n in range(2, 9)),
    ]
    run = simulate(LINES[:1], Settings.of(greeting=""), faults=faults)
    assert of(run.trace, do.Speak)[-1].text == Settings().broken_reply
    assert "broken_reply" in [alert.name for alert in of(run.trace, do.RaiseAlert)]


def test_an_empty_reply_is_asked_for_once_more_and_then_apologised_for() -> None:
    conversation = Conversation(Settings.of(greeting="", max_retries=1))
    conversation.handle(ev.TextTyped(at_ms=0, text="Hola"))
    (timer,) = of(conversation.handle(ev.ReplyCompleted(at_ms=100, reply_id=1, stop_reason="end_turn")), do.SetTimer)
    assert of(conversation.handle(ev.TimerFired(at_ms=timer.due_ms, timer_id=timer.timer_id)), do.RequestReply)
    said = conversation.handle(ev.ReplyCompleted(at_ms=2000, reply_id=2, stop_reason="end_turn"))
    assert of(said, do.Speak)[0].text == Settings().apology


def test_what_no_voice_can_say_is_shown() -> None:
    run = simulate(LINES[:1], Settings.of(greeting=""), faults=refused("tts", 6, status=401))
    assert " ".join(s.text for s in of(run.trace, do.ShowText)).startswith(("El protector", "Te recomiendo", "Para"))
    assert "unspoken" in [alert.name for alert in of(run.trace, do.RaiseAlert)]


def test_a_lost_voice_gives_way_to_another_and_then_to_text() -> None:
    run = simulate(LINES, ON, faults=refused("tts", 12, status=401))
    assert [s.target for s in of(run.trace, do.SwitchTo) if s.service == "tts"][:2] == ["other", "text"]
    assert of(run.trace, do.ShowText)


def test_what_other_conversations_found_out_is_heeded_without_a_word_to_the_customer() -> None:
    conversation = Conversation(ON)
    conversation.handle(ev.ConversationStarted(at_ms=0))
    told = conversation.handle(ev.HealthTold(at_ms=1, service="llm", circuit="open", why="503 three times"))
    assert of(told, do.SwitchTo)[0].target == "backup" and of(told, do.OpenBackup)
    assert not of(told, do.Speak, do.RaiseAlert)
    back = conversation.handle(ev.HealthTold(at_ms=2, service="llm", circuit="half_open"))
    assert of(back, do.SwitchTo)[0].target == ""


def test_switched_off_nothing_is_ever_switched() -> None:
    run = simulate(LINES, Settings(), faults=[*refused("llm", 9), *refused("tts", 2)])
    assert not of(run.trace, do.SwitchTo, do.OpenBackup, do.AskBackup)
    heard = [turn.clara for turn in run.ledger[1:]]
    assert all(heard)


def test_the_backup_is_told_the_last_turns_verbatim() -> None:
    faults = [Fault(service="llm", kind="refuse", on=n) for n in (2, 3, 4)]
    run = simulate(LINES, ON, faults=faults)
    (opened, *_) = of(run.trace, do.OpenBackup)
    roles = [m.role for m in opened.messages]
    assert LINES[0] in opened.messages[0].text and all(a != b for a, b in pairwise(roles))
    assert opened.messages[-1].role == "assistant"


def test_an_avatar_that_the_backup_gives_back_is_on_trial_and_can_be_passed_by_again() -> None:
    conversation = Conversation(ON)
    conversation.handle(ev.ConversationStarted(at_ms=0))
    conversation.handle(ev.HealthTold(at_ms=1, service="avatar", circuit="open"))
    conversation.handle(ev.HealthTold(at_ms=2, service="llm", circuit="open"))
    conversation.handle(ev.ProviderRecovered(at_ms=3, service="backup"))
    avatar = conversation.talk.health("avatar")
    assert (avatar.circuit, avatar.target) == ("open", "backup")
    cut = ev.ProviderFailed(at_ms=4, service="backup", kind="cut", message="x", retryable=True)
    back = conversation.handle(cut)
    assert [one.target for one in of(back, do.SwitchTo) if one.service == "avatar"] == [""]
    assert avatar.circuit == "half_open"


def test_a_recogniser_or_an_avatar_that_was_left_is_connected_before_it_is_trusted_again() -> None:
    for service in ("stt", "avatar"):
        conversation = Conversation(ON)
        conversation.handle(ev.ConversationStarted(at_ms=0))
        conversation.handle(ev.HealthTold(at_ms=1, service=service, circuit="open"))
        told = conversation.handle(ev.HealthTold(at_ms=2, service=service, circuit="closed"))
        assert of(told, do.ProbePrimary) and not of(told, do.SwitchTo)  # nobody would hear, or be heard
        (back,) = of(conversation.handle(ev.ProviderRecovered(at_ms=3, service=service)), do.SwitchTo)
        assert (back.service, back.target) == (service, "")


def test_an_avatar_that_works_again_takes_nothing_from_the_backup_that_speaks_and_the_backup_is_closed_in_the_end() -> (
    None
):
    conversation = Conversation(ON.with_changes(fallback_successes=1))
    conversation.handle(ev.ConversationStarted(at_ms=0))
    conversation.handle(ev.HealthTold(at_ms=1, service="avatar", circuit="open"))
    conversation.handle(ev.HealthTold(at_ms=2, service="llm", circuit="open"))
    conversation.handle(ev.ProviderRecovered(at_ms=3, service="backup"))
    assert conversation.talk.health("avatar").target == "backup"
    for circuit in ("closed", "open"):
        assert not of(conversation.handle(ev.HealthTold(at_ms=4, service="avatar", circuit=circuit)), do.SwitchTo)  # type: ignore[arg-type]
    conversation.handle(ev.HealthTold(at_ms=5, service="llm", circuit="closed"))
    (asked,) = of(conversation.handle(ev.TextTyped(at_ms=6, text="¿Hacen despachos?")), do.RequestReply)
    conversation.handle(ev.ReplyDelta(at_ms=7, reply_id=asked.reply_id, text="Sí."))
    (speak,) = of(
        conversation.handle(ev.ReplyCompleted(at_ms=8, reply_id=asked.reply_id, stop_reason="end_turn")), do.Speak
    )
    conversation.handle(ev.SpeakingStarted(at_ms=9, utterance_id=speak.utterance_id))
    assert of(conversation.handle(ev.SpeakingEnded(at_ms=10, utterance_id=speak.utterance_id)), do.Connect)
    home = conversation.handle(ev.ProviderRecovered(at_ms=11, service="avatar"))
    assert of(home, do.CloseBackup) and of(home, do.SwitchTo)[0].target == ""


def test_what_waits_for_the_backup_is_asked_of_ours_where_that_comes_first() -> None:
    conversation = Conversation(ON)
    conversation.handle(ev.ConversationStarted(at_ms=0))
    conversation.handle(ev.HealthTold(at_ms=1, service="llm", circuit="open"))
    assert not of(conversation.handle(ev.TextTyped(at_ms=2, text="¿Hacen despachos?")), do.RequestReply, do.AskBackup)
    told = conversation.handle(ev.HealthTold(at_ms=3, service="llm", circuit="closed"))
    assert [r.text for r in of(told, do.RequestReply)] == ["¿Hacen despachos?"]
    assert not of(conversation.handle(ev.ProviderRecovered(at_ms=4, service="backup")), do.AskBackup)


def test_the_backup_is_not_heard_before_the_voice_that_it_takes_over_from_is_silent() -> None:
    conversation = Conversation(ON)
    conversation.handle(ev.ConversationStarted(at_ms=0, greeting="Hola, soy Clara."))
    conversation.handle(ev.SpeakingStarted(at_ms=1, utterance_id=1))
    conversation.handle(ev.HealthTold(at_ms=2, service="llm", circuit="open"))
    conversation.handle(ev.ProviderRecovered(at_ms=3, service="backup"))
    assert not of(conversation.handle(ev.TextTyped(at_ms=4, text="¿Hacen despachos?")), do.AskBackup)
    silent = conversation.handle(ev.SpeakingInterrupted(at_ms=9, utterance_id=1))
    assert of(silent, do.AskBackup) and of(silent, do.SwitchTo)[0].target == "backup"


def test_an_answer_of_the_backup_that_failed_with_its_session_is_asked_for_once() -> None:
    conversation = Conversation(ON)
    conversation.handle(ev.ConversationStarted(at_ms=0))
    conversation.handle(ev.HealthTold(at_ms=1, service="llm", circuit="open"))
    conversation.handle(ev.ProviderRecovered(at_ms=2, service="backup"))
    (asked,) = of(conversation.handle(ev.TextTyped(at_ms=3, text="¿Hacen despachos?")), do.AskBackup)
    ids = {"reply_id": asked.reply_id, "utterance_id": asked.utterance_id}
    for struck in (ids, {}):  # the answer, and then its session
        cut = ev.ProviderFailed(at_ms=4, service="backup", kind="cut", message="x", retryable=True, **struck)
        conversation.handle(cut)
    timer = conversation.talk.timers["reopen_backup"]
    conversation.handle(ev.TimerFired(at_ms=5, timer_id=timer.timer_id))
    assert len(of(conversation.handle(ev.ProviderRecovered(at_ms=6, service="backup")), do.AskBackup)) == 1
    assert "retry" not in conversation.talk.timers  # else ours would be asked beside it


def test_what_was_begun_is_ended_where_the_model_is_passed_by_while_its_rest_waits_to_be_asked_for() -> None:
    conversation = Conversation(ON)
    conversation.handle(ev.ConversationStarted(at_ms=0))
    (asked,) = of(conversation.handle(ev.TextTyped(at_ms=1, text="¿Hacen despachos?")), do.RequestReply)
    conversation.handle(ev.ReplyDelta(at_ms=2, reply_id=asked.reply_id, text="Eso no lo sé ahora. Y otra cosa "))
    cut = ev.ProviderFailed(at_ms=3, service="llm", kind="cut", message="x", retryable=True, retry_after_ms=9000)
    conversation.handle(msgspec.structs.replace(cut, reply_id=asked.reply_id))
    (one,) = conversation.talk.utterances.values()

    assert switching.for_the_time_being(conversation._pen, "llm", "too slow") and one.closed


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("until", range(6))
def test_where_nobody_ever_answers_the_waiting_ends_and_the_customer_is_not_forgotten(on: bool, until: int) -> None:
    conversation = Conversation(Settings.of(enable_auto_fallback=on))
    heard: list[ev.Event] = [
        ev.ConversationStarted(at_ms=0, greeting="Hola."),
        ev.TextTyped(at_ms=100, text="¿Cuánto cuesta?"),
        ev.ReplyStarted(at_ms=110, reply_id=1, model="m"),
        ev.ReplyDelta(at_ms=400, reply_id=1, text="Cuesta mil. Y"),
        ev.SpeechSent(at_ms=410, utterance_id=2, piece_no=0),
        ev.FirstAudio(at_ms=600, utterance_id=2),
    ]
    for event in heard[: until + 1]:
        conversation.handle(event)
    timers = conversation.talk.timers
    for _ in range(100):
        if not timers:
            break
        due = min(timers.values(), key=lambda timer: timer.due_ms)
        conversation.handle(ev.TimerFired(at_ms=due.due_ms, timer_id=due.timer_id))
    assert not timers
    told = of(conversation.trace, do.ShowText, do.RaiseAlert)
    assert told or until == 0  # of a greeting nobody waits for a word
