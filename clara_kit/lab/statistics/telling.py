"""What a comparison says, in English and in Spanish: its heading, one plain sentence, and what stands below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from clara_kit.data_files import data
from clara_kit.lab.scores.metrics import Metric
from clara_kit.lab.sentences import Language
from clara_kit.lab.statistics.effects import Effect, Judgement

NAMED = 4  # metrics that a part of the sentence names; the others it counts


@cache
def _words() -> dict[str, tuple[str, str]]:
    return {key: (english, spanish) for key, (english, spanish) in data(Path(__file__).with_suffix(".yml")).items()}


def word(key: str, language: Language, **fields: Any) -> str:
    """One text of `telling.yml`, filled."""
    return _words()[key][language == "es"].format(**fields)


def label(one: Effect, language: Language) -> str:
    """A metric as people call it."""
    return one.metric.label[language == "es"]


def heading(what: Judgement, language: Language) -> str:
    """What is compared, and whether it is a comparison at all."""
    what_it_is = [word(key, language) for key, _ in _kinds(what)]
    what_it_is += [word("not_recorded", language)] if any("not recorded" in one for one in what.answers) else []
    what_it_is += [word("unlike", language, answers=", ".join(what.answers))] if what.unlike else []
    return ". ".join((word("heading", language, a=what.a, b=what.b), *what_it_is)) + "."


def _kinds(what: Judgement) -> list[tuple[str, str]]:
    """What the answers are, where they are nobody's: as a heading says it, and as the sentence does."""
    found = ["rehearsal"] if what.rehearsal else []
    found += [key for key in ("local", "generated") if any(key in one for one in what.answers)]
    return [(key, f"in_{key}") for key in found]


def verdict(what: Judgement, language: Language) -> str:
    """One plain sentence."""
    told = "; ".join((*_parts(what, language), *_whose(what, language)))
    if kinds := _kinds(what):
        return f"{word(kinds[0][1], language)}: {told}."
    return f"{told[:1].upper()}{told[1:]}."


def _parts(what: Judgement, language: Language) -> Iterator[str]:
    by = {key: [one for one in what.found if one.outcome == key] for key in ("better", "worse", "differs", "same")}
    for key in ("better", "worse", "differs"):
        if by[key]:
            yield word(key, language, b=what.b, what=_named(by[key], language, figures=True))
    if mixed := [one for one in what.found if one.outcome == "mixed"]:
        yield word("mixed", language, what=_named(mixed, language, notes=True))
    open_ones = sorted(
        (o for o in what.found if o.outcome == "cannot_tell"), key=lambda o: (o.more is None, o.more or 0)
    )
    near = [one for one in open_ones if one.more is not None]
    for one in near[:2]:
        key = "more_one" if one.more == 1 else "more"
        yield word(key, language, what=_named([one], language, notes=True), n=_about(one.more or 0))
    if near[2:]:
        yield word("cannot_tell", language, what=_named(near[2:], language))
    if far := [one for one in open_ones if one.more is None]:
        yield word("never", language, what=_named(far, language, notes=True))
    known = [one for one in what.found if one.outcome != "unknown"]
    if by["same"] and len(by["same"]) == len(known):
        yield word("same_all", language, a=what.a, b=what.b)
    elif by["same"]:
        yield word("same", language, what=_named(by["same"], language))
    if few := [one for one in what.found if one.outcome == "too_few"]:
        n = max(one.scenarios for one in few)
        yield word("too_few_one" if n == 1 else "too_few", language, what=_named(few, language), n=n)
    for one in what.found:
        if one.outcome == "lost":
            yield word("lost", language, what=_quoted(one, language), lost=one.lost, n=one.pairs + one.lost)
    unknown = [one for one in what.found if one.outcome == "unknown"]
    if unknown and len(unknown) == len(what.found):
        yield word("unknown", language, what=_named(unknown, language))


def _about(n: int) -> str:
    """No more digits than such a number has."""
    return f"{round(n, -1) if n >= 40 else n}"


def _whose(what: Judgement, language: Language) -> list[str]:
    """For whom it holds, where the customers are too few to stand for others."""
    claims = [
        one for one in what.found if one.outcome in ("better", "worse", "differs") and "these_customers" in one.notes
    ]
    return _few_customers(claims, language)


def _few_customers(found: Iterable[Effect], language: Language) -> list[str]:
    n = max((one.customers for one in found if "these_customers" in one.notes), default=0)
    return [word("these_customers_one" if n == 1 else "these_customers", language, n=n)] if n else []


