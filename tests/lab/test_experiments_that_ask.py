"""Experiments whose answers a model writes: asked, kept, paid for, and stopped in time. The twin plays the vendor."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clara_kit import Experiment, Keys, plan, run_experiment
from clara_kit.core.errors import ProviderError, ProviderRefused, ProviderUnavailable, SettingsError
from clara_kit.core.events import Usage
from clara_kit.lab.calls import brains
from clara_kit.lab.experiment.beginning import Offer
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.world.answers import AnswerBook
from clara_kit.world.brain import Written
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer
from tests.lab.test_run_experiment import SCENARIOS

CALL_USD = 0.01


@pytest.fixture
def keys() -> Iterator[Keys]:
    twin = AnthropicTwin(TwinContext(profile=LatencyProfile.load("fast")), AnswerBook.load())
    with TwinServer([twin]) as server:
        base = server.addresses["anthropic"]["base_url"]
        yield Keys(anthropic_api_key="test-key", anthropic_base_url=base)  # type: ignore[arg-type]


def asked(folder: Path, **more: Any) -> Experiment:
    given = {"variants": {"A": "warm", "B": "brief"}, "scenarios": SCENARIOS, "customers": ["camila", ""], **more}
    return run_experiment(folder=folder, calls=folder / "calls", ask=lambda plan: True, **given)


def test_once_run_with_a_key_it_runs_again_without_one_in_two_processes_byte_for_byte(
    keys: Keys, tmp_path: Path
) -> None:
    first = asked(tmp_path / "1", llm="recorded", keys=keys, workers=3)
    nobody = Keys(anthropic_base_url="http://127.0.0.1:9")
    (tmp_path / "1" / "calls").rename(tmp_path / "calls")

    again = run_experiment(
        {"A": "warm", "B": "brief"}, SCENARIOS, ["camila", ""], llm="recorded", keys=nobody,
        folder=tmp_path / "2", calls=tmp_path / "calls", workers=2,
    )  # fmt: skip

    assert first.plan is not None and first.plan.costs and first.plan.missing == 8 and first.plan.usd
    assert again.plan is not None and not again.plan.asks and not again.plan.missing
    assert again.rows.equals(first.rows) and again.turns.equals(first.turns)
    assert first.rehearsal and set(first.rows["answers"].to_list()) == {"recorded (twin)"}  # no vendor wrote them
    run = again.run("B", "routine", "camila", calls=tmp_path / "calls")
    assert not run.problems and run.mix.startswith("stt sim, llm recorded (twin)")


def test_what_is_not_recorded_is_not_tested_and_never_kept_nor_broken(tmp_path: Path) -> None:
    done = asked(tmp_path, llm="recorded", keys=Keys())

    assert done.complete and done.plan is not None and done.plan.missing == 8 and not done.plan.costs
    assert set(done.rows["answers"].to_list()) == {"not recorded"}
    assert done.rows["kept"].null_count() == len(done.rows) == 8
    assert "not recorded" in done.mix


class Fake:
    """A vendor that costs a cent a call, and fails when it is told to."""

    mode = "live"
    may_ask = True

    def __init__(self, fails: Mapping[int, ProviderError] = {}) -> None:
        self.spent_usd, self.asked, self.at_once, self.most = 0.0, 0, 0, 0
        self._fails, self._lock = fails, threading.Lock()

    def write(self, request: ReplyRequest, *, words: Mapping[str, str]) -> Written:
        with self._lock:
            self.asked += 1
            number = self.asked
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        threading.Event().wait(0.002)
        with self._lock:
            self.at_once -= 1
            failed = self._fails.get(number)
            self.spent_usd += 0.0 if failed else CALL_USD
        usage = Usage(input_tokens=10, output_tokens=10)
        if failed:
            return Written(chunks=(), ends_ms=5.0, source="live", failed=failed, stop_reason="")
        return Written(chunks=((300.0, "Cuesta $9.990."),), ends_ms=320.0, source="live", usage=usage)


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(fake: Fake) -> Fake:
        monkeypatch.setattr(brains, "brain_for", lambda llm, settings, **_: fake)
        return fake

    return use


def test_no_more_conversations_are_under_way_than_was_said(vendor: Any, tmp_path: Path) -> None:
    fake = vendor(Fake())

    done = asked(tmp_path, llm="live", workers=3, keys=Keys(), seeds=3)

    assert done.complete and len(done.rows) == 24 and 1 < fake.most <= 3
    assert not done.run("A", "price", "camila", 2).problems
    assert not done.rehearsal and done.mix.endswith("answers live")


def test_it_stops_before_the_budget_is_exceeded_and_goes_on_with_a_higher_one(vendor: Any, tmp_path: Path) -> None:
    fake = vendor(Fake())

    stopped = asked(tmp_path, llm="live", workers=2, keys=Keys(), seeds=3, budget_usd=0.115)

    assert not stopped.complete and 0 < len(stopped.rows) < 24
    assert "budget" in stopped.note and fake.spent_usd <= 0.115
    before = fake.asked
    assert asked(tmp_path, llm="live", workers=2, keys=Keys(), seeds=3, budget_usd=0.115).note  # it is used up
    assert fake.asked == before
    fake.spent_usd = 0.0  # another process's brain
    whole = asked(tmp_path, llm="live", workers=2, keys=Keys(), seeds=3, budget_usd=5.0)
    assert whole.complete and fake.asked == whole.turns.filter(whole.turns["turn"] > 0).height


def test_a_vendor_that_has_no_room_stops_it_and_nothing_of_it_counts(vendor: Any, tmp_path: Path) -> None:
    vendor(Fake({5: ProviderUnavailable("Too many requests.", kind="rate_limited", retry_after_ms=10.0)}))

    stopped = asked(tmp_path, llm="live", keys=Keys())

    assert not stopped.complete and 0 < len(stopped.rows) < 8 and "Too many requests" in stopped.note
    assert asked(tmp_path, llm="live", keys=Keys()).complete


def test_a_vendor_that_refuses_the_first_one_is_an_error(vendor: Any, tmp_path: Path) -> None:
    vendor(Fake({1: ProviderRefused("The key is wrong.")}))

    with pytest.raises(ProviderRefused, match="The key is wrong"):
        asked(tmp_path, llm="live", keys=Keys())


def test_what_costs_money_is_asked_first_with_its_price(vendor: Any, tmp_path: Path) -> None:
    vendor(Fake())
    told: list[str] = []

    refused = run_experiment(
        ["warm"], SCENARIOS, ["camila"], llm="live", keys=Keys(), folder=tmp_path, ask=lambda p: told.append(str(p))
    )  # type: ignore[func-returns-value]

    assert "Not begun" in refused.note
    assert "2 conversations, 3 calls to the model; about US$ 0.00" in told[0] and "±" in told[0]
    assert plan(["warm"], SCENARIOS, ["camila"], llm="live", keys=Keys(), folder=tmp_path).seconds > 5


def test_nobody_there_to_agree_is_an_error_that_says_how(vendor: Any, tmp_path: Path) -> None:
    vendor(Fake())

    with pytest.raises(SettingsError, match="nobody is here to agree"):
        run_experiment(["warm"], SCENARIOS, ["camila"], llm="live", keys=Keys(), folder=tmp_path)


def test_in_a_notebook_a_button_begins_it_and_another_stops_it(
    vendor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import IPython

    vendor(Fake())
    monkeypatch.setattr(IPython, "get_ipython", object)
    offers: list[Offer] = []
    monkeypatch.setattr(Offer, "show", lambda offer: offers.append(offer))

    waiting = run_experiment(["warm"], SCENARIOS, ["camila"], llm="live", keys=Keys(), folder=tmp_path)

    assert "Not begun" in waiting._repr_html_() and "US$" in offers[0].said.value.replace("<span>$</span>", "$")
    assert not (tmp_path / waiting.id).exists()
    offers[0].go.click()
    assert offers[0].thread is not None
    offers[0].thread.join()
    assert "Run the cell again" in offers[0].said.value and offers[0].go.disabled
    assert run_experiment(["warm"], SCENARIOS, ["camila"], llm="live", keys=Keys(), folder=tmp_path).complete


def test_a_live_model_is_asked_from_here_alone(vendor: Any, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    vendor(Fake())
    with pytest.raises(SettingsError, match="given no key"):
        asked(tmp_path, llm="live", keys=Keys(), executor=ThreadPoolExecutor(1))
