"""The real clock of one conversation."""

from __future__ import annotations

from time import perf_counter


class MonotonicClock:
    """Milliseconds since it was made, to the microsecond."""

    __slots__ = ("_began_s",)

    def __init__(self) -> None:
        self._began_s = perf_counter()

    def now_ms(self) -> float:
        """Milliseconds on the conversation's clock."""
        return round((perf_counter() - self._began_s) * 1000, 3)
