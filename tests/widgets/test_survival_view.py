"""The picture of what survives, and an outage played again, by the methods that their buttons call."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from clara_kit import Fault, Settings, simulate
from clara_kit.audio.pcm import Sound
from clara_kit.audio.wav import read_channels
from clara_kit.core.errors import ClaraError
from clara_kit.lab.breaking import overloaded
from clara_kit.lab.survival.matrix import TROUBLES, cells
from clara_kit.lab.survival.month import Rates, month
from clara_kit.lab.survival.strikes import PHASES
from clara_kit.lab.survival.survival import OUTCOMES
from clara_kit.lab.voiced import spoken
from clara_kit.runtime.run_log import RunLog
from clara_kit.widgets import survival as module
from clara_kit.widgets.outage_again import OutageAgain, what_became
from clara_kit.widgets.survival import SurvivalView
from clara_kit.widgets.window import ConversationWindow
from clara_kit.widgets.words import WORDS

SOME = [cell for cell in cells() if (cell.service, cell.trouble) in (("llm", "down"), ("llm", "cut"))][::3]


async def test_each_cell_is_played_once_and_opens_its_conversation() -> None:
    view = SurvivalView(SOME, language="es")
    view.picture._handle_custom_msg({"kind": "seen"}, [])
    async with asyncio.timeout(600):
        while len(view.found["on"]) < len(SOME):
            await asyncio.sleep(0.05)
    assert {name: cell[0] for name, cell in view.picture.cells["on"].items()} == {
        name: "wrong" if one.problems else one.outcome for name, one in view.found["on"].items()
    }
    down = next(name for name in view.found["on"] if "down" in name)
    view.picture._handle_custom_msg({"kind": "open", "cell": down}, [])
    window = view.children[1]
    assert isinstance(window, ConversationWindow) and window.has_sound and "simulado" in window.whose
    assert "caído desde ahí" in window.title and window.title in view.picture.detail  # in words, not as the code has it
    assert view.picture.chosen == down
    view.turn_to("off")
    run = view.open_cell(down)
    assert (
        not run.settings.flags.enable_auto_fallback
        and view.found["off"][down].outcome != view.found["on"][down].outcome
    )
    for nonsense in (None, {"kind": "open"}, {"kind": "open", "cell": 3}):
        view.picture._handle_custom_msg(nonsense, [])
    with pytest.raises(ClaraError, match="There is no cell"):
        view.open_cell("llm / melts / asked")


async def test_a_month_says_how_often_what_was_drawn_and_where_that_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "month", partial(month, conversations=300))
    view = SurvivalView(SOME)
    view.picture._handle_custom_msg({"kind": "month"}, [])
    async with asyncio.timeout(3000):
        while "rows" not in view.picture.month:
            await asyncio.sleep(0.05)
    rows = {name: values for name, *values in view.picture.month["rows"]}
    assert view.picture.month["of"] == 300 == sum(rows[outcome][0] for outcome in OUTCOMES) and rows["struck"][0] > 0
    sources = view.picture.month["sources"]
    assert len(sources) == sum(map(len, (Rates.load().incidents, Rates.load().mishaps)))
    assert any("Assumed." in line for line in sources) and not view.picture.month["busy"]
    assert {f"sv_month_{name}" for name in rows} <= set(WORDS)
    assert {f"tr_{one.what}" for one in (*Rates.load().incidents, *Rates.load().mishaps)} <= set(WORDS)


def test_every_row_and_column_of_the_picture_has_its_words() -> None:
    troubles = {trouble for found in TROUBLES.values() for trouble in found}
    services = {one for both in TROUBLES for one in both.split(" + ")}
    wanted = {f"tr_{trouble}" for trouble in troubles} | {f"ou_{service}" for service in services}
    assert wanted | {f"ph_{phase}{end}" for phase in PHASES for end in ("", "_hint")} <= set(WORDS)


def channels(data: bytes, folder: Path) -> tuple[Sound, ...]:
    (folder / "spoken.wav").write_bytes(data)
    return read_channels(folder / "spoken.wav")


def test_a_simulated_outage_is_heard_and_who_stands_in_has_another_voice(tmp_path: Path) -> None:
    line, turn = "¿Hacen despachos a regiones?", Settings.of(enable_auto_fallback=True, greeting="", fallback_notice="")
    down = [Fault(service="llm", kind="refuse", status=401, on=on) for on in range(1, 4)]
    both = [channels(spoken(simulate([line], turn, faults=faults)), tmp_path) for faults in ((), down)]
    assert all(abs(sound.samples).max() > 1000 for pair in both for sound in pair)
    ours, theirs = (hertz(clara) for _, clara in both)
    assert abs(ours - theirs) > 8  # of their pitch


def hertz(sound: Sound) -> float:
    """The pitch of a voice, near enough: where most frames correlate with themselves."""
    import numpy as np

    rate, width = sound.rate_hz, int(sound.rate_hz * 0.04)
    samples = sound.samples.astype(float)
    frames = [samples[at : at + width] for at in range(0, len(samples) - width, width)]
    pitches = []
    for frame in (frame for frame in frames if abs(frame).max() > 2000):
        like = np.correlate(frame, frame, "full")[width - 1 :]
        least, most = int(rate / 400), int(rate / 80)
        best = least + int(np.argmax(like[least:most]))
        if like[best] > 0.5 * like[0]:
            pitches.append(rate / best)
    return float(np.median(pitches))


def test_an_outage_is_played_again_both_ways_and_each_can_be_opened(tmp_path: Path) -> None:
    run = overloaded()
    view = OutageAgain(run, root=tmp_path)
    found = {name: values for name, *values in view._view.rows}
    assert found["by_backup"][1] == 0 < found["by_backup"][2] and found["lost"] == [0, 0, 0]
    assert ["llm", "refuse", 6] in view._view.faults
    view._view._handle_custom_msg({"kind": "show", "name": "off"}, [])
    window = view.children[1]
    assert isinstance(window, ConversationWindow) and window.has_sound and view._view.opened == "off"
    log = RunLog({**run.inputs}, title="on the shelf", root=tmp_path)
    log.close(list(run.trace))
    view._view._handle_custom_msg({"kind": "offers"}, [])
    assert [title for _, title in view._view.offers] == ["Claude overloaded", "on the shelf"]
    view._view._handle_custom_msg({"kind": "choose", "name": view._view.offers[1][0]}, [])
    assert view._view.chosen == view._view.offers[1][0] and len(view.children) == 1 and not view._view.problem
    for nonsense in (None, {"kind": "choose"}, {"kind": "choose", "name": "x"}, {"kind": "show", "name": "x"}):
        view._view._handle_custom_msg(nonsense, [])
    assert view._view.problem


def test_what_became_of_each_thing_is_a_table_that_says_what_is_simulated() -> None:
    sheet = what_became(overloaded(), "es")
    assert sheet.frame["respondió"].to_list()[2:] == ["el reemplazo"] * 2 and sheet.frame["resultado"].n_unique() == 1
    assert "simulado" in sheet.caption and "turnos perdidos: 0" in sheet.caption


def test_nothing_to_play_again_is_told(tmp_path: Path) -> None:
    view = OutageAgain(root=tmp_path)
    assert not view._view.offers and not view._view.rows
    run = overloaded()
    silent = OutageAgain(replace(run, trace=run.trace[:3]), root=tmp_path, language="es")
    assert "El cliente no dijo nada" in silent._view.problem and not silent._view.rows
