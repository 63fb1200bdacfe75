"""The newest values of something that is measured again and again, and their exact percentiles. Used by `monitor.py`."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque


class Value:
    """One turn's time in one stage; a turn that begins anew has another."""

    __slots__ = ("is_kept", "ms")

    def __init__(self, ms: float) -> None:
        self.ms, self.is_kept = ms, True


class Window:
    """The newest values of a stage, in the order in which they came and in the order of size."""

    def __init__(self, size: int) -> None:
        self._size, self.newest = size, deque[Value]()
        self.sorted: list[float] = []

    def put(self, ms: float) -> Value:
        """One more; the oldest goes where there are too many."""
        value = Value(ms)
        self.newest.append(value)
        insort(self.sorted, ms)
        if len(self.newest) > self._size:
            old = self.newest.popleft()
            old.is_kept = False
            self._drop(old.ms)
        return value

    def change(self, value: Value, ms: float) -> None:
        """Another time for what is in it, if it still is."""
        if value.is_kept and value.ms != ms:
            self._drop(value.ms)
            insort(self.sorted, ms)
            value.ms = ms

    def take_back(self, value: Value) -> None:
        """As if it had never come."""
        if value.is_kept:
            self.newest.remove(value)
            self._drop(value.ms)

    def _drop(self, ms: float) -> None:
        del self.sorted[bisect_left(self.sorted, ms)]

    def quantile(self, share: float) -> float:
        """Between two values by the straight line between them."""
        at = share * (len(self.sorted) - 1)
        low = int(at)
        high = min(low + 1, len(self.sorted) - 1)
        return self.sorted[low] + (self.sorted[high] - self.sorted[low]) * (at - low)
