"""A FULL session of the LiveAvatar twin: its assistant hears, answers by its context, and speaks, in a room of its own.

Comes beside `session.py`, whose life, limits, player and faults it shares. In place of the media room there is a
websocket on this machine: text is JSON of topic and payload, binary is sound (the customer's at 16 kHz, the assistant's
at 24 kHz); it begins with who has joined. The payloads are the vendor's (docs.liveavatar.com/docs/full-mode/events,
2026). What no document says is decided here: whether transcriptions come in chunks that are the whole so far or only
what is new, and whether an answer names its source, differs by dialect; the customer's voice silences the assistant.

The brain is the scripted one of every twin. Faults (`backup`): the occasion is whatever it says, counted over all
sessions of the server; for `refuse` the n-th FULL session at the door that `detail` names.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from aiohttp import web

from clara_kit.audio.pcm import Sound
from clara_kit.audio.vad import VoiceActivityDetector
from clara_kit.audio.voice import OfflineVoice
from clara_kit.core.events import Service
from clara_kit.world.answers import AnswerBook
from clara_kit.world.instructions import sense
from clara_kit.world.line_book import LineBook
from clara_kit.world.timelines import answer
from clara_kit.world.twins.liveavatar.contexts import Context
from clara_kit.world.twins.liveavatar.dialect import Dialect, Pose
from clara_kit.world.twins.liveavatar.player import RATE_HZ, Cut, Utterance
from clara_kit.world.twins.liveavatar.session import Json, TwinSession
from clara_kit.world.twins.liveavatar.socket import Socket
from clara_kit.world.voices import clara_voice

MIC_RATE_HZ = 16_000
CHUNK_EVERY_MS = 1000.0  # an estimate, as the recogniser's twin has it
TURN_END_MS = 700.0  # an estimate: the silence after which the customer's turn is over
_SENTENCE = re.compile(r"(?<=[.!?…])\s+")


@dataclass
class Skills:
    """What the assistants of one server have in common. lines: whose sound it knows, as a real one knows Spanish."""

    lines: LineBook | None = None

    @cached_property
    def voice(self) -> OfflineVoice:
        """How they sound."""
        return clara_voice()

    @cached_property
    def book(self) -> AnswerBook:
        """What they know."""
        return AnswerBook.load()


@dataclass(kw_only=True)
class Said:
    """One thing that an assistant says. source_id: of the command, None where it answers what it heard."""

    text: str
    source_id: str | None
    answers: bool


@dataclass(frozen=True, slots=True)
class Line:
    """Something that was said, as the transcript has it; `at_s` on the server loop's clock."""

    role: Literal["user", "avatar"]
    text: str
    at_s: float


class RoomTeller:
    """In place of `Teller`: the same happenings in the words of a FULL session."""

    def __init__(
        self, dialect: Dialect, said: dict[str, Said], tell: Callable[..., None], later: Callable[..., None]
    ) -> None:
        self.pose: Pose = "idle"
        self._dialect, self._said, self._tell, self._later = dialect, said, tell, later
        self._chunks: dict[str, str] = {}

    def session(self, state: str) -> None:
        if state == "closing":
            self._tell("session.stopped", end_reason="SESSION_ENDED")

    def started(self, utterance: Utterance) -> None:
        self.pose = "talking"
        self._of(utterance, "avatar.speak_started")
        if self._dialect == "both":
            return
        at_ms = 0.0
        sentences = _SENTENCE.split(self._said[utterance.event_id].text)
        lasts_ms = utterance.received_samples * 1000 / RATE_HZ / max(1, sum(map(len, sentences)))
        for sentence in sentences:  # each is told as it begins to sound
            self._later(at_ms, self._chunk, utterance, sentence)
            at_ms += lasts_ms * len(sentence)

    def ended(self, utterance: Utterance, *, early: bool = False) -> None:
        self._end(utterance, self._said[utterance.event_id].text)

    def cleared(self, cut: Cut, utterances: tuple[Utterance, ...]) -> None:
        for utterance in utterances:
            if utterance.started_s is not None:
                self._end(utterance, self._chunks.get(utterance.event_id, ""))

    def turn(self, pose: Pose, *, again: bool = False) -> None:
        self.pose = pose

    def _chunk(self, utterance: Utterance, sentence: str) -> None:
        if utterance.ended_s is None:
            before = self._chunks.get(utterance.event_id, "")
            self._chunks[utterance.event_id] = so_far = f"{before} {sentence}".strip()
            new = so_far if self._dialect == "state_updates" else so_far[len(before) :]
            self._of(utterance, "avatar.transcription.chunk", text=new)

    def _end(self, utterance: Utterance, text: str) -> None:
        self.pose = "idle"
        if self._dialect != "both":
            self._of(utterance, "avatar.transcription", text=text)
        self._of(utterance, "avatar.speak_ended")
        if self._dialect == "both":
            self._of(utterance, "avatar.transcription", text=text)

    def _of(self, utterance: Utterance, kind: str, **more: Any) -> None:
        source_id = None if self._dialect == "state_updates" else self._said[utterance.event_id].source_id
        self._tell(kind, source_event_id=source_id, **more)


