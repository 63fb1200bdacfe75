"""The avatar is given silence while an answer is being written, and only where that is wanted."""

from __future__ import annotations

from itertools import pairwise

import pytest

from clara_kit import Fault, Run, Settings, simulate
from clara_kit.core import commands as do

ASK = "¿Qué me recomiendas para las manchas?"


def wakings(run: Run) -> list[bool]:
    return [record.on for record in run.trace if isinstance(record, do.WakeAvatar)]


def played(*lines: object, **changes: object) -> Run:
    settings = Settings.of(open_avatar_early=True, **changes)  # type: ignore[arg-type]
    return simulate(list(lines), settings, seed=3, latency="published")


def test_it_is_woken_once_a_turn_and_begins_sooner_by_what_it_would_have_waited_for() -> None:
    usual, early = simulate([ASK, ASK], Settings(), seed=3, latency="published"), played(ASK, ASK)
    assert wakings(usual) == [] and wakings(early) == [True, True]
    for before, after in zip(usual.ledger[1:], early.ledger[1:], strict=True):
        assert before.total_ms is not None and after.total_ms is not None
        assert before.total_ms - after.total_ms > 300
        assert after.total_ms >= after.points["first_audio"] - after.points["words_ended"]


def test_it_is_told_that_nothing_will_come() -> None:
    went_on = played({"text": f"{ASK} Y otra cosa", "pauses": [{"after_word": 6, "ms": 900}]})
    on = wakings(went_on)
    assert all(not b for a, b in pairwise(on) if a), "never twice without an end"
    assert False in on, "the customer went on while the answer was being written"


def test_an_opener_that_is_there_at_once_needs_no_waking_before_it() -> None:
    run = played(ASK, openers=True)
    kinds = [r for r in run.trace if isinstance(r, do.WakeAvatar) or (isinstance(r, do.Speak) and r.turn_id == 1)]
    assert isinstance(kinds[0], do.Speak) and kinds[0].by == "opener"


@pytest.mark.parametrize("kind", ["refuse", "cut", "stall"])
def test_whatever_fails_after_a_waking_everything_is_said(kind: str) -> None:
    fault = Fault(service="avatar", kind=kind, on=2)  # type: ignore[arg-type]
    usual, early = (
        simulate([ASK, ASK], Settings.of(initial_retry_delay_ms=60, open_avatar_early=on), seed=3, faults=[fault])
        for on in (False, True)
    )
    assert wakings(early) and [t.clara for t in early.ledger] == [t.clara for t in usual.ledger]
