"""What the avatar says, at the pace of sound: the loudspeaker of the LiveAvatar twin.

Comes after `liveavatar_session.py`, which feeds it the audio of the socket and turns what happens here into
the vendor's messages. It knows no protocol. Everything is worked out from deadlines (a wake-up that comes
late changes nothing but the moment of its delivery), so that the pace does not drift.

What is decided here, and why:

- **An utterance begins** a start-up time after its first sound came, and not before the one ahead is over.
- **Running dry** before the end was announced makes the avatar wait, still talking: an underrun.
- **An interrupt forgets what had come before it.** Sound that comes after it, even of the same utterance, is
  new sound and is played: a client that does not stop sending is found out, as with the real avatar.
- **An utterance lasts until its end is announced or it is interrupted**: until then all sound is its sound,
  whatever id the message carries (some clients give each chunk an id of its own, and work). One that is never
  ended holds the avatar for ever.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from clara_kit.world.faults import Fault

RATE_HZ = 24_000
FRAME_SAMPLES = RATE_HZ // 50  # 20 ms
REMEMBERED = 200  # messages, and utterances, of a session: for whoever looks at what was seen of it


@dataclass(frozen=True, slots=True)
class PlayedFrame:
    """Sound that was played: 16-bit little-endian mono at 24 kHz, 20 ms or less.

    at_s: when its first sample sounded, on the server loop's clock (`time.monotonic()`).
    """

    session_id: str
    event_id: str
    at_s: float
    pcm: bytes


@dataclass(eq=False, kw_only=True)
class Utterance:
    """One utterance and what became of it. Times in seconds on the server loop's clock."""

    event_id: str
    """The id of its first chunk."""
    task_id: str
    arrived_s: float
    event_ids: set[str] = field(default_factory=set, repr=False)
    ready_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    sealed_s: float | None = None
    """When its end was announced."""
    interrupted: bool = False
    underruns: int = 0
    received_samples: int = 0
    samples: int = 0
    """How many were played."""
    faults: tuple[Fault, ...] = field(default=(), repr=False)
    _pcm: bytearray = field(default_factory=bytearray, repr=False)
    _anchor_s: float = 0.0
    _anchor_sample: int = 0
    _doomed: bool = False
    _dry: bool = False

    @property
    def open(self) -> bool:
        """More sound may come."""
        return self.sealed_s is None and not self._doomed and self.ended_s is None

    @property
    def silenced(self) -> bool:
        """It was interrupted, or is about to be."""
        return self.interrupted or self._doomed

    def take(self, pcm: bytes, now_s: float) -> None:
        self._pcm += pcm
        self.received_samples = len(self._pcm) // 2
        if self._dry and self.received_samples > self.samples:
            self.anchor(now_s)

    def anchor(self, at_s: float) -> None:
        """The next sample sounds at `at_s`."""
        self._anchor_s, self._anchor_sample, self._dry = at_s, self.samples, False

    def time_of(self, sample: int) -> float:
        return self._anchor_s + (sample - self._anchor_sample) / RATE_HZ

    def sample_at(self, at_s: float) -> int:
        # The hundredth absorbs what floating point loses on a deadline that is exactly a sample's.
        return self._anchor_sample + int((at_s - self._anchor_s) * RATE_HZ + 0.01)

    def cut_out(self, end: int) -> tuple[float, bytes]:
        """Play up to sample `end`: when that began, and the sound."""
        first, self.samples = self.samples, end
        return self.time_of(first), bytes(self._pcm[first * 2 : end * 2])

    def finish(self, at_s: float, *, interrupted: bool) -> None:
        self.ended_s, self.interrupted = at_s, interrupted
        self._pcm.clear()


@dataclass(frozen=True, slots=True)
class Cut:
    """An interrupt that has been ordered and takes effect at `at_s`."""

    at_s: float
    command_id: str | None
    utterances: tuple[Utterance, ...]


@dataclass(kw_only=True)
class Hooks:
    """What the player asks for (delays in milliseconds) and whom it tells. All are called on its loop."""

    start_ms: Callable[[Utterance], float]
    interrupt_ms: Callable[[tuple[Utterance, ...]], float]
    started: Callable[[Utterance], None]
    ended: Callable[[Utterance], None]
    cleared: Callable[[Cut, tuple[Utterance, ...]], None]
    frame: Callable[[str, float, bytes], None]
    new_id: Callable[[], str]


