"""A comparison on a page: heading, sentence, tables, and the intervals as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clara_kit.core.page import escape, table
from clara_kit.lab.scores.metrics import Metric
from clara_kit.lab.sentences import Language
from clara_kit.lab.statistics import telling
from clara_kit.lab.statistics.effects import Effect, Judgement

if TYPE_CHECKING:
    import polars as pl

WORST = 5  # scenarios that are shown where the second does worse
# Okabe and Ito's colours, and a shape each: who sees no colours sees the shapes.
_LOOKS = {
    "better": ("#009E73", "triangle-up", "solid"), "worse": ("#D55E00", "x", "solid"),
    "differs": ("#0072B2", "square", "solid"), "mixed": ("#CC79A7", "diamond", "solid"), "cannot_tell": ("#7a7a7a", "circle-open", "dot"),
}  # fmt: skip
_OTHER = ("#7a7a7a", "line-ns-open", "dot")


def html(what: Judgement, worst: Mapping[str, pl.DataFrame], language: Language) -> str:
    """Everything that a reader wants to know, in the order in which it is asked. worst: by metric (`by_scenario`)."""
    told, tests = telling.word, sum(one.p_holm is not None for one in what.found)
    head = (
        told("col_metric", language), f"«{what.a}»", f"«{what.b}»", told("col_difference", language, b=what.b),
        told("col_interval", language, n=f"{100 * what.confidence:g}"), told("col_p", language, n=tests),
        told("col_finds", language), told("col_outcome", language),
    )  # fmt: skip
    rows = [_row(one, language) for one in what.found]
    notes = "".join(f"<p>{escape(n)}</p>" for n in (*telling.cost(what, language), *telling.footnotes(what, language)))
    return (
        f"<p><b>{escape(telling.heading(what, language))}</b></p><p>{escape(telling.verdict(what, language))}</p>"
        f"{table(rows, head)}{notes}{_worst(what, worst, language)}"
    )


def _row(one: Effect, language: Language) -> tuple[str, ...]:
    interval = "—" if one.low is None or one.high is None else " … ".join(telling.amount(one, x, language) for x in (one.low, one.high))  # fmt: skip
    p = "—" if one.p_holm is None else "< 0.001" if one.p_holm < 0.001 else f"{one.p_holm:.3f}"
    levels = (telling.level(one.metric, x) for x in (one.a, one.b))
    finds = "—" if one.finds is None else f"± {telling.amount(one, one.finds, language, signed=False)}"
    outcome, difference = telling.word(f"so_{one.outcome}", language), telling.amount(one, one.difference, language)
    return telling.label(one, language), *levels, difference, interval, p, finds, outcome


def _worst(what: Judgement, worst: Mapping[str, pl.DataFrame], language: Language) -> str:
    """The scenarios in which the second does worse, of the first metric that has some."""
    for one in what.found:
        rows = losing(one.metric, worst[one.metric.name])[:WORST] if one.metric.name in worst else []
        if rows:
            head = (
                telling.word("scenario", language),
                f"«{what.a}»",
                f"«{what.b}»",
                telling.word("difference", language),
            )
            caption = telling.word("loses", language, b=what.b, what=telling.label(one, language))
            shown = [
                (name, *(telling.level(one.metric, x) for x in (a, b)), _raw(one, d, language)) for name, a, b, d, _ in rows
            ]  # fmt: skip
            return table(shown, head, caption)
    return ""


def losing(metric: Metric, by_scenario: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Where the second does worse, the worst first: the rows of `Compared.by_scenario`; none where no way is better."""
    better = {"more": 1, "less": -1, "neither": 0}[metric.better]
    return [row for row in by_scenario.rows() if row[3] * better < -1e-12]


def _raw(one: Effect, x: float, language: Language) -> str:
    """A difference of two means of one scenario: of times in ms, though the whole is compared on logs."""
    unit = "ms" if one.unit == "percent" else one.unit
    return telling.in_unit(unit, 100 * x if unit == "points" else x, language)


def figure(what: Judgement, language: Language) -> Any:
    """The intervals, each on a scale of its own, with nothing as the dashed line."""
    from plotly.subplots import make_subplots

    shown = [one for one in what.found if one.difference is not None]
    picture = make_subplots(rows=max(1, len(shown)), cols=1, vertical_spacing=0.5 / max(1, len(shown)) if shown else 0)
    for n, one in enumerate(shown, 1):
        colour, shape, dash = _LOOKS.get(one.outcome, _OTHER)
        times = 100.0 if one.unit in ("points", "percent") else 1.0
        x, low, high = (None if v is None else round(v * times, 6) for v in (one.difference, one.low, one.high))
        name, so = telling.label(one, language), telling.word(f"so_{one.outcome}", language)
        said = f"{name}: {telling.in_range(one, language)}, {so}"
        if low is not None:
            picture.add_scatter(
                x=[low, high], y=[name, name], mode="lines", line={"color": colour, "width": 4, "dash": dash},
                hoverinfo="skip", row=n, col=1,
            )  # fmt: skip
        picture.add_scatter(
            x=[x], y=[name], mode="markers+text", text=[so], textposition="top center", hovertext=[said], hoverinfo="text",
            marker={"color": colour, "symbol": shape, "size": 12}, row=n, col=1,
        )  # fmt: skip
        wide = 1.15 * (max(abs(v) for v in (x, low, high) if v is not None) or 1.0)
        unit = telling.word(one.unit, language, sign="", x="").strip()
        direction = telling.word(f"better_{one.metric.better}", language)
        title = ", ".join(filter(None, (unit, direction)))
        picture.update_xaxes(
            range=[-wide, wide], exponentformat="none", title={"text": title, "standoff": 2, "font": {"size": 11}},
            row=n, col=1,
        )  # fmt: skip
        picture.add_vline(x=0, line={"dash": "dash", "color": "#555555"}, row=n, col=1)
    axis = telling.word("axis", language, b=what.b, n=f"{100 * what.confidence:g}")
    kinds = telling.heading(what, language)
    picture.update_layout(
        title={"text": f"{kinds}<br><sub>{axis}</sub>"}, template="plotly_white", showlegend=False,
        height=140 + 95 * max(1, len(shown)), margin={"l": 200, "t": 90},
    )  # fmt: skip
    return picture
