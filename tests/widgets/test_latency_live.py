"""The desk's panel of the latency monitor, by the methods that a hand calls."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clara_kit import Desk, Settings
from clara_kit.core.errors import ClaraError
from clara_kit.lab.calibrate.mark import calibrated_mark
from clara_kit.measure.monitor import BUDGETS_MS, times
from clara_kit.runtime.latency_log import LATENCY_FILE
from clara_kit.runtime.manager import open_conversations
from clara_kit.widgets import desk as desk_module
from clara_kit.widgets.latency_live import USUAL, LatencyLive
from clara_kit.widgets.view import HERE
from clara_kit.widgets.words import WORDS


@pytest.fixture(autouse=True)
async def _hung_up(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """What a failed test leaves on the line is no other's; and drawing leaves time to talk, at the pace of tests."""
    monkeypatch.setattr(desk_module, "REFRESH_S", 2)
    yield
    for clara in open_conversations():
        await clara.stop()


async def ask(desk: Desk, text: str = "¿Hacen despachos a regiones?") -> None:
    clara = desk.clara
    assert clara is not None
    await desk.type(text)
    await clara._call(clara._session.when(lambda: clara._session.is_quiet))


def test_every_word_that_it_says_is_there_in_both_languages() -> None:
    source = (HERE / "latency_live.js").read_text(encoding="utf-8")
    named = {*re.findall(r'"(la_\w+)"', source), *(f"la_{name}" for name in (*USUAL, *BUDGETS_MS))}
    assert named <= WORDS.keys() and all(WORDS[name][0] and WORDS[name][1] for name in named)


async def test_it_keeps_up_with_a_conversation_and_an_alert_is_seen_while_it_lasts(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path, latency=True, settings=Settings.of(greeting=""), language="es")
    panel = desk.latency
    assert desk.children[1] is panel and {row["n"] for row in panel.rows} == {0}
    assert len(desk._folds.titles) == len(desk._folds.children) == 2
    desk.choose(speed="fast")
    clara = await desk.call()
    panel.budget("think", 0.1)
    await ask(desk)
    panel.draw(now=True)
    shown = {row["stage"]: row for row in panel.rows}
    assert shown["total"]["n"] == shown["think"]["n"] == 1 and shown["think"]["budget"] == 0.1
    assert shown["hear"]["n"] == 0  # what was typed was not heard
    assert panel.mark == calibrated_mark(clara.services.latency, language="es") != ""
    for _ in range(2):
        await ask(desk)
    panel.draw(now=True)
    assert next(row for row in panel.rows if row["stage"] == "think")["alert"]
    assert panel.told[0]["stage"] == "think" and panel.told[0]["raised"]
    await desk.hang_up()
    run = desk.run
    assert run is not None and run.folder is not None and panel.sums["turns"] == len(run.ledger) == 3
    total = next(row for row in panel.rows if row["stage"] == "total")
    assert total["last"] == round(times(run.ledger[-1])["total"])
    lines = [json.loads(line) for line in (run.folder / LATENCY_FILE).read_text(encoding="utf-8").splitlines()]
    assert [one["turn_id"] for one in lines if one["what"] == "turn"] == [turn.turn_id for turn in run.ledger]
    panel._handle_custom_msg({"kind": "anew"}, [])
    assert panel.sums["turns"] == 0 and panel.told == [] and {row["n"] for row in panel.rows} == {0}
    assert next(row for row in panel.rows if row["stage"] == "think")["budget"] == 0.1


async def test_on_any_other_desk_it_waits_in_a_fold_and_figures_of_another_mix_begin_anew(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path, settings=Settings.of(greeting=""))
    assert desk._folds.children[2] is desk.latency and desk._folds.titles[2] == "Where the milliseconds go, live"
    desk.choose(speed="fast")
    await desk.call()
    await ask(desk)
    await desk.hang_up()
    before = desk.latency.mix
    assert desk.latency.sums["turns"] == 1 and "twins" in before
    desk.latency._mixes = ["live"]
    await desk.call()
    desk.latency.draw(now=True)
    assert desk.latency.sums["turns"] == 0 and desk.latency.mix == before
    await desk.hang_up()


def test_what_makes_no_sense_is_told_and_changes_nothing() -> None:
    panel = LatencyLive(language="en")
    with pytest.raises(ClaraError, match="no stage"):
        panel.budget("luck", 100)
    for nonsense in (None, 3, {"kind": "budget"}, {"kind": "budget", "stage": "think", "ms": "x"}, {"kind": ["anew"]}):
        panel._handle_custom_msg(nonsense, [])
    panel._handle_custom_msg({"kind": "budget", "stage": "think", "ms": -3}, [])
    assert "no budget" in panel.problem
    assert {row["stage"]: row["budget"] for row in panel.rows} == {name: BUDGETS_MS[name] for name in USUAL}
