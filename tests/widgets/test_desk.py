"""The desk, by its methods: what a click does, a call does too."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clara_kit import ConversationManager, ConversationState, Desk, Settings, compose
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.widgets import desk as desk_module
from clara_kit.widgets.desk import Choice
from clara_kit.widgets.window import ConversationWindow
from clara_kit.widgets.words import WORDS, spoken_in
from clara_kit.world.answers import AnswerBook
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer

S = ConversationState
VIEW = Path(desk_module.__file__).with_suffix(".js").read_text(encoding="utf-8")


async def so(happened: Callable[[], Any], within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not happened():
            await asyncio.sleep(0.05)


def said(desk: Desk) -> list[tuple[str, str, str]]:
    return [(one["who"], one["text"], one["lost"]) for one in desk._view.said]


async def test_a_conversation_from_the_call_to_its_record(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path, settings=Settings.of(profile_deadline_ms=60_000))
    told: list[tuple[str, int, bytes]] = []
    desk._view.send = lambda content, buffers=None: told.append(  # type: ignore[method-assign]
        (content["kind"], content["utterance"], b"".join(buffers or []))
    )
    desk.choose(customer="camila", speed="fast")
    clara = await desk.call()
    assert desk._view.phase == "talking" and desk._view.mix == "offline twins"
    await so(lambda: any("Camila" in text for who, text, _ in said(desk) if who == "clara"))
    await clara.until(S.IDLE)
    await desk.type("¿Hacen <b>despachos</b> a regiones?")
    await clara.until(S.AVATAR_SPEAKING)
    await clara.wait(0.5)
    await desk.interrupt()
    await so(lambda: any(lost for *_, lost in said(desk)))
    await desk.say("Muchas gracias.")
    run = await desk.hang_up()
    assert run is not None and desk.run is run and desk._view.phase == "over"
    assert ("typed", "¿Hacen <b>despachos</b> a regiones?", "") in said(desk)
    assert isinstance(desk.children[1], ConversationWindow) and run.facts["title"] == "camila, prompt warm"
    greeting = [kind for kind, utterance, _ in told if utterance == told[0][1]]
    assert "sound" in greeting and greeting.index("sound") < greeting.index("begin")
    cut = next(utterance for kind, utterance, _ in told if kind == "silence")
    heard_of = {utterance for kind, utterance, _ in told if kind == "begin"}
    assert cut in heard_of and b"".join(pcm for _, utterance, pcm in told if utterance == cut)
    turns = desk._view.turns
    assert turns[1]["ms"] == pytest.approx(run.turns["total_ms"][1]) and turns[1]["usd"] > 0


async def test_one_conversation_after_the_other_without_a_cell(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path)
    for prompt in ("brief", "warm"):
        desk.choose(prompt=prompt, speed="fast")
        await desk.call()
        with pytest.raises(ClaraError, match="hang up first"):
            await desk.call()
        await desk.hang_up()
    assert [run.facts["title"] for run in desk.runs] == ["a stranger, prompt brief", "a stranger, prompt warm"]
    assert len(desk.children) == 3  # the newest record only


async def test_what_cannot_be_called_is_said_and_the_next_call_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    desk = Desk(log_root=tmp_path, choice=Choice(prompt="no such prompt", speed="fast"))
    desk._view._handle_custom_msg({"kind": "call"}, [])
    await so(lambda: desk._view.problem)
    assert "no such prompt" in desk._view.problem and desk._view.phase == "ready"
    desk.choose(prompt="warm", live=("llm",))
    desk._view._handle_custom_msg({"kind": "call"}, [])
    await so(lambda: "ANTHROPIC_API_KEY" in desk._view.problem)
    desk.choose(live=())
    desk._view._handle_custom_msg({"kind": "call"}, [])
    await so(lambda: desk._view.phase == "talking")
    desk._view._handle_custom_msg({"kind": "hang_up"}, [])
    await so(lambda: desk.run)


async def test_what_is_live_is_priced_and_stops_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = AnthropicTwin(TwinContext(profile=LatencyProfile.load("fast")), AnswerBook.load())
    with TwinServer([twin]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.addresses["anthropic"]["base_url"])
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
        desk = Desk(log_root=tmp_path, settings=Settings.of(greeting=""))
        desk.choose(live=("llm",), limit_usd=0.00001, speed="fast")
        assert ["llm", True] in desk._view.offers["live"] and ["stt", False] in desk._view.offers["live"]
        await desk.call()
        assert desk._view.is_live and "llm live" in desk._view.mix
        await desk.type("¿Hacen despachos a regiones?")
        await so(lambda: desk.run, within_s=3000)  # the wall's minute: something live lives at the wall's pace
        assert "limit" in desk._view.problem
        assert (
            desk._view.spent_usd == pytest.approx(desk.runs[0].turns["cost_usd"].sum(), abs=1e-5)
            and desk._view.spent_usd > 0
        )
        heard_out = [e for e in desk.runs[0].events if isinstance(e, ev.SpeakingEnded)]
        assert not heard_out  # it was in the middle of her answer


async def test_a_desk_of_a_conversation_that_a_cell_began(tmp_path: Path) -> None:
    clara = ConversationManager(compose("sim", settings=Settings.of(greeting="")), log_root=tmp_path)
    async with clara:
        desk = Desk(clara)
        await asyncio.to_thread(desk._view._handle_custom_msg, {"kind": "type", "text": " ¿Hola? "}, [])
        await so(lambda: ("typed", "¿Hola?", "") in said(desk))
    await so(lambda: desk._view.phase == "over")  # whoever ended it
    assert desk.run is clara.run and len(desk.children) == 1
    desk._view._handle_custom_msg({"kind": "type", "text": "¿Hola?"}, [])
    await so(lambda: "not running" in desk._view.problem)


async def test_what_makes_no_sense_is_passed_over(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path)
    for nonsense in (
        None,
        [],
        {},
        {"kind": []},
        {"kind": "say"},
        {"kind": "say", "text": 3},
        {"kind": "type", "text": " "},
    ):
        desk._view._handle_custom_msg(nonsense, [])
    await asyncio.sleep(0.2)
    assert desk._view.problem == "" and desk._view.phase == "ready"
    with pytest.raises(ClaraError, match="call Clara first"):
        await desk.say("¿Hola?")


def test_the_view_says_nothing_that_is_not_in_the_table_in_both_languages() -> None:
    asked = set(re.findall(r'\b(?:w|field|button)\("(\w+)"', VIEW))
    assert asked <= set(WORDS) and {"call", "hang_up", "customer"} <= asked
    assert all(english.strip() and spanish.strip() for english, spanish in WORDS.values())
    assert spoken_in("en")["call"] == "Call Clara" and spoken_in("es")["call"] == "Llamar a Clara"
    assert {str(state) for state in S} | {"soon", "ready", "connecting", "ending", "over"} <= set(WORDS)


async def test_its_language_is_a_setting_and_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARA_LANGUAGE", "es")
    desk = Desk(log_root=tmp_path)
    assert desk._view.words["call"] == "Llamar a Clara"
    desk._view.language = "en"
    assert desk._view.words["call"] == "Call Clara"
