"""Recorded conversations in which the avatar vendor's own assistant answered: decided otherwise, and gone on with."""

from __future__ import annotations

from typing import Any

import pytest

from clara_kit import Fault, Run, Settings, simulate, what_if
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.lab.branches import branch

LINES = ["¿Qué protector solar me recomiendas?", "¿Y cuánto cuesta?", "¿Hacen despachos?"]
GONE = [Fault(service="llm", kind="refuse", status=529, on=n) for n in range(1, 8)]
OFF, ON = Settings(), Settings.of(enable_auto_fallback=True)


@pytest.fixture(scope="module")
def passed_by() -> Run:
    return simulate(LINES, ON, seed=5, faults=GONE)


def given(records: Any, kind: type) -> list[Any]:
    return [record for record in records if type(record) is kind]


def test_an_outage_that_was_recorded_would_have_been_answered_by_the_backup() -> None:
    alone = simulate(LINES, OFF, seed=5, faults=GONE)
    assert "backup" not in alone.modes
    ghost = what_if(alone, ON)
    assert isinstance(ghost.differs and ghost.differs.now, do.SwitchTo)
    asked = given(ghost.trace, do.AskBackup)
    assert asked and asked[0].text == LINES[0]
    spoken = [e.utterance_id for e in given(ghost.trace, ev.SpeakingStarted)]
    assert asked[0].utterance_id in spoken
    assert ghost.run.modes["backup"] == "sim"
    assert any("avatar vendor's own assistant" in told for told in ghost.assumed)
    assert ghost.run.to_jsonl() == what_if(alone, ON).run.to_jsonl()


def test_without_fallback_nothing_of_the_backup_is_left(passed_by: Run) -> None:
    ghost = what_if(passed_by, OFF)
    told = [e for e in ghost.trace if isinstance(e, ev.Event) and getattr(e, "service", "") == "backup"]
    assert not ghost.same and told == [] and not given(ghost.trace, do.AskBackup)
    for turn in ghost.run.ledger:  # no word of the backup's has come under the id of another reply
        assert turn.clara.count("cuesta $12.990") <= 1


def test_what_was_recorded_with_a_backup_is_the_same_with_its_own_settings(passed_by: Run) -> None:
    assert what_if(passed_by, ON).same


@pytest.mark.parametrize("cuts_in", [True, False])
def test_a_branch_from_any_moment_of_it_is_answered(passed_by: Run, cuts_in: bool) -> None:
    under_way = 0
    for step in range(8, len(passed_by.events) - 1, 11):
        node = branch(passed_by, step=step).go_on("¿Tienen algo para las manchas?", cuts_in=cuts_in)
        assert node.answer, step
        speaks = 0
        for record in node.run.trace:  # two voices never sound at once
            speaks += (type(record) is ev.SpeakingStarted) - isinstance(record, ev.SpeakingEnded)
            if type(record) is ev.SpeakingInterrupted:
                speaks = max(0, speaks - 1)
            assert speaks <= 1, (step, record)
        under_way += passed_by.events[step].at_ms > 20_000
    assert under_way
