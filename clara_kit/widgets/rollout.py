"""`Rollout`: a new prompt for some of the customers first, always for the same ones, and whether as many met it as should have.

Who meets what is said by `lab/experiment/assignment.py`; the view is in `rollout.js`. Nothing is switched anywhere from here:
the shop asks `assign` with the same names and shares.
"""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.lab.experiment.assignment import assign, sample_ratio
from clara_kit.lab.experiment.design import usual_customers
from clara_kit.prompts.template import PromptTemplate
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.words import Language, spoken_in, usual_language
from clara_kit.world.personas import Persona

MANY = 10_000  # generated ids that show what a share comes to


class Rollout(anywidget.AnyWidget):
    """`share` of the customers (0..1) meet `new`, the others `old`; `met` has the invented customers that do."""

    _esm = view("rollout")
    _css = style("ghost", "rollout")

    words = traitlets.Dict().tag(sync=True)
    prompts: Any = traitlets.List().tag(sync=True)
    experiment = traitlets.Unicode("").tag(sync=True)
    new = traitlets.Unicode("").tag(sync=True)
    old = traitlets.Unicode("").tag(sync=True)
    share = traitlets.Float(0.05).tag(sync=True)
    counts: Any = traitlets.List([None, None]).tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    told = traitlets.Unicode("").tag(sync=True)
    ratio = traitlets.Unicode("").tag(sync=True)
    code = traitlets.Unicode("").tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self, new: str = "expert", old: str = "warm", *, share: float = 0.05, experiment: str = "",
        language: Language | None = None,
    ) -> None:  # fmt: skip
        self._language = language or usual_language()
        super().__init__(words=spoken_in(self._language), prompts=[t.name for t in PromptTemplate.all()])
        self.set_trait("new", new)
        with self.hold_trait_notifications():
            self.old, self.share, self.experiment = old, share, experiment or _usual_name(new, old)
        self._deal()

    @property
    def shares(self) -> dict[str, float]:
        """As `assign` wants them."""
        return {self.new: self.share, self.old: 1 - self.share}

    @property
    def met(self) -> dict[str, str]:
        """Invented customer and the prompt that they meet."""
        return dict(self.rows)

    @traitlets.observe("new", "old")
    def _rename(self, change: Any) -> None:
        """A name that nobody has chosen follows the prompts."""
        before = {"new": self.new, "old": self.old, change.name: change.old}
        if self.experiment == _usual_name(before["new"], before["old"]):
            self.experiment = _usual_name(self.new, self.old)

    @traitlets.observe("new", "old", "share", "experiment")
    def _deal(self, _change: Any = None) -> None:
        if not (self.new and self.old):
            return
        try:
            if self.new == self.old:
                raise ClaraError("Both are the same prompt.", hint="choose another for one of them.")
            customers = [
                (p.name, assign(p.gid, self.experiment, self.shares)) for p in map(Persona.load, usual_customers())
            ]
            ids = (f"gid://shopify/Customer/{number}" for number in range(MANY))
            many = sum(assign(one, self.experiment, self.shares) == self.new for one in ids)
        except ClaraError as exc:
            with self.hold_sync():
                self.rows, self.told, self.code, self.ratio = [], "", "", ""
                self.problem = tell(exc, self._language)
            return
        with self.hold_sync():
            self.problem, self.rows = "", [list(pair) for pair in customers]
            words = self.words
            self.told = words["ro_told"].format(new=self.new, many=f"{MANY:,}", share=f"{many / MANY:.1%}", here=sum(v == self.new for _, v in customers), of=len(customers))  # fmt: skip
            self.code = f"assign(customer_id, {self.experiment!r}, {{{self.new!r}: {self.share:g}, {self.old!r}: {1 - self.share:g}}})"
        self._check()

    @traitlets.observe("counts")
    def _check(self, _change: Any = None) -> None:
        counts = dict(zip((self.new, self.old), self.counts, strict=False))
        if not all(type(n) is int for n in counts.values()):
            self.ratio = ""
            return
        try:
            self.ratio = sample_ratio(counts, self.shares).told(self._language)
        except ClaraError as exc:
            self.ratio = tell(exc, self._language)

    def __repr__(self) -> str:
        return f"<Rollout of {self.new} to {self.share:.0%}: {self.problem or self.told} {self.ratio}>"


def _usual_name(new: str, old: str) -> str:
    return f"{new} or {old}"
