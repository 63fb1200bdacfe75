"""`clara twins`: the vendors' twins as a server for any client, until interrupted."""

from __future__ import annotations

import signal
import sys
import threading
from functools import partial

from clara_kit.runtime.compose import TWIN_KEY
from clara_kit.world.faults import FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.script import Script
from clara_kit.world.scripted import line_speech
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.every import every_twin
from clara_kit.world.twins.server import TwinServer
from clara_kit.world.voices import customer_voice


def serve(*, port: int, latency: str, seed: int, script: str | None, any_key: bool) -> int:
    """Serve until SIGINT or SIGTERM; the first line printed is JSON with each twin's base addresses."""
    lines = LineBook()
    faults = FaultBox()
    if script is not None:
        loaded = Script.load(script)
        faults = FaultBox(loaded.faults)
        for line in loaded.lines:
            if line.text and not line.typed:
                lines.learn(line.text, line_speech(line, customer_voice()))
    keys = frozenset() if any_key else frozenset({TWIN_KEY})
    context = TwinContext(profile=LatencyProfile.load(latency), seed=seed, faults=faults, keys=keys)
    server = TwinServer(
        every_twin(context, lines), port=port, faults=faults, handshake_ms=partial(context.draw, "handshake")
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with server:
        print(server.ready_line(), flush=True)
        while not stop.wait(0.5):
            pass
    print("Stopped.", file=sys.stderr)
    return 0
