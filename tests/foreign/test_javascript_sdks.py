"""The vendors' official JavaScript SDKs drive the twins, and cannot tell them from the vendors."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clara_kit.audio.line_book import LineBook
from clara_kit.audio.pcm import concat, silence
from clara_kit.runtime.compose import clara_voice, customer_voice
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.deepgram.twin import DeepgramTwin
from clara_kit.world.twins.server import TwinServer

pytestmark = pytest.mark.wall  # node has a clock of its own

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / "build" / "foreign"
LINE = "¿Hacen despachos a regiones?"
SPEECH = customer_voice().synthesize(LINE)


@pytest.fixture(scope="module")
def node() -> Path:
    """A folder with the SDKs and the scripts; skips where there is no Node or no package registry."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip(
            "Node is missing: the JavaScript SDKs were not tried (Debian: apt-get install nodejs npm)"
        )
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for file in (HERE / "package.json", *HERE.glob("*.mjs")):
        shutil.copy(file, INSTALLED)
    wanted = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    if any(_version(name) != version for name, version in wanted.items()):
        command = [
            "npm",
            "install",
            "--no-package-lock",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--silent",
        ]
        done = subprocess.run(
            command, cwd=INSTALLED, capture_output=True, text=True, timeout=110, check=False
        )
        if done.returncode != 0:
            pytest.skip("npm could not install the JavaScript SDKs (no package registry?)")
    return INSTALLED


def _version(package: str) -> str:
    try:
        manifest = (INSTALLED / "node_modules" / package / "package.json").read_text(encoding="utf-8")
    except OSError:
        return ""
    return str(json.loads(manifest)["version"])


@pytest.fixture
async def twins() -> AsyncIterator[TwinServer]:
    lines = LineBook()
    lines.learn(LINE, SPEECH)
    faults = FaultBox([Fault(service="llm", kind="refuse", status=529, on=2)])
    context = TwinContext(profile=LatencyProfile.load("fast"), faults=faults, keys=frozenset({"test-key"}))
    both = [DeepgramTwin(context, lines, clara_voice()), AnthropicTwin(context, AnswerBook.load())]
    async with TwinServer(both) as server:
        yield server


async def run(folder: Path, script: str, *args: str) -> dict[str, Any]:
    """What a script printed, as data."""
    process = await asyncio.create_subprocess_exec(
        "node", script, *args, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(40):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()[-2000:]
    data: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
    return data


async def test_deepgrams_sdk_hears_a_line(node: Path, twins: TwinServer, tmp_path: Path) -> None:
    sound = concat(silence(300, 16_000), SPEECH.sound.at_rate(16_000), silence(900, 16_000))
    file = tmp_path / "line.pcm"
    file.write_bytes(sound.to_bytes())
    seen = await run(node, "listen.mjs", twins.addresses["deepgram"]["base_url"], "test-key", str(file))
    assert seen["opened"] and seen["interim"] >= 1 and " ".join(seen["finals"]) == LINE
    assert seen["words"] == len(LINE.split()) and {"Results", "SpeechStarted", "Metadata"} <= set(
        seen["types"]
    )
    assert seen["closed"] == 1000 and "error" not in seen


async def test_deepgrams_sdk_gets_auras_sound(node: Path, twins: TwinServer) -> None:
    seen = await run(
        node, "speak.mjs", twins.addresses["deepgram"]["base_url"], "test-key", "Hola, soy Clara."
    )
    assert seen["bytes"] > 24_000 and seen["types"] == ["Metadata", "Flushed"]


async def test_anthropics_sdk_streams_an_answer_and_explains_refusals(node: Path, twins: TwinServer) -> None:
    seen = await run(node, "messages.mjs", twins.addresses["anthropic"]["base_url"], "test-key")
    assert seen["deltas"] > 3 and seen["text"].startswith("Sí, despachamos") and seen["stop"] == "end_turn"
    assert seen["usage"]["output_tokens"] > 3
    assert seen["events"][0] == "message_start" and seen["events"][-1] == "message_stop"
    assert seen["refused"] == {"name": "AuthenticationError", "status": 401, "type": "authentication_error"}
    assert seen["overloaded"] == {"status": 529, "type": "overloaded_error"}
