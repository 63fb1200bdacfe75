"""Is this sound an interruption? A sound is held for the debounce; what stops sooner was none.

Comes after the recogniser's (or the local VAD's) SpeechStarted; `Conversation` asks it and acts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from clara_kit.core.events import SpeechEnded, SpeechStarted


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait until `until_ms`; if the sound goes on, it is an interruption."""

    until_ms: float
    reason: str


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing to do, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Release:
    """The held sound was too short to mean anything."""

    reason: str


Decision: TypeAlias = Hold | Ignore | Release


class BargeInHandler:
    """Holds one sound at a time. `debounce_ms`: how long it must last (the plan's 100 ms)."""

    __slots__ = ("debounce_ms", "enabled", "held")

    def __init__(self, *, debounce_ms: float = 100.0, enabled: bool = True) -> None:
        self.debounce_ms = debounce_ms
        self.enabled = enabled
        self.held: SpeechStarted | None = None

    def sound_started(self, event: SpeechStarted) -> Decision:
        """A sound began while Clara speaks or is about to."""
        if not self.enabled:
            return Ignore("barge-in is switched off")
        if self.held is not None:
            return Ignore(f"a sound is already held since {self.held.at_ms:.0f} ms")
        self.held = event
        return Hold(
            event.at_ms + self.debounce_ms,
            f"a sound began while Clara has the floor: an interruption if it lasts {self.debounce_ms:.0f} ms",
        )

    def sound_ended(self, event: SpeechEnded) -> Decision:
        """The sound stopped."""
        if self.held is None:
            return Ignore("no sound is held")
        lasted = max(0.0, event.sound_at_ms - self.held.sound_at_ms)
        self.held = None
        return Release(
            f"the sound stopped after {lasted:.0f} ms, before {self.debounce_ms:.0f} ms had passed"
        )

    def clear(self) -> None:
        """Forget the held sound: it was confirmed, or no longer matters."""
        self.held = None
