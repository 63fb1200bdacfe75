"""The checker itself: it finds what is lost, said twice or late, and lets a good conversation be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clara_kit import Run, Settings, simulate
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import StateChanged
from clara_kit.core.states import ConversationState as S
from clara_kit.lab.survival.checked import checked
from clara_kit.lab.survival.survival import FATES, OUTCOMES
from clara_kit.world.faults import Fault

LINES = ["Hola, quiero una crema para la cara", "¿Cuánto cuesta el despacho a regiones?", "¿Y cuánto demora en llegar?"]


@pytest.fixture(scope="module")
def good() -> Run:
    return simulate(LINES)


def without(run: Run, *kinds: type, turn: int | None = None, utterance: int | None = None) -> Run:
    def goes(record: Any) -> bool:
        if type(record) not in kinds:
            return False
        of_turn = turn is None or getattr(record, "turn_id", turn) == turn
        return of_turn and (utterance is None or record.utterance_id == utterance)

    return replace(run, trace=tuple(r for r in run.trace if not goes(r)))


def second_answer(run: Run) -> int:
    return next(r.utterance_id for r in run.trace if isinstance(r, do.Speak) and r.turn_id == 2)


def fates(run: Run) -> list[str]:
    return [one.fate for one in checked(run).said]


def test_a_conversation_in_which_nothing_goes_wrong_survives(good: Run) -> None:
    found = checked(good)
    assert (found.outcome, found.problems, found.lost, found.degraded_s) == ("survived", (), 0, 0.0)
    assert fates(good) == ["answered"] * 3
    assert [one.text for one in found.said] == LINES
    assert all(one.waited_ms is not None and 500 < one.waited_ms < 5000 for one in found.said)
    assert found.outcome in OUTCOMES and set(found.counts) <= set(FATES)


def test_so_do_interruptions_nods_and_what_is_typed() -> None:
    for seed in range(4):
        found = checked(simulate("demo", seed=seed))
        assert found.ok and found.counts["answered"] == len(found.said), found
    lines = [LINES[0], {"text": "Ajá", "interrupt_after_ms": 900}, {"text": LINES[1], "typed": True}]
    found = checked(simulate(lines, Settings.preset("tuned")))
    assert [one.fate for one in found.said] == ["answered", "let be", "answered"]


def test_an_answer_that_was_never_heard_is_lost(good: Run) -> None:
    silent = without(good, ev.SpeakingStarted, ev.SpeakingEnded, utterance=second_answer(good))
    assert fates(silent) == ["answered", "lost", "answered"]
    unasked = without(good, do.RequestReply, do.Speak, turn=2)
    assert fates(unasked) == ["answered", "lost", "answered"]
    assert checked(unasked).outcome == "lost"


def test_so_are_words_that_never_reached_the_conversation(good: Run) -> None:
    deaf = replace(
        good,
        trace=tuple(
            r
            for r in good.trace
            if not (isinstance(r, ev.TranscriptFinal) and r.text == LINES[1])
            and not (isinstance(r, do.RequestReply | do.Speak) and r.turn_id == 2)
        ),
    )
    assert fates(deaf) == ["answered", "lost", "answered"]
    assert checked(deaf, [LINES[0], LINES[2]]).outcome == "survived"  # whoever knows better what was said


def broken_off(run: Run, *more: Any) -> Run:
    """The second answer ends a second after it began, and this follows."""
    who = second_answer(run)
    trace: list[Any] = []
    for r in run.trace:
        if isinstance(r, ev.SpeakingEnded) and r.utterance_id == who:
            continue
        trace.append(r)
        if isinstance(r, ev.SpeakingStarted) and r.utterance_id == who:
            failed = ev.ProviderFailed(at_ms=r.at_ms + 1000, service="avatar", kind="cut", message="", utterance_id=who)
            trace += [failed, *more]
    return replace(run, trace=tuple(trace))


def test_an_answer_that_breaks_off_is_lost_unless_the_rest_is_heard_or_somebody_is_told(good: Run) -> None:
    began = (r.at_ms for r in good.trace if isinstance(r, ev.SpeakingStarted) and r.utterance_id == second_answer(good))
    at_ms = next(began) + 1000
    text = next(r.text for r in reversed(good.trace) if isinstance(r, do.Speak) and r.turn_id == 2)

    def said(words: str) -> list[Any]:
        speak = do.Speak(at_ms=at_ms, reason="", turn_id=2, utterance_id=99, piece_no=0, text=words)
        return [speak, ev.SpeakingStarted(at_ms=at_ms, utterance_id=99), ev.SpeakingEnded(at_ms=at_ms, utterance_id=99)]

    alert = do.RaiseAlert(at_ms=at_ms, reason="", name="avatar_down", message="")
    shown = do.ShowText(at_ms=at_ms, reason="", turn_id=2, utterance_id=99, text=text)
    assert fates(broken_off(good))[1] == "lost"
    assert fates(broken_off(good, *said(text)))[1] == "resumed"
    assert fates(broken_off(good, *said(Settings().broken_reply)))[1] == "apologised"
    assert fates(broken_off(good, shown))[1] == "shown"
    assert fates(broken_off(good, alert))[1] == "alerted"
    assert [checked(broken_off(good, *more)).outcome for more in ((), (shown,), (alert,))] == [
        "lost",
        "degraded",
        "alerted",
    ]


def test_an_alert_from_before_excuses_nothing(good: Run) -> None:
    early = do.RaiseAlert(at_ms=0.0, reason="", name="llm_down", message="")
    run = broken_off(good)
    assert fates(replace(run, trace=(*run.trace[:3], early, *run.trace[3:])))[1] == "lost"


def test_what_must_not_be_is_named_whatever_the_decisions_say_of_it(good: Run) -> None:
    who, end = second_answer(good), good.trace[-2:]
    body = good.trace[:-2]
    now = body[-1].at_ms

    def problem(*more: Any) -> str:
        return " ".join(checked(replace(good, trace=(*body, *more, *end))).problems)

    assert "hangs in USER_SPEAKING" in problem(
        StateChanged(at_ms=now, turn_id=3, source=S.IDLE, target=S.USER_SPEAKING, reason="")
    )
    assert "invalid transition" in problem(
        StateChanged(at_ms=now, turn_id=3, source=S.IDLE, target=S.INTERRUPTED, reason="")
    )
    asks = [do.RequestReply(at_ms=now, reason="", turn_id=4, reply_id=n, text="x", messages=()) for n in (90, 91)]
    assert "two answers are asked for at once" in problem(*asks)
    cut = do.InterruptAvatar(at_ms=now, reason="", utterance_id=98)
    speak = do.Speak(at_ms=now, reason="", turn_id=3, utterance_id=98, piece_no=0, text="Hola")
    assert "after it was cut" in problem(speak, cut, speak)
    assert not problem(speak, cut)
    started = next(r for r in good.trace if isinstance(r, ev.SpeakingStarted) and r.utterance_id == who)
    over = ev.SpeakingStarted(at_ms=started.at_ms + 500, utterance_id=98)
    at = good.trace.index(started) + 1
    twice = checked(replace(good, trace=(*good.trace[:at], speak, over, *good.trace[at:])))
    assert any("two voices" in one for one in twice.problems) and not twice.ok


def test_who_waits_too_long_without_a_sign_is_named_and_so_is_the_silence(good: Run) -> None:
    late = checked(good, deadline_ms=1000).problems
    assert len(late) == 3 and all("had no sign for" in one for one in late)
    found = checked(simulate(LINES, faults=[Fault(service="tts", kind="slow", on=2, for_ms=7000)]))
    assert found.problems == ()  # monitoring was told in time
    assert found.silent_s > 4 and found.longest_silence_s > 7


def test_what_stands_in_a_services_place_is_counted_in_seconds(good: Run) -> None:
    first = next(n for n, r in enumerate(good.trace) if isinstance(r, do.RequestReply))
    at_ms = good.trace[first].at_ms
    to = do.SwitchTo(at_ms=at_ms, reason="it failed", service="llm", target="backup")
    back = do.SwitchTo(at_ms=at_ms + 9000, reason="it works", service="llm", target="")
    end = next(n for n, r in enumerate(good.trace) if r.at_ms > at_ms + 9000)
    run = replace(good, trace=(*good.trace[:first], to, *good.trace[first:end], back, *good.trace[end:]))
    found = checked(run)
    assert (found.outcome, found.degraded_s) == ("degraded", 9.0)
    (switch,) = found.switches
    assert (switch.service, switch.target, switch.reason) == ("llm", "backup", "it failed")
    assert switch.order_ms is not None and switch.heard_ms is not None and 0 < switch.order_ms < switch.heard_ms


def test_it_shows_itself_as_a_table(good: Run) -> None:
    shown = checked(good)._repr_html_()
    assert LINES[1] in shown and "answered" in shown
    assert checked(good).to_dict()["said"][0]["fate"] == "answered"


def test_a_wait_ends_with_what_the_customer_meets_and_begins_where_she_cut_in(good: Run) -> None:
    first, *_ = checked(good).said
    assert first.ended_ms is not None and first.waited_ms is not None
    alert = do.RaiseAlert(at_ms=first.ended_ms + 100, reason="", name="slow_llm", message="")
    at = next(n for n, record in enumerate(good.trace) if record.at_ms > alert.at_ms)
    assert (
        checked(replace(good, trace=(*good.trace[:at], alert, *good.trace[at:]))).said[0].waited_ms == first.waited_ms
    )
    over = simulate([LINES[0], {"text": LINES[1], "typed": True, "interrupt_after_ms": 900}], Settings.preset("tuned"))
    waits = [one.waited_ms for one in checked(over).said]
    assert waits[1] is not None and checked(over).longest_silence_s > waits[1] / 2000
