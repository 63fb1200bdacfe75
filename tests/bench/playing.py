"""What it costs to play Clara's sound: the avatar's twin and one client, in this process."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from time import process_time

import httpx
from websockets.asyncio.client import connect

from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.liveavatar.twin import SANDBOX_AVATAR, LiveAvatarTwin
from clara_kit.world.twins.server import TwinServer

SESSION = {"mode": "LITE", "avatar_id": SANDBOX_AVATAR, "is_sandbox": True}


async def playing(seconds: float) -> dict[str, float]:
    """CPU in ms for a second of sound, and how late its end is told, ms; both ends together."""
    twin = LiveAvatarTwin(TwinContext(profile=LatencyProfile.load("fast")), connected_after_ms=5)
    async with TwinServer([twin], pace=1) as server:
        base = server.addresses["liveavatar"]["base_url"]
        async with httpx.AsyncClient(base_url=base, trust_env=False) as http:
            key = {"X-API-KEY": "test-key"}
            token = (await http.post("/v1/sessions/token", headers=key, json=SESSION)).json()["data"]
            bearer = {"Authorization": f"Bearer {token['session_token']}"}
            session = (await http.post("/v1/sessions/start", headers=bearer)).json()["data"]
        async with connect(session["ws_url"], proxy=None) as ws:
            while json.loads(await ws.recv()).get("state") != "connected":
                pass
            cpu_s = process_time()
            sound = b64encode(b"\x05\x00" * int(24_000 * seconds)).decode()
            await ws.send(json.dumps({"type": "agent.speak", "event_id": "u1", "audio": sound}))
            await ws.send(json.dumps({"type": "agent.speak_end", "event_id": "u1"}))
            while json.loads(await ws.recv())["type"] != "agent.speak_ended":
                pass
            told_s = asyncio.get_running_loop().time()
            cpu_s = process_time() - cpu_s
        (played,) = twin.sessions[session["session_id"]].utterances
    assert played.ended_s is not None
    return {"cpu_ms_per_s": cpu_s / seconds * 1000, "late_ms": (told_s - played.ended_s) * 1000}
