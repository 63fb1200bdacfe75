"""The media room of LiveKit: what of it can be tried without a server of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import sys

import pytest

from clara_kit.core.errors import ProviderError, ProviderRefused, ProviderUnavailable
from clara_kit.providers.avatar.full import LiveAvatarFull
from clara_kit.providers.avatar.livekit_room import LiveKitRoom, usual_room
from clara_kit.providers.avatar.room import LoopbackRoom
from clara_kit.runtime.clock import MonotonicClock

INSTALLED = importlib.util.find_spec("livekit") is not None


def test_a_server_on_this_machine_is_a_twins() -> None:
    assert isinstance(usual_room("http://127.0.0.1:1/liveavatar"), LoopbackRoom)


async def test_without_its_client_nothing_is_opened_and_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livekit", None)
    monkeypatch.setitem(sys.modules, "livekit.rtc", None)
    far = LiveAvatarFull(
        api_key="k", clock=MonotonicClock(), avatar_id="a", prompt="", base_url="https://liveavatar.invalid"
    )
    with pytest.raises(ProviderRefused, match=r"package is missing.*clara-kit\[room\]"):  # before any request
        await far.__aenter__()


async def test_a_room_of_the_twin_that_is_not_there_is_told() -> None:
    room = LoopbackRoom()
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await room.connect("ws://127.0.0.1:9", "token")
    await room.close()


@pytest.mark.skipif(not INSTALLED, reason="LiveKit's client is an optional package")
@pytest.mark.wall
async def test_a_room_of_livekits_that_is_not_there_is_told_without_its_token() -> None:
    room = LiveKitRoom()
    async with asyncio.timeout(20):
        with pytest.raises(ProviderError, match="cannot be reached") as told:
            await room.connect("ws://127.0.0.1:9", "a-token", others=("heygen",))
    assert "a-token" not in str(told.value) and told.value.retryable
    await room.close()
