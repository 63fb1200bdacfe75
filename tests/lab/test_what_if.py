"""What would have been: a recorded conversation with other settings, beside a simulation that really had them."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from clara_kit import Run, Settings, replay, simulate, what_if
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import SettingsError
from clara_kit.lab.what_if import AS_RECORDED, WhatIfs, changes

FIRST_VERSION = Path(__file__).parent / "run_of_the_first_version"
ASKED = "¿Qué protector solar me recomiendas?"
COUGH = {"sound": "cough", "sound_ms": 300, "interrupt_after_ms": 2000}
PLAN, TUNED = Settings.preset("plan"), Settings.preset("tuned")
TALKS: dict[str, list[Any]] = {
    "a cough": [ASKED, COUGH, "¿Y cuánto cuesta?"],
    "a backchannel": [ASKED, {"text": "ajá", "interrupt_after_ms": 2000}],
    "an interruption": [ASKED, {"text": "espera, ¿cuánto cuesta?", "interrupt_after_ms": 2000}],
    "two halves": ["Y también quería", {"text": "una crema de manos", "at_most_ms": 700}],
}


def said(run: Run) -> list[tuple[str, bool]]:
    return [(turn.customer, turn.heard is not None) for turn in run.ledger]


@pytest.mark.parametrize("talk", TALKS)
@pytest.mark.parametrize(("was", "now"), [(PLAN, TUNED), (TUNED, PLAN)], ids=["tuned", "plan"])
def test_the_ghost_says_what_a_simulation_with_these_settings_says(talk: str, was: Settings, now: Settings) -> None:
    ghost = what_if(simulate(TALKS[talk], was, seed=5), now)
    really = simulate(TALKS[talk], now, seed=5)
    assert said(ghost.run) == said(really) and ghost.settings == now == ghost.run.settings
    assert not ghost.same and 0 < ghost.replayed_until_ms < ghost.run.trace[-1].at_ms


def test_it_is_the_record_up_to_the_first_difference_and_decided_by_the_kit_to_the_end() -> None:
    run = simulate(TALKS["a cough"], seed=5)
    ghost = what_if(run, TUNED)
    until = ghost.replayed_until_ms
    before = [[e for e in r.events if e.at_ms < until] for r in (run, ghost.run)]
    assert before[0] == before[1] and len(before[0]) > 20
    assert replay(ghost.run).same
    assert ghost.run.inputs["ghost"]["of"] == run.run_id and "drawn" in ghost.run.inputs["ghost"]
    assert what_if(run, TUNED).run.to_jsonl() == ghost.run.to_jsonl()
    differs = ghost.differs
    assert differs is not None and differs.recorded is not None and differs.now is None
    assert differs.policy == "sustained" and f"{TUNED.sustained_ms:.0f} ms" in differs.reason
    assert differs.at_ms == until and run.events[differs.step].at_ms == until


def test_the_customer_stays_as_recorded_and_nobody_hangs_up_before_clara_has_said_it() -> None:
    run = simulate(TALKS["a cough"], seed=5)
    ghost = what_if(run, TUNED).run
    kinds = (ev.SpeechStarted, ev.TranscriptInterim, ev.TranscriptFinal, ev.TextTyped)
    assert [e for e in run.events if isinstance(e, kinds)] == [e for e in ghost.events if isinstance(e, kinds)]
    ended = [e.utterance_id for e in ghost.events if isinstance(e, ev.SpeakingEnded)]
    assert ended == list(dict.fromkeys(r.utterance_id for r in ghost.trace if isinstance(r, do.Speak)))


def test_nothing_differs_where_the_settings_have_no_bearing() -> None:
    run = simulate([ASKED, "¿Y cuánto cuesta?"], seed=5)
    for settings in (run.settings, TUNED, Settings.of(duck=True), Settings.of(stt_endpointing_ms=500)):
        ghost = what_if(run, settings)
        assert ghost.same and ghost.replayed_until_ms == run.trace[-1].at_ms
        assert ghost.run.events == run.events and "drawn" not in ghost.run.inputs["ghost"]
    assert "nothing would have been otherwise" in repr(what_if(run, TUNED))


def test_words_that_are_asked_for_at_once_come_at_once() -> None:
    lines = [ASKED, {"text": "para", "interrupt_after_ms": 2000}]
    run = simulate(lines, TUNED.with_changes(finalize_short_sounds=False), seed=5)
    ghost = what_if(run, TUNED).run
    late, soon = (next(e for e in r.events[::-1] if isinstance(e, ev.TranscriptFinal)) for r in (run, ghost))
    assert soon.text == late.text and late.at_ms - 300 < soon.at_ms < late.at_ms - 100
    back = what_if(ghost, run.settings).run
    again = next(e for e in back.events[::-1] if isinstance(e, ev.TranscriptFinal))
    assert abs(again.at_ms - late.at_ms) < 100


def test_an_answer_that_was_dropped_is_written_to_its_end_and_what_is_assumed_is_said() -> None:
    run = simulate(TALKS["a backchannel"], TUNED, seed=5)
    ghost = what_if(run, PLAN)
    assert ghost.assumed == ("the scripted brain answers «ajá»",)
    assert "Assumed: the scripted brain" in ghost._repr_html_()
    live = Run(inputs={**run.inputs, "modes": dict.fromkeys(run.modes, "live")}, trace=run.trace)
    assert "was never asked: the answer to «" in what_if(live, PLAN).assumed[0]
    assert what_if(live, PLAN).run.mix.startswith("stt live, llm live then sim")


def test_a_run_of_the_first_version_has_ghosts_too() -> None:
    ghosts = WhatIfs(FIRST_VERSION)
    assert ghosts.of(ghosts.run.settings).same
    ghost = ghosts.of(ghosts.run.settings.with_changes(turn_hold_ms=600))
    assert not ghost.same and replay(ghost.run).same
    assert [t.customer for t in ghost.run.ledger] == [t.customer for t in ghosts.run.ledger]
    assert ghost.run.ledger[1].total_ms > ghosts.run.ledger[1].total_ms + 500  # type: ignore[operator]


def test_what_another_version_had_decided_is_not_put_down_to_the_settings() -> None:
    run = simulate(TALKS["two halves"], PLAN, seed=5)
    now = Settings.of(turn_hold_ms=1500)  # stands for a version that waits
    old = Run(inputs={**run.inputs, "settings": now.model_dump(mode="json")}, trace=run.trace)
    assert what_if(old, now).by_version and WhatIfs(old).of(now.with_changes(sustained_ms=300)).by_version
    assert "by this version whatever the settings" in repr(what_if(old, now))
    assert not what_if(run, now).by_version and not what_if(run, PLAN).by_version


def test_what_stays_as_recorded_is_a_setting() -> None:
    names = {*Settings.__struct_fields__, *Settings().flags.__struct_fields__}
    assert names >= AS_RECORDED and changes(PLAN, PLAN) == {}
    assert changes(PLAN, Settings.of(enable_barge_in=False)) == {"enable_barge_in": (True, False)}


def test_many_settings_on_one_run_give_what_each_gives_by_itself_and_every_ghost_is_a_whole_conversation() -> None:
    rng = Random(7)
    texts = [ASKED, "ajá", "sí, pero", "espera", "Y también quería", "¿hacen despachos?", "ya, ya, ya", "Gracias"]
    tried = [PLAN, TUNED, Settings.of(turn_hold_ms=600), Settings.of(sustained_ms=400, after_false_interruption="restate"),
             Settings.of(enable_barge_in=False), Settings.of(no_words_timeout_ms=500, after_false_interruption="end")]  # fmt: skip
    for seed in range(8):
        lines = [
            {"text": rng.choice(texts)} | rng.choice([{}, {"interrupt_after_ms": rng.choice([0, 900, 3000])}, {"at_most_ms": 500}])
            for _ in range(4)
        ]  # fmt: skip
        ghosts = WhatIfs(simulate(lines, rng.choice(tried), seed=seed, customer=rng.choice([None, "camila"])))
        assert ghosts.of(ghosts.run.settings).same
        for settings in tried:
            ghost, alone = ghosts.of(settings), what_if(ghosts.run, settings)
            assert ghost.run.to_jsonl() == alone.run.to_jsonl() and ghost.differs == alone.differs
            assert replay(ghost.run).same and isinstance(ghost.run.events[-1], ev.ConversationStopped)
            times = [e.at_ms for e in ghost.run.events]
            assert times == sorted(times)
            assert not any(isinstance(r, do.RaiseAlert) and r.name == "internal_error" for r in ghost.trace)


@pytest.mark.parametrize("given", [None, {"sustained_ms": 300}])
def test_what_are_no_settings_are_refused_with_a_word_what_to_give(given: Any) -> None:
    with pytest.raises(SettingsError, match=r"in place of settings\. What to do: give Settings\(\)"):
        what_if(simulate([ASKED]), given)
