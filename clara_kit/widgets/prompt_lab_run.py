"""An experiment on its way, in a thread of its own: how far it is, what there is of it, and what stopped it.

The kernel's other cells go on meanwhile. Nothing is drawn from here: the page asks while it is seen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic
from typing import Any, Literal

from clara_kit.core.errors import ClaraError
from clara_kit.lab.experiment.experiment import Experiment
from clara_kit.lab.experiment.runner import Progress

log = logging.getLogger("clara_kit.widgets")
ARRIVES_S = 1.0  # how often what has come so far is read, at most

State = Literal["idle", "starting", "running", "reckoning", "stopped", "done", "failed"]
Job = Callable[[Callable[[Progress], None], Callable[[], bool]], Experiment]
"""Runs an experiment: tells its progress, asks whether it should stop, returns what there is."""


class Running:
    """`start` begins and returns at once; `stop` lets what has begun be finished; `wait` is for cells and tests."""

    def __init__(self) -> None:
        self.state: State = "idle"
        self.done = self.all = 0
        self.left_s: float | None = None
        self.seconds = 0.0
        self.experiment: Experiment | None = None
        self.compared: Any = None
        self.error: ClaraError | None = None
        self._stop = Event()
        self._thread: Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether it is still at it."""
        return self.state in ("starting", "running", "reckoning")

    def start(self, job: Job, reckon: Callable[[Any], Any]) -> None:
        """Begin `job`; when it was not stopped, what `reckon` makes of it is `compared`."""
        if self.busy:
            return
        self.state, self.error, self.compared, self.left_s = "starting", None, None, None
        self._stop.clear()
        self._thread = Thread(target=self._run, args=(job, reckon), name="clara-experiment", daemon=True)
        self._thread.start()

    def forget(self) -> None:
        """What is begun next is another choice: what there is belongs to the one before."""
        if not self.busy:
            self.experiment, self.done, self.all = None, 0, 0

    def stop(self) -> None:
        """Stop soon."""
        self._stop.set()

    def wait(self, timeout_s: float | None = None) -> State:
        """Wait until it is over, at most so long."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self.state

    def _run(self, job: Job, reckon: Callable[[Any], Any]) -> None:
        began, next_look = monotonic(), 0.0

        def progress(now: Progress) -> None:
            nonlocal next_look
            self.done, self.all, self.left_s, self.state = now.done, now.of, now.seconds_left, "running"
            if (at := monotonic()) >= next_look:
                so_far = Experiment.load(now.folder)
                _ = so_far.rows, so_far.turns  # read here, not in the kernel's own thread
                self.experiment, next_look = so_far, monotonic() + max(ARRIVES_S, min(5.0, 10 * (monotonic() - at)))

        try:
            self.experiment = job(progress, self._stop.is_set)
            self.seconds = monotonic() - began
            self.done, self.all = len(self.experiment.rows), self.experiment.conversations
            if not self.experiment.complete:
                self.state = "stopped"
                return
            self.state = "reckoning"
            self.compared = reckon(self.experiment)
            self.state = "done"
        except ClaraError as exc:
            self.error, self.state = exc, "failed"
        except Exception as exc:
            log.exception("the experiment broke off")
            self.error = ClaraError(f"The experiment broke off: {exc!r}.", hint="run it again: what is done is kept.")
            self.state = "failed"
