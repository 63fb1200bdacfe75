"""Which of two variants is better, and are we sure? From an experiment's rows to one plain sentence.

Pairs the rows by scenario, customer and seed, measures each metric (`effects.py`, `crossed.py`, `exact.py`), corrects
for how many there are, and says what follows (`telling.py`). What it cannot know it says too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from clara_kit.core.errors import ClaraError
from clara_kit.lab.scores.metrics import METRICS, Metric
from clara_kit.lab.sentences import Language
from clara_kit.lab.statistics import showing, telling
from clara_kit.lab.statistics.effects import Effect, Judgement, judged, measured

if TYPE_CHECKING:
    import polars as pl

OCCASION = ("scenario", "customer", "seed")


class HasRows(Protocol):
    """An experiment: one row a conversation."""

    @property
    def rows(self) -> pl.DataFrame:
        """variant, scenario, customer, seed, and the metrics."""


@dataclass(frozen=True, kw_only=True)
class Compared(Judgement):
    """Two variants, metric by metric: `effects` as a table, `verdict` as a sentence; a notebook shows both.

    pairs: the rows of both side by side. found: the effects as objects.
    """

    pairs: pl.DataFrame

    @property
    def effects(self) -> pl.DataFrame:
        """One row a metric: both levels, the difference with its interval, p, what follows, and how (see `Effect`)."""
        import polars as pl

        names = (
            "a", "b", "difference", "low", "high", "unit", "p", "p_holm", "outcome", "more", "finds", "pairs", "lost",
            "scenarios", "customers", "method",
        )  # fmt: skip
        rows = [
            {"metric": one.metric.name, "better": one.metric.better, **{n: getattr(one, n) for n in names}, "notes": list(one.notes)}
            for one in self.found
        ]  # fmt: skip
        text, number, whole = pl.Utf8, pl.Float64, pl.Int64
        kinds = (number,) * 5 + (text, number, number, text, whole, number) + (whole,) * 4 + (text,)
        return pl.DataFrame(
            rows, schema={"metric": text, "better": text, **dict(zip(names, kinds)), "notes": pl.List(text)}
        )

    @property
    def verdict(self) -> str:
        """What follows, in one plain sentence."""
        return self.told()

    def told(self, language: Language = "en") -> str:
        """The verdict in English or Spanish."""
        return telling.verdict(self, language)

    def heading(self, language: Language = "en") -> str:
        """What this is: a comparison, or a rehearsal of one."""
        return telling.heading(self, language)

    def effect(self, metric: str) -> Effect:
        """One metric's effect. Raises `ClaraError` where it was not compared."""
        for one in self.found:
            if one.metric.name == metric:
                return one
        names = ", ".join(one.metric.name for one in self.found)
        raise ClaraError(f"«{metric}» was not compared.", hint=f"use one of: {names}.")

    def by_scenario(self, metric: str) -> pl.DataFrame:
        """Where the second loses and where it wins: scenario, a, b, difference, pairs; what is worst for it first."""
        import polars as pl

        one = self.effect(metric)
        first, second = pl.col(f"{metric}_a"), pl.col(f"{metric}_b")
        known = self.pairs.filter(first.is_finite() & second.is_finite()).sort(OCCASION)
        # Lists, then their means: a mean within the grouping differs in its last digit from one call to the next.
        lists = known.group_by("scenario", maintain_order=True).agg(first.alias("a"), second.alias("b"))
        means = lists.select(
            "scenario", pl.col("a").list.mean(), pl.col("b").list.mean(), pl.col("a").list.len().cast(pl.Int64).alias("pairs"),
        )  # fmt: skip
        table = means.with_columns((pl.col("b") - pl.col("a")).alias("difference"))
        return table.select("scenario", "a", "b", "difference", "pairs").sort(
            "difference", "scenario", descending=[one.metric.better == "less", False]
        )

    def figure(self, language: Language = "en") -> Any:
        """Each metric's difference with its interval, as a plotly figure: colour and shape say what follows."""
        return showing.figure(self, language)

    def __repr__(self) -> str:
        return "\n".join(filter(None, (self.heading(), self.told(), *telling.footnotes(self, "en"))))

    def html(self, language: Language = "en") -> str:
        """Heading, sentence and tables, for a page."""
        worst = {m.metric.name: self.by_scenario(m.metric.name) for m in self.found if m.found is not None}
        return showing.html(self, worst, language)

    def _repr_html_(self) -> str:
        return self.html()


def compare(
    what: HasRows | pl.DataFrame, a: str | None = None, b: str | None = None, *,
    metrics: Sequence[str | Metric] | None = None, confidence: float = 0.95,
) -> Compared:  # fmt: skip
    """Compare two variants (b beside a; by default the only two) of an experiment, or of a table with its columns.

    metrics: names or own `Metric`s; by default every known one that the rows have. The fewer, the more is found: each
    that is added makes the others harder to be sure of. confidence: 0.5..0.999. Raises `ClaraError`.
    """

    if not (isinstance(confidence, int | float) and 0.5 <= confidence <= 0.999):
        raise ClaraError(f"A confidence of {confidence} is none.", hint="use a number from 0.5 to 0.999, usually 0.95.")
    rows = complete(what)
    a, b = _two(rows["variant"].unique(maintain_order=True).drop_nulls().to_list(), a, b)
    compared = _metrics(rows, metrics)
    pairs = _paired(rows, a, b, [m.name for m in compared])
    scenarios, customers = (pairs[name].to_list() for name in ("scenario", "customer"))
    found = [
        measured(m, pairs[f"{m.name}_a"].to_numpy(), pairs[f"{m.name}_b"].to_numpy(), scenarios, customers, confidence)
        for m in compared
    ]
    answers = [_answers(rows, name) for name in (a, b)]
    return Compared(
        a=a, b=b, confidence=confidence, found=judged(found, confidence), pairs=pairs,
        answers=tuple(sorted({*answers[0], *answers[1]})), unlike=answers[0] != answers[1],
    )  # fmt: skip


