"""What one conversation of a process finds out about a vendor, the others are told; and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from clara_kit import ConversationManager, Settings, compose, replay
from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.talk import Health
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.keys import Keys
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.health import HEALTH, Share, SharedHealth
from clara_kit.runtime.services import Services
from clara_kit.world.faults import Fault

SETTINGS = Settings.of(greeting="", enable_auto_fallback=True, initial_retry_delay_ms=1)
OPEN, CLOSED = Health(circuit="open", openings=1), Health()


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    HEALTH.forget()
    yield
    HEALTH.forget()


class One:
    """A conversation with its share in the health of `address`."""

    def __init__(self, health: SharedHealth, address: str = "https://api.anthropic.com llm") -> None:
        self.conversation, self.told = Conversation(SETTINGS), list[ev.Event]()
        self.address = address
        self.share = Share(self.conversation, self._whose, self._feed, MonotonicClock(), health=health)

    def _whose(self, service: str) -> str:
        return self.address if service == "llm" else ""

    def _feed(self, event: ev.Event) -> None:
        self.told.append(event)
        for command in self.conversation.handle(event):
            if isinstance(command, do.SwitchTo):
                self.share.switched(command)
        self.share.saw()

    def begin(self) -> One:
        self._feed(ev.ConversationStarted(at_ms=0.0))
        self.share.begin()
        return self

    def circuit(self, circuit: str) -> None:
        """As the conversation's own `FallbackManager` writes it."""
        order = do.SwitchTo(at_ms=0.0, reason="three failures in a row", service="llm", target="backup")
        self.share.switched(order)
        self.conversation.talk.services["llm"] = Health(circuit=circuit, openings=1)  # type: ignore[arg-type]
        self.share.saw()

    @property
    def heard_of(self) -> list[tuple[str, str]]:
        return [(event.service, event.circuit) for event in self.told if isinstance(event, ev.HealthTold)]


async def test_the_others_are_told_when_a_circuit_opens_and_when_it_closes_and_who_found_out_is_not() -> None:
    health = SharedHealth()
    finder, other, elsewhere = One(health).begin(), One(health).begin(), One(health, "http://127.0.0.1 llm").begin()
    finder.circuit("open")
    await asyncio.sleep(0.1)
    assert other.heard_of == [("llm", "open")] and finder.heard_of == elsewhere.heard_of == []
    assert [s.service for s in other.conversation.trace if isinstance(s, do.SwitchTo)] == ["llm"]
    finder.circuit("half_open")  # it tries: nobody else needs to
    await asyncio.sleep(0.1)
    assert len(other.heard_of) == 1
    finder.circuit("closed")
    await asyncio.sleep(0.1)
    assert other.heard_of[1:] == [("llm", "closed")] and finder.heard_of == []


async def test_who_begins_while_a_circuit_is_open_is_told_at_once_and_later_may_try() -> None:
    health = SharedHealth()
    One(health).begin().circuit("open")
    assert One(health).begin().heard_of == [("llm", "open")]
    await asyncio.sleep(SETTINGS.fallback_open_ms / 1000 + 1)
    assert health.circuit("https://api.anthropic.com llm")[0] == "half_open"
    assert One(health).begin().heard_of == []


async def test_who_was_told_tells_it_to_nobody_again() -> None:
    health = SharedHealth()
    finder, other = One(health).begin(), One(health).begin()
    finder.circuit("open")
    await asyncio.sleep(0.1)
    assert other.heard_of and finder.heard_of == []


async def test_who_has_left_is_told_nothing() -> None:
    health = SharedHealth()
    finder, gone = One(health).begin(), One(health).begin()
    gone.share.close()
    finder.circuit("open")
    await asyncio.sleep(0.1)
    assert gone.heard_of == []


def test_each_failed_trial_keeps_a_circuit_open_for_twice_as_long_but_not_for_ever() -> None:
    health, due = SharedHealth(), list[float]()
    for openings in (1, 2, 3, 50):
        health.learn("a", Health(circuit="open", openings=openings), "", open_ms=1000)
        due.append(health._troubles["a"].until_s)
    assert due[1] - due[0] == pytest.approx(1, abs=0.5) and due[2] - due[1] == pytest.approx(2, abs=0.5)
    assert due[3] - due[0] < 200


def test_what_is_simulated_has_no_health_that_anybody_shares() -> None:
    health = SharedHealth()
    health.learn("", OPEN, "", open_ms=1000)
    assert health.circuit("")[0] == "closed"
    assert compose("sim").whose("llm") == ""


def test_what_is_known_of_a_twin_is_forgotten_with_its_server(tmp_path: Path) -> None:
    services = compose("sim", llm="twin", settings=SETTINGS)
    services.open()
    address = services.whose("llm")
    HEALTH.learn(address, OPEN, "", open_ms=1000)
    HEALTH.learn("https://api.anthropic.com llm", OPEN, "", open_ms=1000)
    services.close()
    assert HEALTH.circuit(address)[0] == "closed" and HEALTH.circuit("https://api.anthropic.com llm")[0] == "open"


def test_twins_of_two_servers_and_a_vendor_are_three(tmp_path: Path) -> None:
    one, other = (compose("sim", llm="twin", settings=SETTINGS) for _ in range(2))
    live = compose("sim", llm="live", settings=SETTINGS, keys=Keys(anthropic_api_key=SecretStr("k")))
    one.open()
    other.open()
    try:
        assert len({one.whose("llm"), other.whose("llm"), live.whose("llm")}) == 3
    finally:
        one.close()
        other.close()


async def test_a_second_conversation_is_spared_what_the_first_has_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Services, "whose", lambda self, service: f"one vendor's {service}")

    def manager(*faults: Fault) -> ConversationManager:
        return ConversationManager(compose("sim", settings=SETTINGS, faults=faults), log_root=tmp_path)

    def told(clara: ConversationManager) -> list[str]:
        return [r.circuit for r in clara.conversation.trace if isinstance(r, ev.HealthTold) and r.service == "llm"]

    overloaded = [Fault(service="llm", kind="refuse", status=529, on=n) for n in (1, 2, 3)]
    async with manager(*overloaded) as first, manager() as beside:
        await first.type("Hola")
        async with asyncio.timeout(20):
            while not told(beside):
                await asyncio.sleep(0.05)
        async with manager() as later:
            assert told(later)[:1] == told(beside)[:1] == ["open"] and first.health["llm"].openings
    assert later.run is not None and replay(later.run).same
    for clara in (beside, later):
        assert not any(isinstance(r, ev.ProviderFailed) and r.service == "llm" for r in clara.conversation.trace)
