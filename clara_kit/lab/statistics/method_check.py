"""Whether the method finds what is there, and only that: pairs that are equal by construction, and a planted difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clara_kit.core.errors import ClaraError
from clara_kit.core.page import escape
from clara_kit.lab.scores.metrics import METRICS, Metric
from clara_kit.lab.sentences import Language
from clara_kit.lab.statistics.compare import OCCASION, Compared, HasRows, compare, complete, metric_of
from clara_kit.lab.statistics.crossed import Floats
from clara_kit.lab.statistics.effects import judged, measured
from clara_kit.lab.statistics.telling import amount, word

if TYPE_CHECKING:
    import polars as pl

EQUAL, PLANTED = ("A", "A again"), ("A", "A and more")
_SCENARIOS, _CUSTOMERS = 40, 25
_CALLS = ("better", "worse", "differs")
Draw = Callable[[np.random.Generator], tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodCheck:
    """`equal`, `planted`: one comparison of each kind; of `times` of each, how many were called different, how many found.

    effect: what was planted, as a share of 1 (yes and no, shares), of the value (times), or as counted.
    """

    equal: Compared
    planted: Compared
    false_calls: int
    found: int
    times: int
    effect: float

    def told(self, language: Language = "en") -> str:
        """What it shows, in two sentences."""
        one = self.planted.found[0]
        plant = amount(one, self.effect, language)
        level = 100 * (1 - self.equal.confidence)
        return word(
            "method_check", language, times=self.times, false=self.false_calls, level=f"{level:g}", found=self.found,
            plant=plant, what=one.metric.label[language == "es"],
        )  # fmt: skip

    def __repr__(self) -> str:
        return self.told()

    def html(self, language: Language = "en") -> str:
        """The sentences, then one example of each."""
        return f"<p>{escape(self.told(language))}</p>{self.equal.html(language)}{self.planted.html(language)}"

    def _repr_html_(self) -> str:
        return self.html()


def method_check(
    what: HasRows | pl.DataFrame | None = None, metric: str = "kept", effect: float = 0.15, *,
    times: int = 200, confidence: float = 0.95, seed: int = 0,
) -> MethodCheck:  # fmt: skip
    """Compare many pairs that are equal, and many with a planted difference. Raises `ClaraError`.

    what: an experiment. With several seeds, two conversations of the first variant on the same occasion are a pair; else the
    names of its two variants are dealt anew in each scenario, which makes them equal and leaves their own spread. None: 40
    scenarios × 25 customers are generated. effect: what is planted (`MethodCheck`).
    """
    if times < 1:
        raise ClaraError(f"{times} comparisons show nothing.", hint="use 1 or more, best 200.")
    scenarios, customers, draw, shown, answers = (
        _generated(metric) if what is None else _of_rows(what, metric, confidence)
    )
    rng, called = np.random.default_rng(seed), [0, 0]
    for _ in range(times):
        a, b = draw(rng)
        for n, tried in enumerate((b, _planted(shown, b, effect, rng))):
            one = judged([measured(shown, a, tried, scenarios, customers, confidence)], confidence)[0]
            called[n] += one.outcome in _CALLS
    a, b = draw(rng)
    pairs = [
        compare(_table(names, shown, scenarios, customers, a, other, answers), *names, metrics=[shown], confidence=confidence)
        for names, other in ((EQUAL, b), (PLANTED, _planted(shown, b, effect, rng)))
    ]  # fmt: skip
    return MethodCheck(
        equal=pairs[0], planted=pairs[1], false_calls=called[0], found=called[1], times=times, effect=effect
    )


def _generated(metric: str) -> tuple[Any, Any, Draw, Metric, str]:
    """Conversations that are as alike within a scenario, and with a customer, as those of the kit."""
    shown = METRICS.get(metric)
    if shown is None:
        raise ClaraError(f"«{metric}» is no metric.", hint=f"use one of: {', '.join(METRICS)}.")
    scenarios, customers = (one.ravel() for one in np.indices((_SCENARIOS, _CUSTOMERS)))

    def one(rng: np.random.Generator, of_scenario: Floats) -> Floats:
        alike = (
            of_scenario + 0.5 * rng.normal(size=_SCENARIOS)[scenarios] + 0.2 * rng.normal(size=_CUSTOMERS)[customers]
        )
        value = alike + rng.logistic(size=len(scenarios))
        if shown.kind == "yes_no":
            return (value > -0.5).astype(np.float64)
        return np.exp(6.5 + 0.1 * value) if shown.kind == "ms" else 1 / (1 + np.exp(-value)) if shown.kind == "share" else 5 + value  # fmt: skip

    def draw(rng: np.random.Generator) -> tuple[Floats, Floats]:
        of_scenario = rng.normal(size=_SCENARIOS)[scenarios]
        return one(rng, of_scenario), one(rng, of_scenario)

    return scenarios, customers, draw, shown, "generated"


def _of_rows(what: HasRows | pl.DataFrame, metric: str, confidence: float) -> tuple[Any, Any, Draw, Metric, str]:
    import polars as pl

    rows = complete(what)
    shown = metric_of(rows, metric)
    first = rows["variant"].drop_nulls().first()
    own = rows.filter(pl.col("variant") == first).sort(OCCASION)
    drawn = own.group_by("scenario", "customer", maintain_order=True).agg(pl.col(metric).cast(pl.Float64))
    times = int(drawn[metric].list.len().min() or 0)  # type: ignore[arg-type]
    if times < 2:
        return _dealt(rows, metric, confidence)
    values = np.array([[np.nan if v is None else v for v in held[:times]] for held in drawn[metric].to_list()])
    lines = np.arange(len(values))

    def draw(rng: np.random.Generator) -> tuple[Floats, Floats]:
        a = rng.integers(0, times, len(values))
        b = (a + rng.integers(1, times, len(values))) % times
        return values[lines, a], values[lines, b]

    answers = ", ".join(sorted({str(one) for one in own["answers"].drop_nulls()})) if "answers" in own.columns else ""
    return *_numbers(drawn), draw, shown, answers


def _dealt(rows: pl.DataFrame, metric: str, confidence: float) -> tuple[Any, Any, Draw, Metric, str]:
    compared = compare(rows, metrics=[metric], confidence=confidence)
    first, second = (compared.pairs[f"{metric}_{side}"].to_numpy() for side in "ab")
    scenarios, customers = _numbers(compared.pairs)

    def draw(rng: np.random.Generator) -> tuple[Floats, Floats]:
        swap = rng.random(int(scenarios.max()) + 1)[scenarios] < 0.5
        return np.where(swap, second, first), np.where(swap, first, second)

    return scenarios, customers, draw, compared.found[0].metric, ", ".join(compared.answers)


def _numbers(table: pl.DataFrame) -> tuple[Any, Any]:
    """Scenarios and customers by number."""
    scenarios, customers = (np.unique(table[c].to_numpy(), return_inverse=True)[1] for c in ("scenario", "customer"))
    return scenarios, customers


def _planted(metric: Metric, values: Floats, effect: float, rng: np.random.Generator) -> Floats:
    """The values with a difference of `effect` on top: of a yes or no, as many noes turned as that takes."""
    if metric.kind == "yes_no":
        noes = float((values == 0).mean())
        return np.where((values == 0) & (rng.random(len(values)) < effect / max(noes, 1e-9)), 1.0, values)
    return values * (1 + effect) if metric.kind == "ms" else values + effect


def _table(
    names: tuple[str, str], metric: Metric, scenarios: Any, customers: Any, a: Floats, b: Floats, answers: str
) -> pl.DataFrame:
    import polars as pl

    sides = [
        pl.DataFrame({
            "variant": [name] * len(values), "scenario": [f"scenario {s + 1:02}" for s in scenarios],
            "customer": [f"customer {c + 1:02}" for c in customers], "seed": range(len(values)), metric.name: values,
            **({"answers": [answers] * len(values)} if answers else {}),
        })
        for name, values in zip(names, (a, b))
    ]  # fmt: skip
    return pl.concat(sides)
