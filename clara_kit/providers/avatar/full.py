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
from collections.abc import Coroutine, Sequence
from typing import Any, Self

from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.audio.spoken import Pronunciation
from clara_kit.core.clock import Clock
from clara_kit.core.commands import Message
from clara_kit.core.errors import ProviderError
from clara_kit.providers import http
from clara_kit.providers.avatar import full_protocol
from clara_kit.providers.avatar.full_protocol import Order
from clara_kit.providers.avatar.full_speaker import FullSpeaker
from clara_kit.providers.avatar.liveavatar_rest import FullSession
from clara_kit.providers.avatar.livekit_room import usual_room
from clara_kit.providers.avatar.pacing import Timing
from clara_kit.providers.avatar.room import Room
from clara_kit.providers.avatar.session import TIMING, LiveAvatarSession

_KEEP_ALIVE_S = 150.0  # the vendor ends a session after five idle minutes, and asks for a sign every two or three
_OTHERS = ("heygen", "liveavatar-agent")  # who must be in the room before it is one


class LiveAvatarFull(LiveAvatarSession[FullSpeaker]):
    """A `Backup` that `TapsAudio`. `session` tells, once entered, the room.

    prompt, messages: what the assistant is told. hears: whether it listens from the beginning. room: by default
    LiveKit's, and for a server on this machine, which is a twin's, a `LoopbackRoom`.
    """

    service = "backup"

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
        playout_ms: float = 0.0,
    ) -> None:
        super().__init__(
            api_key=api_key, clock=clock, base_url=base_url, sandbox=sandbox, timing=timing, playout_ms=playout_ms,
            mode="FULL", avatar_id=avatar_id, interactivity_type="CONVERSATIONAL",
        )  # fmt: skip
        self.session: FullSession | None = None
        self._base_url, self._room = base_url, room
        self._prompt = full_protocol.told(prompt, messages)
        self._broken: asyncio.Future[str] | None = None
        self._speaker = FullSpeaker(
            clock=clock, timing=timing, send=self._send, emit=self._emit, tap=self._tap,
            pronunciation=usual_pronunciation() if pronunciation is None else pronunciation,
            read_back=self._read_back,
        )  # fmt: skip
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
        works = self._speaker.run(), self._keep_alive(), self._watch()
        self._running = asyncio.create_task(self._run(*works), name="liveavatar full")
        return self

    async def ask(self, turn_id: int, reply_id: int, utterance_id: int, text: str, *, heard: bool = False) -> None:
        """Let it answer `text` by its own model; see the Protocol."""
        if not self._ended:
            self._speaker.ask(reply_id, utterance_id, text, heard=heard)

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """The customer's sound, while it `hears`: 16 kHz, 16-bit little-endian mono."""
        if self.hears and self._running is not None and self._room is not None and not self._ended:
            self._speaker.ears.sound(pcm, captured_ms)
            try:
                await self._room.send_audio(pcm)
            except ProviderError as exc:
                self._break(exc.message)

    async def _join(self, room: Room, session: FullSession) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await room.connect(session.livekit_url, session.livekit_client_token, others=_OTHERS)
        except TimeoutError:
            message = f"Nobody was in LiveAvatar's media room within {self._timeout_s:g} s."
            raise http.failure("stalled", message) from None
        if self._broken is not None and self._broken.done():
            raise http.failure("cut", f"LiveAvatar's own session was over at once ({self._broken.result()}).")

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

    def _farewell(self) -> list[Coroutine[Any, Any, Any]]:
        room = [] if self._room is None else [self._room.close()]
        return [*super()._farewell(), self._rest.delete_context(), *room]
