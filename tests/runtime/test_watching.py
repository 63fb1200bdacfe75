"""The latency monitor beside conversations that run over the twins: a slowdown raises its alert, and its end clears it."""

from __future__ import annotations

import asyncio
import json
import stat
import statistics
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from clara_kit import ConversationManager, LatencyMonitor, Run, Settings, compose
from clara_kit.measure.monitor import Alert, Timed, times
from clara_kit.runtime.kit_log import MOST_BYTES, SmallLog
from clara_kit.runtime.latency_log import LATENCY_FILE
from clara_kit.runtime.watching import Watching
from clara_kit.world.faults import Fault

QUICK = Settings.of(greeting="", local_vad=False)


def lines(run: Run) -> list[dict[str, Any]]:
    assert run.folder is not None
    return [json.loads(line) for line in (run.folder / LATENCY_FILE).read_text(encoding="utf-8").splitlines()]


async def talk(clara: ConversationManager, turns: int) -> None:
    for n in range(turns):
        await clara.type(f"¿Cuánto cuesta el producto número {n}?")
        await clara._call(clara._session.when(lambda: clara._session.is_quiet))


async def test_a_scripted_slowdown_raises_an_alert_and_its_end_clears_it(tmp_path: Path) -> None:
    told: list[Timed | Alert] = []
    watching = Watching(LatencyMonitor({"think": 1000}), told=told.append)
    services = compose(settings=QUICK, latency="fast", avatar="sim", tts="sim", stt="sim")
    clara = ConversationManager(services, log_root=tmp_path)
    watching.follow(clara)
    async with clara:
        await talk(clara, 1)
        clara.inject(*(Fault(service="llm", kind="slow", for_ms=1500),) * 3)
        await talk(clara, 3)
        assert [one.stage for one in watching.look(lambda monitor: monitor.alerts)] == ["think"]
        await talk(clara, 3)
        assert watching.look(lambda monitor: monitor.alerts) == ()
    run = clara.run
    assert run is not None
    alerts = [one for one in told if isinstance(one, Alert)]
    assert [(one.stage, one.raised) for one in alerts] == [("think", True), ("think", False)]
    turns = [one for one in told if isinstance(one, Timed)]
    assert [one.values for one in turns] == [times(turn) for turn in run.ledger]
    written = lines(run)
    assert [one["turn_id"] for one in written if one["what"] == "turn"] == [turn.turn_id for turn in run.ledger]
    assert [one["raised"] for one in written if one["what"] == "alert"] == [True, False]
    assert all((one["of"], one["mix"]) == (run.run_id, run.mix) for one in written)
    assert "producto" not in json.dumps(written)
    assert stat.S_IMODE((run.folder / LATENCY_FILE).stat().st_mode) == 0o600


async def test_many_conversations_at_once_are_one_figure_and_each_has_its_file(tmp_path: Path) -> None:
    watching = Watching()
    services = [compose("sim", settings=QUICK, latency="fast", seed=n) for n in range(4)]
    all_of_them = [ConversationManager(one, log_root=tmp_path / str(n)) for n, one in enumerate(services)]
    for clara in all_of_them:
        watching.follow(clara)
    async with AsyncExitStack() as stack:
        for clara in all_of_them:
            await stack.enter_async_context(clara)
        await asyncio.gather(*(talk(clara, 2) for clara in all_of_them))
    runs = [clara.run for clara in all_of_them if clara.run is not None]
    wanted = sorted(times(turn)["total"] for run in runs for turn in run.ledger)
    assert watching.look(lambda monitor: monitor.turns) == len(wanted) == 8
    total = watching.look(lambda monitor: monitor.figures["total"])
    assert (total.n, total.p50) == (8, pytest.approx(statistics.median(wanted)))
    assert [len([one for one in lines(run) if one["what"] == "turn"]) for run in runs] == [2] * 4
    assert watching._followed == {} and watching.look(lambda monitor: monitor._talks) == {}


async def test_a_disk_that_is_full_and_an_end_that_nobody_told_cost_lines_and_no_conversation(tmp_path: Path) -> None:
    watching = Watching()
    clara = ConversationManager(compose("sim", settings=QUICK, latency="fast"), log_root=tmp_path)
    watching.follow(clara)
    async with clara:
        assert clara._session.folder is not None
        (clara._session.folder / LATENCY_FILE).mkdir()  # nothing can be written there
        await talk(clara, 1)
    assert clara.run is not None and watching.look(lambda monitor: monitor.turns) == 1
    broken = ConversationManager(compose("sim", settings=QUICK, latency="fast"), log_root=tmp_path)
    watching.follow(broken)
    broken._session.over.set()
    watching.follow(clara)
    assert len(watching._followed) == 1


def test_a_line_of_the_file_is_json_whatever_is_in_it_and_the_file_stays_small(tmp_path: Path) -> None:
    log = SmallLog(tmp_path / LATENCY_FILE)
    for n in range(3000):
        log.line(json.dumps({"stage": "first sentence", "text": "ñ % {} \n", "n": n}, ensure_ascii=False) + " " * 100)
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [LATENCY_FILE, f"{LATENCY_FILE}.1"]
    assert all(file.stat().st_size <= MOST_BYTES for file in files)
    read = [json.loads(line) for file in reversed(files) for line in file.read_text(encoding="utf-8").splitlines()]
    assert read[-1]["n"] == 2999 and read[-1]["text"] == "ñ % {} \n"
