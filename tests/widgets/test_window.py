"""The window, by its methods: what a click does, a call does too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from clara_kit import ConversationManager, ConversationState, ConversationWindow, Fault, Settings, compose, simulate
from clara_kit.core.errors import ClaraError
from clara_kit.runtime.run_log import RunLog
from clara_kit.world.script import Line, Script

S = ConversationState
SCRIPT = Script(
    lines=(
        Line(text="¿Hacen <b>despachos</b> a regiones?"),
        Line(text="Espera, ¿cuánto cuesta?", interrupt_after_ms=900),
    )
)


@pytest.fixture
def window() -> ConversationWindow:
    return ConversationWindow(simulate(SCRIPT, seed=3, faults=[Fault(service="llm", kind="cut", on=2)]))


def test_walking_forwards_and_backwards_comes_back(window: ConversationWindow) -> None:
    assert window.back().step == 0
    there = [window.next().why for _ in range(12)]
    back = [window.why(), *(window.back().why for _ in range(11))]
    assert there == back[::-1]
    assert window.go_to(10**6).step == window.steps - 1


def test_a_choice_of_the_view_is_seen_by_the_model(window: ConversationWindow) -> None:
    window.step = 20
    assert window.moment["step"] == 20 and window.moment == window.here.to_dict()
    window._handle_custom_msg({"kind": "at", "at_ms": 1000.0}, [])
    assert window.here.at_ms <= 1000
    for nonsense in (None, [], {"kind": "at"}, {"kind": "at", "at_ms": "x"}, {"kind": "sound"}):
        window._handle_custom_msg(nonsense, [])


def test_the_picture_is_the_same_every_time_and_says_that_it_is_simulated(window: ConversationWindow) -> None:
    again = ConversationWindow(simulate(SCRIPT, seed=3, faults=[Fault(service="llm", kind="cut", on=2)]))
    assert window.picture() == again.picture()
    root = ElementTree.fromstring(window.picture())
    text = " ".join(root.itertext())
    assert "simulated: no number here is a vendor’s" in text and "never heard" in text and "<b>" in text
    assert root.get("role") == "img" and "25.0 s, simulated" in str(root.get("aria-label"))


def test_what_a_notebook_keeps_is_the_picture(window: ConversationWindow) -> None:
    data, _ = window._repr_mimebundle_()
    assert data["image/svg+xml"] == window.picture()
    assert data["text/plain"].startswith("<ConversationWindow")


def test_a_simulated_conversation_has_no_sound_to_play(window: ConversationWindow) -> None:
    with pytest.raises(ClaraError, match="no sound"):
        window.play()


async def test_a_running_conversation_grows_in_the_window_and_can_be_heard_when_it_is_over(tmp_path: Path) -> None:
    clara = ConversationManager(
        compose(settings=Settings.of(greeting=""), latency="fast"), title="a test", log_root=tmp_path
    )
    await clara.start()
    window = ConversationWindow(clara)
    await clara.type("Hola, Clara")
    await clara.until(S.AVATAR_SPEAKING)
    await asyncio.sleep(0.3)
    assert window.growing and window.steps > 5 and window.mix == "offline twins"
    run = await clara.stop()
    await asyncio.sleep(0.4)
    assert run is not None and not window.growing and window.steps == len(run.events)
    assert window.title == "a test" and window.has_sound
    sent: list[Any] = []
    window.send = lambda content, buffers=None: sent.append((content, buffers))  # type: ignore[method-assign]
    window._handle_custom_msg({"kind": "sound"}, [])
    assert sent[0][0] == {"kind": "sound"} and sent[0][1][0][:4] == b"RIFF"
    window.at(1000)
    window.play()
    assert window.play_from_ms == window.here.at_ms
    loaded = ConversationWindow(run.folder or "")
    assert loaded.picture() == window.picture()


def test_a_run_of_which_no_event_is_left_opens_and_says_so(tmp_path: Path) -> None:
    log = RunLog({"modes": {}, "settings": Settings().model_dump()}, root=tmp_path)
    log.close([])
    log.sound_path.mkdir()
    window = ConversationWindow(log.folder)
    assert not window.has_sound and window.picture()
    for look in (window.why, window.next, window.back):
        with pytest.raises(ClaraError, match="no events"):
            look()
