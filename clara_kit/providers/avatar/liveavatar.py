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
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError, ProviderUnavailable, SettingsError
from clara_kit.core.events import Event, ProviderFailed
from clara_kit.providers import http
from clara_kit.providers.avatar import lite_protocol
from clara_kit.providers.avatar.lite_speaker import Speaker
from clara_kit.providers.avatar.liveavatar_rest import LiteSession, LiveAvatarRest, within
from clara_kit.providers.avatar.pacing import Timing
from clara_kit.providers.tts.base import TTSProvider
from clara_kit.providers.websocket import open_socket

_LEAVE_BUDGET_S = 0.6  # of the second that hanging up may take; the rest is for what comes after
TIMING = Timing()


class LiveAvatarLite:
    """An `AvatarProvider` that `TapsAudio`. `session` tells, once entered, the room where it can be seen.

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
    ) -> None:
        api_key = http.checked_key(api_key, "LIVEAVATAR_API_KEY", "https://app.liveavatar.com")
        if tts.rate_hz != lite_protocol.RATE_HZ:
            raise SettingsError(
                f"LiveAvatar plays {lite_protocol.RATE_HZ} samples a second; this voice gives {tts.rate_hz}.",
                hint="resample it to 24000 Hz: the avatar would play it garbled, without an error.",
            )
        self.session: LiteSession | None = None
        self.on_audio: Callable[[int, bytes], None] | None = None
        self._clock, self._sandbox, self._timing = clock, sandbox, timing
        self._config = {
            "mode": "LITE",
            "avatar_id": avatar_id,
            "is_sandbox": sandbox,
            "video_settings": {"encoding": "H264", "quality": "high"},
        }
        self._timeout_s = timing.start_timeout_ms / 1000
        self._rest = LiveAvatarRest(api_key=api_key, base_url=base_url, timeout_s=self._timeout_s)
        self._socket: ClientConnection | None = None
        self._running: asyncio.Task[None] | None = None
        self._ended = False
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._speaker = Speaker(
            tts=tts, clock=clock, timing=timing, send=self._send, emit=self._events.put_nowait, tap=self._tap
        )

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
        self._running = asyncio.create_task(self._run(), name="liveavatar")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._leave()

    async def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        """Queue the next piece; returns at once. A new id begins a new utterance and ends the one before."""
        if not self._ended:
            self._speaker.speak(utterance_id, piece_no, text)

    async def end_speech(self, utterance_id: int) -> None:
        """No more pieces will come for this utterance."""
        self._speaker.end_speech(utterance_id)

    async def interrupt(self, utterance_id: int) -> None:
        """Silence this utterance; returns when the order was sent, if one had to be."""
        await self._speaker.interrupt(utterance_id)

    async def events(self) -> AsyncIterator[Event]:
        """What happens, until the session ends. Iterated once."""
        while (event := await self._events.get()) is not None:
            yield event

    async def _run(self) -> None:
        """The parent of every task of the session; ends with it."""
        try:
            async with asyncio.TaskGroup() as group:
                for work in (self._listen(), self._keep_alive(), self._speak_when_connected()):
                    group.create_task(work)
        except* Exception as errors:
            self._session_failed(_first(errors))
        finally:
            self._ended = True
            self._events.put_nowait(None)

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

    def _tap(self, utterance_id: int, pcm: bytes) -> None:
        if self.on_audio is not None:
            self.on_audio(utterance_id, pcm)

    def _closed(self) -> ProviderError:
        code = self._socket.close_code if self._socket is not None else None
        return http.failure("cut", f"LiveAvatar closed the connection (code {code}).")

    def _session_failed(self, error: Exception) -> None:
        if self._ended:
            return  # we are leaving: nobody wants to hear of it
        self._ended = True
        if not isinstance(error, ProviderError):
            error = http.failure("unknown", f"The avatar's session broke with {type(error).__name__}.")
        hint = "open a new session."
        if self._sandbox:
            hint = f"a sandbox session ends after about a minute (set AVATAR_SANDBOX=false for longer ones); {hint}"
        over = ProviderUnavailable(error.message + self._speaker.last_words, hint=hint, kind=error.kind)
        self._speaker.fail_all(over)
        self._events.put_nowait(ProviderFailed.of(over, "avatar", self._clock.now_ms()))

    async def _leave(self) -> None:
        """End everything within a second, whatever the far end does."""
        self._ended = True
        running, socket = self._running, self._socket
        farewell: list[Coroutine[Any, Any, Any]] = [self._rest.stop()]
        if running is not None:
            running.cancel()
            farewell.append(asyncio.wait({running}))
        if socket is not None:
            farewell.append(socket.close())
        try:
            await within(_LEAVE_BUDGET_S, *farewell)
        finally:
            self._events.put_nowait(None)  # also where `_run` was cancelled before its first step
            self._speaker.forget_timers()
            if socket is not None:
                socket.transport.abort()
            await self._rest.aclose()
            if running is not None and not running.done():
                running.cancel()  # a voice that will not let go: say it once more
                await asyncio.wait({running}, timeout=0.1)


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    error: Exception | BaseExceptionGroup[Exception] = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
