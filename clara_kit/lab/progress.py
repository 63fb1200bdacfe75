"""A line in a notebook's output for whatever takes longer than a moment: what is going on, how far, for how long.

It is drawn from a thread of its own, so that it also moves while the cell computes. Outside of a kernel nothing is shown.
"""

from __future__ import annotations

import sys
from contextvars import copy_context
from threading import Event, Thread
from time import monotonic
from typing import Any, Self

from clara_kit.core.outside import printable
from clara_kit.core.page import escape

EVERY_S = 0.5


class Progress:
    """Enter it with what is being done; `tell` what is being done now, and `end` with what came of it."""

    def __init__(self, doing: str) -> None:
        self._said, self._end, self._began = doing, "", monotonic()
        self._over, self._shown = Event(), None

    def tell(self, doing: str) -> None:
        """Say what is being done now; from any thread."""
        self._said = doing

    def end(self, sentence: str) -> None:
        """What the line will say when it is over; without one it disappears."""
        self._end = sentence

    def __enter__(self) -> Self:
        if _kernel() is not None:
            self._shown = _display(self._line(), raw=True, display_id=True)
            # The cell's own context: what a kernel shows belongs to the cell that it is shown for.
            self._ticks = Thread(target=copy_context().run, args=(self._tick,), name="clara-progress", daemon=True)
            self._ticks.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._shown is not None:
            self._ticks.join()
            self._shown.update({"text/plain": self._end, "text/html": _small(self._end)}, raw=True)

    @property
    def seconds(self) -> int:
        """For how long, so far."""
        return round(monotonic() - self._began)

    def _tick(self) -> None:
        while not self._over.wait(EVERY_S):
            self._shown.update(self._line(), raw=True)  # type: ignore[attr-defined]

    def _line(self) -> dict[str, str]:
        text = f"{self._said} … {self.seconds} s"
        return {"text/plain": text, "text/html": _small(text)}


def say(sentence: str) -> None:
    """Say something in the cell's output, once."""
    if _kernel() is not None:
        _display({"text/plain": printable(sentence), "text/html": f"<p>{escape(sentence)}</p>"}, raw=True)


def _display(*what: Any, **how: Any) -> Any:
    from IPython import display

    return display.display(*what, **how)  # type: ignore[no-untyped-call]


def _kernel() -> Any:
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def _small(text: str) -> str:
    return f"<small role='status'>{escape(text)}</small>" if text else ""
