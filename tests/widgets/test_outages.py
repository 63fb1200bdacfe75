"""The panel that breaks a service by hand, by the methods that its buttons call."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from clara_kit import ConversationManager, ConversationState, Desk, Settings
from clara_kit.conversation.talk import Health, Timer
from clara_kit.core.errors import ClaraError
from clara_kit.core.events import ProviderFailed
from clara_kit.lab.breaking import BUTTONS, TIMES, to_come
from clara_kit.lab.survival.survival import FATES, OUTCOMES
from clara_kit.runtime.manager import open_conversations
from clara_kit.widgets import desk as desk_module
from clara_kit.widgets import following
from clara_kit.widgets import outages as module
from clara_kit.widgets.outages import Outages, again_s, lamp
from clara_kit.widgets.view import HERE
from clara_kit.widgets.window import ConversationWindow
from clara_kit.widgets.words import WORDS
from clara_kit.world.faults import KINDS

S = ConversationState


@pytest.fixture(autouse=True)
async def _hung_up(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """What a failed test leaves on the line is no other's; and drawing leaves time to talk, at the pace of tests."""
    monkeypatch.setattr(desk_module, "REFRESH_S", 2)
    monkeypatch.setattr(following, "REFRESH_S", 20)
    yield
    for clara in open_conversations():
        await clara.stop()


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(600):
        while not happened():
            await asyncio.sleep(0.05)


def failures(clara: ConversationManager, service: str) -> int:
    return sum(isinstance(one, ProviderFailed) and one.service == service for one in tuple(clara.conversation.trace))


async def test_what_is_broken_while_clara_speaks_fails_so_often_and_is_mended(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path, outages=True, settings=Settings.of(greeting=""))
    panel = desk.outages
    assert panel is not None and {row["lamp"] for row in panel.rows} == {"well"}
    desk.choose(speed="fast", customer="camila")
    clara = await desk.call()
    assert isinstance(desk.children[2], ConversationWindow)  # the timeline grows while one talks
    desk._view.language = "es"
    assert desk.children[2].language == panel.language == "es"  # all that is seen changes
    await desk.type("¿Hacen despachos a regiones?")
    await clara.until(S.AVATAR_SPEAKING)
    assert panel.break_it("llm", "down", "three") == "next"
    assert next(row for row in panel.rows if row["service"] == "llm")["to_come"] == 3
    assert panel.break_it("avatar", "duplicate", "lasting") in ("now", "next")
    panel._handle_custom_msg({"kind": "mend", "service": "avatar"}, [])
    assert "avatar" not in to_come(clara) and to_come(clara)["llm"] == 3
    await desk.type("¿Y cuánto cuesta el despacho?")
    await until(lambda: failures(clara, "llm") >= 2)
    desk._draw(clara)
    assert to_come(clara).get("llm", 0) <= 1
    assert sum("529" in text for _, text in panel.told) >= 2 and panel.told[0][0] > panel.told[-1][0]
    await desk.hang_up()
    run = desk.run
    assert run is not None and {row["mode"] for row in panel.rows} == {""} and panel.told  # what was seen stays
    assert panel.sums["lost"] == 0 and panel.sums["wrong"] == [] and panel.sums["longest"] > 0
    assert sum(type(e).__name__ == "FaultInjected" for e in run.events) >= 2


async def test_a_connection_that_is_down_breaks_and_is_refused(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path, outages=True, settings=Settings.of(greeting=""))
    desk.choose(speed="fast")
    clara = await desk.call()
    assert desk.outages is not None and desk.outages.break_it("stt", "down", "once") == "now"
    await until(lambda: failures(clara, "stt") >= 2)
    desk._draw(clara)
    assert any("HTTP 503" in text for _, text in desk.outages.told)
    await desk.hang_up()


async def test_nobody_on_the_line_what_makes_no_sense_and_what_is_not_there_are_told(tmp_path: Path) -> None:
    panel = Outages(language="es")
    panel._handle_custom_msg({"kind": "break", "service": "llm", "how": "cut", "times": "once"}, [])
    assert "No hay nadie en línea" in panel.problem and "Qué hacer" in panel.problem
    for nonsense in (None, 3, {"kind": "break"}, {"kind": "mend", "service": "x"}, {"kind": ["x"]}):
        panel._handle_custom_msg(nonsense, [])
    desk = Desk(log_root=tmp_path, outages=True)
    await desk.call()
    assert desk.outages is not None
    for service, how in (("shop", "cut"), ("llm", "melt"), ("moon", "cut")):  # a stranger calls: there is no shop
        with pytest.raises(ClaraError):
            desk.outages.break_it(service, how)
    await desk.hang_up()


async def test_the_tick_for_fallback_is_a_setting_of_the_next_call(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path)
    assert desk.chosen.fallback is None and desk._view.offers["fallback"] is False
    for fallback in (True, False):
        assert desk.choose(fallback=fallback).settings(None).flags.enable_auto_fallback is fallback
    given = Settings.of(enable_auto_fallback=True)
    other = Desk(log_root=tmp_path, settings=given)
    assert other._view.offers["fallback"] is True and other.chosen.settings(given) == given


def test_a_lamp_says_how_a_service_fares_and_when_it_is_tried_again() -> None:
    assert [lamp(health) for health in (
        Health(), Health(failures=1), Health(down="broken"), Health(circuit="open", target="backup"),
        Health(circuit="half_open", target="backup"), Health(down="given up"),
    )] == ["well", "failing", "failing", "away", "trying", "lost"]  # fmt: skip
    timers = {"retry": Timer("retry#1", 4000), "connect_stt": Timer("connect_stt#1", 2500)}
    assert again_s("llm", timers, 1000) == 3 and again_s("stt", timers, 3000) == 0 and again_s("tts", timers, 0) is None


def test_every_button_and_lamp_has_its_words() -> None:
    ways = {"down", *KINDS}
    assert all({*found} <= ways for found in BUTTONS.values()) and set(TIMES) == {"once", "three", "lasting"}
    wanted = {f"ou_{name}" for name in (*BUTTONS, *ways, *TIMES)} | {f"ou_{name}_hint" for name in ways - {"refuse"}}
    wanted |= {f"ou_lamp_{name}" for name in ("well", "failing", "away", "trying", "lost")}
    wanted |= {f"ou_target_{name}" for name in ("backup", "other", "text", "sound")}
    wanted |= {f"sv_{name}" for name in (*OUTCOMES, "wrong")} | {f"sv_{name}_hint" for name in (*OUTCOMES, "wrong")}
    wanted |= {f"fate_{name}" for name in FATES}
    for name in (Path(module.__file__).stem, "survival"):
        wanted |= set(re.findall(r'\bw\("(\w+)"', (HERE / f"{name}.js").read_text(encoding="utf-8")))
    assert wanted <= set(WORDS)