def _named(found: list[Effect], language: Language, *, figures: bool = False, notes: bool = False) -> str:
    names = [_with_figures(one, language, figures) if figures or notes else _quoted(one, language) for one in found]
    if len(names) > NAMED:
        names = [*names[: NAMED - 1], word("others", language, n=len(names) - NAMED + 1)]
    return word("and", language).join(filter(None, (", ".join(names[:-1]), names[-1])))


def _with_figures(one: Effect, language: Language, figures: bool) -> str:
    said = [note(one, f"{key}_short", language) for key in one.notes if key in ("skewed", "not_logs", "no_spread")][:1]
    if figures:
        said.append(in_range(one, language))
    return f"{_quoted(one, language)} ({'; '.join(said)})" if said else _quoted(one, language)


def _quoted(one: Effect, language: Language) -> str:
    """A metric within a sentence: the Spanish names are half sentences of their own."""
    return f"«{label(one, language)}»" if language == "es" else label(one, language)


def in_range(one: Effect, language: Language) -> str:
    """The difference, and between what it lies."""
    difference = amount(one, one.difference, language)
    low, high = amount(one, one.low, language), amount(one, one.high, language)
    if one.low is None or low == high:
        return difference
    return word("range", language, difference=difference, low=low, high=high)


def note(one: Effect, key: str, language: Language) -> str:
    """What a reader must know of an effect."""
    alike = one.scenarios - one.higher - one.lower
    return word(
        key, language, lost=one.lost, n=one.pairs + one.lost, higher=one.higher, lower=one.lower, alike=alike,
        scenarios=one.scenarios,
    )  # fmt: skip


def amount(one: Effect, x: float | None, language: Language, *, signed: bool = True) -> str:
    """A difference with its sign and its unit."""
    if x is None:
        return "—"
    return in_unit(one.unit, x * (100.0 if one.unit in ("points", "percent") else 1.0), language, signed=signed)


def in_unit(unit: str, x: float, language: Language, *, signed: bool = True) -> str:
    """A figure with its sign before its unit, wherever that stands."""
    said = figure(x, signed=signed)
    sign = said[:1] if said[:1] in "+−" else ""
    return word(unit, language, sign=sign, x=said.removeprefix(sign))


def level(metric: Metric, x: float | None, *, signed: bool = False) -> str:
    """How much a metric is, rather than how much more."""
    if x is None or x != x:
        return "—"
    times, before, after = _UNITS.get(metric.kind, (1, "", ""))
    return f"{before}{figure(x * times, signed=signed)}{after}"


_UNITS = {"yes_no": (100, "", " %"), "share": (100, "", " %"), "ms": (1, "", " ms"), "usd": (1, "US$ ", "")}


def figure(x: float, *, signed: bool = False) -> str:
    """Three digits at the most that say something, none of them behind a whole figure above ten."""
    if not abs(x) >= 1e-9:
        return "0"
    digits = 0 if abs(x) >= 99.5 else 1 if abs(x) >= 9.95 else 2 if abs(x) >= 0.995 else 4 if abs(x) >= 0.00995 else 6
    text = f"{abs(x):,.{digits}f}".rstrip("0").rstrip(".") if digits else f"{abs(x):,.0f}"
    return f"{'−' if x < 0 else '+' if signed else ''}{text}"


def footnotes(what: Judgement, language: Language) -> list[str]:
    """What must be known of single metrics, and of the whole."""
    keys = ("skewed", "not_logs", "no_spread", "rough", "some_lost")
    told = [f"{label(o, language)}: {note(o, k, language)}." for o in what.found for k in keys if k in o.notes]
    if any("these_customers" in one.notes for one in what.found):
        told += [f"{text[:1].upper()}{text[1:]}." for text in _few_customers(what.found, language)]
    if unknown := [one for one in what.found if one.outcome == "unknown"]:
        said = word("unknown", language, what=_named(unknown, language))
        told.append(f"{said[:1].upper()}{said[1:]}.")
    pairs, scenarios, customers = (max((getattr(o, n) for o in what.found), default=0) for n in ("pairs", "scenarios", "customers"))  # fmt: skip
    told.append(word("design", language, pairs=f"{pairs:,}", scenarios=scenarios, customers=customers))
    return told


def cost(what: Judgement, language: Language) -> Iterable[str]:
    """What the quality costs, or saves: the price of a turn beside the first metric of quality."""
    prices = [one for one in what.found if one.unit == "usd" and one.difference is not None and one.outcome != "same"]
    quality = [one for one in what.found if one.metric.kind in ("yes_no", "rating") and one.difference is not None]
    for price in prices[:1]:
        for one in quality[:1]:
            yield word(
                "cost", language, b=what.b, cost=in_range(price, language), what=_quoted(one, language),
                difference=in_range(one, language),
            )  # fmt: skip
