"""Whether to begin, asked of whoever is there: in a terminal y or n, in a notebook a button. A cell does not wait for it.

A notebook that nobody watches (a check, «run all» at night) so comes to its end without having spent anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Event, Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any

from clara_kit.core.errors import ClaraError, SettingsError
from clara_kit.core.page import escape
from clara_kit.lab.experiment.plan import Plan

if TYPE_CHECKING:
    from clara_kit.lab.experiment.experiment import Experiment

Begin = Callable[..., "Experiment"]
"""Runs it, agreed to: takes `progress` and `should_stop`."""


def agreed(plan: Plan, begin: Begin) -> bool:
    """Ask who is there; in a notebook it is begun by a button, later. Raises `SettingsError` where nobody can agree to pay."""
    if current_thread() is main_thread():
        if getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)() is not None:
            Offer(plan, begin).show()
            return False
        if sys.stdin is not None and sys.stdin.isatty():
            return input(f"{plan} Begin? [y/n] ").strip().lower() in ("y", "yes", "s", "si", "sí")
    if plan.costs:
        hint = "give ask=lambda plan: True if you agree."
        raise SettingsError(f"This costs money, and nobody is here to agree: {plan}", hint=hint)
    return True  # a while of nobody's time


class Offer:
    """The plan with a button that begins it and one that stops it; `begin` and `stop` do the same by hand."""

    def __init__(self, plan: Plan, begin: Begin) -> None:
        import ipywidgets as w

        self._begin, self._stop, self.thread = begin, Event(), None
        self.said = w.HTML(plan._repr_html_())
        self.go = w.Button(description="Begin · Comenzar", button_style="primary")
        self.halt = w.Button(description="Stop · Detener", disabled=True)
        self.go.on_click(lambda _: self.begin())
        self.halt.on_click(lambda _: self.stop())
        self.widget = w.VBox([self.said, w.HBox([self.go, self.halt])])

    thread: Thread | None

    def show(self) -> None:
        """Put it into the cell's output."""
        from IPython import display

        display.display(self.widget)  # type: ignore[no-untyped-call]

    def begin(self) -> None:
        """Begin, or go on; returns at once."""
        if not self.go.disabled:
            self.go.disabled, self.halt.disabled = True, False
            self._stop.clear()
            self.thread = Thread(target=self._run, name="clara-experiment", daemon=True)
            self.thread.start()

    def stop(self) -> None:
        """Stop soon; what was played is kept."""
        self._stop.set()

    def _run(self) -> None:
        try:
            done = self._begin(progress=self._tell, should_stop=self._stop.is_set)
            later = "" if not done.complete else "<p>Run the cell again to go on with it.</p>"
            self.said.value = done._repr_html_() + later
            self.go.disabled = done.complete
        except ClaraError as exc:
            self.said.value, self.go.disabled = f"<p>{escape(str(exc))}</p>", False
        finally:
            self.halt.disabled = True

    def _tell(self, progress: Any) -> None:
        self.said.value = f"<p role='status'>{escape(str(progress))}</p>"
