"""A disk that is full, from whichever write on: the conversation goes on, says so, and what could be kept is kept."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from clara_kit import ConversationManager, Run, Settings, compose, replay
from clara_kit.audio.wav import read_channels
from clara_kit.core import events as ev
from clara_kit.core.errors import RunLogError
from clara_kit.lab.sentences import happened
from clara_kit.runtime import ears
from clara_kit.runtime.keeping import AGAIN_S
from clara_kit.widgets.telling import lasting, tell
from clara_kit.world.script import Line

FROM = {"the beginning": 0, "the head of the sound on": 100, "mid-conversation on": None}  # bytes of room in a file


@contextmanager
def room_for(file_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond that; nothing that waits for one is lost when it ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _clara(root: Path) -> ConversationManager:
    settings = Settings.of(greeting="", local_vad=False)
    return ConversationManager(compose("sim", latency="fast", settings=settings), log_root=root, record=True)


async def _asks(clara: ConversationManager) -> str:
    return (await clara.ask(Line(text="¿Hacen despachos a regiones?", typed=True))).clara


def _bytes(root: Path, name: str = "events.jsonl") -> int:
    (file,) = root.glob(f"*/{name}")
    return file.stat().st_size


@pytest.mark.parametrize("since", FROM)
async def test_a_conversation_goes_on_beside_a_full_disk_and_nothing_of_it_is_missing_once_there_is_room(
    tmp_path: Path, since: str
) -> None:
    clara, file_bytes = _clara(tmp_path), FROM[since]
    if file_bytes is None:
        await clara.start()
        await _asks(clara)
        file_bytes = _bytes(tmp_path) + 300
    with room_for(file_bytes):
        if FROM[since] is not None:
            await clara.start()
        first = await _asks(clara)
        await _asks(clara)
        trace = clara.conversation.trace
        told = [r for r in trace if isinstance(r, ev.KeepingFailed)]
        assert first and {r.what for r in told} == {"events", "sound"} and len(told) == 2  # each once
        failed = lasting(trace)
        assert failed is not None and "disco" in tell(failed, "es") and "disk" in tell(failed, "en")
        assert "waits" in happened(next(r for r in told if r.what == "events"))
    await clara.wait(1.1 * AGAIN_S)
    assert {r.what for r in trace if isinstance(r, ev.KeepingRecovered)} == {"events", "sound"}
    assert lasting(trace) is None
    await _asks(clara)
    run = await clara.stop()
    assert run is not None and run.folder is not None
    loaded = Run.load(run.folder)
    assert loaded.trace == run.trace and loaded.problems == () and replay(loaded).same
    customer, her = read_channels(run.folder / "conversation.wav")
    ended_ms = run.trace[-1].at_ms - loaded.sound_from_ms
    assert abs(customer.duration_ms - ended_ms) < 200 and her.samples[-16_000 * 4 :].any()


async def test_what_a_full_disk_did_not_take_at_the_end_is_written_by_the_next_stop(tmp_path: Path) -> None:
    clara = _clara(tmp_path)
    await clara.start()
    await _asks(clara)
    with room_for(_bytes(tmp_path) + 300):
        await _asks(clara)
        await _asks(clara)
        with pytest.raises(RunLogError, match="cannot be written"):
            await clara.stop()
        assert clara.run is not None and clara.run.folder is not None
        before = Run.load(clara.run.folder)
        assert before.problems and 0 < len(before.trace) < len(clara.run.trace)
        assert before.trace == clara.run.trace[: len(before.trace)]
    run = await clara.stop()
    assert run is not None and clara.error is None
    assert Run.load(clara.run.folder).trace == run.trace == clara.run.trace
    assert Run.load(clara.run.folder).problems == ()
    assert {p.name for p in clara.run.folder.iterdir()} >= {"turns.parquet", "events.parquet"}


async def test_a_disk_with_no_room_for_a_folder_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full, make = True, Path.mkdir

    def mkdir(self: Path, *args: object, **more: object) -> None:
        if full and tmp_path in self.parents:
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        make(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", mkdir)
    clara = _clara(tmp_path / "runs")
    await clara.start()
    await _asks(clara)
    assert not os.listdir(tmp_path)
    full = False
    await asyncio.sleep(1.1 * AGAIN_S)
    run = await clara.stop()
    assert run is not None and run.folder is not None
    assert Run.load(run.folder).trace == run.trace


async def test_the_last_megabytes_of_a_disk_are_left_to_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = ears.LEFT_BYTES
    monkeypatch.setattr(ears.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    clara = _clara(tmp_path)
    await clara.start()
    await _asks(clara)
    free -= 1
    await clara.wait(1.1)
    taken = _bytes(tmp_path, "conversation.wav")
    await _asks(clara)
    assert _bytes(tmp_path, "conversation.wav") == taken
    free += 1
    await clara.wait(1.1)
    run = await clara.stop()
    assert run is not None and run.folder is not None and Run.load(run.folder).trace == run.trace
    told = [(type(r).__name__, r.what) for r in run.trace if isinstance(r, ev.KeepingFailed | ev.KeepingRecovered)]
    assert told == [("KeepingFailed", "sound"), ("KeepingRecovered", "sound")]
    _, her = read_channels(run.folder / "conversation.wav")
    failed_ms, back_ms = (
        r.at_ms - run.sound_from_ms for r in run.trace if isinstance(r, ev.KeepingFailed | ev.KeepingRecovered)
    )
    assert not her.between(failed_ms + 100, back_ms - 100).samples.any() and her.between(0, failed_ms).samples.any()
