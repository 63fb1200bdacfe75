"""The desk's buttons that cut in, against the twins: each sound goes through Clara's ears, and this is what she does about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clara_kit import ConversationState, Desk, Settings
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.lab.cut_ins import CUT_INS, LATE_MS
from clara_kit.lab.six_moments import SAYS, Did, did, moment, six_moments

S = ConversationState
ASKED = "¿Qué protector solar me recomiendas?"  # answered in two sentences, about twelve seconds


async def so(happened: Callable[[], Any], within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not happened():
            await asyncio.sleep(0.05)


async def talking(folder: Path, preset: str) -> tuple[Desk, list[dict[str, Any]]]:
    """A desk at which Clara is on the line and has greeted, and what its page is told."""
    desk, told = Desk(log_root=folder), []
    desk._view.send = lambda content, buffers=None: told.append({**content, "pcm": buffers})  # type: ignore[method-assign]
    desk.choose(speed="fast", preset=preset)
    clara = await desk.call()
    await clara.until(S.AVATAR_SPEAKING)
    await clara.until(S.IDLE)
    return desk, told


async def cut_in(desk: Desk, name: str) -> Did:
    """Ask, press one of the buttons while she answers, hear her out; what she did about it."""
    clara, before = desk.clara, len(desk.clara.conversation.trace)  # type: ignore[union-attr]
    assert clara is not None
    await desk.type(ASKED)
    await clara.until(S.AVATAR_SPEAKING)
    await clara.wait(0 if CUT_INS[name].when == "early" else 1.5)
    since_ms = clara.clock.now_ms()
    desk._view._handle_custom_msg({"kind": "cut_in", "text": name}, [])
    await so(lambda: desk._view.armed == [name])
    await so(lambda: desk._view.armed == [])
    await clara.wait(3)
    await clara.until(S.IDLE)
    await clara.wait(0.5)
    await clara.until(S.IDLE)
    assert desk._view.problem == ""
    fresh = clara.conversation.trace[before:]
    heard = [r.sound_at_ms for r in fresh if isinstance(r, ev.SpeechStarted) and r.sound_at_ms > since_ms]
    assert heard, "nothing of it came to Clara's ears"
    return did(fresh, heard[0] - 20)


async def test_what_the_plan_does_about_each_of_the_six(tmp_path: Path) -> None:
    desk, told = await talking(tmp_path, "plan")
    done = {name: await cut_in(desk, name) for name in CUT_INS}
    assert all(one.stopped_ms is not None and one.stopped_ms < 300 for one in done.values())
    assert {name: one.asked for name, one in done.items() if CUT_INS[name].text} == {
        name: one.text for name, one in CUT_INS.items() if one.text
    }
    assert done["cough"].rest and not done["cough"].asked
    heard = [one for one in told if one["kind"] == "customer"]
    assert len([one for one in heard if one["pcm"]]) == 6  # the page plays each of them
    assert [one["pcm"] for one in heard][-1] is None  # and no more of an echo than there was of her
    run = await desk.hang_up()
    assert run is not None and not run.settings.sustained_ms


async def test_what_the_tuned_rules_do_about_each_of_the_six(tmp_path: Path) -> None:
    desk, _ = await talking(tmp_path, "tuned")
    done = {name: await cut_in(desk, name) for name in CUT_INS}
    for name in ("backchannel", "cough", "echo"):
        assert (done[name].stopped_ms, done[name].asked) == (None, ""), name
    for name in ("early", "question"):
        assert done[name].stopped_ms is not None and done[name].asked == CUT_INS[name].text, name
    assert done["late"].asked == CUT_INS["late"].text
    assert desk._view.did["name"] == "echo" and desk._view.did["stopped_ms"] is None
    run = await desk.hang_up()
    assert run is not None and run.settings == Settings.preset("tuned")


async def test_what_waits_for_its_moment_is_called_off_by_a_second_click_and_by_hanging_up(tmp_path: Path) -> None:
    desk, told = await talking(tmp_path, "tuned")
    press = {"kind": "cut_in", "text": "late"}
    for waits in (["late"], [], ["late"]):
        desk._view._handle_custom_msg(press, [])
        await so(lambda waits=waits: desk._view.armed == waits)
    await desk.hang_up()
    await so(lambda: desk._view.armed == [])
    assert desk._view.problem == "" and not [one for one in told if one["kind"] == "customer"]
    with pytest.raises(ClaraError, match="early, late"):
        await desk.cut_in("louder")


async def test_the_rules_are_changed_while_she_is_on_the_line_but_not_those_of_a_cell(tmp_path: Path) -> None:
    desk, _ = await talking(tmp_path, "plan")
    desk.choose(preset="tuned")
    await so(lambda: desk.clara and desk.clara.conversation.settings.ignore_echo)
    assert desk.clara is not None and desk.clara.conversation.settings == Settings.preset("tuned")
    desk.choose(preset="plan")
    await so(lambda: desk.clara and desk.clara.conversation.settings == Settings())
    await desk.hang_up()
    given = Desk(log_root=tmp_path, settings=Settings.of(sustained_ms=300))
    assert given._view.offers["presets"] == []


def test_the_six_moments_are_the_same_each_time_and_the_presets_tell_them_apart() -> None:
    choices = {"plan": Settings(), "tuned": Settings.preset("tuned")}
    table = six_moments(choices)
    assert repr(table) == repr(six_moments(choices)) and len(table) == len(SAYS) == len(CUT_INS)
    plan, tuned = (table.frame[f"{name} (simulated)"].to_list() for name in choices)
    assert not any("spoke on" in one for one in plan)
    assert [one for one in tuned if one == "spoke on"] and "«Ajá.»" in plan[2] and "«Ajá.»" not in tuned[2]


def test_a_late_question_comes_in_her_last_half_second() -> None:
    run, began_ms = moment("late", Settings.preset("tuned"))
    ended = [r.at_ms for r in run.trace if isinstance(r, ev.SpeakingEnded | ev.SpeakingInterrupted)]
    assert any(abs(began_ms + LATE_MS - at_ms) < 1 for at_ms in ended)
