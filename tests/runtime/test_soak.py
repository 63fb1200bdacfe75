"""Minutes of conversation: nothing grows, nothing is left, every turn adds up."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from clara_kit import ConversationManager, Settings, compose, replay, simulate

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]


async def test_forty_conversations_leave_no_thread_and_no_turn_without_a_whole_ledger(tmp_path: Path) -> None:
    before = threading.active_count()
    for seed in range(40):
        services = compose("twin", settings=Settings.of(greeting=""), latency="fast", seed=seed)
        async with ConversationManager(services, log_root=tmp_path) as clara:
            await clara.ask("¿Hacen despachos a regiones?", timeout_s=40)  # no pause in it that could end the turn
        assert clara.run is not None
        assert [t.problem for t in clara.run.ledger] == [""]
        assert replay(clara.run).same
    gc.collect()
    assert threading.active_count() <= before + 2  # the executor's own threads


async def test_a_whole_script_at_the_published_pace(tmp_path: Path) -> None:
    async with ConversationManager(compose("twin", seed=5), log_root=tmp_path) as clara:
        await clara.play_script("demo")
    assert clara.run is not None
    assert len(clara.run.ledger) >= 7
    assert not [t.problem for t in clara.run.ledger if t.problem]
    assert replay(clara.run).same


def test_ten_thousand_simulated_turns_replay_the_same() -> None:
    for seed in range(10):
        run = simulate(["Hola", "¿Cuánto cuesta el despacho?", "Gracias"] * 333, seed=seed)
        assert replay(run).same
        assert not [t.problem for t in run.ledger if t.problem]
