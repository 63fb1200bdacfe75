"""The media room for real: LiveKit's client. Needs the optional package `livekit` (`pip install 'clara-kit[room]'`).

Used by `full.py` where the session is not a twin's. What could be tried without a LiveKit server is tried: that the client
loads, that a room which cannot be reached is told as such and in time, that leaving leaves nothing. Data and sound
through a room are **not live**: no server of LiveKit's installs from a package registry, so they follow its documents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any

from clara_kit.core.errors import ProviderRefused
from clara_kit.providers import http
from clara_kit.providers.avatar.room import HEARD_RATE_HZ, MIC_RATE_HZ, LoopbackRoom, Room

_ATTEMPT_S = 3.0  # for each of the client's three tries to reach the room


class LiveKitRoom:
    """A `Room` at LiveKit's. Raises `ProviderRefused` at once where its client is not installed."""

    def __init__(self) -> None:
        try:
            rtc: Any = import_module("livekit.rtc")
        except ImportError:
            message = "LiveAvatar's own assistant is reached through a media room, for which a package is missing."
            raise ProviderRefused(message, hint="pip install 'clara-kit[room]'.") from None
        self.on_data: Callable[[str, bytes], object] = lambda topic, payload: None
        self.on_audio: Callable[[bytes], object] = lambda pcm: None
        self.on_closed: Callable[[str], object] = lambda why: None
        self._rtc = rtc
        self._room: Any = None
        self._microphone: Any = None
        self._joined = asyncio.Event()
        self._hearing: set[asyncio.Task[None]] = set()

    async def connect(self, url: str, token: str, *, others: tuple[str, ...] = ()) -> None:
        """Join; see the Protocol."""
        room = self._room = self._rtc.Room()
        room.on("data_received", lambda packet: self.on_data(packet.topic or "", bytes(packet.data)))
        room.on("disconnected", lambda reason: self.on_closed(f"LiveKit's reason {reason}"))
        room.on("participant_connected", lambda participant: self._joined.set())
        room.on("track_subscribed", lambda track, publication, participant: self._hear(track))
        try:
            await room.connect(url, token, self._rtc.RoomOptions(connect_timeout=_ATTEMPT_S))
        except self._rtc.ConnectError:  # its words hold the address, and that holds a token
            message = "The media room of the session cannot be reached."
            hint = "check the network: LiveKit needs wss and UDP to pass a firewall."
            failed = http.failure("unreachable", message, hint)
        else:
            while not all(any(p.startswith(o) for p in self._others()) for o in others):
                self._joined.clear()
                await self._joined.wait()
            return
        raise failed

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send data; see the Protocol."""
        try:
            await self._room.local_participant.publish_data(payload, reliable=True, topic=topic)
        except Exception as exc:  # the client raises bare ones here
            raise http.failure("cut", f"The media room took no message ({type(exc).__name__}).") from None

    async def send_audio(self, pcm: bytes) -> None:
        """Send sound; see the Protocol. The first opens the microphone's track."""
        rtc = self._rtc
        try:
            if self._microphone is None:
                self._microphone = rtc.AudioSource(MIC_RATE_HZ, 1)
                track = rtc.LocalAudioTrack.create_audio_track("microphone", self._microphone)
                source = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
                await self._room.local_participant.publish_track(track, source)
            await self._microphone.capture_frame(rtc.AudioFrame(pcm, MIC_RATE_HZ, 1, len(pcm) // 2))
        except Exception as exc:
            raise http.failure("cut", f"The media room took no sound ({type(exc).__name__}).") from None

    async def close(self) -> None:
        """Leave."""
        self.on_closed = lambda why: None
        for task in self._hearing:
            task.cancel()
        await asyncio.gather(*self._hearing, return_exceptions=True)
        if self._microphone is not None:
            await self._microphone.aclose()
        if self._room is not None:
            await self._room.disconnect()

    def _others(self) -> list[str]:
        return [participant.identity for participant in self._room.remote_participants.values()]

    def _hear(self, track: Any) -> None:
        if track.kind == self._rtc.TrackKind.KIND_AUDIO:
            task = asyncio.ensure_future(self._pass_on(track))
            self._hearing.add(task)
            task.add_done_callback(self._hearing.discard)

    async def _pass_on(self, track: Any) -> None:
        stream = self._rtc.AudioStream(track, sample_rate=HEARD_RATE_HZ, num_channels=1)
        try:
            async for event in stream:
                self.on_audio(bytes(event.frame.data))
        finally:
            await stream.aclose()


def usual_room(base_url: str) -> Room:
    """LiveKit's, and for a server on this machine, which is a twin's, a `LoopbackRoom`. Raises `ProviderRefused`."""
    return LoopbackRoom() if http.is_loopback(base_url) else LiveKitRoom()
