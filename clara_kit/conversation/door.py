"""The one door of a conversation, the same in every world: hide, decide, fill, carry out.

What comes in is hidden before anything is decided upon it or written; what goes out is filled again, so that the
world gets the customer's words and the trace their placeholders. Used by `runtime/session.py` and `world/sim.py`, which
bring the hands that carry the commands out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clara_kit.conversation.conversation import Conversation
from clara_kit.core.commands import Command
from clara_kit.core.events import Event
from clara_kit.core.placeholders import Placeholders

Carry = Callable[[Any], object]


class Door:
    """carry: what does a command of this kind; the others are for whoever reads the trace."""

    __slots__ = ("carry", "conversation", "placeholders")

    def __init__(self, conversation: Conversation, carry: dict[type, Carry]) -> None:
        self.conversation, self.carry = conversation, carry
        self.placeholders = Placeholders()

    def feed(self, event: Event) -> int:
        """Let an event in and do what follows. Returns where in the trace its records begin."""
        conversation, placeholders = self.conversation, self.placeholders
        began = len(conversation.trace)
        if placeholders.is_empty:
            for command in conversation.handle(event):
                self.carry_out(command)
            return began
        for hidden in placeholders.events(event):
            for command in conversation.handle(hidden):
                self.carry_out(placeholders.filled(command))
        return began

    def carry_out(self, command: Command) -> None:
        """Do what a command says, where there are hands for it."""
        hand = self.carry.get(type(command))
        if hand is not None:
            hand(command)
