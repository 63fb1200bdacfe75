"""Other frameworks, measured in environments of their own, in the same run and with the same words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.bench.pieces import DELTAS, QUESTION

HERE = Path(__file__).parent
VENV = HERE.parents[2] / "build" / "bench-peers"
PEERS = {
    "Pipecat": ("pipecat-ai==1.14.0", "pipecat_turns.py"),
    "LiveKit Agents": ("livekit-agents==1.8.9", "livekit_turns.py"),
}


def prepare() -> str:
    """Install the peers, once. Returns why that cannot be done, or nothing."""
    wanted = "\n".join(package for package, _ in PEERS.values())
    stamp = VENV / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return ""
    uv = [sys.executable, "-m", "uv"]
    for command in (
        [*uv, "venv", "-q", "--clear", str(VENV)],
        [*uv, "pip", "install", "-q", "--python", str(python()), *wanted.split()],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"could not be installed: {done.stderr.strip().splitlines()[-1:]}"
    stamp.write_text(wanted)
    return ""


def turns(name: str, count: int) -> list[float]:
    """Milliseconds from the final transcript to the first order to speak, `count` times."""
    command = [str(python()), str(HERE / PEERS[name][1]), str(count), json.dumps(DELTAS), QUESTION]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def python() -> Path:
    """The peers' own Python."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
