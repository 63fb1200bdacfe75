"""Who hears the customer in a simulation: the recogniser, the avatar vendor's own assistant, and the local ear.

The part of `scheduler.py` that stands where `runtime/hearing.py` and the recogniser stand for real ones. Whoever hears next
is given what the one before had left without words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from clara_kit.core import events as ev
from clara_kit.core.settings import Settings
from clara_kit.world import timelines
from clara_kit.world.assistant import TURN_END_MS
from clara_kit.world.faults import Fault
from clara_kit.world.script import Line, WordTime
from clara_kit.world.speakers import Speakers

KEPT_MS = 30_000.0  # as much of what nobody has given words for is given to the next ear, as by `runtime/hearing.py`
VAD_HANG_MS = 64.0  # two frames of 32 ms: how long the local VAD waits before it says that a sound stopped


class Hears:
    """What `World` is made of."""

    settings: Settings
    speakers: Speakers
    _draw: timelines.Draw
    _now_ms: float

    if TYPE_CHECKING:

        def at(self, at_ms: float, what: ev.Event | Callable[[float], object]) -> None: ...
        def faults(self, service: ev.Service) -> tuple[Fault, ...]: ...
        def _feed(self, event: ev.Event) -> None: ...

    def _listens(self) -> None:
        self._ear = timelines.Ear(self.settings, self._draw)
        self._hears = True  # the recogniser is not given up
        self._backup_hears = False

    @property
    def now_ms(self) -> float:
        """The time of what happens now."""
        return self._now_ms

    def feed(self, event: ev.Event) -> None:
        """Let it happen now."""
        self._feed(event)

    def _recognise(self, line: Line, now_ms: float) -> None:
        if self._backup_hears:
            for words in timelines.stretches(line, TURN_END_MS):
                self._vad(now_ms + words[0].start_ms, now_ms + words[-1].end_ms)
                self._backup_told(words, now_ms)
            return
        faults = self.faults("stt") if self._hears else ()
        for words in self._ear.line(line, faults):
            self._vad(now_ms + words[0].start_ms, now_ms + words[-1].end_ms)
            self._heard(self._ear.hear(words, now_ms))

    def _heard(self, events: Iterable[ev.Event]) -> None:
        for event in events:
            self.at(event.at_ms, lambda _, event=event: self._feed(event) if self._ear.tells(event) else None)  # type: ignore[misc]

    def _vad(self, start_ms: float, end_ms: float) -> None:
        if not self.settings.local_vad:
            return
        onset, stop = start_ms + self._draw("stt_onset"), end_ms + VAD_HANG_MS
        if onset < end_ms:
            self.at(onset, ev.SpeechStarted(at_ms=onset, source="vad", sound_at_ms=start_ms))
            self.at(stop, ev.SpeechEnded(at_ms=stop, source="vad", sound_at_ms=end_ms))

    def _connect_ear(self) -> None:
        at_ms = self._now_ms
        refused = self._ear.connects(at_ms, self.faults("stt"))
        if refused is not None:
            return self.at(refused.at_ms, refused)
        self._hears = True
        self.at(at_ms, ev.ProviderRecovered(at_ms=at_ms, service="stt"))
        self._heard(self._ear.connected(at_ms))

    def _disconnect_ear(self) -> None:
        self._hears = False
        self._ear.disconnected(self._now_ms)

    def ears(self) -> None:
        """Whoever hears from now on is given what the one before had left without words."""
        before, self._backup_hears = self._backup_hears, self.speakers.hears
        if self._backup_hears and not before:
            for words, start_ms in self._ear.leaves(self._now_ms, KEPT_MS):
                self._backup_told(words, start_ms)
        elif before and not self._backup_hears:
            left = self.speakers.assistant.deafened(self._now_ms)
            self._heard(self._ear.takes(left, self._now_ms))

    def _backup_told(self, words: list[WordTime], start_ms: float) -> None:
        for event in self.speakers.assistant.hear(words, start_ms, self._now_ms):
            self.at(event.at_ms, lambda _, event=event: self._backup_heard(event))  # type: ignore[misc]

    def _backup_heard(self, event: ev.Event) -> None:
        if self._backup_hears:
            self._feed(event)
            if type(event) is ev.SpeechStarted:  # it stops by itself for whoever speaks
                self.speakers.silence(self.speakers.assistant.mouth)
