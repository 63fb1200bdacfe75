"""What a notebook's kernel leaves behind, in a real one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

SET_UP = """
import threading
from pathlib import Path
from clara_kit import ConversationManager, Settings, compose

def begin():
    return ConversationManager(compose("sim", settings=Settings.of(greeting="")), log_root=Path("runs"))

def left():
    return [t for t in threading.enumerate() if t.name == "clara-conversation"]
"""
START = "clara = begin()\nawait clara.start()\nlen(left())"
LEFT = "[t.join(60) for t in left()]\nlen(left())"  # what does not end by itself is still there after the minute

Cell = Callable[[str], str]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelManager]:
    kernel = KernelManager()
    kernel._kernel_spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], language="python"
    )
    folder = tmp_path_factory.mktemp("kernel")
    kernel.start_kernel(cwd=str(folder), env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)})
    yield kernel
    kernel.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def run(kernel: KernelManager) -> Iterator[Cell]:
    """Runs a cell; returns what it showed. One that says «interrupt me» is interrupted then."""
    client = kernel.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=120)

    def run(code: str) -> str:
        shown: list[str] = []

        def saw(message: dict[str, object]) -> None:
            content = message["content"]
            assert isinstance(content, dict)
            text = content.get("text") or content.get("ename") or content.get("data", {}).get("text/plain") or ""
            shown.append(text)
            if message["msg_type"] == "stream" and "interrupt me" in text:
                kernel.interrupt_kernel()

        client.execute_interactive(code, timeout=120, output_hook=saw, allow_stdin=False)
        return " ".join(" ".join(shown).split())

    run(SET_UP)
    yield run
    client.stop_channels()


@pytest.mark.wall
def test_the_start_cell_run_twice_leaves_one_conversation_and_says_so(run: Cell) -> None:
    assert run(START) == "1"
    again = run(START)
    assert "A conversation was ended" in again and "runs" in again and again.endswith(" 1")
    again = run(f"older = clara\n{START}")  # something else still names it
    assert "another one was started in this notebook" in again and again.endswith(" 1")
    assert "Error" in run("await older.type('Hola')") and run("older.run is not None") == "True"
    assert "Error" not in run("async with begin() as second:\n    assert len(left()) == 2")
    assert run("len(left())") == "1"


@pytest.mark.wall
@pytest.mark.parametrize(
    "waits",
    ["await clara.wait(1e6)", "await clara.ask('Hola', timeout_s=1e6) and await clara.wait(1e6)", "while True: pass"],
)
def test_an_interrupt_of_the_kernel_wakes_a_wait_and_ends_the_conversation(run: Cell, waits: str) -> None:
    run(START)
    shown = run(f"print('interrupt me', flush=True)\n{waits}")
    assert "CancelledError" in shown or "KeyboardInterrupt" in shown
    assert "the kernel was interrupted" in shown
    assert run(LEFT) == "0"
    assert run("(await clara.stop()) is clara.run is not None, clara.error") == "(True, None)"


@pytest.mark.wall
def test_a_start_that_is_interrupted_leaves_nothing(run: Cell) -> None:
    shown = run(
        "clara = begin()\nclara.services.open = lambda: print('interrupt me', flush=True)\nawait clara.start()\nawait clara.wait(1e6)"
    )
    assert "CancelledError" in shown
    assert run(LEFT) == "0"


@pytest.mark.wall
def test_a_conversation_whose_last_name_is_gone_ends(run: Cell) -> None:
    run(START)
    assert "nothing refers to it any more" in run("del clara")
    assert run(LEFT) == "0"


@pytest.mark.wall
def test_an_error_that_the_notebook_keeps_is_no_name_of_a_conversation(run: Cell) -> None:
    run(START)
    assert "ClaraError" in run("await clara.until(timeout_s=0.01)")
    run("del clara")
    assert run(LEFT).endswith("0")


@pytest.mark.wall
def test_two_that_are_started_at_once_beside_an_older_one_leave_one(run: Cell) -> None:
    run(START)
    run(
        "import asyncio\ntwo = begin(), begin()\nawait asyncio.gather(*(c.start() for c in two), return_exceptions=True)"
    )
    assert run("len(left())") == "1"
    run("del clara, two")


@pytest.mark.wall
def test_a_kernel_that_is_shut_down_leaves_a_whole_run(run: Cell, kernel: KernelManager) -> None:
    run(START)
    folder = Path(run("str(Path('runs').absolute())").strip("'"))
    kernel.shutdown_kernel()
    newest = max(folder.iterdir(), key=lambda run: run.stat().st_mtime)
    assert json.loads((newest / "manifest.json").read_text(encoding="utf-8"))["facts"]["ended"]
