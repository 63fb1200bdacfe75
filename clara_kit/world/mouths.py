"""A voice and an avatar that speaks with it: pure timelines, beside those of the other services (`timelines.py`).

An utterance's texts go in as they are ordered; what will happen comes out at once, with its times, and is void from the
moment on at which the utterance is silenced or broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import ClassVar

from clara_kit.audio.lead import BETWEEN_MS, HEAD_MS
from clara_kit.audio.spoken import Pronunciation, spoken
from clara_kit.conversation.heard import CHARS_PER_S
from clara_kit.core import events as ev
from clara_kit.core.settings import Settings
from clara_kit.providers.tts.flushing import Flushes
from clara_kit.world.faults import Fault, find
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.timelines import Draw, failed

Length = Callable[[str], float]
KEPT_BY = frozenset({"opener", "kept_answer"})
"""Who orders what is spoken from kept sound: a piece ordered `by` one of these."""

WATCHDOG_MS = 1500.0  # how much later than expected an utterance is closed whose end never comes
VOICE_STALL_MS = 8000.0  # a voice that sends nothing is given up after this, as by `DeepgramAuraTTS`
WAKE_MS = 100.0  # of silence given beforehand, as by `LiveAvatarLite`
START_STALL_MS = 10_000.0  # an avatar that does not begin to speak, as by `LiveAvatarLite`


@lru_cache(maxsize=4096)
def spoken_ms(text: str, speed: float = 1.0, pronunciation: Pronunciation = ()) -> float:
    """How long a voice takes for a text at this speed, to the microsecond: for what is said, not for what is written."""
    return round(len(spoken(text, pronunciation).text) / CHARS_PER_S * 1000 / speed, 3)


@dataclass(frozen=True, slots=True)
class Flush:
    """Sound that was asked for: its first sample comes at `first_ms`, all of it has come at `made_ms`."""

    first_ms: float
    lead_ms: float  # of silence at its head
    audio_ms: float  # the whole, that silence included
    made_ms: float


def flush(
    texts: Iterable[str], now_ms: float, draw: Draw, length: Length, *, late_ms: float = 0.0, leave_ms: float = inf
) -> Flush:
    """The voice is told to speak these texts now. leave_ms: of the silence at the head, which the kit waits to be over."""
    first_ms, lead_ms = now_ms + draw("tts_first_chunk") + late_ms, draw("tts_lead_silence")
    audio_ms, factor = lead_ms + sum(map(length, texts)), draw("tts_realtime_factor")
    cut_ms = max(0.0, lead_ms - leave_ms)
    return Flush(first_ms + cut_ms * factor, lead_ms - cut_ms, audio_ms - cut_ms, first_ms + audio_ms * factor)


class Mouth:
    """A voice and an avatar that speaks with it, one utterance at a time. Gives what will happen to it unless cut.

    Flushed as Aura is: the first piece makes sound at once, the rest when the reply ends or the sound runs out. Kept
    sound is there at once, without the voice, and what follows upon it is a first piece again.
    face: without one her sound is heard as it comes. What breaks the avatar's session is told last, without an id.
    """

    keeps: ClassVar[bool] = True
    """Whether it is given our voice's sound, which may be kept, or be silence: the avatar's own nobody has."""

    def __init__(self, settings: Settings, draw: Draw, length: Length | None = None, *, face: bool = True) -> None:
        speed, self._face = settings.tts_speed, face
        self._draw, self._length = draw, length or (lambda text: spoken_ms(text, speed))
        self._trims = settings.trim_lead_silence
        self.utterance_id = -1  # what is being spoken
        self.faults: tuple[Fault, ...] = ()
        self._voice_faults: Callable[[], tuple[Fault, ...]] | None = None
        self._awake_ms: float | None = None  # when it begins with the silence that it was given beforehand
        self._fresh = True  # what comes next from the voice is flushed at once
        self._texts: list[str] = []  # that wait for a flush
        self._last_piece = 0
        self._flushes, self._made_ms = Flushes(), 0.0
        self._start_ms = 0.0
        self._audio_ms = 0.0  # length of the sound that has been made
        self._free_ms = 0.0  # when all sound made so far will have been played

    def begin(
        self, utterance_id: int, faults: tuple[Fault, ...], voice: Callable[[], tuple[Fault, ...]] | None = None
    ) -> None:
        """A new utterance, and what goes wrong with it. voice: with the voice, where that is not used from the first."""
        self.utterance_id, self.faults, self._texts = utterance_id, faults, []
        self._voice_faults, self._fresh = voice, True
        self._audio_ms = self._made_ms = 0.0
        self._flushes.begin()

    def wake(self, on: bool, now_ms: float) -> None:
        """Begin with silence, unless it speaks or has begun; or stop that."""
        if on and self._face and self.keeps and self.utterance_id < 0 and self._awake_ms is None:
            self._awake_ms = now_ms + self._draw("avatar_start")
        elif not on:
            self._awake_ms = None

    def say(self, piece_no: int, text: str, now_ms: float, *, kept: bool = False) -> list[ev.Event]:
        """The next piece. kept: its sound is there, without most of the silence at its head."""
        if not (kept and self.keeps):
            return self.speak(piece_no, text, now_ms)
        happens, start_late_ms = self._sent(piece_no, now_ms) + self._rest(now_ms), 0.0  # what comes before it
        if piece_no == 0:
            broken, _, start_late_ms = self._struck(self.faults, now_ms)
            happens += broken
        self._made_ms = at_ms = max(now_ms, self._made_ms)
        made = Flush(at_ms, HEAD_MS, HEAD_MS + self._length(text), at_ms)
        self._last_piece, self._fresh = piece_no, True
        self._flushes.begin()
        return happens + self._sounds(made, piece_no, start_late_ms)

    def speak(self, piece_no: int, text: str, now_ms: float) -> list[ev.Event]:
        """The next piece, which the voice is yet to speak."""
        happens = self._sent(piece_no, now_ms)
        self._last_piece = piece_no
        if not self._fresh:
            self._texts.append(text)
            return happens
        self._fresh = False
        if self._voice_faults is not None:
            voice, self._voice_faults = self._voice_faults(), None
            self.faults += voice
        else:
            voice = self.faults if piece_no == 0 else ()
        broken, late_ms, start_late_ms = self._struck(voice, now_ms)
        return happens + broken + self._sounds(self._flush((text,), now_ms, late_ms), piece_no, start_late_ms)

    def _sent(self, piece_no: int, now_ms: float) -> list[ev.Event]:
        return [ev.SpeechSent(at_ms=now_ms, utterance_id=self.utterance_id, piece_no=piece_no)]

    def _struck(self, faults: tuple[Fault, ...], now_ms: float) -> tuple[list[ev.Event], float, float]:
        """What it fails with, and how much later its sound comes and the avatar begins."""
        who, happens, late_ms, start_late_ms = self.utterance_id, list[ev.Event](), 0.0, 0.0
        for fault in faults:
            stalls = fault.kind == "stall"
            limit_ms = VOICE_STALL_MS if fault.service == "tts" else START_STALL_MS
            if fault.kind in ("refuse", "cut", "error"):
                happens.append(failed(fault, now_ms + fault.after_ms, utterance_id=who))
                if (fault.service, fault.kind) == ("avatar", "cut"):
                    happens.append(failed(fault, now_ms + fault.after_ms))
            elif stalls and not 0 < fault.for_ms <= limit_ms:
                at_ms = now_ms + fault.after_ms + limit_ms
                happens.append(failed(fault, at_ms, stalled=True, utterance_id=who))
            if fault.kind == "slow" or stalls:
                waits_ms = (fault.for_ms or inf) if stalls else fault.for_ms
                late_ms += waits_ms if fault.service == "tts" else 0.0
                start_late_ms += waits_ms if fault.service == "avatar" else 0.0
        return happens, late_ms, start_late_ms

    def _sounds(self, made: Flush, piece_no: int, start_late_ms: float = 0.0) -> list[ev.Event]:
        """New sound: the first of the utterance, with which the avatar begins, or the next of it."""
        first = not self._audio_ms
        self._audio_ms += made.audio_ms
        if not first:
            self._free_ms = max(self._free_ms, made.first_ms) + made.audio_ms
            return [self._voiced(made, piece_no)]
        who, face = self.utterance_id, self._face
        awake_ms, self._awake_ms = self._awake_ms, None
        if awake_ms is None:
            self._start_ms = made.first_ms + (self._draw("avatar_start") if face else 0.0) + start_late_ms
        else:
            self._start_ms = max(made.first_ms, awake_ms + WAKE_MS) + start_late_ms
        self._free_ms = self._start_ms + made.audio_ms
        playout_ms = self._draw("playout") if face else 0.0
        return [
            ev.FirstAudio(at_ms=made.first_ms, utterance_id=who),
            self._voiced(made, piece_no),
            ev.SpeakingStarted(at_ms=self._start_ms, utterance_id=who, playout_ms=playout_ms),
        ]

    def due_ms(self, now_ms: float) -> float:
        """When what waits has to be flushed though the reply goes on: `go_on` then."""
        due_ms = self._flushes.due_ms(now_ms) if self._texts and self.utterance_id >= 0 else None
        return inf if due_ms is None else max(due_ms, self._made_ms)

    def go_on(self, now_ms: float) -> list[ev.Event]:
        """Make the sound of what waits, if it is due."""
        return self._rest(now_ms) if self.due_ms(now_ms) <= now_ms else []

    def _rest(self, now_ms: float) -> list[ev.Event]:
        if not self._texts:
            return []
        made = self._flush(self._texts, now_ms)
        self._texts = []
        return self._sounds(made, self._last_piece)

    def _voiced(self, made: Flush, last: int) -> ev.SpeechVoiced:
        return ev.SpeechVoiced(
            at_ms=made.made_ms,
            utterance_id=self.utterance_id,
            piece_no=last,
            audio_ms=self._audio_ms,
            lead_ms=made.lead_ms,
            first_ms=made.first_ms,
        )

    def _flush(self, texts: Sequence[str], now_ms: float, late_ms: float = 0.0) -> Flush:
        leave_ms = (BETWEEN_MS if self._audio_ms else HEAD_MS) if self._trims else inf
        made = flush(texts, now_ms, self._draw, self._length, late_ms=late_ms, leave_ms=leave_ms)
        self._made_ms = made.made_ms
        self._flushes.make(now_ms)
        self._flushes.sound(made.audio_ms, made.first_ms)
        return made

    def end(self, now_ms: float) -> list[ev.Event]:
        """No more pieces: make the sound of the rest, and end when all of it has been played."""
        happens = self._rest(now_ms)
        end_ms, estimated = ending(self._start_ms, self._free_ms, now_ms, self.faults)
        happens.append(ev.SpeakingEnded(at_ms=end_ms, utterance_id=self.utterance_id, estimated=estimated))
        return happens

    def interrupt(self, now_ms: float) -> ev.Event:
        """Fall silent."""
        who, self.utterance_id = self.utterance_id, -1
        silent_ms = now_ms + (self._draw("avatar_interrupt") if self._face else 0.0)
        return ev.SpeakingInterrupted(at_ms=silent_ms, utterance_id=who)


def ending(start_ms: float, free_ms: float, now_ms: float, faults: tuple[Fault, ...]) -> tuple[float, bool]:
    """When the avatar tells that it has finished, and whether that is only estimated."""
    end_ms, began_ms = max(free_ms, now_ms), max(start_ms, now_ms)
    if find(faults, "premature_end"):
        end_ms = began_ms + (end_ms - began_ms) / 2
    return (end_ms + WATCHDOG_MS, True) if find(faults, "no_end") else (end_ms, False)


def classic_start_ms(latency: LatencyProfile) -> float:
    """When the classic avatar is taken to speak after a piece was handed to it, for it never says so itself.

    One law for the provider that assumes it, the simulation that shows it and the ledger that counts it.
    """
    return latency.laws["avatar_start"].middle


class ClassicMouth(Mouth):
    """HeyGen's classic avatar: each piece is a task of its own, spoken by the avatar's own voice, answered at its end."""

    keeps = False

    def __init__(self, settings: Settings, draw: Draw, length: Length | None = None, *, assumed_ms: float) -> None:
        super().__init__(settings, draw, length)
        self._assumed_ms = assumed_ms

    def speak(self, piece_no: int, text: str, now_ms: float) -> list[ev.Event]:
        """The next piece; its task begins when the one before has been answered."""
        who = self.utterance_id
        sent_ms = now_ms if piece_no == 0 else max(now_ms, self._free_ms)
        slow, broken = find(self.faults, "slow"), find(self.faults, "refuse", "cut", "error", "stall")
        happens: list[ev.Event] = [ev.SpeechSent(at_ms=sent_ms, utterance_id=who, piece_no=piece_no)]
        if broken is not None and piece_no == 0:
            happens.append(failed(broken, now_ms + broken.after_ms, utterance_id=who))
        start_ms = sent_ms + self._draw("avatar_start") + (slow.for_ms if slow else 0.0)
        length_ms = self._length(text)
        self._free_ms = start_ms + length_ms
        self._audio_ms = length_ms if piece_no == 0 else self._audio_ms + length_ms
        if piece_no == 0:
            self._start_ms = at_ms = min(sent_ms + self._assumed_ms, self._free_ms)
            happens += [
                ev.FirstAudio(at_ms=at_ms, utterance_id=who, estimated=True),
                ev.SpeakingStarted(at_ms=at_ms, utterance_id=who, estimated=True, playout_ms=self._draw("playout")),
            ]
        at_ms, so_far_ms = self._free_ms, self._audio_ms
        voiced = ev.SpeechVoiced(
            at_ms=at_ms, utterance_id=who, piece_no=piece_no, audio_ms=so_far_ms, first_ms=start_ms
        )
        return [*happens, voiced]

    def end(self, now_ms: float) -> list[ev.Event]:
        """No more pieces: it ends when the last task has been answered."""
        end_ms, _ = ending(self._start_ms, self._free_ms, now_ms, self.faults)
        return [ev.SpeakingEnded(at_ms=end_ms, utterance_id=self.utterance_id, estimated=True)]

    def interrupt(self, now_ms: float) -> ev.Event:
        """The order is answered at once; nothing tells when the sound stops."""
        who, self.utterance_id = self.utterance_id, -1
        return ev.SpeakingInterrupted(at_ms=now_ms, utterance_id=who, estimated=True)


def mouth_for(settings: Settings, latency: LatencyProfile, draw: Draw, length: Length | None = None) -> Mouth:
    """The avatar of the settings' vendor."""
    if settings.avatar_vendor == "heygen":
        return ClassicMouth(settings, draw, length, assumed_ms=classic_start_ms(latency))
    return Mouth(settings, draw, length)
