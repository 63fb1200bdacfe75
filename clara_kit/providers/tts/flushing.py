"""When a voice that makes sound only of what is flushed is told to: for Aura, and for the simulated voices alike.

The first piece is flushed at once, so that Clara begins early, and the rest when the reply is complete; but where the
sound runs out before that, what has come is flushed in time. Flushes are few (Deepgram: twenty a minute): the last are
kept for beginnings and ends, without which something would not be said at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import asyncio

MAX_CHARS = 2000  # in one message (Deepgram's limits page)
FLUSHES_A_MINUTE = 20  # Deepgram's limits page; one more is ignored
_MINUTE_MS = 64_000.0  # after which the vendor has been seen to allow more
_KEPT = 8  # of them, for the first and the last flush of four replies a minute
LEAD_MS = 300.0
"""Before the sound runs out: a first chunk takes 250 ms (p95), and an avatar begins later than its sound."""


class Flushes:
    """How many were made in the last minute, and how long the sound lasts that they have made. Times in ms.

    Sound is taken to be played from its first sample on: no voice knows how much later an avatar begins.
    """

    def __init__(self) -> None:
        self._made_ms: deque[float] = deque()
        self.ends_ms = 0.0  # when the sound that has come will have been played, at the earliest

    def begin(self) -> None:
        """Another utterance: nothing of the one before is to be heard any more."""
        self.ends_ms = 0.0

    def make(self, now_ms: float) -> None:
        """One is made now."""
        self._made_ms.append(now_ms)

    def sound(self, length_ms: float, now_ms: float) -> None:
        """So much sound comes from now on."""
        self.ends_ms = max(self.ends_ms, now_ms) + length_ms

    def cut(self, length_ms: float) -> None:
        """So much of it was taken away, and is played by nobody."""
        self.ends_ms -= length_ms

    def due_ms(self, now_ms: float) -> float | None:
        """When what waits has to be flushed, if not earlier; None: flushes are short, it has to wait for the end."""
        while self._made_ms and self._made_ms[0] <= now_ms - _MINUTE_MS:
            self._made_ms.popleft()
        return max(now_ms, self.ends_ms - LEAD_MS) if len(self._made_ms) < FLUSHES_A_MINUTE - _KEPT else None


@runtime_checkable
class Flushed(Protocol):
    """A voice that makes sound only of what is flushed. Who takes some of its sound away tells `flushes`."""

    flushes: Flushes


async def batches(
    pieces: AsyncIterator[str], due_s: Callable[[], float | None], changed: asyncio.Event
) -> AsyncGenerator[list[str]]:
    """Pieces that are to be flushed together. due_s: in how many seconds what waits is due, as far as it is known.

    changed: set whenever that may be answered otherwise.
    """
    import asyncio  # here, for the simulation shares this module: a fifth of its first call was this library's

    more = asyncio.ensure_future(anext(pieces, None))
    waiting: list[str] = []
    first = True
    try:
        while True:
            changed.clear()
            stirred = asyncio.ensure_future(changed.wait())
            try:
                timeout_s = due_s() if waiting else None
                await asyncio.wait({more, stirred}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stirred.cancel()
            if more.done():
                if (piece := more.result()) is None:
                    break
                waiting.append(piece)
                more = asyncio.ensure_future(anext(pieces, None))
                if not first:
                    continue
            elif not waiting or due_s() != 0:
                continue
            yield waiting
            waiting, first = [], False
        if waiting:
            yield waiting
    finally:
        more.cancel()
        await asyncio.wait({more})


def parts(piece: str) -> list[str]:
    """A piece in parts that one message may hold, cut at spaces; each ends with a space, for Aura joins them as they are."""
    found: list[str] = []
    rest = piece.strip() + " "
    while len(rest) > MAX_CHARS:
        cut = rest.rfind(" ", 0, MAX_CHARS) + 1 or MAX_CHARS
        found.append(rest[:cut])
        rest = rest[cut:]
    return [*found, rest]
