"""Conversations whose answers a model writes: several at a time in threads of this process, within a budget.

The brain itself waits as long as a vendor asks it to (`lab/calls/brains.py`). What can only be known here is what all of
them together may spend, and when there is no use in going on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from clara_kit.core.errors import ClaraError
from clara_kit.core.events import Usage
from clara_kit.core.settings import Settings
from clara_kit.lab.experiment.cells import Cell
from clara_kit.lab.experiment.design import Design
from clara_kit.lab.experiment.playing import Played, play, played
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.calls import UNKNOWN
from clara_kit.providers.llm.pricing import cost_usd
from clara_kit.world.brain import Brain, Written

if TYPE_CHECKING:
    from collections.abc import Iterator

_FEWEST_CHARS_A_TOKEN = 2.0  # no Spanish text has more tokens than that: what is reserved is never exceeded
_NO_USE = ("refused", "bad_input", "rate_limited", "overloaded", "unreachable")
"""Failures that say nothing of a prompt, and that the next conversation would meet too."""


class OverBudget(ClaraError):
    """The next call could cost more than is left."""


class Spending:
    """What all calls cost together. A call is begun only where the most it can cost is left of the budget.

    brains: each tells what it has spent (`spent_usd`). budget_usd: None: without limit. before_usd: spent on the same
    experiment before. conversation_usd: what one is expected to cost.
    """

    def __init__(
        self, brains: Collection[Brain], budget_usd: float | None, before_usd: float = 0.0, conversation_usd: float = 0.0
    ) -> None:  # fmt: skip
        self._brains, self.budget_usd = tuple(brains), budget_usd
        self._before, self._expected = before_usd, conversation_usd
        self._reserved, self._over, self._under_way, self._lock = 0.0, 0, 0, Lock()

    @property
    def spent_usd(self) -> float:
        """So far, with what was spent before."""
        return self._before + sum(getattr(brain, "spent_usd", 0.0) for brain in self._brains)

    def room(self) -> bool:
        """Whether one more conversation can be begun, and very likely ended."""
        if self.budget_usd is None:
            return True
        mean = (self.spent_usd - self._before) / self._over if self._over else self._expected
        return self.spent_usd + 1.5 * mean * (self._under_way + 1) <= self.budget_usd

    @contextmanager
    def conversation(self) -> Iterator[None]:
        """Entered for as long as one is under way."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                self._over += 1

    @contextmanager
    def call(self, most_usd: float) -> Iterator[None]:
        """Entered for one call that costs at most so much. Raises `OverBudget`."""
        with self._lock:
            if self.budget_usd is not None and self.spent_usd + self._reserved + most_usd > self.budget_usd:
                raise OverBudget(
                    f"The budget of US$ {self.budget_usd:.2f} is used up: US$ {self.spent_usd:.4f} are spent.",
                    hint="ask for the same with a higher budget_usd, and it goes on.",
                )
            self._reserved += most_usd
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= most_usd


class Paid:
    """A brain whose calls stay within what may be spent.

    Where a failure says nothing of the prompt it is raised: the conversation does not count, and is played again later.
    """

    def __init__(self, brain: Brain, spending: Spending, settings: Settings) -> None:
        self._brain, self._spending, self._settings = brain, spending, settings

    @property
    def mode(self) -> str:
        """What stands behind the model."""
        return self._brain.mode

    def write(self, request: ReplyRequest, *, words: Mapping[str, str]) -> Written:
        """See `Brain`. Raises `OverBudget`, or the failure as `ProviderError`."""
        with self._spending.call(most_usd(request, self._settings)):
            written = self._brain.write(request, words=words)
        if (failed := written.failed) is None or written.chunks or failed.message.startswith(UNKNOWN):
            return written
        if failed.kind in _NO_USE:
            raise failed
        return written


def most_usd(request: ReplyRequest, settings: Settings) -> float:
    """The most that a request can cost; 0 where the model's price is not known."""
    chars = len(request.prompt.static) + len(request.prompt.personal) + sum(len(m.text) for m in request.messages)
    usage = Usage(input_tokens=round(chars / _FEWEST_CHARS_A_TOKEN), output_tokens=settings.llm_max_tokens)
    return cost_usd(settings.llm_model, usage) or 0.0


def ask_for(design: Design, cells: Sequence[Cell], brains: Mapping[str, Brain], spending: Spending) -> list[Played]:
    """Play cells with models that are asked; in any thread. `spent_usd` of each: what all had cost by then."""
    found = []
    for cell in cells:
        settings = design.variants[cell.variant].settings
        assert settings is not None
        with spending.conversation():
            run = play(design, cell, Paid(brains[cell.variant], spending, settings))
        found.append({**played(design, cell, run), "spent_usd": round(spending.spent_usd, 9)})
    return found
