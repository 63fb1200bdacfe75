#!/usr/bin/env bash
# deepgram-sdk 7.17.0 with websockets 17.4: opening a live socket to a peer that takes the TCP connection and never says
# a word cannot be called off. The SDK connects through `websockets.legacy`, whose handshake takes the cancellation of
# the task for the end of the handshake, and then waits for the peer to close: `asyncio.timeout(1)` around
# `connect()` ends only after several seconds more, and a task called `close_connection` stays behind in the loop.
# Seen: «given 1 s: websockets.asyncio ends at once: True; the SDK: False» and «left in the loop by the SDK:
# ['WebSocketCommonProtocol.close_connection']».
# The client of `websockets.asyncio` (same package, same peer) ends within the second that it was given.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "deepgram-sdk==7.17.0" "websockets==17.4"
cat > "$folder/look.py" <<'PY'
import asyncio
import contextlib
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import websockets
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment

GIVEN_S = 1.0


async def takes_s(opening) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(GIVEN_S):
            await opening
    except (TimeoutError, asyncio.CancelledError):
        return loop.time() - began
    raise SystemExit("a mute peer has answered")


async def main() -> None:
    async def mute(reader, writer):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ws, http = f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}"
    environment = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
    client = AsyncDeepgramClient(api_key="no-key", environment=environment)
    modern_s = await takes_s(websockets.connect(ws).__aenter__())
    connection = client.listen.v1.connect(model="nova-3", language="es-419", encoding="linear16", sample_rate=16000)
    before = asyncio.all_tasks()
    sdk_s = await takes_s(connection.__aenter__())
    left = sorted(task.get_coro().__qualname__ for task in asyncio.all_tasks() - before if "mute" not in repr(task))
    print("deepgram-sdk", version("deepgram-sdk"), "and websockets", version("websockets"))
    print(f"given {GIVEN_S:.0f} s: websockets.asyncio ends at once: {modern_s < 2 * GIVEN_S}; the SDK: {sdk_s < 2 * GIVEN_S}")
    print("left in the loop by the SDK:", left)
    assert modern_s < 2 * GIVEN_S, "the modern client has changed"
    assert sdk_s > 3 * GIVEN_S, "the SDK can be called off by now"


asyncio.run(main())
PY
"$folder/venv/bin/python" "$folder/look.py"
