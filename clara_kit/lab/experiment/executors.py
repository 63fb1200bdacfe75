"""Who plays the cells: this process, processes of its own, or any `concurrent.futures.Executor`, batch by batch.

Batches, because a cluster takes milliseconds for each task it is sent, and a few at a time, because whoever stops wants to
wait for little. In which order they come back is nobody's concern: the tables are in the order of the cells.

On a cluster, with Dask as an example (`pip install distributed` on every machine, the same kit on every machine):

    from dask.distributed import Client
    with Client("tcp://scheduler:8786") as client:
        run_experiment(["warm", "expert"], seeds=50, executor=client.get_executor(), workers=32)

`workers` says how many batches are worth having under way. Each worker checks that its kit and its data are this one's.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from clara_kit.core.errors import ClaraError, RunLogError
from clara_kit.lab.experiment.cells import Cell
from clara_kit.lab.experiment.playing import Played

BATCH = 60  # conversations: less than half a second of work, some kilobytes to send
_LOOK_S = 0.2  # how often somebody asks whether to stop while nothing comes
Work = Callable[[Sequence[Cell]], list[Played]]


def here(cells: Iterable[Cell], work: Work, stop: Callable[[], bool], size: int) -> Iterator[list[Played]]:
    """Played in this process, one after the other."""
    for batch in batches(cells, size):
        if stop():
            return
        yield work(batch)


def elsewhere(
    cells: Iterable[Cell], submit: Callable[[Sequence[Cell]], Future[list[Played]]], stop: Callable[[], bool],
    under_way: int, size: int, room: Callable[[], bool] = lambda: True,
) -> Iterator[list[Played]]:  # fmt: skip
    """Played by whoever `submit` gives it to, at most `under_way` batches at a time and where there is `room`, as they come.

    Raises what a worker raised, when the others that had begun have come back; `RunLogError` where a worker died.
    """
    waiting, running, wrong = batches(cells, size), set[Future[list[Played]]](), list[BaseException]()
    try:
        while not stop() and not wrong:
            while len(running) < under_way and room() and (batch := next(waiting, None)) is not None:
                try:
                    running.add(submit(batch))
                except Exception as exc:  # what is under way elsewhere comes in all the same
                    wrong.append(exc)
                    break
            if not running:
                break
            over, running = wait(running, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
            yield from _well(over, wrong)
        # What has begun is nearly over, and may have been paid for.
        yield from _well(wait({one for one in running if not one.cancel()}).done, wrong)
    finally:
        for future in running:
            future.cancel()
    if wrong and isinstance(wrong[0], BrokenExecutor):
        raise RunLogError(
            "A worker process ended in the middle of its work.",
            hint="is there enough memory? What was played is kept: ask for the same experiment again, with fewer workers.",
        ) from wrong[0]
    if wrong and isinstance(wrong[0], ClaraError | KeyboardInterrupt):
        raise wrong[0]
    if wrong:
        raise RunLogError(
            f"Whoever plays could not: {type(wrong[0]).__name__} {wrong[0]}.",
            hint="is the cluster there, and is its kit this one? What was played is kept: ask for the same experiment again.",
        ) from wrong[0]


def _well(over: Iterable[Future[list[Played]]], wrong: list[BaseException]) -> Iterator[list[Played]]:
    """What came of those that went well; what went wrong with the others is added."""
    for future in over:
        try:
            batch = future.result()
            if not all(isinstance(one, dict) and isinstance(one.get("n"), int) for one in batch):
                raise TypeError("what came back is no batch of conversations")
        except (Exception, CancelledError) as exc:
            wrong.append(exc)
        else:
            yield batch


MOST_A_CORE = 4  # processes; more of them only wait for each other


@contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """So many processes of this machine, for as long as it is entered; no more than it can use, whoever asks for a thousand."""
    pool = _Pool(min(workers, MOST_A_CORE * (os.cpu_count() or 1)), mp_context=get_context("spawn"), initializer=_begin)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Pool(ProcessPoolExecutor):
    """A worker needs nothing of the script or notebook that asks for it: an unguarded script would start itself again."""

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        main = sys.modules["__main__"]
        known: dict[str, Any] = {
            name: main.__dict__.pop(name) for name in ("__file__", "__spec__") if name in main.__dict__
        }
        main.__spec__ = None
        try:
            return super().submit(*args, **kwargs)
        finally:
            main.__dict__.update(known)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked is told, and says when to stop


def batches(cells: Iterable[Cell], size: int) -> Iterator[tuple[Cell, ...]]:
    """The cells, so many at a time; a scenario's together where it goes, for who plays it reads and says its words once."""
    batch: list[Cell] = []
    for cell in cells:
        if len(batch) >= size or (3 * len(batch) >= size and cell.scenario != batch[-1].scenario):
            yield tuple(batch)
            batch = []
        batch.append(cell)
    if batch:
        yield tuple(batch)
