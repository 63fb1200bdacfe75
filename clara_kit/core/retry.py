"""How long to wait before trying again: a pure policy, asked by whoever retries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with the plan's constants as defaults."""

    max_retries: int = 3
    initial_delay_ms: float = 1000
    multiplier: float = 2
    max_delay_ms: float = 10000

    def delay_ms(self, attempt: int) -> float | None:
        """Milliseconds to wait before retry `attempt` (1 is the first), or None when there is none left."""
        if not 1 <= attempt <= self.max_retries:
            return None
        return min(self.initial_delay_ms * self.multiplier ** (attempt - 1), self.max_delay_ms)
