"""The judge at the prompt lab: the model compares the pairs that ran, in a thread, for whoever agreed to what it costs."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from clara_kit.core.errors import ClaraError
from clara_kit.core.settings import Settings
from clara_kit.lab.calls.brains import brain_for
from clara_kit.lab.experiment.experiment import Experiment
from clara_kit.lab.scores.judge import Verdicts, judge_experiment, quote
from clara_kit.widgets.prompt_lab_rating import MOST
from clara_kit.widgets.telling import tell
from clara_kit.widgets.words import Language, spoken_in


class Judging:
    """`shown` says what can be asked and what came of it; `start` asks, and returns at once."""

    def __init__(self, experiment: Experiment, language: Language) -> None:
        self.experiment, self._language, self._words = experiment, language, spoken_in(language)
        self.verdicts: Verdicts | None = None
        self._at: Future[Verdicts] | None = None
        self._done, self._problem = 0, ""

    @property
    def busy(self) -> bool:
        """Whether it is still at it."""
        return self._at is not None and not self._at.done()

    @property
    def costs(self) -> bool:
        """Whether somebody may have to pay: a recorded answer that is missing is asked for."""
        return self.experiment.inputs["llm"] in ("live", "recorded")

    def start(self, budget_usd: float | None) -> None:
        """Judge at most as many pairs as one person rates. Raises `ClaraError`."""
        if self.experiment.rehearsal:
            raise ClaraError(
                "The answers of this experiment are scripted: there is nothing to judge.",
                hint="run it with llm='recorded' or 'live'.",
            )
        if self.busy:
            return
        brain = brain_for(self.experiment.inputs["llm"], Settings())
        if brain is None:
            return

        def progress(done: int, _of: int) -> None:
            self._done = done

        def job() -> Verdicts:
            return judge_experiment(
                self.experiment, "A", "B", brain, most=MOST, budget_usd=budget_usd, progress=progress
            )

        self._done, self._problem, self.verdicts = 0, "", None
        self._at = ThreadPoolExecutor(1).submit(job)

    def shown(self) -> dict[str, Any]:
        """What the page draws."""
        if self.experiment.rehearsal:
            return {"why_not": self._words["pl_judge_scripted"]}
        if self._at is not None and self._at.done() and self.verdicts is None and not self._problem:
            try:
                self.verdicts = self._at.result()
            except ClaraError as exc:
                self._problem = tell(exc, self._language)
        if self.busy:
            return {"busy": self._words["pl_judging"].format(n=self._done)}
        expected = quote(self.experiment, "A", "B", Settings().llm_model, most=MOST)
        costs, usd = self.costs, expected.usd
        shown = "0" if not costs else "?" if usd is None else f"{max(usd, 0.01):.2f}"
        told = {"calls": expected.calls, "usd": shown, "costs": costs, "said": self._problem}
        if self.verdicts is not None:
            counts = self.verdicts.counts
            told["said"] = self._words["pl_judged"].format(
                a=counts["A"], b=counts["B"], tie=counts["tie"], swayed=counts["of these by place"], none=counts["not judged"],
            )  # fmt: skip
        return told
