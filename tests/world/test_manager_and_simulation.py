"""The manager with played services and the simulation decide the same for the same script, on a virtual clock."""

from __future__ import annotations

import asyncio
import selectors
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from clara_kit import ConversationManager, Fault, Run, Settings, compose, replay, simulate
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import StateChanged
from clara_kit.runtime.visit import visit
from clara_kit.world.scenario import Scenario
from clara_kit.world.script import Script

ASK = "¿Qué protector solar me recomiendas?"
LINES: list[Any] = [{"text": ASK, "typed": True}, {"text": "¿Y cuánto cuesta?", "typed": True}]
INTERRUPTING: list[Any] = [LINES[0], {**LINES[1], "interrupt_after_ms": 40}]


class Jumping(selectors.DefaultSelector):
    """Waits for nothing that only time would bring: time jumps there. Work takes a microsecond a round.

    walks: all is said, and somebody in another thread is about to hang up; time must not run ahead of them. Nor of what
    is at work in other threads.
    """

    now_s = 0.0
    walks = False
    at_work = 0

    def select(self, timeout: float | None = None) -> Any:
        if self.walks:
            began_s = perf_counter()
            seen = super().select(timeout)
            self.now_s += perf_counter() - began_s
            return seen
        if self.at_work:
            return super().select(0.05 if timeout is None else min(timeout, 0.05))
        found = super().select(None if timeout is None else 0)
        if not found and timeout is not None:
            self.now_s += max(timeout, 1e-6)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now_s

    def run_in_executor(self, executor: Any, work: Any, *given: Any) -> Any:
        self.jumping.at_work += 1
        future = super().run_in_executor(executor, work, *given)
        future.add_done_callback(self._has_worked)
        return future

    def _has_worked(self, _: Any) -> None:
        self.jumping.at_work -= 1


class VirtualClock:
    def __init__(self, pace: float) -> None:
        self._loop = asyncio.get_running_loop()

    def now_ms(self) -> float:
        return round(self._loop.time() * 1000, 3)


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clara_kit.runtime.manager.loop_factory", lambda pace: VirtualLoop)
    monkeypatch.setattr("clara_kit.runtime.session.MonotonicClock", VirtualClock)

    async def visited(*given: Any, **named: Any) -> None:
        await visit(*given, **named)
        asyncio.get_running_loop().jumping.walks = True  # type: ignore[attr-defined]

    monkeypatch.setattr("clara_kit.runtime.manager.visit", visited)


def decided(run: Run) -> list[tuple[str, ...]]:
    """What was ordered and how the state changed, without times: those of a real clock differ by a breath."""
    rows: list[tuple[str, ...]] = []
    for record in run.trace:
        if isinstance(record, StateChanged):
            rows.append((record.source, record.target, record.reason))
        elif isinstance(record, do.Command) and not isinstance(record, do.SetTimer | do.CancelTimer | do.RaiseAlert):
            text = getattr(record, "text", "")
            rows.append((type(record).__name__, text, record.reason, record.by))
    return rows


def refusals(service: str, *on: int, status: int = 529) -> tuple[Fault, ...]:
    return tuple(Fault(service=service, kind="refuse", status=status, on=n) for n in on)  # type: ignore[arg-type]


FALLS_BACK = {"enable_auto_fallback": True, "initial_retry_delay_ms": 60, "retry_jitter": 0.0}


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, ()),
        ({"enable_chunked_heygen": False, "llm_max_tokens": 12}, ()),
        ({"avatar_vendor": "heygen"}, ()),
        ({"initial_retry_delay_ms": 60}, (Fault(service="llm", kind="refuse", status=529),)),
        ({"initial_retry_delay_ms": 60}, (Fault(service="tts", kind="cut"), Fault(service="avatar", kind="no_end"))),
        ({"llm_first_token_timeout_ms": 900, "max_retries": 0}, (Fault(service="llm", kind="stall"),)),
        ({}, (Fault(service="llm", kind="truncate", after_ms=150),)),
        ({"initial_retry_delay_ms": 60}, (Fault(service="llm", kind="cut"),)),
        ({}, (Fault(service="llm", kind="stall", after_ms=20),)),
        (FALLS_BACK, refusals("llm", 1, 2, 3)),
        ({**FALLS_BACK, "avatar_vendor": "heygen"}, refusals("llm", 1, 2, 3)),
        (FALLS_BACK, (*refusals("llm", 1, 2, 3), Fault(service="backup", kind="cut", after_ms=5))),
        (FALLS_BACK, (Fault(service="avatar", kind="cut"), *refusals("avatar", 2, 3))),
    ],
    ids=[
        "usual",
        "whole replies",
        "classic avatar",
        "refused once",
        "voice and avatar",
        "stalled",
        "truncated",
        "cut",
        "dropped",
        "backup",
        "classic backup",
        "backup that breaks",
        "voice alone",
    ],
)
@pytest.mark.wall
@pytest.mark.usefixtures("virtual_time")
async def test_the_same_script_is_decided_the_same(
    tmp_path: Path, changes: Any, faults: tuple[Fault, ...], request: pytest.FixtureRequest
) -> None:
    dropped = request.node.callspec.id == "dropped"
    lines = INTERRUPTING if dropped else LINES
    settings = Settings.of(local_vad=False, slow_response_ms=60_000, **changes)
    latency = "optimistic" if settings.flags.enable_auto_fallback else "fast"
    services = compose("sim", settings=settings, latency=latency, seed=5, faults=faults)
    services.heard = False  # a voice as long as the simulation's, and no sound
    async with ConversationManager(services, log_root=tmp_path, record=False) as clara:
        await clara.play_script(Script.of(lines))
    played = clara.run
    assert played is not None
    template = services.briefing.template if services.briefing else None
    simulated = simulate(lines, settings, seed=5, latency=latency, faults=faults, template=template)
    assert decided(played) == decided(simulated)
    assert played.inputs["policies"] == simulated.inputs["policies"]
    one, other = played.ledger, simulated.ledger
    assert [t.clara for t in one] == [t.clara for t in other]
    assert [t.usage for t in one] == [t.usage for t in other]
    late = [r for r in simulated.trace if isinstance(r, ev.ReplyCompleted) and r.stop_reason == ev.CANCELLED]
    assert bool(late) == dropped and replay(played).same and replay(simulated).same
    silent = request.node.callspec.id == "voice alone"  # what is no sound has no head whose silence could be measured
    for a, b in zip(one, other, strict=True):
        total, expected = (t.metrics.total_latency if silent else t.total_ms for t in (a, b))
        if total is not None and expected is not None:
            assert total == pytest.approx(expected, abs=1)


@pytest.mark.wall
@pytest.mark.usefixtures("virtual_time")
async def test_at_the_desk_she_says_what_she_says_in_the_simulation(tmp_path: Path) -> None:
    scenario = Scenario.load("alergia_a_las_almendras")
    services = compose("sim", settings=Settings.of(local_vad=False), latency="fast", seed=3)
    services.heard = False
    async with ConversationManager(services, log_root=tmp_path, record=False) as clara:
        await clara.play_script(scenario)
    run = clara.run
    assert run is not None and services.briefing is not None
    simulated = simulate(scenario, services.settings, seed=3, latency="fast", template=services.briefing.template)
    assert [t.customer for t in run.ledger] == [t.customer for t in simulated.ledger]
    told, same = run.facts["customer"], simulated.facts["customer"]
    for time in ("ended_ms", "reached_ms"):  # of the clock here, which is the test's own
        assert told.pop(time) and same.pop(time)
    assert told == same and run.facts["scenario"]["hash"] == scenario.hash
