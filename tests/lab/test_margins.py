"""How near each decision was: what a margin says is tried out, by changing the evidence by just that much."""

from __future__ import annotations

from typing import Any

import pytest

from clara_kit import ConversationWindow, Run, Settings, simulate
from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.lab.margins import Margin, margins
from clara_kit.turns import usual_policies

ASKED = "¿Qué protector solar me recomiendas?"
PLAN, TUNED = Settings.preset("plan"), Settings.preset("tuned").with_changes(sustained_ms=700)


def heard(length_ms: float, settings: Settings = TUNED) -> Run:
    """Both ears hear a sound without words for so long, two seconds after Clara has begun to answer."""
    base = simulate([ASKED], settings, seed=5)
    began = [e.at_ms for e in base.events if isinstance(e, ev.SpeakingStarted)][1] + 2000
    sound: list[ev.Event] = [
        ev.SpeechStarted(at_ms=began + 70, source="vad", sound_at_ms=began),
        ev.SpeechStarted(at_ms=began + 75, source="vendor", sound_at_ms=began),
        ev.SpeechEnded(at_ms=began + length_ms + 64, source="vad", sound_at_ms=began + length_ms),
    ]
    coming = sorted([*base.events, *sound], key=lambda e: e.at_ms)
    conversation = Conversation(settings, policies=usual_policies())
    while coming:
        event = coming.pop(0)
        for command in conversation.handle(event):
            if isinstance(command, do.SetTimer) and command.timer_id.startswith("barge_in"):
                coming.append(ev.TimerFired(at_ms=command.due_ms, timer_id=command.timer_id))
                coming.sort(key=lambda e: e.at_ms)
    return Run(inputs=base.inputs, trace=tuple(conversation.trace))


def during(text: str) -> dict[str, Any]:
    return {"text": text, "interrupt_after_ms": 2000}


def play(line: Any, settings: Settings = TUNED) -> Run:
    return simulate([ASKED, line], settings, seed=5)


def cut(run: Run) -> bool:
    return any(isinstance(r, do.InterruptAvatar) for r in run.trace)


def of_the_sound(run: Run) -> Margin:
    (margin,) = [m for m in margins(run) if m.setting]
    return margin


@pytest.mark.parametrize("settings", [PLAN, TUNED], ids=["plan", "tuned"])
@pytest.mark.parametrize("length_ms", [300.0, 680.0])
def test_a_sound_that_is_longer_or_shorter_by_its_margin_comes_out_otherwise(
    length_ms: float, settings: Settings
) -> None:
    run = heard(length_ms, settings)
    margin, stopped = of_the_sound(run), cut(run)
    assert margin.ms is not None and margin.close is (margin.ms < max(100, 0.15 * length_ms))
    way = -1 if stopped else 1
    assert cut(heard(length_ms + way * (margin.ms - 2), settings)) is stopped
    assert cut(heard(length_ms + way * (margin.ms + 2), settings)) is not stopped
    assert f"{margin.ms:.0f} ms" in margin.text and run.events[margin.step].at_ms == margin.at_ms


def test_the_setting_at_its_border_comes_out_otherwise() -> None:
    run = heard(680)
    margin = of_the_sound(run)
    assert margin.setting == "sustained_ms" and margin.border is not None and cut(run)
    assert cut(heard(680, TUNED.with_changes(sustained_ms=margin.border - 2)))
    assert not cut(heard(680, TUNED.with_changes(sustained_ms=margin.border + 2)))


def test_words_are_left_out_and_said_again_until_they_mean_something_else() -> None:
    assert "«sí, pero» took the floor; without «pero» it would only have said «go on»" in [
        m.text for m in margins(play(during("sí, pero"))) if m.close
    ]
    one_more = next(m for m in margins(play(during("ya, ya"))) if m.words)
    assert one_more.words == 1 and one_more.close and "one more «ya»" in one_more.text
    assert not cut(play(during("ajá"))) and not any(m.close for m in margins(play(during("ajá"))))
    assert not any(m.words for m in margins(play(during("espera, ¿cuánto cuesta?"))))


def test_the_ends_of_turns_have_margins_too() -> None:
    halves = ["Y también quería", {"text": "una crema de manos", "at_most_ms": 700}]
    early, waited = (margins(simulate(halves, s, seed=5))[0] for s in (PLAN, TUNED))
    assert early.close and "before the customer went on" in early.text
    assert not waited.close and waited.ms is not None and waited.ms > 1000 and "went on" in waited.text


def test_they_are_told_in_spanish_in_the_window_and_close_calls_are_marked_there() -> None:
    run = heard(680)
    window = ConversationWindow(run, language="es")
    mark = next(m for m in window.timeline["marks"] if m["kind"] == "close")
    window.step = mark["step"]
    assert window.moment["plain"][-1] == f"≈ {margins(run, 'es')[0].text}."
    assert "ms menos y habría seguido" in window.moment["plain"][-1] and "por muy poco" in window.picture()
    plain = ConversationWindow(simulate([ASKED], seed=5))
    assert margins(simulate([ASKED], seed=5)) == ()
    assert not [m for m in plain.timeline["marks"] if m["kind"] == "close"]
