"""The desk's buttons that cut in, against the twins: each sound goes through Clara's ears, and this is what she does about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
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


@asynccontextmanager
async def talking(folder: Path, preset: str) -> AsyncIterator[tuple[Desk, list[dict[str, Any]]]]:
    """A desk at which Clara greets, and what its page is told."""
    desk, told = Desk(log_root=folder), []
    desk._view.send = lambda content, buffers=None: told.append({**content, "pcm": buffers})  # type: ignore[method-assign]
    desk.choose(speed="fast", preset=preset)
    await (await desk.call()).until(S.AVATAR_SPEAKING)
    try:
        yield desk, told
    finally:
        await desk.hang_up()


async def each(desk: Desk) -> dict[str, Did]:
    """Press the buttons one after the other: late in her greeting, the others in an answer each. What she did about it."""
    assert desk.clara is not None
    clara, done = desk.clara, {}
    for name in ("late", *(one for one in CUT_INS if one != "late")):
        if name != "late":
            await desk.type(ASKED)
            await clara.until(S.AVATAR_SPEAKING)
            await clara.wait(0 if name == "early" else 1.5)
        before = len(clara.conversation.trace)
        await desk.cut_in(name)
        await clara.wait(1.5)
        fresh = clara.conversation.trace[before:]
        assert any(isinstance(r, ev.SpeechStarted) for r in fresh), f"nothing of {name} came to Clara's ears"
        done[name] = did(fresh, 0.0)
        await desk.interrupt()
        await clara.until(S.IDLE)
    return done


async def test_what_the_plan_does_about_each_of_the_six(tmp_path: Path) -> None:
    async with talking(tmp_path, "plan") as (desk, told):
        done = await each(desk)
    stopped_ms = [one.stopped_ms for one in done.values()]  # from a soft beginning that was let go it may take longer
    assert all(ms is not None for ms in stopped_ms) and median(filter(None, stopped_ms)) < 300, done
    said = {name: one.text for name, one in CUT_INS.items() if one.text}
    assert {name: done[name].asked for name in said} == said
    assert done["cough"].rest and not done["cough"].asked
    heard = [one["pcm"] for one in told if one["kind"] == "customer"]
    assert len([pcm for pcm in heard if pcm]) == 6  # the page plays each of them
    assert heard[-1] is None  # and no more of an echo than there was of her
    assert desk.run is not None and not desk.run.settings.sustained_ms


async def test_what_the_tuned_rules_do_about_each_of_the_six(tmp_path: Path) -> None:
    async with talking(tmp_path, "tuned") as (desk, _):
        done = await each(desk)
        assert desk._view.did["name"] == "echo" and desk._view.did["asked"] == ""
    for name in ("backchannel", "cough"):
        assert (done[name].stopped_ms, done[name].asked) == (None, ""), name
    echo = done["echo"]  # whose words may come too late for its length, but are nobody's question
    assert not echo.asked and (echo.stopped_ms is None or echo.rest), echo
    for name in ("early", "question"):
        assert done[name].stopped_ms is not None and done[name].asked.endswith(CUT_INS[name].text), done[name]
    assert done["late"].asked == CUT_INS["late"].text
    assert desk.run is not None and desk.run.settings == Settings.preset("tuned")


async def test_what_waits_for_its_moment_is_called_off_by_a_second_click_and_by_hanging_up(tmp_path: Path) -> None:
    async with talking(tmp_path, "tuned") as (desk, told):
        with pytest.raises(ClaraError, match="louder"):
            await desk.cut_in("louder")
        press = {"kind": "cut_in", "text": "late"}
        for waits in (["late"], [], ["late"]):
            desk._view._handle_custom_msg(press, [])
            await so(lambda waits=waits: desk._view.armed == waits)
    await so(lambda: desk._view.armed == [])
    assert desk._view.problem == "" and not [one for one in told if one["kind"] == "customer"]


async def test_the_rules_are_changed_while_she_is_on_the_line_but_not_those_of_a_cell(tmp_path: Path) -> None:
    async with talking(tmp_path, "plan") as (desk, _):
        assert desk.clara is not None
        conversation = desk.clara.conversation
        for preset, settings in (("tuned", Settings.preset("tuned")), ("plan", Settings())):
            desk.choose(preset=preset)
            await so(lambda settings=settings: conversation.settings == settings)
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