def complete(what: HasRows | pl.DataFrame) -> pl.DataFrame:
    """The rows, with a customer and a seed where they have none. Raises `ClaraError`."""
    import polars as pl

    rows = what if isinstance(what, pl.DataFrame) else getattr(what, "rows", None)
    if not isinstance(rows, pl.DataFrame):
        raise ClaraError(
            f"{type(what).__name__} is no experiment, and no table.", hint="give an experiment, or a polars DataFrame."
        )
    for column in ("variant", "scenario"):
        if column not in rows.columns:
            raise ClaraError(
                f"The rows have no column «{column}».", hint="they need variant, scenario and the metrics."
            )
    rows = rows.with_columns(pl.lit(v).alias(c) for c, v in (("customer", ""), ("seed", 0)) if c not in rows.columns)
    if nested := [c for c in ("variant", *OCCASION) if rows.schema[c].is_nested()]:
        raise ClaraError(f"The column «{nested[0]}» holds lists.", hint="it needs one name in each row.")
    return rows.with_columns(
        pl.col("variant", "scenario").cast(pl.String), pl.col("customer").cast(pl.String).fill_null(""),
        pl.col("seed").fill_null(0),
    )  # fmt: skip


def _two(names: list[str], a: str | None, b: str | None) -> tuple[str, str]:
    if not names:
        raise ClaraError("There are no rows to compare.", hint="run the experiment first.")
    for name in (a, b):
        if name is not None and name not in names:
            raise ClaraError(f"There is no variant «{name}».", hint=f"use two of: {', '.join(map(str, names))}.")
    if len(names) < 2:
        raise ClaraError("There is only one variant: nothing to compare it with.", hint="run the experiment with two.")
    if a is not None and a == b:
        raise ClaraError(f"«{a}» would be compared with itself.", hint=f"use two of: {', '.join(map(str, names))}.")
    if len(names) > 2 and (a is None or b is None):
        raise ClaraError(f"There are {len(names)} variants.", hint=f"say which two: {', '.join(map(str, names))}.")
    first = a if a is not None else next(name for name in names if name != b)
    return first, b if b is not None else next(name for name in names if name != first)


def _metrics(rows: pl.DataFrame, wanted: Sequence[str | Metric] | None) -> list[Metric]:
    if wanted is None:
        found = [m for m in METRICS.values() if m.name in rows.columns]
        if not found:
            raise ClaraError("The rows have no metric that is known.", hint=f"name columns, or use: {', '.join(METRICS)}.")  # fmt: skip
        return [metric_of(rows, m) for m in found]
    several = wanted if isinstance(wanted, Iterable) and not isinstance(wanted, str) else [wanted]
    if not (names := dict.fromkeys(several)):
        raise ClaraError("There is no metric to compare.", hint="name columns, or leave out metrics.")
    return [metric_of(rows, one) for one in names]


def metric_of(rows: pl.DataFrame, wanted: str | Metric) -> Metric:
    """The metric of this name that the rows have. Raises `ClaraError`."""
    name = str(getattr(wanted, "name", wanted))
    kind = rows.schema.get(name) if name != "seed" else None
    if kind is None or not (kind.is_numeric() or kind.base_type().__name__ in ("Boolean", "Null")):
        wrong = "is not a metric of these rows" if kind is None else "holds no numbers"
        usable = [n for n, t in rows.schema.items() if n not in OCCASION and (t.is_numeric() or str(t) == "Boolean")]
        raise ClaraError(f"«{name}» {wrong}.", hint=f"use one of: {', '.join(usable)}.")
    if isinstance(wanted, Metric):
        return wanted
    # A column that the table does not know: it is said that it differs, never which way is better.
    return METRICS.get(name) or Metric(name, "yes_no" if str(kind) == "Boolean" else "count", "neither", (name, name))


def _paired(rows: pl.DataFrame, a: str, b: str, names: list[str]) -> pl.DataFrame:
    """The rows of both on the same occasions, sorted; what is not known is nan."""
    import polars as pl

    def side(variant: str, mark: str) -> pl.DataFrame:
        own = rows.filter(pl.col("variant") == variant)
        lists = own.sort(OCCASION).group_by(OCCASION, maintain_order=True).agg(names)
        # An occasion that is there twice counts once.
        return lists.select(
            *OCCASION, *(pl.col(n).list.eval(pl.element().cast(pl.Float64)).list.mean().fill_null(float("nan")).alias(f"{n}_{mark}") for n in names)
        )  # fmt: skip

    pairs = side(a, "a").join(side(b, "b"), on=list(OCCASION), how="inner").sort(OCCASION)
    if not len(pairs):
        raise ClaraError(
            f"«{a}» and «{b}» were never tried on the same occasion.",
            hint="run both on the same scenarios, customers and seeds.",
        )
    return pairs


def _answers(rows: pl.DataFrame, variant: str) -> set[str]:
    """Who wrote a variant's answers; empty where the rows do not say."""
    held = rows.filter(rows["variant"] == variant)
    return {str(one) for one in held["answers"].drop_nulls()} if "answers" in rows.columns else set()
