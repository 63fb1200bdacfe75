"""How far those who rated agree: two people, a judge and a person, or more, on the same answers.

Three figures, for each misleads somewhere: raw agreement is high wherever nearly everything is good; Krippendorff's alpha
is then near zero though all agree (19 of 20: 0.0), and cannot be had where only one value was given; Gwet's AC1 stays
sensible in both, but knows no order of the values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from clara_kit.core.errors import ClaraError
from clara_kit.lab.sentences import Language
from clara_kit.lab.statistics.telling import word

Level = Literal["nominal", "ordinal", "interval", "ratio"]
LEVELS = ("nominal", "ordinal", "interval", "ratio")
FEW = 20  # answers rated by two or more: fewer say little


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """raw, ac1: of pairs of ratings; alpha: None where all ratings are the same. items: rated by two or more."""

    raw: float
    ac1: float
    alpha: float | None
    level: Level
    items: int
    raters: int

    def told(self, language: Language = "en") -> str:
        """All three figures in a sentence."""
        alpha = "—" if self.alpha is None else f"{self.alpha:.2f}"
        said = word(
            "agreement", language, raw=f"{100 * self.raw:.0f}", ac1=f"{self.ac1:.2f}", alpha=alpha, items=self.items, raters=self.raters
        )  # fmt: skip
        notes = [word("agreement_same", language)] if self.alpha is None else []
        notes += [word("agreement_few", language, few=FEW)] if self.items < FEW else []
        return " ".join((said, *notes))

    def __repr__(self) -> str:
        return self.told()


def agreement(ratings: Mapping[str, Sequence[Any]], level: Level = "nominal") -> Agreement:
    """Of ratings by rater, each with one value an answer, in the same order; None or nan where there is none.

    level: what the values are: names (nominal), an order, or numbers. Raises `ClaraError`.
    """
    if level not in LEVELS:
        raise ClaraError(f"{level!r} is no level of ratings.", hint=f"use one of: {', '.join(LEVELS)}.")
    several = isinstance(ratings, Mapping) and all(hasattr(values, "__len__") for values in ratings.values())
    lengths = {len(values) for values in ratings.values()} if several else set()
    if len(lengths) != 1 or len(ratings) < 2:
        raise ClaraError(
            "Agreement needs two raters or more, with a rating or None for each of the same answers.",
            hint="leave out whoever rated nothing, and put None where somebody did not rate.",
        )
    table = [[None if _missing(v) else v for v in values] for values in ratings.values()]
    if not all(isinstance(v, Hashable) for row in table for v in row):
        raise ClaraError("A rating is one value.", hint="give a number or a word for each answer.")
    items = [Counter(v for v in column if v is not None) for column in zip(*table, strict=True)]
    items = [one for one in items if one.total() >= 2]
    if not items:
        raise ClaraError("No answer was rated by two.", hint="let two people rate the same answers.")
    raw = _mean([sum(n * (n - 1) for n in one.values()) / (one.total() * (one.total() - 1)) for one in items])
    values = {value for one in items for value in one}
    shares = [_mean([one[value] / one.total() for one in items]) for value in values]
    chance = sum(s * (1 - s) for s in shares) / max(1, len(values) - 1)
    return Agreement(
        raw=raw, ac1=(raw - chance) / (1 - chance), alpha=_alpha(table, level) if len(values) > 1 else None, level=level,
        items=len(items), raters=len(ratings),
    )  # fmt: skip


def _alpha(table: list[list[Any]], level: Level) -> float:
    import krippendorff

    known: set[Hashable] = {v for row in table for v in row if v is not None}
    if level == "nominal":  # names get numbers
        number = {value: float(n) for n, value in enumerate(sorted(known, key=str))}
    else:
        try:
            number = {value: float(value) for value in known}  # type: ignore[arg-type]
        except (TypeError, ValueError):
            number = {}
        # A ratio to what is below zero means nothing, and beyond that size squares are no numbers any more.
        if not number or not all(-1e100 * (level != "ratio") <= value < 1e100 for value in number.values()):
            raise ClaraError(f"Ratings by {level} are numbers.", hint='use numbers, or level="nominal".')
    data = [[np.nan if v is None else number[v] for v in row] for row in table]
    return float(krippendorff.alpha(reliability_data=data, level_of_measurement=level))


def _missing(value: Any) -> bool:
    return value is None or value != value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
