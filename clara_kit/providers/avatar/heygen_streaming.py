"""HeyGen's classic streaming avatar: it gets text, and speaks it with a voice of its own.

The plan's avatar. HeyGen has put LiveAvatar in its place (`liveavatar.py`); this stays selectable with
`AVATAR_VENDOR=heygen`, and its built-in brain can stand in for ours in the same session (`ask`), which is why the prompt
goes along as `knowledge_base` when it is made. It is told no turns beside, and hears nothing: it would have to in the room.

One REST task a piece, `repeat` and `sync`: the answer to a task comes when its text has been spoken. HeyGen
tells when speaking begins and ends only inside the video room, where this module is not. So the beginning is
taken to be `assumed_start_ms` after the first task was sent, the end is the answer to the last one, and
both are marked as estimated. The room's `stream_ready` and `stream_disconnected`, to which the plan bound
its speaking callbacks, tell of the room and never of speech.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Self

from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.audio.spoken import Pronunciation, spoken
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError
from clara_kit.providers import http
from clara_kit.providers.avatar.heygen_rest import HeyGenRest
from clara_kit.providers.avatar.heygen_talk import Talk, Utterance, length_ms
from clara_kit.providers.avatar.room import Room

_LEAVE_BUDGET_S = 0.6  # of the second that hanging up may take; the rest is for what comes after
_OVERTAKEN_S = 0.3  # how long an interrupted task may take to be answered
_KEEP_ALIVE_S = 60.0
_USUAL: dict[str, Any] = {
    "quality": "medium",
    "language": "es",
    "version": "v2",
    "video_encoding": "H264",
    "disable_idle_timeout": False,
    "activity_idle_timeout": 120,  # 30..3600, after which HeyGen ends a silent session
}
_SILENCE_S = 2.0  # how long an order to fall silent may take; the next words wait for it
_THINKS_MS = 1000  # assumed: its own brain, before it begins to speak
_ANSWER_CHARS = 400  # an answer of HeyGen's own brain is hardly longer
_SLOWEST_CHARS_PER_S = 8.0  # about half the pace of Spanish speech: a task that takes longer will not be answered


@dataclass(frozen=True, slots=True)
class HeyGenSession:
    """A started session. With the last two anyone may join the room and see the avatar."""

    session_id: str = field(repr=False)
    url: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)


class HeyGenStreamingAvatar:
    """A `Backup` without ears, without sound of ours, and without a message for how loud it is (see `Ducks`).

    knowledge_base: the prompt of the avatar's built-in brain; used only by `ask`. room: where the brain's words are read;
    by default LiveKit's if its client is installed, and for a server on this machine a `LoopbackRoom`. task_mode: "sync" as the
    plan has it; with "async" tasks are answered at once and the end is estimated from their `duration_ms`.
    pronunciation: how names are said (default: `data/pronunciation.csv`).
    """

    def __init__(
        self,
        *,
        api_key: str,
        clock: Clock,
        avatar_name: str,
        knowledge_base: str,
        base_url: str = "https://api.heygen.com",
        voice_id: str | None = None,
        task_mode: Literal["sync", "async"] = "sync",
        assumed_start_ms: float = 1000,  # an utterance's start costs about a second on streaming avatars
        timeout_s: float = 10,
        pronunciation: Pronunciation | None = None,
        room: Room | None = None,
        playout_ms: float = 0.0,
    ) -> None:
        api_key = http.checked_key(api_key, "HEYGEN_API_KEY", "https://app.heygen.com")
        self.session: HeyGenSession | None = None
        self.hears = False
        self._clock, self._assumed_start_ms, self._playout_ms = clock, assumed_start_ms, playout_ms
        self._pronunciation = usual_pronunciation() if pronunciation is None else pronunciation
        self._rest = HeyGenRest(api_key=api_key, base_url=base_url, timeout_s=timeout_s)
        self._new = {"avatar_name": avatar_name, "knowledge_base": knowledge_base, **_USUAL}
        if voice_id:
            self._new["voice"] = {"voice_id": voice_id}
        self._events: asyncio.Queue[ev.Event | None] = asyncio.Queue()
        self._emit, self._task_mode = self._events.put_nowait, task_mode
        self._talk = Talk(room, base_url, self._emit, clock, lambda: self._start(self._waiting[0]))
        self._waiting: deque[Utterance] = deque()  # the first is being spoken
        self._speaking: asyncio.Task[None] | None = None  # or being silenced
        self._keeper: asyncio.Task[None] | None = None
        self._over = False

    async def __aenter__(self) -> Self:
        try:
            data = await self._rest.call("new", **self._new)
            hint = "check HEYGEN_BASE_URL: is this the classic streaming API?"
            url, access_token = (str(data.get(name) or "") for name in ("url", "access_token"))
            self.session = HeyGenSession(self._rest.text_of(data, "session_id", hint), url, access_token)
            self._rest.session_id = self.session.session_id
            await self._rest.call("start")
        except BaseException:
            await self._leave()
            raise
        self._keeper = asyncio.create_task(self._keep_alive(), name="heygen keep-alive")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._leave()

    async def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        """Queue the next piece; returns at once. A new id begins a new utterance after those before it."""
        if self._over:
            return
        if (utterance := self._find(utterance_id)) is None:
            utterance = Utterance(utterance_id)
            self._waiting.append(utterance)
        if not utterance.closed:
            utterance.pieces.put_nowait((piece_no, text))
        self._go_on()

    async def ask(self, turn_id: int, reply_id: int, utterance_id: int, text: str, *, heard: bool = False) -> None:
        """Let its built-in brain answer `text` aloud; see the Protocol."""
        self._waiting.append(Utterance.answering(text, utterance_id, reply_id))
        self._go_on()

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """It does not hear: nothing is done."""

    async def end_speech(self, utterance_id: int) -> None:
        """No more pieces will come for this utterance."""
        utterance = self._find(utterance_id)
        if utterance is not None and not utterance.closed:
            utterance.closed = True
            utterance.pieces.put_nowait(None)

    async def interrupt(self, utterance_id: int) -> None:
        """Stop the avatar and drop what waits of this utterance. Returns when the order is on its way.

        Its SpeakingInterrupted comes when HeyGen has answered; until then the next utterance waits.
        """
        utterance = self._find(utterance_id)
        if utterance is None or utterance.silenced:
            return
        utterance.silenced = True
        if self._speaking is not None and utterance is self._waiting[0]:
            silencing = self._silence(utterance, self._speaking)
            self._speaking = asyncio.create_task(silencing, name="heygen interrupt")
            await asyncio.sleep(0)  # its first step sends the order
        else:
            self._over_with(utterance, interrupted=True)

    async def _silence(self, utterance: Utterance, speaking: asyncio.Task[None]) -> None:
        try:
            await self._order_silence()
            if utterance.asked:
                # The order may have overtaken the task: then the task is still to be answered, and to be stopped.
                await asyncio.wait({speaking}, timeout=_OVERTAKEN_S)
                if not speaking.done():
                    await self._order_silence()
        finally:
            speaking.cancel()
            await asyncio.wait({speaking})
        await self._talk.end(utterance.task_id, spoken=False)
        self._speaking = None
        self._over_with(utterance, interrupted=True)

    async def _order_silence(self) -> None:
        try:
            async with asyncio.timeout(_SILENCE_S):
                await self._rest.call("interrupt")
        except ProviderError as exc:
            self._fail(exc)
        except TimeoutError:
            self._fail(http.failure("stalled", "HeyGen did not answer the order to fall silent in time."))

    async def talk(self, text: str) -> None:
        """Let the built-in brain answer `text`, of which nothing will be told. Raises `ProviderError`."""
        await self._rest.call("task", text=text, task_type="talk", task_mode="async")

    async def events(self) -> AsyncIterator[ev.Event]:
        """What became of each utterance; see the Protocol."""
        while (event := await self._events.get()) is not None:
            yield event

    # --- speaking ---------------------------------------------------------------------------------------

    @property
    def _now(self) -> float:
        return self._clock.now_ms()

    def _tell(self, utterance: Utterance, kind: Callable[..., ev.Event], **more: Any) -> None:
        self._emit(kind(at_ms=self._now, utterance_id=utterance.id, **more))

    def _find(self, utterance_id: int) -> Utterance | None:
        return next((u for u in self._waiting if u.id == utterance_id), None)

    def _go_on(self) -> None:
        if self._speaking is None and self._waiting and not self._over:
            self._speaking = asyncio.create_task(self._utter(self._waiting[0]), name="heygen utterance")

    def _over_with(self, utterance: Utterance, *, interrupted: bool = False) -> None:
        """The utterance has ended; the next may begin."""
        utterance.forget_start()
        self._waiting.remove(utterance)
        if interrupted:
            self._tell(utterance, ev.SpeakingInterrupted, estimated=True)
        self._go_on()

    async def _utter(self, utterance: Utterance) -> None:
        """All pieces of one utterance, one task each."""
        end_ms, error = 0.0, None
        if utterance.reply_id is not None and self.session is not None:
            self._talk.begin(utterance.reply_id, self.session.url, self.session.access_token)
        try:
            while (piece := await utterance.pieces.get()) is not None and not utterance.silenced:
                end_ms = await self._speak_piece(utterance, *piece, free_ms=end_ms)
            await asyncio.sleep(max(0.0, end_ms - self._now) / 1000)
        except ProviderError as exc:
            error = exc
        if utterance.silenced:
            return
        if error is not None:
            self._fail(error, utterance)
            if error.kind == "stalled":  # it may yet begin, in the middle of what is said next
                utterance.silenced = True  # by this: an interruption that comes meanwhile has nothing left to do
                await self._order_silence()
        else:
            if end_ms:  # else there was nothing to say
                self._start(utterance)
            await self._talk.end(utterance.task_id)
            self._tell(utterance, ev.SpeakingEnded, estimated=True)
        self._speaking = None
        self._over_with(utterance)

    async def _speak_piece(self, utterance: Utterance, piece_no: int, text: str, *, free_ms: float) -> float:
        """One task; returns when its sound will be over, as far as can be known."""
        first = not utterance.started and utterance.start_timer is None
        if first:
            delay_s = (self._assumed_start_ms + (_THINKS_MS if utterance.reply_id is not None else 0)) / 1000
            later = asyncio.get_running_loop().call_later
            utterance.start_timer = later(delay_s, partial(self._start, utterance, assumed=True))
        self._tell(utterance, ev.SpeechSent, piece_no=piece_no)
        sent_ms = self._now
        talk = utterance.reply_id is not None
        said = text if talk else (await asyncio.to_thread(spoken, text, self._pronunciation)).text
        if not said:
            if first:
                utterance.forget_start()
                utterance.start_timer = None
            return free_ms
        utterance.asked = True
        longest_s = self._rest.timeout_s + (_ANSWER_CHARS if talk else len(said)) / _SLOWEST_CHARS_PER_S
        limit_s = longest_s if self._task_mode == "sync" else None
        body = {"text": said, "task_type": "talk" if talk else "repeat", "task_mode": self._task_mode}
        data = await self._rest.call("task", timeout_s=limit_s, **body)
        utterance.asked, utterance.task_id = False, str(data.get("task_id") or "")
        if utterance.silenced:
            return self._now
        duration_ms = length_ms(data.get("duration_ms"), longest_s * 1000)
        if duration_ms is None:
            message = "HeyGen told a length of its speech that cannot be; it is passed over."
            self._emit(ev.ProviderWarned(at_ms=self._now, service="avatar", message=message))
            duration_ms = 0.0
        utterance.audio_ms += duration_ms
        first_ms = self._now - duration_ms if duration_ms and self._task_mode == "sync" else None  # answered at its end
        self._tell(utterance, ev.SpeechVoiced, piece_no=piece_no, audio_ms=utterance.audio_ms, first_ms=first_ms)
        if self._task_mode == "sync":
            self._start(utterance)
            return self._now
        return max(free_ms, sent_ms + self._assumed_start_ms) + duration_ms

    def _start(self, utterance: Utterance, *, assumed: bool = False) -> None:
        """The avatar is taken to speak now."""
        room_tells = assumed and utterance.reply_id is not None and self._talk.inside
        if utterance.started or utterance.silenced or room_tells:
            return
        utterance.started = True
        utterance.forget_start()
        self._tell(utterance, ev.FirstAudio, estimated=True)
        self._tell(utterance, ev.SpeakingStarted, estimated=True, playout_ms=self._playout_ms)

    # --- the session --------------------------------------------------------------------------------------

    def _fail(self, exc: ProviderError, utterance: Utterance | None = None) -> None:
        """Tell a failure: of the utterance, and of the session too if that is what is over."""
        if utterance is not None:
            self._talk.drop()
            self._emit(utterance.failed(exc, self._now))
        elif not self._rest.gone:  # nothing has ended, but somebody should know
            self._emit(ev.ProviderWarned(at_ms=self._now, service="avatar", message=exc.message))
        if self._rest.gone and not self._over:
            self._over = True
            self._emit(ev.ProviderFailed.of(exc, "avatar", self._now))
            self._events.put_nowait(None)

    async def _keep_alive(self) -> None:
        while not self._rest.gone:
            await asyncio.sleep(_KEEP_ALIVE_S)
            try:
                await self._rest.call("keep_alive")
            except ProviderError as exc:  # one that is missed does no harm: the idle limit is longer
                if self._rest.gone:
                    self._fail(exc)

    async def _leave(self) -> None:
        self._over = True
        tasks = [t for t in (self._speaking, self._keeper) if t is not None]
        for utterance in self._waiting:
            utterance.forget_start()
        self._waiting.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(ProviderError, TimeoutError):  # HeyGen ends idle sessions by itself
            async with asyncio.timeout(_LEAVE_BUDGET_S):
                await self._talk.close()
                if self.session is not None:
                    await self._rest.call("stop")
        await self._rest.aclose()
        self._events.put_nowait(None)
