"""What is open in this kernel, how it ends by itself, and who thinks in mid-conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from clara_kit import ConversationManager, ConversationState, Desk, Settings, compose, replay
from clara_kit.runtime.manager import open_conversations
from clara_kit.widgets.desk import _DESKS
from clara_kit.world.answers import AnswerBook
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer
from tests.widgets.test_desk import said, so

S = ConversationState
QUIET = Settings.of(greeting="")


@pytest_asyncio.fixture(autouse=True)
async def _nothing_left() -> AsyncIterator[None]:
    yield
    for clara in open_conversations():
        await clara.stop()
    _DESKS.clear()


async def test_whatever_runs_in_this_kernel_is_listed_and_ended_by_its_button(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path, settings=QUIET)
    assert desk._view.running == []
    by_code = ConversationManager(compose("sim", settings=QUIET), title="by code", log_root=tmp_path)
    await by_code.start()
    desk.choose(speed="fast")
    await desk.call()
    await so(lambda: len(desk._view.running) == 2)
    first, second = desk._view.running
    assert (first["title"], first["mix"]["en"], first["here"]) == ("by code", "simulated", False)
    assert (second["title"], second["here"], second["live"]) == ("a stranger, prompt warm", True, False)
    assert len(second["since"]) == 8 and second["usd"] == 0
    desk._view._handle_custom_msg({"kind": "end", "text": first["key"]}, [])
    await so(lambda: by_code.run is not None and len(desk._view.running) == 1)
    assert by_code.why_over == "somebody hung up at the desk" and desk._view.phase == "talking"
    desk._view._handle_custom_msg({"kind": "end", "text": second["key"]}, [])
    await so(lambda: desk.run is not None and desk._view.running == [])
    assert desk._view.phase == "over" and desk._view.problem == ""


async def test_a_desk_whose_cell_is_run_again_goes_on_with_the_conversation(tmp_path: Path) -> None:
    former = Desk(log_root=tmp_path, settings=QUIET)
    former.choose(prompt="brief", speed="fast")
    clara = await former.call()
    desk = Desk(log_root=tmp_path)
    assert desk.clara is clara and desk.chosen == former.chosen and desk._view.phase == "talking"
    await desk.type("¿Hola?")
    await so(lambda: ("typed", "¿Hola?", "") in said(desk))
    run = await desk.hang_up()
    assert run is not None and desk.run is run and open_conversations() == ()
    assert Desk(log_root=tmp_path)._view.phase == "ready"  # nothing to go on with


async def test_a_conversation_of_a_cell_can_be_shown_at_the_desk(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path)
    clara = ConversationManager(compose("sim", settings=QUIET), log_root=tmp_path)
    await clara.start()
    await so(lambda: desk._view.running)
    desk._view._handle_custom_msg({"kind": "show", "text": desk._view.running[0]["key"]}, [])
    await so(lambda: desk._view.phase == "talking")
    await desk.type("¿Hola?")
    await so(lambda: ("typed", "¿Hola?", "") in said(desk))
    assert await desk.hang_up() is clara.run


async def test_an_absent_customer_ends_it_and_both_languages_say_so(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path, settings=Settings.of(greeting="", absence_ms=300), language="es")
    desk.choose(speed="fast")
    await desk.call()
    await so(lambda: desk._view.phase == "over")
    assert "Nadie le habló a Clara" in desk._view.problem and "0.005 minutos" in desk._view.problem
    assert desk.run is not None and desk.run.folder is not None and replay(desk.run.folder).same
    assert desk._view.running == [] or await so(lambda: desk._view.running == []) is None


@pytest.mark.wall
async def test_a_key_that_is_used_counts_for_the_next_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = AnthropicTwin(TwinContext(profile=LatencyProfile.load("fast")), AnswerBook.load())
    with TwinServer([twin]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.addresses["anthropic"]["base_url"])
        monkeypatch.setenv("ANTHROPIC_API_KEY", "")  # so that it is taken back afterwards
        desk = Desk(log_root=tmp_path, settings=QUIET)
        desk.choose(speed="fast")
        clara = await desk.call()
        desk.choose(live=("llm",))  # by code as by hand: the wish stays until its key is there
        await so(lambda: desk._folds.selected_index == 1)
        desk._keys.set("anthropic", "no-such-key")
        desk._keys.use()
        await so(lambda: "refused" in desk._view.problem)
        assert desk.chosen.live == () and clara.services.modes["llm"] == "twin"
        desk.choose(live=("llm",))
        await so(lambda: "refused" in desk._view.problem and desk.chosen.live == ())
        desk._keys.set("anthropic", "test-key")
        desk._keys.use()
        desk.choose(live=("llm",))
        await so(lambda: desk._view.is_live)
        assert "llm live" in desk._view.mix and desk._view.spent_usd == 0 and desk._view.rate["usd_an_answer"] > 0
        await desk.type("¿Hacen despachos a regiones?")
        await so(lambda: desk._view.spent_usd > 0)
        desk.choose(live=())  # and back: what was spent stays told
        await so(lambda: not desk._view.is_live)
        run = await desk.hang_up()
        assert run is not None and "llm twin then live then twin" in run.mix
        assert desk._view.spent_usd > 0 and desk._view.turns[0]["real"]


async def test_one_that_is_still_being_connected_can_be_hung_up_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(log_root=tmp_path, settings=QUIET)
    desk._view._handle_custom_msg({"kind": "call"}, [])
    await so(lambda: desk._view.running)
    desk._view._handle_custom_msg({"kind": "end", "text": desk._view.running[0]["key"]}, [])
    await so(lambda: desk._view.phase == "ready" and desk._view.running == [])
    assert "before it began" in desk._view.problem and desk.runs == []
    await desk.call()  # and the next call works
    assert await desk.hang_up() is await desk.hang_up() is desk.run and len(desk.runs) == 1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