class Player:
    """Plays utterances one after another on the running loop's clock."""

    def __init__(self, hooks: Hooks) -> None:
        self.utterances: deque[Utterance] = deque(maxlen=REMEMBERED)
        self._hooks = hooks
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Utterance] = deque()
        self._cuts: deque[Cut] = deque()
        self._free_s = float("-inf")  # when the utterance before was over
        self._frozen = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._thaw_timer: asyncio.TimerHandle | None = None

    def append(self, event_id: str | None, pcm: bytes) -> Utterance:
        """Queue sound: the utterance that it belongs to."""
        self._pump()  # first see whether what was there ran dry before this came
        now_s = self._loop.time()
        utterance = self._open_one()
        if utterance is None:
            ids = self._hooks.new_id
            utterance = Utterance(event_id=event_id or ids(), task_id=ids(), arrived_s=now_s)
            utterance.ready_s = now_s + self._hooks.start_ms(utterance) / 1000
            self._queue.append(utterance)
            self.utterances.append(utterance)
        utterance.event_ids.add(event_id or utterance.event_id)
        utterance.take(pcm, now_s)
        self._pump()
        return utterance

    def seal(self, event_id: str | None) -> Utterance | None:
        """No more sound for the open utterance, unless the id is one of an utterance that is over."""
        self._pump()
        utterance = self._open_one()
        others = (u for u in self.utterances if event_id in u.event_ids)
        if utterance is None or (event_id not in utterance.event_ids and any(others)):
            return None
        utterance.sealed_s = self._loop.time()
        self._pump()
        return utterance

    def interrupt(self, command_id: str | None) -> None:
        """Forget, after the avatar's own delay, all sound that has come so far."""
        self._pump()
        doomed = tuple(u for u in self._queue if not u._doomed)
        for utterance in doomed:
            utterance._doomed = True
        after_s = self._hooks.interrupt_ms(doomed) / 1000
        self._cuts.append(Cut(self._loop.time() + after_s, command_id, doomed))
        self._cuts = deque(sorted(self._cuts, key=lambda cut: cut.at_s))
        self._pump()

    def freeze(self, for_s: float) -> None:
        """Stand still for `for_s` seconds (0: for ever)."""
        self._pump()
        self._frozen = True
        self._stop_timers()
        if for_s:
            self._thaw_timer = self._loop.call_later(for_s, self._thaw)

    def forget(self) -> None:
        """Fall silent now. What was waiting or being played counts as interrupted; nobody is told."""
        self._pump()
        self._stop_timers()
        for utterance in self._queue:
            utterance.finish(self._loop.time(), interrupted=True)
        self._queue.clear()
        self._cuts.clear()
        self._frozen = False

    def close(self) -> None:
        """Fall silent for good."""
        self.forget()
        self._closed = True

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._thaw_timer):
            if timer is not None:
                timer.cancel()

    def _open_one(self) -> Utterance | None:
        """Only the newest can be open: sound opens another one only where there is none."""
        return self._queue[-1] if self._queue and self._queue[-1].open else None

    def _thaw(self) -> None:
        now_s = self._loop.time()
        self._frozen = False
        self._free_s = max(self._free_s, now_s)
        self._cuts = deque(Cut(max(c.at_s, now_s), c.command_id, c.utterances) for c in self._cuts)
        if self._queue and self._queue[0].started_s is not None and not self._queue[0]._dry:
            self._queue[0].anchor(now_s)
        self._pump()

    def _pump(self) -> None:
        """Bring everything up to now, then sleep until something is due."""
        if self._closed or self._frozen:
            return
        now_s = self._loop.time()
        while self._cuts and self._cuts[0].at_s <= now_s:
            cut = self._cuts.popleft()
            self._play_until(cut.at_s)
            self._clear(cut)
        self._play_until(now_s)
        if self._timer is not None:
            self._timer.cancel()
        due = [d for d in (self._next_sound_s(), self._cuts[0].at_s if self._cuts else None) if d is not None]
        self._timer = self._loop.call_at(min(due), self._pump) if due else None

    def _play_until(self, at_s: float) -> None:
        while self._queue:
            utterance = self._queue[0]
            if utterance.started_s is None:
                begin_s = max(utterance.ready_s, self._free_s)
                if begin_s > at_s:
                    return
                utterance.started_s = begin_s
                utterance.anchor(begin_s)
                self._hooks.started(utterance)
            over_s = self._advance(utterance, at_s)
            if over_s is None:
                return
            self._queue.popleft()
            self._free_s = over_s
            utterance.finish(over_s, interrupted=False)
            self._hooks.ended(utterance)

    def _advance(self, utterance: Utterance, at_s: float) -> float | None:
        """Play the head of the queue up to `at_s`. When it was over, or None if it is not."""
        there, due = utterance.received_samples, utterance.sample_at(at_s)
        while utterance.samples + FRAME_SAMPLES <= min(there, due):
            self._emit(utterance, utterance.samples + FRAME_SAMPLES)
        if due < there:
            return None
        self._emit(utterance, there)
        dry_s = utterance.time_of(there)
        if utterance.sealed_s is not None:
            return max(dry_s, utterance.sealed_s)
        if utterance._doomed:
            return None
        if not utterance._dry:
            utterance._dry = True
            utterance.underruns += 1
        return None

    def _clear(self, cut: Cut) -> None:
        gone = tuple(u for u in cut.utterances if u in self._queue)
        for utterance in gone:
            if utterance.started_s is not None:
                self._emit(utterance, min(utterance.sample_at(cut.at_s), utterance.received_samples))
                self._free_s = cut.at_s
            utterance.finish(cut.at_s, interrupted=True)
            self._queue.remove(utterance)
        self._hooks.cleared(cut, gone)

    def _emit(self, utterance: Utterance, end: int) -> None:
        if end > utterance.samples:
            at_s, pcm = utterance.cut_out(end)
            self._hooks.frame(utterance.event_id, at_s, pcm)

    def _next_sound_s(self) -> float | None:
        if not self._queue:
            return None
        head = self._queue[0]
        if head.started_s is None:
            return max(head.ready_s, self._free_s)
        if head.samples >= head.received_samples:
            return None  # dry: sound, an end or an interrupt will wake us
        return head.time_of(min(head.samples + FRAME_SAMPLES, head.received_samples))
