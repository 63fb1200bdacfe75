"""The latency monitor beside conversations that run over the twins: a slowdown raises its alert, and its end clears it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from clara_kit import ConversationManager, LatencyMonitor, Run, Settings, compose
from clara_kit.measure.monitor import Alert, Timed, times
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
    assert all(one["of"] == run.run_id for one in written) and written[0]["mix"] == run.mix
    assert "producto" not in json.dumps(written)
    assert stat.S_IMODE((run.folder / LATENCY_FILE).stat().st_mode) == 0o600
