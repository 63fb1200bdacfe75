"""The scripted customer: when does the next line begin? Pure, and the same in every world.

Comes after `script.py`; before the simulation and the sound player of `make demo`, which tell it what they
see of Clara and ask it what to do. It knows no clock: whoever plays it fires its wishes at their time.
"""

from __future__ import annotations

from dataclasses import dataclass

from clara_kit.core.states import ConversationState
from clara_kit.world.script import Line, Script

READS_CHARS_PER_S = 25.0  # an estimate: about 270 words a minute, read in silence


@dataclass(frozen=True, slots=True)
class Wish:
    """Ask again with `ScriptedCustomer.fire(token)` at `due_ms`; a later wish makes an earlier one void."""

    due_ms: float
    token: int


class ScriptedCustomer:
    """Walks through a script's lines, reacting to what Clara does."""

    gone = False  # she hears all to its end

    def __init__(self, script: Script, *, greeted: bool) -> None:
        self._lines = script.lines
        self._next = 0
        self._token = 0
        self._talking = False
        self._clara_speaks = False
        self._clara_has_spoken = not greeted
        self._was_sound = False
        self._reads_until_ms = 0.0

    @property
    def done(self) -> bool:
        """All lines were said."""
        return self._next >= len(self._lines) and not self._talking

    def begin(self, at_ms: float) -> Wish | None:
        """The conversation begins: the first line follows the greeting, or comes by itself without one."""
        return self._after_clara(at_ms) if self._clara_has_spoken else self._at_most(at_ms)

    def saw(self, state: ConversationState, at_ms: float) -> Wish | None:
        """The conversation's state changed."""
        if state is ConversationState.AVATAR_SPEAKING:
            self._clara_speaks = self._clara_has_spoken = True
            line = self._waiting_line()
            if line is None:
                return None
            self._token += 1  # she speaks: waiting in vain is over
            return Wish(at_ms + line.interrupt_after_ms, self._token) if line.interrupt_after_ms is not None else None
        if state is ConversationState.IDLE:
            self._clara_speaks = False
            return self._after_clara(at_ms) if self._clara_has_spoken else None
        return None

    def reads(self, text: str, at_ms: float) -> Wish | None:
        """What Clara cannot say is shown, and is an answer like one that is heard."""
        self._reads_until_ms = max(at_ms, self._reads_until_ms) + len(text) / READS_CHARS_PER_S * 1000
        self._clara_has_spoken = True
        return None if self._clara_speaks else self._after_clara(at_ms)

    def line_ended(self, at_ms: float) -> Wish | None:
        """The line that `fire` gave has been said."""
        self._talking = False
        # A mere sound asks for no reply: if Clara goes on, the next line follows when she is done.
        self._clara_has_spoken = self._was_sound and self._clara_speaks
        return self._at_most(at_ms)

    def fire(self, token: int) -> Line | None:
        """The line to say now, or None when things have changed since the wish."""
        line = self._waiting_line()
        if token != self._token or line is None:
            return None
        self._talking = True
        self._was_sound = line.sound is not None
        self._next += 1
        return line

    def account(self) -> None:
        """Nothing can be told of one who says her lines whatever she hears."""

    def _waiting_line(self) -> Line | None:
        return None if self._talking or self._next >= len(self._lines) else self._lines[self._next]

    def _after_clara(self, at_ms: float) -> Wish | None:
        line = self._waiting_line()
        if line is None:
            return None
        self._token += 1
        return Wish(max(at_ms, self._reads_until_ms) + line.after_clara_ms, self._token)

    def _at_most(self, at_ms: float) -> Wish | None:
        line = self._waiting_line()
        if line is None:
            return None
        self._token += 1
        return Wish(at_ms + line.at_most_ms, self._token)
