"""A long conversation costs what its record costs, and leaves nothing: no task, no socket, no file, no thread."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from pathlib import Path

import pytest

from clara_kit import ConversationManager, Run, Settings, compose, replay
from clara_kit.world.script import Line

LINES = [
    "¿Hacen despachos a regiones?",
    "¿Cuánto cuesta el despacho?",
    "Gracias",
    "¿Qué protector solar me recomiendas?",
]
SETTINGS = Settings.of(greeting="", local_vad=False)
RECORD_BYTES = 12_000  # a turn: what the trace keeps in memory, with room to spare


def _open() -> tuple[int, int]:
    """Files and sockets, and threads."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _held() -> int:
    """Objects of the kit and of its event loops; the records of a trace are not counted."""
    gc.collect()
    return sum(str(type(o).__module__).startswith(("clara_kit", "asyncio", "_asyncio")) for o in gc.get_objects())


async def _ask(clara: ConversationManager, turns: range, *, typed: bool = True) -> None:
    for number in turns:
        turn = await clara.ask(Line(text=LINES[number % len(LINES)], typed=typed), timeout_s=120)
        assert turn.clara and not turn.problem, turn


async def _tasks(clara: ConversationManager) -> int:
    return len(asyncio.all_tasks(clara._session.loop))  # nobody else needs to know


async def test_nothing_but_the_trace_grows_from_turn_to_turn(tmp_path: Path) -> None:
    services = compose("sim", customer="camila", latency="fast", settings=SETTINGS)
    async with ConversationManager(services, log_root=tmp_path, record=False) as clara:
        await _ask(clara, range(6))
        held, tasks = _held(), await _tasks(clara)
        await _ask(clara, range(6, 30))
        assert _held() - held < 12  # not one for each two turns
        assert await _tasks(clara) == tasks
    assert clara.run is not None and replay(clara.run).same


async def test_what_ask_returns_is_the_turn_as_the_whole_record_has_it(tmp_path: Path) -> None:
    services = compose("sim", latency="fast", settings=SETTINGS)
    async with ConversationManager(services, log_root=tmp_path) as clara:
        await clara.exchange_llm("sim")
        told = [await clara.ask(Line(text=text, typed=True)) for text in LINES]
    assert clara.run is not None and list(clara.run.ledger) == told


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory and files are counted as Linux tells them")
@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("turns", "typed"), [(1000, True), (200, False)])
async def test_a_thousand_turns_over_twins_grow_by_their_record_alone_and_leave_nothing(
    tmp_path: Path, turns: int, typed: bool
) -> None:
    before = _open()
    services = compose("twin", customer="camila", latency="fast", settings=SETTINGS)
    async with ConversationManager(services, log_root=tmp_path, record=not typed) as clara:
        await _ask(clara, range(100), typed=typed)  # until every bounded memory is full
        resident, tasks, opened = _resident_bytes(), await _tasks(clara), _open()
        await _ask(clara, range(100, turns), typed=typed)
        assert _resident_bytes() - resident < (turns - 100) * RECORD_BYTES + 10_000_000
        assert await _tasks(clara) == tasks
        assert _open()[0] <= opened[0] + 2 and _open()[1] <= opened[1] + 2
    after = _open()
    assert after[0] <= before[0] + 2 and after[1] <= before[1] + 2  # a helper's thread, the wake-up pipe of a loop
    assert clara.run is not None and clara.run.folder is not None
    loaded = Run.load(clara.run.folder)
    assert loaded.problems == () and len(loaded.ledger) == turns and replay(loaded).same
    assert (clara.run.folder / "events.jsonl").stat().st_size < turns * RECORD_BYTES
