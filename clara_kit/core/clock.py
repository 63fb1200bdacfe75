"""Time is a thing that is passed in: one monotonic clock for each conversation, in milliseconds."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Tells the time since the conversation's clock was made. Never goes backwards."""

    def now_ms(self) -> float:
        """Milliseconds on the conversation's clock."""
        ...
