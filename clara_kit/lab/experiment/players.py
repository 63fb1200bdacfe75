"""Who plays an experiment's conversations, given what writes the answers and how many may work at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Self

from clara_kit.lab.experiment import executors
from clara_kit.lab.experiment.asking import Spending, ask_for
from clara_kit.lab.experiment.cells import Cell
from clara_kit.lab.experiment.design import Design, code_here
from clara_kit.lab.experiment.plan import Plan
from clara_kit.lab.experiment.playing import Played, brains_of, play_batch, play_here
from clara_kit.world.brain import Brain

if TYPE_CHECKING:
    from clara_kit.core.settings import Keys


class Players:
    """Enter it to play. may_ask: a vendor may be asked, and paid. kept: with "recorded", what only knows the record."""

    def __init__(
        self, design: Design, *, executor: Executor | None, workers: int, keys: Keys | None, calls: str
    ) -> None:
        self.workers = workers
        self._design, self._executor, self._calls = design, executor, calls
        self._brains = brains_of(design, calls, keys, asking=executor is None)
        self.may_ask = any(getattr(brain, "may_ask", False) for brain in self._brains.values())
        self.kept: dict[str, Brain] = {}
        if design.llm == "recorded":
            self.kept = brains_of(design, calls, asking=False) if self.may_ask else self._brains
        self._spending = Spending(self._brains.values(), None)
        self._entered = ExitStack()

    def may_spend(self, budget_usd: float | None, before_usd: float, plan: Plan) -> None:
        """What is to be kept to from now on."""
        each = (plan.usd or 0.0) / max(1, plan.left)
        self._spending = Spending(self._brains.values(), budget_usd, before_usd, each)

    @property
    def spent_usd(self) -> float:
        """On this experiment so far, with what was spent before it was stopped."""
        return self._spending.spent_usd

    @property
    def why_not(self) -> str:
        """Why no further conversation is begun; empty where nothing is in the way."""
        if self._spending.room():
            return ""
        spent, budget = self.spent_usd, self._spending.budget_usd
        return (
            f"the next could go beyond the budget of US$ {budget:.2f} ({spent:.4f} are spent). What to do: ask for the same "
            "with a higher budget_usd, and it goes on."
        )

    def __enter__(self) -> Self:
        if self._executor is None and (self._asks or self.workers > 1):
            if self._asks:
                self._executor = self._entered.enter_context(ThreadPoolExecutor(self.workers, "clara-asks"))
            else:  # they load what they need while this process plans
                self._executor = self._entered.enter_context(executors.processes(self.workers))
                for _ in range(self.workers):
                    self._send(self._executor, ())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End processes and connections."""
        self._entered.close()
        for brain in {*self._brains.values(), *self.kept.values()}:
            getattr(brain, "close", lambda: None)()

    def play(self, cells: Sequence[Cell], stop: Callable[[], bool]) -> Iterator[list[Played]]:
        """Batches as they come. Raises what went wrong, after what went well."""
        design, others, size = self._design, self._executor, executors.BATCH
        if others is None:
            return executors.here(cells, lambda batch: play_here(design, batch, self._brains), stop, size)
        if self._asks:
            return executors.elsewhere(
                cells, lambda batch: others.submit(ask_for, design, batch, self._brains, self._spending),
                stop, self.workers, 1, self._spending.room,
            )  # fmt: skip
        return executors.elsewhere(cells, lambda batch: self._send(others, batch), stop, 2 * self.workers, size)

    @property
    def _asks(self) -> bool:
        return self.may_ask or self._design.llm == "local"

    def _send(self, executor: Executor, batch: Sequence[Cell]) -> Future[list[Played]]:
        return executor.submit(play_batch, self._job, code_here(), self._calls, batch)

    @cached_property
    def _job(self) -> str:
        return json.dumps(self._design.inputs, ensure_ascii=False)
