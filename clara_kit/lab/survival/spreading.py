"""Many conversations over this process, or a few: in order, and with whoever asks to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from clara_kit.lab.experiment import executors

J = TypeVar("J")
R = TypeVar("R")


class _Job(Struct, frozen=True, kw_only=True):
    n: int
    job: Any
    scenario: str = ""  # `executors.batches` keeps those of one together


def spread(
    work: Callable[[Sequence[J]], Iterable[R]], jobs: Sequence[J], *, workers: int = 1, size: int = executors.BATCH,
    stop: Callable[[], bool] = lambda: False,
) -> list[R]:  # fmt: skip
    """What `work` (of a module) makes of each job, in the order of the jobs. Raises what a worker raised."""
    numbered: Any = (_Job(n=n, job=job) for n, job in enumerate(jobs))
    found: dict[int, R] = {}
    if workers <= 1:
        for batch in executors.here(numbered, lambda some: _work(work, some), stop, size):
            found.update((one["n"], one["made"]) for one in batch)
    else:
        with executors.processes(workers) as pool:
            submit: Any = lambda some: pool.submit(_work, work, some)  # noqa: E731
            for batch in executors.elsewhere(numbered, submit, stop, 2 * workers, size):
                found.update((one["n"], one["made"]) for one in batch)
    return [found[n] for n in sorted(found)]


def _work(work: Callable[[Sequence[Any]], Iterable[Any]], some: Sequence[Any]) -> Any:
    return [{"n": one.n, "made": made} for one, made in zip(some, work([one.job for one in some]), strict=True)]
