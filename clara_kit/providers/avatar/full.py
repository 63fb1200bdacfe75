"""LiveAvatar in FULL mode: the vendor's own assistant, our `Backup`, which answers, speaks and may hear by itself.

Comes in where our recogniser or model has failed. This module is the session: a context with our prompt and the last
turns, a token that names it, the start, the media room, a sign of life every two and a half minutes, and the end within
a second, when the context is deleted too: it holds what the customer said. `full_speaker.py` does the talking,
`full_protocol.py` knows the messages, `room.py` the room.

A session without a context is silent, without an error; and a LITE session cannot become one. It costs 2 credits a minute,
twice what LITE does. Who is in the room as the user is alone in it: so its sound is given away here (`TapsAudio`), and its
picture is seen by nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Self

from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.audio.spoken import Pronunciation
from clara_kit.core.clock import Clock
from clara_kit.core.commands import Message
from clara_kit.core.errors import ProviderError, ProviderUnavailable
from clara_kit.core.events import Event, ProviderFailed
from clara_kit.providers import http
from clara_kit.providers.avatar import full_protocol
from clara_kit.providers.avatar.full_protocol import Order
from clara_kit.providers.avatar.full_speaker import FullSpeaker
from clara_kit.providers.avatar.liveavatar_rest import FullSession, LiveAvatarRest, within
from clara_kit.providers.avatar.livekit_room import usual_room
from clara_kit.providers.avatar.pacing import Timing
from clara_kit.providers.avatar.room import Room

_LEAVE_BUDGET_S = 0.6  # of the second that hanging up may take; the rest is for what comes after
_KEEP_ALIVE_S = 150.0  # the vendor ends a session after five idle minutes, and asks for a sign every two or three
_OTHERS = ("heygen", "liveavatar-agent")  # who must be in the room before it is one
TIMING = Timing()


class LiveAvatarFull:
    """A `Backup` that `TapsAudio`. `session` tells, once entered, the room.

    prompt, messages: what the assistant is told. hears: whether it listens from the beginning. room: by default
    LiveKit's, and for a server on this machine, which is a twin's, a `LoopbackRoom`.
    """

    def __init__(
        self,
        *,
        api_key: str,
        clock: Clock,
        avatar_id: str,
        prompt: str,
        messages: Sequence[Message] = (),
        hears: bool = False,
        base_url: str = "https://api.liveavatar.com",
        sandbox: bool = True,
        room: Room | None = None,
        timing: Timing = TIMING,
        pronunciation: Pronunciation | None = None,
    ) -> None:
        api_key = http.checked_key(api_key, "LIVEAVATAR_API_KEY", "https://app.liveavatar.com")
        self.session: FullSession | None = None
        self.on_audio: Callable[[int, bytes], None] | None = None
        self._clock, self._timing, self._sandbox = clock, timing, sandbox
        self._base_url, self._room = base_url, room
        self._prompt = full_protocol.told(prompt, messages)
        self._config: dict[str, Any] = {
            "mode": "FULL",
            "avatar_id": avatar_id,
            "is_sandbox": sandbox,
            "interactivity_type": "CONVERSATIONAL",
            "video_settings": {"encoding": "H264", "quality": "high"},
        }
        self._timeout_s = timing.start_timeout_ms / 1000
        self._rest = LiveAvatarRest(api_key=api_key, base_url=base_url, timeout_s=self._timeout_s)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._broken: asyncio.Future[str] | None = None
        self._running: asyncio.Task[None] | None = None
        self._ended = False
        self._speaker = FullSpeaker(
            clock=clock,
            timing=timing,
            pronunciation=usual_pronunciation() if pronunciation is None else pronunciation,
            send=self._send,
            emit=self._events.put_nowait,
            tap=self._tap,
            read_back=self._read_back,
        )
        self.hears = hears

    @property
    def hears(self) -> bool:
        """Whether it listens to the customer."""
        return self._speaker.hears

    @hears.setter
    def hears(self, on: bool) -> None:
        if on:
            self._speaker.hears = True
        elif self._speaker.hears:
            self._speaker.stop_hearing()

    async def __aenter__(self) -> Self:
        try:
            room = self._room = self._room or usual_room(self._base_url)
            self._broken = asyncio.get_running_loop().create_future()
            room.on_data, room.on_audio, room.on_closed = self._take, self._speaker.hear, self._break
            context_id = await self._rest.new_context(self._prompt)
            persona = {"context_id": context_id, "language": "es"}
            self.session = await self._rest.open_full({**self._config, "avatar_persona": persona})
            await self._join(room, self.session)
        except BaseException:
            await self._leave()
            raise
        self._running = asyncio.create_task(self._run(), name="liveavatar full")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._leave()

    async def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        """Queue the next piece of our text; returns at once. A new id begins a new utterance after those before it."""
        if not self._ended:
            self._speaker.speak(utterance_id, piece_no, text)

    async def end_speech(self, utterance_id: int) -> None:
        """No more pieces will come for this utterance."""
        self._speaker.end_speech(utterance_id)

    async def ask(self, turn_id: int, reply_id: int, utterance_id: int, text: str, *, heard: bool = False) -> None:
        """Let it answer `text` by its own model; see the Protocol."""
        if not self._ended:
            self._speaker.ask(reply_id, utterance_id, text, heard=heard)

    async def interrupt(self, utterance_id: int) -> None:
        """Silence this utterance; returns when the order was sent, if one had to be."""
        await self._speaker.interrupt(utterance_id)

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """The customer's sound, while it `hears`: 16 kHz, 16-bit little-endian mono."""
        if self.hears and self._running is not None and self._room is not None and not self._ended:
            self._speaker.ears.sound(pcm, captured_ms)
            try:
                await self._room.send_audio(pcm)
            except ProviderError as exc:
                self._break(exc.message)

    async def events(self) -> AsyncIterator[Event]:
        """What happens, until the session ends. Iterated once."""
        while (event := await self._events.get()) is not None:
            yield event

    async def _join(self, room: Room, session: FullSession) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await room.connect(session.livekit_url, session.livekit_client_token, others=_OTHERS)
        except TimeoutError:
            message = f"Nobody was in LiveAvatar's media room within {self._timeout_s:g} s."
            raise http.failure("stalled", message) from None
        if self._broken is not None and self._broken.done():
            raise http.failure("cut", f"LiveAvatar's own session was over at once ({self._broken.result()}).")

    async def _run(self) -> None:
        """The parent of every task of the session; ends with it."""
        try:
            async with asyncio.TaskGroup() as group:
                for work in (self._speaker.run(), self._keep_alive(), self._watch()):
                    group.create_task(work)
        except* Exception as errors:
            self._session_failed(errors.exceptions[0])
        finally:
            self._ended = True
            self._events.put_nowait(None)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(_KEEP_ALIVE_S)
            try:
                await self._rest.keep_alive()
            except ProviderError:  # one that is missed does no harm: the idle limit is longer
                if self._rest.gone:
                    raise

    async def _watch(self) -> None:
        assert self._broken is not None
        raise http.failure("cut", f"LiveAvatar's own session is over ({await self._broken}).")

    def _break(self, why: str) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(why)

    def _take(self, topic: str, payload: bytes) -> None:
        signal = full_protocol.parse(payload) if topic == full_protocol.RESPONSE else None
        if signal is None or self._ended:
            return
        if signal.kind == "closed":
            self._break(signal.text)
        else:
            self._speaker.take(signal)

    async def _send(self, what: Order, event_id: str, text: str | None = None) -> None:
        assert self._room is not None and self.session is not None
        command = full_protocol.order(what, event_id, self.session.session_id, text)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._room.publish(full_protocol.CONTROL, command)
        except TimeoutError:
            raise http.failure("stalled", f"The media room took no message for {self._timeout_s:g} s.") from None

    async def _read_back(self) -> str:
        try:
            return await self._rest.last_words()
        except ProviderError:
            return ""

    def _tap(self, utterance_id: int, pcm: bytes) -> None:
        if self.on_audio is not None:
            self.on_audio(utterance_id, pcm)

    def _session_failed(self, error: Exception) -> None:
        if self._ended:
            return  # we are leaving: nobody wants to hear of it
        self._ended = True
        if not isinstance(error, ProviderError):
            error = http.failure("unknown", f"The backup's session broke with {type(error).__name__}.")
        hint = "open a new session."
        if self._sandbox:
            hint = f"a sandbox session ends after about a minute (set AVATAR_SANDBOX=false for longer ones); {hint}"
        over = ProviderUnavailable(error.message, hint=hint, kind=error.kind)
        self._speaker.fail_all(over)
        self._events.put_nowait(ProviderFailed.of(over, "backup", self._clock.now_ms()))

    async def _leave(self) -> None:
        """End everything within a second, whatever the far end does."""
        self._ended = True
        running = self._running
        farewell: list[Coroutine[Any, Any, Any]] = [self._rest.stop(), self._rest.delete_context()]
        if self._room is not None:
            farewell.append(self._room.close())
        if running is not None:
            running.cancel()
            farewell.append(asyncio.wait({running}))
        try:
            await within(_LEAVE_BUDGET_S, *farewell)
        finally:
            self._events.put_nowait(None)
            self._speaker.forget()
            await self._rest.aclose()
