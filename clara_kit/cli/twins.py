"""`clara twins`: the vendors' twins as a server for any client, until interrupted."""

from __future__ import annotations

import signal
import sys
import threading

from clara_kit.audio.line_book import LineBook
from clara_kit.runtime.compose import TWIN_KEY, clara_voice, customer_voice
from clara_kit.runtime.scripted import line_speech
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.script import Script
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.deepgram.twin import DeepgramTwin
from clara_kit.world.twins.heygen.twin import HeyGenTwin
from clara_kit.world.twins.liveavatar.twin import LiveAvatarTwin
from clara_kit.world.twins.server import TwinServer
from clara_kit.world.twins.shopify.twin import ShopifyTwin


def serve(*, port: int, profile: str, seed: int, script: str | None, any_key: bool) -> int:
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
    context = TwinContext(profile=LatencyProfile.load(profile), seed=seed, faults=faults, keys=keys)
    server = TwinServer(
        [
            DeepgramTwin(context, lines, clara_voice()),
            AnthropicTwin(context, AnswerBook.load()),
            LiveAvatarTwin(context),
            HeyGenTwin(context, clara_voice(), AnswerBook.load()),
            ShopifyTwin.of_personas(context),
        ],
        port=port,
        faults=faults,
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
