"""The window, by its methods: what a click does, a call does too."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from clara_kit import ConversationManager, ConversationState, ConversationWindow, Fault, Settings, compose, simulate
from clara_kit.core.errors import ClaraError
from clara_kit.lab import service_lanes
from clara_kit.lab import timeline as timeline_module
from clara_kit.lab.timeline import LANES, Timeline, Wait
from clara_kit.measure.ledger import STAGE_LABELS
from clara_kit.runtime.run_log import RunLog
from clara_kit.widgets.picture import LETTER, SIGN, VERDICT, svg
from clara_kit.widgets.view import HERE
from clara_kit.widgets.words import WORDS, mixed, spoken_in, whose
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


def test_each_wait_stands_beside_the_aim_with_its_figure_and_says_that_it_is_simulated(
    window: ConversationWindow,
) -> None:
    run = simulate(SCRIPT, seed=3, faults=[Fault(service="llm", kind="cut", on=2)])
    waits = window.timeline["waits"]
    assert [w["total_ms"] for w in waits] == [round(t.total_ms or 0.0, 1) for t in run.ledger if t.kind != "greeting"]
    assert window.timeline["target_ms"] == (600, 800)
    text = " ".join(ElementTree.fromstring(window.picture()).itertext())
    for wait in waits:
        assert f"turn {wait['turn']}: {wait['total_ms']:.0f} ms ✕" in text and wait["verdict"] == "slower"
        part = spoken_in("en")[f"part_{wait['longest']}"]
        assert f"the longest part: {part}, " in text
    assert {f"part_{label}" for label in STAGE_LABELS} <= set(WORDS)
    assert "600 to 800 ms" in text and f"({window.whose})" in text and "simulated" in window.whose


@pytest.mark.parametrize(
    ("total_ms", "verdict"),
    [(None, "none"), (599.9, "faster"), (600.0, "within"), (800.0, "within"), (800.1, "slower")],
)
def test_a_wait_is_judged_by_the_plan(total_ms: float | None, verdict: str) -> None:
    line = Timeline(end_ms=5000.0, waits=[Wait(1, 1000.0, total_ms, 0)])
    assert line.waits[0].verdict == verdict
    figure = f"{total_ms:.0f} ms" if total_ms is not None else ""
    assert f"turn 1: {figure}" in svg(line, title="x", mix="live") and f"verdict_{verdict}" in WORDS


def test_another_language_is_spoken_at_once(window: ConversationWindow) -> None:
    final = next(n for n in range(window.steps) if window.go_to(n).event == "TranscriptFinal")
    english = window.go_to(final).plain
    window.language = "es"
    assert window.here.plain != english and window.moment["plain"][0].startswith("El cliente terminó")
    assert "Para ingenieros: TranscriptFinal" in window.why() and "RequestReply" in window.why()
    assert "ningún número es de un proveedor" in window.picture() and window.words["w_legend"] == "Leyenda"
    assert ConversationWindow(simulate(SCRIPT, seed=3), language="es").here.plain[0] == "Empezó la conversación."


def test_what_the_sound_lets_the_why_stop_at_is_what_a_customer_could_notice(window: ConversationWindow) -> None:
    events = {window.go_to(step).event for step, _ in window.telling}
    assert {"TranscriptFinal", "SpeakingStarted", "SpeakingEnded"} <= events
    assert not events & {"SpeechSent", "FirstAudio", "SpeechVoiced"} and len(window.telling) < window.steps / 2
    assert [step for step, _ in window.telling] == sorted({step for step, _ in window.telling})


def test_every_lane_bar_and_mark_has_a_name_and_a_meaning(window: ConversationWindow) -> None:
    marks = {kind for _, kind, _ in timeline_module._MARKS.values()} | {"close", *service_lanes.MARKS}
    bars = {s["kind"] for s in window.timeline["spans"] if s["lane"] != "state"}
    assert {"sound", "words", "waiting", "writing", "on the way", "speaking", "held", "unheard", "failing"} == bars
    for kind in marks | bars | {"ducked", *service_lanes.SPANS}:
        assert f"kind_{kind}" in WORDS and f"means_{kind}" in WORDS
    assert marks == set(SIGN) and len(set(SIGN.values())) == len(SIGN)  # told apart without colours
    assert {f"means_{state}" for state in S} | {str(state) for state in S} <= set(WORDS)
    assert {f"{what}_{lane}" for what in ("lane", "means_lane") for lane in LANES} <= set(WORDS)
    assert len(set(LETTER.values())) == len(S)


def test_the_view_asks_for_no_word_that_is_not_there() -> None:
    script = (HERE / "window.js").read_text(encoding="utf-8")
    asked = set(re.findall(r'"(w_\w+)"', script))
    assert asked and asked <= set(WORDS)
    assert {name for name in WORDS if name.startswith("w_")} - asked <= {"w_running"}  # and none lies about unused
    for sign in (*SIGN.values(), *LETTER.values(), *VERDICT.values()):
        assert f'"{sign}"' in script  # as in the picture


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
    await asyncio.sleep(1.0)
    assert window.growing and window.steps > 5 and window.mix == "offline twins"
    run = await clara.stop()
    await asyncio.sleep(1.0)
    assert run is not None and not window.growing and window.steps == len(run.events)
    assert window.title == "a test" and window.has_sound
    assert window.timeline["begin_ms"] == round(run.trace[0].at_ms, 1)  # no empty seconds at its left
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


def test_a_mix_is_told_in_the_reader_s_words_and_briefly() -> None:
    exchanged = "stt twin, llm twin then live, tts twin, avatar twin"
    assert mixed(exchanged, "en") == "thinking: offline twin → live; all else: offline twin"
    assert mixed(exchanged, "es") == "pensamiento: gemelo sin conexión → en vivo; todo lo demás: gemelo sin conexión"
    assert (mixed("simulated", "es"), mixed("live", "en"), mixed("", "en")) == ("simulado", "live", "")
    assert whose(exchanged, "en") == mixed(exchanged, "en") and "no number here" in whose("offline twins", "en")


def test_an_answer_that_is_shown_becomes_a_scenario_and_a_moment_before_any_says_why_not(
    window: ConversationWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clara_kit.world.scenario.MINE", tmp_path)
    window._handle_custom_msg({"kind": "label", "label": "scenario"}, [])
    assert "Nothing was asked until this moment" in window.labelled and not list(tmp_path.iterdir())
    window.go_to(window.steps - 1)
    window._handle_custom_msg({"kind": "label", "label": "scenario"}, [])
    (kept,) = tmp_path.iterdir()
    assert "It is a scenario of yours now" in window.labelled and "lines:" in kept.read_text("utf-8")
