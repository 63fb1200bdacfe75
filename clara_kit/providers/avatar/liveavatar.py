"""LiveAvatar in LITE mode: a video avatar that speaks the sound of our own voice.

Comes after `conversation` (which pieces to say) and beside `tts` (their sound); gives its events to the
runtime. This module is the session: opened by REST, kept on a socket, ended within a second.
`lite_speaker.py` does the speaking and says what is decided there; `lite_protocol.py` knows the messages.

Entering returns when the socket is open. The vendor drops what comes before it says `connected`, so sound
waits for that word, while the voice may already work on the greeting. What is about the session never
counts as speaking. The voice is opened and closed by whoever made it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any, Self

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError, SettingsError
from clara_kit.providers import http
from clara_kit.providers.avatar import lite_protocol
from clara_kit.providers.avatar.lite_speaker import Speaker
from clara_kit.providers.avatar.liveavatar_rest import LiteSession
from clara_kit.providers.avatar.pacing import Timing
from clara_kit.providers.avatar.session import TIMING, LiveAvatarSession
from clara_kit.providers.tts.base import TTSProvider
from clara_kit.providers.websocket import open_socket


class LiveAvatarLite(LiveAvatarSession[Speaker]):
    """An `AvatarProvider` that `TapsAudio`. `session` tells, once entered, the room where it can be seen.

    playout_ms: how much later than the avatar says so the customer is taken to hear it.

    How loud it is there is the viewer's affair: it has no message for it (see `Ducks`).
    """

    def __init__(
        self,
        *,
        api_key: str,
        tts: TTSProvider,
        clock: Clock,
        avatar_id: str,
        base_url: str = "https://api.liveavatar.com",
        sandbox: bool = True,
        timing: Timing = TIMING,
        playout_ms: float = 0.0,
    ) -> None:
        if tts.rate_hz != lite_protocol.RATE_HZ:
            raise SettingsError(
                f"LiveAvatar plays {lite_protocol.RATE_HZ} samples a second; this voice gives {tts.rate_hz}.",
                hint="resample it to 24000 Hz: the avatar would play it garbled, without an error.",
            )
        super().__init__(
            api_key=api_key, clock=clock, base_url=base_url, sandbox=sandbox, timing=timing, playout_ms=playout_ms,
            mode="LITE", avatar_id=avatar_id,
        )  # fmt: skip
        self.session: LiteSession | None = None
        self._socket: ClientConnection | None = None
        self._speaker = Speaker(
            tts=tts, clock=clock, timing=timing, send=self._send, emit=self._emit, tap=self._tap,
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        try:
            self.session = await self._rest.open(self._config)
            self._socket = await open_socket(
                self.session.ws_url, "LiveAvatar's session", setting="LIVEAVATAR_BASE_URL", timeout_s=self._timeout_s,
                hints=dict.fromkeys(range(400, 500), "open a new session; its address is good once only."),
            )  # fmt: skip
        except BaseException:
            await self._leave()
            raise
        works = self._listen(), self._keep_alive(), self._speak_when_connected()
        self._running = asyncio.create_task(self._run(*works), name="liveavatar")
        return self

    def wake(self, on: bool) -> None:
        """See `Wakes`."""
        if not self._ended:
            self._speaker.wake(on=on)

    async def connected(self) -> None:
        """Returns when the avatar has said that it hears: what would come sooner it drops."""
        await self._speaker.connected.wait()

    async def _listen(self) -> None:
        assert self._socket is not None
        try:
            async for raw in self._socket:
                signal = lite_protocol.parse(raw)
                if signal is None:
                    continue
                if signal.kind == "connected":
                    self._speaker.connected.set()
                elif signal.kind == "closed":
                    raise http.failure("cut", f"LiveAvatar ended the session ({signal.detail}).")
                elif signal.kind == "error":
                    self._speaker.last_error = signal.detail
                else:
                    self._speaker.take(signal)
        except ConnectionClosed:
            pass
        raise self._closed()

    async def _keep_alive(self) -> None:
        for count in itertools.count(1):
            await asyncio.sleep(self._timing.keep_alive_ms / 1000)
            if self._speaker.connected.is_set():
                await self._send(lite_protocol.order("session.keep_alive", f"k{count}"))

    async def _speak_when_connected(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._speaker.run())
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._speaker.connected.wait()
            except TimeoutError:
                message = f"LiveAvatar did not say 'connected' within {self._timeout_s:g} s."
                raise http.failure("stalled", message) from None

    async def _send(self, message: str) -> None:
        assert self._socket is not None
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._socket.send(message)
        except ConnectionClosed:
            raise self._closed() from None
        except TimeoutError:
            raise http.failure("stalled", f"LiveAvatar took no message for {self._timeout_s:g} s.") from None

    def _closed(self) -> ProviderError:
        code = self._socket.close_code if self._socket is not None else None
        return http.failure("cut", f"LiveAvatar closed the connection (code {code}).")

    def _afterword(self) -> str:
        return self._speaker.last_words

    def _farewell(self) -> list[Coroutine[Any, Any, Any]]:
        return [*super()._farewell(), *([self._socket.close()] if self._socket is not None else [])]

    async def _leave(self) -> None:
        try:
            await super()._leave()
        finally:
            if self._socket is not None:
                self._socket.transport.abort()
