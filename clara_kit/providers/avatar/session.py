"""What sessions of a speaking avatar share: orders go in to a speaker, what happens comes out, and its end is told once.

`liveavatar.py` (LITE) and `full.py` (FULL) are LiveAvatar's, `sound_only.py` is nobody's. The speaker of each decides what is
said when; the session is what it is said over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from msgspec.structs import replace

from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError, ProviderUnavailable
from clara_kit.core.events import Event, ProviderFailed, Service, SpeakingStarted
from clara_kit.providers import http
from clara_kit.providers.avatar.liveavatar_rest import LiveAvatarRest, within
from clara_kit.providers.avatar.pacing import Timing

_LEAVE_BUDGET_S = 0.6  # of the second that hanging up may take; the rest is for what comes after
TIMING = Timing()


class Speaks(Protocol):
    """Who says one utterance after another."""

    def speak(self, utterance_id: int, piece_no: int, text: str) -> None: ...
    def end_speech(self, utterance_id: int) -> None: ...
    async def interrupt(self, utterance_id: int) -> None: ...
    def fail_all(self, error: ProviderError) -> None: ...
    def forget(self) -> None: ...


S = TypeVar("S", bound=Speaks)


class Session(Generic[S]):
    """An avatar that `TapsAudio`, but for the opening of it. `_speaker` is given by whoever inherits."""

    service: ClassVar[Service] = "avatar"
    _speaker: S

    def __init__(self, clock: Clock, playout_ms: float = 0.0) -> None:
        self.on_audio: Callable[[int, bytes], None] | None = None
        self._clock, self._playout_ms = clock, playout_ms
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None
        self._ended = False

    async def __aexit__(self, *_: object) -> None:
        await self._leave()

    async def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        """Queue the next piece; returns at once. A new id begins a new utterance after those before it."""
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

    def _emit(self, event: Event) -> None:
        if type(event) is SpeakingStarted and self._playout_ms:
            event = replace(event, playout_ms=self._playout_ms)
        self._events.put_nowait(event)

    def _tap(self, utterance_id: int, pcm: bytes) -> None:
        if self.on_audio is not None:
            self.on_audio(utterance_id, pcm)

    def _over(self, error: ProviderError) -> None:
        """It is over, and whoever waits for something of it is told."""
        self._ended = True
        self._speaker.fail_all(error)
        self._events.put_nowait(ProviderFailed.of(error, self.service, self._clock.now_ms()))

    async def _leave(self) -> None:
        raise NotImplementedError


class LiveAvatarSession(Session[S]):
    """One of LiveAvatar's: asked for by REST, and ended within a second."""

    def __init__(
        self,
        *,
        api_key: str,
        clock: Clock,
        base_url: str,
        sandbox: bool,
        timing: Timing,
        playout_ms: float,
        **config: Any,
    ) -> None:
        """config: of the session, beside what every one has."""
        super().__init__(clock, playout_ms)
        api_key = http.checked_key(api_key, "LIVEAVATAR_API_KEY", "https://app.liveavatar.com")
        self._sandbox, self._timing = sandbox, timing
        video = {"encoding": "H264", "quality": "high"}
        self._config: dict[str, Any] = {**config, "is_sandbox": sandbox, "video_settings": video}
        self._timeout_s = timing.start_timeout_ms / 1000
        self._rest = LiveAvatarRest(api_key=api_key, base_url=base_url, timeout_s=self._timeout_s)

    async def _run(self, *works: Coroutine[Any, Any, None]) -> None:
        """The parent of every task of the session; ends with it."""
        try:
            async with asyncio.TaskGroup() as group:
                for work in works:
                    group.create_task(work)
        except* Exception as errors:
            if not self._ended:  # else we are leaving: nobody wants to hear of it
                self._session_failed(_first(errors))
        finally:
            self._ended = True
            self._events.put_nowait(None)

    def _session_failed(self, error: Exception) -> None:
        if not isinstance(error, ProviderError):
            error = http.failure("unknown", f"LiveAvatar's session broke with {type(error).__name__}.")
        hint = "open a new session."
        if self._sandbox:
            hint = f"a sandbox session ends after about a minute (set AVATAR_SANDBOX=false for longer ones); {hint}"
        self._over(ProviderUnavailable(error.message + self._afterword(), hint=hint, kind=error.kind))

    def _afterword(self) -> str:
        return ""

    def _farewell(self) -> list[Coroutine[Any, Any, Any]]:
        """What ends it, all at once."""
        return [self._rest.stop()]

    async def _leave(self) -> None:
        """End everything within a second, whatever the far end does."""
        self._ended = True
        running, farewell = self._running, self._farewell()
        if running is not None:
            running.cancel()
            farewell.append(asyncio.wait({running}))
        try:
            await within(_LEAVE_BUDGET_S, *farewell)
        finally:
            self._events.put_nowait(None)  # also where `_run` was cancelled before its first step
            self._speaker.forget()
            await self._rest.aclose()
            if running is not None and not running.done():
                running.cancel()  # a voice that will not let go: say it once more
                await asyncio.wait({running}, timeout=0.1)


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    error: Exception | BaseExceptionGroup[Exception] = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
