"""What is written while a conversation runs: nothing is lost, doubled or open to others, whatever the disk does."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from clara_kit import ConversationManager, Run, Settings, compose, simulate
from clara_kit.audio.wav import read_wav
from clara_kit.core.errors import RunLogError
from clara_kit.lab.shelf import kept
from clara_kit.measure.run import WORDS_FILE
from clara_kit.runtime.ears import FRAME_BYTES, FRAME_MS, Recorder
from clara_kit.runtime.run_log import RunLog
from clara_kit.store import Store


@contextmanager
def disk_with_room_for(file_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond that; the one that reaches it takes a part of what is written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_a_disk_that_is_full_for_a_moment_costs_no_line_doubles_none_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = simulate(["¿Hacen despachos a regiones? 🙂", "Gracias."])
    log, events = RunLog(run.inputs, root=tmp_path), list(run.trace)
    file = log.folder / "events.jsonl"
    for end in range(10, len(events), 10):
        if end % 30:
            log.append(events[:end])
            continue
        with disk_with_room_for(file.stat().st_size + end):  # a part of what comes
            log.append(events[:end])
            log.append(events[: end + 3])
        assert Run.load(log.folder).trace == run.trace[: end - 10]  # nothing of it is half there
    closed = log.close(events)
    loaded = Run.load(log.folder)
    assert loaded.trace == closed.trace == run.trace and loaded.problems == ()
    (told,) = [r.getMessage() for r in caplog.records]
    assert str(log.folder) in told and "make room" in told


def test_a_disk_that_is_full_at_the_end_is_raised_and_what_is_whole_opens(tmp_path: Path) -> None:
    run = simulate(["Hola"])
    log = RunLog(run.inputs, root=tmp_path)
    log.append(list(run.trace[:20]))
    with disk_with_room_for((log.folder / "events.jsonl").stat().st_size + 10), pytest.raises(RunLogError) as told:
        log.close(list(run.trace))
    assert "make room" in told.value.hint and str(log.folder) in told.value.message
    loaded = Run.load(log.folder)
    assert loaded.trace == run.trace[:20] and loaded.problems
    assert not list(log.folder.glob("*.new"))


def test_an_end_that_could_be_written_in_part_says_how_much_is_missing(tmp_path: Path) -> None:
    run = simulate(["Hola"])
    log = RunLog(run.inputs, root=tmp_path)
    (log.folder / "events.jsonl").unlink()
    log.append(list(run.trace[:20]))  # to a file that nobody will find
    (log.folder / "events.jsonl").write_text("")
    log.close(list(run.trace))
    assert any(f"0 records can be read, {len(run.trace)} were written" in p for p in Run.load(log.folder).problems)


@pytest.mark.parametrize("where", ["file", "file/under/it", "link", "a\0b"])
def test_a_path_that_can_hold_no_run_is_refused_in_words(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "at all")
    if where == "link":
        (tmp_path / "nowhere").write_text("a file, too")
    with pytest.raises(RunLogError, match="cannot be written") as told:
        RunLog({"modes": {}}, root=tmp_path / where)
    assert told.value.hint
    assert (tmp_path / "file").read_text() == "mine"


async def test_a_conversation_whose_run_can_be_kept_nowhere_says_so_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("mine")
    clara = ConversationManager(compose("sim", latency="fast"), log_root=tmp_path / "runs")
    with pytest.raises(RunLogError, match=r"cannot be written .* What to do: .*log_root"):
        await clara.start()


def test_the_folder_of_the_runs_may_be_named_by_a_text(tmp_path: Path) -> None:
    log = RunLog({}, root=str(tmp_path / "runs"))
    log.close([])
    assert [one.folder for one in kept(str(tmp_path / "runs"))] == [log.folder]


@pytest.mark.parametrize("mask", [0, 0o777])
async def test_what_is_kept_of_a_conversation_is_its_owners_alone(tmp_path: Path, mask: int) -> None:
    services = compose("sim", customer="camila", latency="fast", settings=Settings.of(local_vad=False))
    with umask(mask):
        async with ConversationManager(services, log_root=tmp_path, record=True) as clara:
            await clara.ask("Hola")
        Store(tmp_path / "cache" / "s.sqlite3").put("key", "Camila", ttl_s=60)
    assert clara.run is not None and clara.run.folder is not None
    kept = {
        p.name: stat.S_IMODE(p.stat().st_mode) for p in [*clara.run.folder.iterdir(), *(tmp_path / "cache").iterdir()]
    }
    assert {"conversation.wav", WORDS_FILE, "events.jsonl", "turns.parquet", "manifest.json", "s.sqlite3"} <= set(kept)
    assert set(kept.values()) == {0o600}
    assert stat.S_IMODE(clara.run.folder.stat().st_mode) == stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700


KILLED_IN_MID_SENTENCE = """
    import asyncio, os, pathlib, signal, sys
    from clara_kit import ConversationManager, ConversationState, Settings, compose

    async def talk(root):
        services = compose("sim", customer="camila", latency="fast", settings=Settings.of(local_vad=False))
        async with ConversationManager(services, log_root=root, record=True) as clara:
            await clara.until(ConversationState.AVATAR_SPEAKING)
            while not any("{first_name}" in log.read_text() for log in root.glob("*/events.jsonl")):
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(talk(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.wall
def test_after_a_kill_the_placeholders_are_known_and_the_recording_plays(tmp_path: Path) -> None:
    code = textwrap.dedent(KILLED_IN_MID_SENTENCE)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=100)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (folder,) = tmp_path.iterdir()
    run = Run.load(folder)
    assert run.words["{first_name}"] == "Camila"
    assert run.revealed().ledger[0].clara.startswith("¡Hola, Camila!")
    assert any("has no end" in problem for problem in run.problems) and "has no end" in repr(run)
    assert read_wav(folder / "conversation.wav").duration_ms > 0
    with wave.open(str(folder / "conversation.wav")) as recording:  # as other players read it: by its header
        frames = recording.getnframes()
        assert len(recording.readframes(frames)) == 4 * frames > 0


def test_what_a_full_disk_took_of_the_recording_is_silence_and_the_rest_keeps_its_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder, tone = Recorder(tmp_path / "a.wav"), np.full(FRAME_BYTES // 2, 8000, "<i2").tobytes()
    for n in range(30):
        with disk_with_room_for(44 + 10 * 2 * FRAME_BYTES + 100 if 10 <= n < 20 else resource.RLIM_INFINITY):
            recorder.frame(tone, n * FRAME_MS)
        assert read_wav(tmp_path / "a.wav").duration_ms == FRAME_MS * (n + 1 if not 10 <= n < 20 else 10)
    recorder.close()
    heard = read_wav(tmp_path / "a.wav").samples.reshape(30, -1)
    assert heard[:10].min() > 3000 and heard[20:].min() > 3000 and not heard[11:20].any()
    assert len(caplog.records) == 1 and "gaps" in caplog.text


def test_a_recording_that_cannot_be_begun_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunLogError, match="record=False"):
        Recorder(tmp_path)


def test_the_placeholders_are_written_before_what_needs_them(tmp_path: Path) -> None:
    run = simulate(["Hola"], customer="camila")
    log = RunLog(run.inputs, root=tmp_path)
    (log.folder / f"{WORDS_FILE}.new").mkdir()  # the disk does not take them
    log.append(list(run.trace), run.words)
    assert (log.folder / "events.jsonl").read_text() == ""
    (log.folder / f"{WORDS_FILE}.new").rmdir()
    log.append(list(run.trace), run.words)
    assert json.loads((log.folder / WORDS_FILE).read_text()) == run.words and Run.load(log.folder).trace == run.trace
