"""A person's judgement of the moment that the window shows: three buttons, one that takes the last one back, and one that
makes a scenario of the answer there.

The part of `window.py` that has them; the buttons are in `labelling.js`, what is kept in `lab/labels.py`.
"""

from __future__ import annotations

from typing import Any

import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.lab import labels
from clara_kit.lab.labels import LABELS, Label, Labelled
from clara_kit.lab.scenarios import scenario_of
from clara_kit.lab.stepping import Moment
from clara_kit.measure.run import Run
from clara_kit.widgets.telling import tell
from clara_kit.world.scenario import Scenario


class Labelling(traitlets.HasTraits):
    """Labels the moment `here` of the run that is shown."""

    can_label = traitlets.Bool(False).tag(sync=True)
    labelled = traitlets.Unicode().tag(sync=True)
    _run: Run | None = None
    words: Any
    language: Any

    @property
    def here(self) -> Moment:
        """The moment that is shown."""
        raise NotImplementedError

    def label(self, label: Label) -> Labelled:
        """Keep the moment as a case: Clara should (not) have stopped, or answered too early. Raises `ClaraError`."""
        if self._run is None:
            raise ClaraError("This conversation is not over yet.", hint="label it when it is.")
        case = labels.case_of(self._run, self.here.at_ms, label)
        labels.keep(case)
        at = f"{self.here.at_ms / 1000:.2f}"
        self.labelled = self.words["lb_kept"].format(label=self.words[f"lb_{LABELS.index(label)}"], at=at, n=len(labels.labels(mine=True)))  # fmt: skip
        return case

    def undo_label(self) -> Labelled | None:
        """Forget the case that was kept last, in whatever window; returns it. Raises `ClaraError`."""
        case = labels.undo()
        self.labelled = self.words["lb_none" if case is None else "lb_undone"].format(n=len(labels.labels(mine=True)))
        return case

    def make_scenario(self) -> Scenario:
        """Make all that was said up to the answer at this moment a scenario of one's own. Raises `ClaraError`."""
        if self._run is None:
            raise ClaraError("This conversation is not over yet.", hint="label it when it is.")
        before = [turn for turn in self._run.ledger if turn.kind != "greeting" and min(turn.points.values(), default=0.0) <= self.here.at_ms]  # fmt: skip
        if not before:
            raise ClaraError(
                "Nothing was asked until this moment.", hint="choose one after the customer's first words."
            )
        made = scenario_of(self._run, before[-1].turn_id).keep()
        self.labelled = self.words["lb_made"].format(title=made.title)
        return made

    def _label_asked(self, content: dict[str, Any]) -> None:
        """A message of the buttons: the number of a label, "scenario", or none to take the last one back."""
        number = content.get("label")
        try:
            if number is None:
                self.undo_label()
            elif number == "scenario":
                self.make_scenario()
            elif number in range(len(LABELS)):
                self.label(LABELS[number])
        except ClaraError as exc:
            self.labelled = tell(exc, self.language)
