"""A process that is killed, whenever it is: its conversation opens, replays, plays, and has its words.

One process loads everything, and has the conversations in children of its own, each in a folder of its own. A child is
killed once its log has grown to a size drawn beforehand: at whatever moment that is, it is no quiet one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import wave
from itertools import count
from pathlib import Path
from typing import BinaryIO

import pytest

from clara_kit import Run, replay, simulate
from clara_kit.core.errors import RunLogError
from clara_kit.lab.shelf import kept
from clara_kit.lab.voiced import recording_of
from clara_kit.runtime import run_log
from clara_kit.runtime.run_log import RunLog
from clara_kit.widgets.window import ConversationWindow

KILLING = """
    import asyncio, importlib, os, pathlib, random, signal, sys, time
    from clara_kit import ConversationManager, ConversationState, Settings, compose
    from clara_kit.runtime.libraries import LIBRARIES, TWINS

    async def talk(root, seed):
        settings = Settings.of(local_vad=False)
        described = compose(sys.argv[2], customer="camila", latency="fast", seed=seed, settings=settings)
        async with ConversationManager(described, log_root=root, record=True) as clara:
            while True:
                await clara.say("¿Hacen despachos a regiones?")
                await clara.until(ConversationState.AVATAR_SPEAKING)
                await clara.say("Espera, ¿cuánto cuesta el despacho?")  # into her words

    for library in [TWINS, *sum(LIBRARIES.values(), ())] * (sys.argv[2] == "twin"):
        importlib.import_module(library)
    root, draw = pathlib.Path(sys.argv[1]), random.Random(int(sys.argv[4]))
    for number in range(int(sys.argv[3])):
        mine, size = root / str(number), int(200_000 ** draw.random()) - 1
        if not (child := os.fork()):
            asyncio.run(talk(mine, number))
        grown = lambda: max([p.stat().st_size for p in mine.glob("*/events.jsonl")], default=-1)
        while grown() < size:
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
"""


def _killed(root: Path, mode: str, count: int, seed: int) -> list[Path]:
    command = [sys.executable, "-c", textwrap.dedent(KILLING), str(root), mode, str(count), str(seed)]
    env = {**os.environ, "CLARA_PACE": "30"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=env)
    assert done.returncode == 0, done.stderr
    folders = [next((root / str(n)).iterdir()) for n in range(count)]
    assert len(folders) == count
    return folders


def _is_whole_but_for_its_end(folder: Path) -> None:
    run = Run.load(folder)
    assert run.was_cut and len(run.problems) == 1 and "has no end" in run.problems[0]
    assert replay(run).same
    named = set(re.findall(r"\{\w+\}", run.to_jsonl().partition("\n")[2]))
    assert named <= set(run.words)
    assert repr(run) and run.turns.height == len(run.ledger)
    (row,) = [one for one in kept(folder.parent) if one.folder == folder]
    assert row
    if not run.trace:
        return
    window = ConversationWindow(run)
    assert window.steps == len(run.events)
    recording = recording_of(run)
    assert window.has_sound == (recording is not None)
    if recording is None:
        return
    with wave.open(str(recording.path)) as sound:
        frames = sound.getnframes()
        assert len(sound.readframes(frames)) == 4 * frames > 0
    began_ms, ended_ms = run.trace[0].at_ms, run.trace[-1].at_ms
    if ended_ms > began_ms + 1000:  # the sound stands where it was heard
        assert abs(run.facts["sound_from_ms"] - began_ms) < 500


@pytest.mark.wall
@pytest.mark.parametrize("mode", ["sim"])
def test_a_conversation_that_is_killed_anywhere_opens_replays_plays_and_has_its_words(
    tmp_path: Path, mode: str
) -> None:
    for folder in _killed(tmp_path, mode, 4, seed=4):
        _is_whole_but_for_its_end(folder)


@pytest.mark.soak
@pytest.mark.wall
@pytest.mark.timeout(1200)
def test_twenty_conversations_over_twins_that_are_killed_anywhere(tmp_path: Path) -> None:
    for folder in _killed(tmp_path, "twin", 20, seed=20):
        _is_whole_but_for_its_end(folder)


def test_what_is_left_of_the_first_moment_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "20260101T000000000-000000000000").mkdir()
    with pytest.raises(RunLogError, match="no readable run"):
        Run.load(next(tmp_path.iterdir()))
    assert len(kept(tmp_path)) <= 1


class _Killed(BaseException):
    """Nothing is done after it, as by a process that is gone."""


def test_a_kill_in_the_middle_of_any_write_costs_no_more_than_what_was_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played, write_all, writes = simulate(["¿Hacen despachos?", "Gracias"], customer="camila"), run_log._write_all, 0
    assert played.words

    def until_killed(file: BinaryIO, data: bytes) -> None:
        nonlocal writes
        writes -= 1
        if writes < 0:
            write_all(file, data[: len(data) // 2])
            raise _Killed
        write_all(file, data)

    monkeypatch.setattr(run_log, "_write_all", until_killed)
    for survived in count(1):  # the first is the manifest's, without which there is no run
        root, writes = tmp_path / str(survived), survived
        try:
            log = RunLog(played.inputs, root=root)
            for end in range(0, len(played.trace), 40):
                log.append(played.trace[:end], played.words)
            log.note(sound_from_ms=12.0)
            log.append(played.trace[:-3], played.words)
            log.close(played.trace, words=played.words)
        except _Killed:
            run = Run.load(next(root.iterdir()))
            assert run.trace == played.trace[: len(run.trace)] and replay(run).same
            assert not run.trace or run.words == played.words
            assert run.was_cut == ("ended" not in run.facts) and (run.problems or not run.was_cut)
            continue
        break
    assert survived > 8 and Run.load(next(root.iterdir())).problems == ()