@dataclass(eq=False)
class FullTwinSession(TwinSession):
    """A session with somebody in it. context None: it repeats, and answers nobody, as the real one."""

    service: ClassVar[Service] = "backup"

    context: Context | None = None
    skills: Skills = field(default_factory=Skills, repr=False)
    lines: list[Line] = field(default_factory=list, repr=False)
    heard_bytes: int = 0

    def __post_init__(self) -> None:
        self._said: dict[str, Said] = {}
        self._asked = list(self.context.asked) if self.context else []
        self._work: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()
        self._ear = _Ear(self)
        super().__post_init__()

    def _teller(self) -> Any:
        return RoomTeller(self.config.dialect, self._said, self._announce, self._later)

    # --- its room ---------------------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Be in the room with a client until either side has enough."""
        working = asyncio.create_task(self._think(), name=f"liveavatar assistant {self.id}")
        try:
            return await super().serve(request)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            while not self._work.empty():
                self._work.get_nowait().close()

    async def _think(self) -> None:
        """What was ordered or heard, one thing after another."""
        while True:
            await (await self._work.get())

    def _welcome_ms(self) -> float:
        return self.outside.context.draw("avatar_open")

    def _connect(self, socket: Socket) -> None:
        socket.connected = True
        for identity in ("heygen", f"liveavatar-agent-{self.id}"):
            socket.say(json.dumps({"topic": "joined", "payload": identity}))

    def _receive(self, raw: str, socket: Socket) -> None:
        self.touch()
        try:
            frame = json.loads(raw)
            topic, message = frame["topic"], json.loads(frame["payload"])
            kind, event_id = message["event_type"], message["event_id"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return  # a room passes on whatever it gets; the assistant understands what it understands
        text = message.get("text")
        self._note(kind, event_id, len(raw.encode()), 0, dropped=not socket.connected)
        if topic != "agent-control" or not isinstance(event_id, str) or not socket.connected:
            return
        if kind == "avatar.interrupt":
            self.silence(event_id)
        elif kind == "avatar.speak_text" and isinstance(text, str) and text.strip():
            self._work.put_nowait(self.say(text, event_id, answers=False))
        elif kind == "avatar.speak_response" and isinstance(text, str) and text.strip():
            self._work.put_nowait(self.answer(text, event_id))

    def _receive_sound(self, pcm: bytes) -> None:
        self.touch()
        self.heard_bytes += len(pcm)
        if self.context is not None:
            self._ear.hear(pcm)

    def _on_frame(self, event_id: str, at_s: float, pcm: bytes) -> None:
        super()._on_frame(event_id, at_s, pcm)
        if self._socket is not None:
            self._socket.say(pcm)

    def _announce(self, kind: str, **fields: Any) -> None:
        ids = {"event_id": self.outside.new_id(), "session_id": self.id, "source_event_id": None}
        if kind == "avatar.transcription":
            self.lines.append(Line("avatar", fields["text"], self._loop.time()))
        self._say({"event_type": kind, **ids, **fields})

    def _say(self, message: Json) -> None:
        super()._say({"topic": "agent-response", "payload": json.dumps(message)})

    def transcript(self, since_ms: int) -> Json:
        """What was said from a moment on, as REST tells it."""
        begun_s = self.started_s or 0.0
        lines = [(line, round(line.at_s * 1000)) for line in self.lines]
        told = [
            {
                "role": line.role,
                "transcript": line.text,
                "absolute_timestamp": at_ms,
                "relative_timestamp": at_ms - round(begun_s * 1000),
            }
            for line, at_ms in lines
            if at_ms >= since_ms
        ]
        next_ms = max((at_ms + 1 for _, at_ms in lines), default=0)
        return {"session_active": self.state == "active", "transcript_data": told, "next_timestamp": next_ms}

    # --- its assistant ----------------------------------------------------------------------------------

    def silence(self, event_id: str | None) -> None:
        """Stop speaking, and forget what waits."""
        while not self._work.empty():
            self._work.get_nowait().close()
        self.player.interrupt(event_id)

    async def answer(self, text: str, source_id: str | None) -> None:
        """What the brain says to this."""
        if self.context is None:
            return
        self.lines.append(Line("user", text, self._loop.time()))
        sensed = sense(self.context.prompt)
        reply = answer(self.skills.book, text, sensed, history=self._asked, first=not self._asked)
        self._asked.append(text)
        await self.say(reply, source_id, answers=True)

    async def say(self, text: str, source_id: str | None, *, answers: bool) -> None:
        """Speak a text after whatever is being spoken."""
        speech = await asyncio.to_thread(self.skills.voice.synthesize, text)
        event_id = self.outside.new_id()
        self._said[event_id] = Said(text=text, source_id=source_id, answers=answers)
        self.player.append(event_id, speech.sound.at_rate(RATE_HZ).to_bytes())
        self.player.seal(event_id)

    def _draw_start_ms(self, utterance: Utterance) -> float:
        said = self._said[utterance.event_id]
        return self.outside.context.draw("backup_answer" if said.answers else "avatar_start")

    def customer_began(self) -> None:
        """The customer is heard; what the assistant was saying is over."""
        self._announce("user.speak_started")
        self.silence(None)

    def customer_goes_on(self, sound: Sound) -> None:
        """The customer is still speaking."""
        self._work.put_nowait(self._recognise(sound, whole=False))

    def customer_ended(self, sound: Sound) -> None:
        """The customer's turn is over."""
        self._announce("user.speak_ended")
        self._work.put_nowait(self._recognise(sound, whole=True))

    async def _recognise(self, sound: Sound, *, whole: bool) -> None:
        lines = self.skills.lines
        match = await asyncio.to_thread(lines.match, sound) if lines is not None else None
        text = " ".join(word.word for word in match.words) if match else ""
        if text and not whole:
            self._announce("user.transcription.chunk", text=text)
        elif text:
            await asyncio.sleep(self.outside.context.draw("stt_results") / 1000)
            self._announce("user.transcription", text=text)
            self._work.put_nowait(self.answer(text, None))


class _Ear:
    """Tells the session when the customer begins and ends to speak."""

    def __init__(self, session: FullTwinSession) -> None:
        self._session = session
        self._begin_ms: float | None = None
        self._due_ms = 0.0  # the next words of what is being said

    @cached_property
    def _vad(self) -> VoiceActivityDetector:
        return VoiceActivityDetector(hang_ms=TURN_END_MS)

    def hear(self, pcm: bytes) -> None:
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.int16)
        self._sound = np.concatenate([self._sound, samples])
        for event in self._vad.feed(samples):
            if event.kind == "speech_started":
                self._begin_ms, self._due_ms = event.sound_at_ms, self._vad.now_ms + CHUNK_EVERY_MS
                self._session.customer_began()
            else:
                self._session.customer_ended(self._cut(event.sound_at_ms + 60))
                self._begin_ms = None
        if self._begin_ms is not None and self._vad.now_ms >= self._due_ms:
            self._due_ms += CHUNK_EVERY_MS
            self._session.customer_goes_on(self._cut(self._vad.now_ms))
        spare = len(self._sound) - 2 * MIC_RATE_HZ
        if self._begin_ms is None and spare > 0:
            self._sound, self._from = self._sound[spare:], self._from + spare

    _sound = np.zeros(0, dtype=np.int16)
    _from = 0  # how many samples were forgotten

    def _cut(self, until_ms: float) -> Sound:
        begin_ms = (self._begin_ms or 0.0) - 120  # the detector is a little late at soft beginnings
        first, last = (round(ms * MIC_RATE_HZ / 1000) - self._from for ms in (begin_ms, until_ms))
        return Sound(self._sound[max(0, first) : last], MIC_RATE_HZ)
