"""Two conversations to be rated blind, as plain data for the prompt lab's view: no variant's name ever goes to the page."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from clara_kit.lab.experiment.experiment import Experiment
from clara_kit.lab.scores.metrics import PEOPLE
from clara_kit.lab.scores.ratings import Blind
from clara_kit.lab.statistics.agreement import agreement
from clara_kit.lab.statistics.compare import compare
from clara_kit.measure.run import Run
from clara_kit.widgets.words import Language, spoken_in

MOST = 30  # pairs that one person is asked to rate


class BlindRating:
    """One rater at the pairs of one experiment. Raises `ClaraError` where no answer differs, or the alias is none."""

    def __init__(self, experiment: Experiment, rater: str) -> None:
        self.experiment = experiment
        self.blind = Blind.of(experiment, "A", "B", rater, most=MOST)
        self.runs: tuple[Run, ...] = ()

    def take(self, what: str) -> None:
        """A choice of `Choice`, or "undo"."""
        if what == "undo":
            self.blind.undo()
        elif self.blind.next() is not None:
            choice: Any = what
            self.blind.rate(choice)

    def shown(self) -> dict[str, Any]:
        """What the page draws."""
        pair, (done, of) = self.blind.next(), self.blind.progress
        told: dict[str, Any] = {"rater": self.blind.rater, "n": done, "all": of, "can_undo": done > 0}
        if pair is None:
            return told
        self.runs = tuple(self.experiment.run(side, *pair.key).revealed() for side in (pair.left, pair.right))
        told["title"] = self.experiment.design.scenarios[pair.key[0]].title
        both = [
            [_heard(turn) if turn else "" for turn in turns] for turns in zip_longest(*(r.ledger for r in self.runs))
        ]
        return told | {
            "sides": [
                [[turn.customer, _heard(turn), both[n][0] != both[n][1]] for n, turn in enumerate(run.ledger)] for run in self.runs
            ]
        }  # fmt: skip

    def result(self, language: Language) -> str:
        """What came of all raters, and how far they agree."""
        ratings, words = self.blind.ratings, spoken_in(language)
        counts = ratings.counts("A", "B")
        told = [
            words["pl_rate_result"].format(a=counts["A"], b=counts["B"], tie=counts["same"], bad=counts["both_bad"])
        ]
        if len(rows := ratings.columns("A", "B")):
            told.append(compare(rows, metrics=[PEOPLE]).told(language))
        if len(raters := ratings.by_rater("A", "B")) > 1:
            told.append(agreement(raters).told(language))
        return " ".join(told)


def _heard(turn: Any) -> str:
    return turn.clara if turn.heard is None else str(turn.heard)
