"""Customers who do anything at any time, over services of any speed and sometimes broken."""

from __future__ import annotations

import re

import pytest

from tests.conversation.random_customers import Played, broken, play


@pytest.fixture(scope="module")
def played() -> list[Played]:
    return [play(seed) for seed in range(200)]


def test_whatever_a_customer_does_nothing_is_answered_twice_or_lost_and_nobody_speaks_after_a_cut(
    played: list[Played],
) -> None:
    assert not {p.seed: wrong for p in played if (wrong := broken(p))}


def test_the_random_customers_reach_what_they_are_for(played: list[Played]) -> None:
    kinds = {type(r).__name__ for p in played for r in p.trace}
    assert {"InterruptAvatar", "Duck", "HeardEstimated", "CancelReply", "FinalizeWords", "ProviderFailed"} <= kinds
    assert {p.preset for p in played} == {"plan", "tuned", "any"}


def test_no_reason_tells_of_less_than_no_time(played: list[Played]) -> None:
    reasons = {reason for p in played for r in p.trace if (reason := getattr(r, "reason", ""))}
    assert any("its words so far ask for nothing" in reason for reason in reasons)  # a sound that was held for long
    assert not {reason for reason in reasons if re.search(r"-\d+ ms", reason)}


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_nor_do_ten_thousand_of_them() -> None:
    wrong = {seed: found for seed in range(200, 10_200) if (found := broken(play(seed)))}
    assert not wrong
