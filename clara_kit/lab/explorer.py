"""The explorer of turn-taking: what each setting costs on labelled overlaps, as figures with intervals, swept and tuned.

Every figure is of generated cases (or labelled ones that are handed in), simulated; none was ever seen on customers.
`python -m clara_kit.lab.explorer` writes the table of `data/turns/README.md` anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from msgspec import Struct
from msgspec.structs import astuple, replace

from clara_kit.core.paths import DATA
from clara_kit.core.settings import PRESETS, Settings
from clara_kit.lab.judging import Judge, Log
from clara_kit.lab.overlaps import ENDPOINTING_MS, Case, overlaps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

README = DATA / "turns" / "README.md"
MARKS = "<!-- written by python -m clara_kit.lab.explorer -->", "<!-- end of what is written -->"
LATE_MS = 2000.0  # who is spoken over for longer was missed
DRAWS = 400  # of a bootstrap

_SOUND: dict[str, Any] = {"finalize_short_sounds": True, "no_words_after_sound_ms": 800}
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "debounce": ("barge_in_debounce_ms", {}),
    "sustained": ("sustained_ms", _SOUND),
    "min_words": ("sustained_ms", {**_SOUND, "min_words": 2}),
    "words": ("sustained_ms", {**_SOUND, "ignore_backchannels": True}),
    "tuned": ("sustained_ms", PRESETS["tuned"]),
}
"""Five sets of rules, and the setting of each that says how long a sound must last: the plan's; a sound that lasts; two
words at least; words that ask for nothing; the tuned preset."""
VALUES = {"barge_in_debounce_ms": tuple(range(50, 1050, 50)), "sustained_ms": tuple(range(150, 1150, 50))}  # ms


# What the penalty counts, in seconds, beside those in which Clara is silent for nothing or speaks over somebody:
DUCKED = 0.5  # of a second in which her sound is lowered
ANSWERED_S, LOST_S = 3.0, 3.0  # a backchannel or echo that is answered, the rest of an answer that is never said
MISSED_S, WASTED_S = 3.0, 0.3  # words that are missed, a request for nothing
CUT_OFF_S, APART_S = 1.0, 2.0  # a turn that is answered in mid-thought, its halves that are answered apart


class Outcome(Struct, frozen=True):
    """One case judged: nan where a figure says nothing of it. Times in ms from the beginning of the customer's sound."""

    false_stop: float = 0.0
    yield_ms: float = nan
    duck_ms: float = nan
    missed: float = nan
    answered: float = nan
    cut_off: float = nan
    apart: float = nan
    wasted: float = 0.0
    penalty_s: float = 0.0


def outcome(case: Case, log: Log) -> Outcome:
    """What is to be said of a case and of what Clara did."""
    at: dict[str, list[float]] = defaultdict(list)
    for what, at_ms, _ in log:
        at[what].append(at_ms)
    asks, stop_ms = at["ask"], next(iter(at["stop"]), None)
    began_ms, ended_ms = case.begins_ms, case.ends_ms
    until_ms = case.clara_ms if stop_ms is None else min(stop_ms, case.clara_ms)
    ducked_s = DUCKED * _lowered(at, until_ms) / 1000
    duck_ms = at["duck"][0] - began_ms if at["duck"] else nan
    if case.should == "go_on":
        silent_s = 0.0
        if stop_ms is not None:
            after = [ms + case.restart_ms for ms in at["say"] if ms >= stop_ms]
            after += [ms + case.answer_ms for ms in asks]
            silent_s = (min(after) - stop_ms) / 1000 if after else LOST_S
        penalty_s = silent_s + ducked_s + ANSWERED_S * bool(asks)
        return Outcome(
            false_stop=float(stop_ms is not None), duck_ms=duck_ms, answered=float(bool(asks)) if case.text else nan,
            wasted=float(len(asks)), penalty_s=penalty_s,
        )  # fmt: skip
    waited_s = max(0.0, asks[-1] - ended_ms - ENDPOINTING_MS - case.results_ms) / 1000 if asks else 0.0
    wasted = max(0.0, len(asks) - 1.0)
    penalty_s = waited_s + WASTED_S * wasted + MISSED_S * (not asks)
    if case.should == "stop":
        yield_ms = until_ms - began_ms
        late = yield_ms > LATE_MS
        penalty_s += yield_ms / 1000 - ducked_s + MISSED_S * (late and bool(asks))
        return Outcome(
            yield_ms=yield_ms, duck_ms=duck_ms, missed=float(late or not asks), wasted=wasted, penalty_s=penalty_s
        )
    if case.should == "answer":
        return Outcome(missed=float(not asks), wasted=wasted, penalty_s=penalty_s)
    cut_off = any(began_ms < ms < ended_ms for ms in at["begin"])
    apart = bool(asks) and [text for what, _, text in log if what == "ask"][-1] != case.text
    penalty_s += CUT_OFF_S * cut_off + APART_S * apart
    return Outcome(cut_off=float(cut_off), apart=float(apart), wasted=wasted, penalty_s=penalty_s)


def _lowered(at: Mapping[str, list[float]], until_ms: float) -> float:
    """How long her sound is lowered before it stops, ms."""
    backs = [*(ms for ms in (*at["back"], *at["stop"]) if ms < until_ms), until_ms]
    begins = [ms for ms in at["duck"] if ms < until_ms]
    return sum(min(ms for ms in backs if ms >= from_ms) - from_ms for from_ms in begins)


class Figure(Struct, frozen=True):
    """A figure and its interval (95 %, bootstrap of cases within their kinds); None where nothing is known."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "–"
        digits = 0 if abs(self.value) >= 20 else 2
        told, *ends = (f"{x:.{digits}f}" for x in (self.value, self.low, self.high) if x is not None)
        return told if len({told, *ends}) == 1 else f"{told} ({'–'.join(ends)})"


class Figures(Struct, frozen=True, kw_only=True):
    """What a setting costs. Shares from 0 to 1; rates a minute of Clara's speech. All generated, never yet on customers."""

    false_stops_per_min: Figure
    yield_ms: Figure
    yield_p90_ms: Figure
    duck_ms: Figure
    missed: Figure
    answered: Figure
    cut_off: Figure
    apart: Figure
    wasted_per_min: Figure
    penalty_s: Figure


class Sample:
    """Cases, to be judged under as many settings as one likes. Intervals of two settings are of the same draws: paired.

    cases: `overlaps()` unless given; labelled ones (`per_min` 0) count as much as an average one, and in no rate.
    """

    def __init__(self, cases: Sequence[Case] | None = None, *, draws: int = DRAWS) -> None:
        self.cases = tuple(overlaps() if cases is None else cases)
        self.judge = Judge(self.cases)
        self._rate = np.array([case.per_min for case in self.cases])
        known = self._rate[self._rate > 0]
        self._weight = np.where(self._rate > 0, self._rate, known.mean() if len(known) else 1.0)
        self._counts = self._drawn(draws)

    def _drawn(self, draws: int) -> Array:
        """How often each case is there in each draw; in the first, once."""
        rng, counts = np.random.default_rng(12), np.ones((draws + 1, len(self.cases)))
        kinds = np.array([case.kind for case in self.cases])
        for kind in dict.fromkeys(case.kind for case in self.cases):
            (places,) = np.nonzero(kinds == kind)
            counts[1:, places] = rng.multinomial(len(places), np.full(len(places), 1 / len(places)), size=draws)
        return counts

    def outcomes(self, settings: Settings) -> list[Outcome]:
        """Each case judged."""
        return [outcome(case, log) for case, log in zip(self.cases, self.judge.logs(settings))]

    def figures(self, settings: Settings, *, intervals: bool = True) -> Figures:
        """What these settings cost."""
        return self._figures(self.outcomes(settings), intervals=intervals)

    def better(self, settings: Settings, beside: Settings) -> Figure:
        """How many seconds of penalty a case these settings spare beside the others (above 0: they are better), paired."""
        each = (self._columns(self.outcomes(one))["penalty_s"] for one in (settings, beside))
        one, other = (self._mean(column, self._counts) for column in each)
        return _figure(other - one)

    def swept(self, rule: str) -> list[tuple[float, Figures]]:
        """A set of rules at each of its values: (ms, figures without intervals)."""
        knob, changes = RULES[rule]
        return self.curve(Settings.of(**changes), knob, VALUES[knob])

    def curve(self, settings: Settings, knob: str, values: Sequence[float]) -> list[tuple[float, Figures]]:
        """Settings at other values of one of them."""
        found: list[tuple[float, Figures]] = []
        before: Sequence[tuple[Log | None, Outcome]] = [(None, Outcome())] * len(self.cases)
        for value, logs in zip(values, self.judge.swept(settings, knob, values)):
            before = [
                (log, known if log is same else outcome(case, log))
                for case, log, (same, known) in zip(self.cases, logs, before)
            ]
            found.append((float(value), self._figures([one for _, one in before], intervals=False)))
        return found

    def _columns(self, outcomes: Sequence[Outcome]) -> dict[str, Array]:
        return dict(zip(Outcome.__struct_fields__, np.array([*map(astuple, outcomes)]).T))

    def _figures(self, outcomes: Sequence[Outcome], *, intervals: bool) -> Figures:
        columns = self._columns(outcomes)
        counts = self._counts if intervals else self._counts[:1]
        found = {f"{name}_per_min": counts @ (self._rate * columns[column]) for name, column in _RATES.items()}
        if not self._rate.any():
            found = {name: rates * nan for name, rates in found.items()}
        found |= {name: self._mean(columns[name], counts) for name in _MEANS}
        for name, column, share in _QUANTILES:
            found[name] = self._quantile(columns[column], counts, share)
        return Figures(**{name: _figure(values) for name, values in found.items()})

    def _mean(self, column: Array, counts: Array) -> Array:
        weight = np.where(np.isnan(column), 0.0, self._weight)
        total = counts @ weight
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(counts @ (weight * np.nan_to_num(column)) / total)

    def _quantile(self, column: Array, counts: Array, share: float) -> Array:
        (there,) = np.nonzero(~np.isnan(column))
        order = there[np.argsort(column[there], kind="stable")]
        if not len(order):
            return np.full(len(counts), nan)
        running = np.cumsum(counts[:, order] * self._weight[order], axis=1)
        return np.asarray(column[order][(running >= share * running[:, -1:]).argmax(axis=1)])


_RATES = {"false_stops": "false_stop", "wasted": "wasted"}
_MEANS = ("missed", "answered", "cut_off", "apart", "penalty_s")
_QUANTILES = (("yield_ms", "yield_ms", 0.5), ("yield_p90_ms", "yield_ms", 0.9), ("duck_ms", "duck_ms", 0.5))


def _figure(values: Array) -> Figure:
    """The first is the figure, the others are of the draws."""
    value, others = float(values[0]), values[1:][~np.isnan(values[1:])]
    if value != value:
        return Figure(None)
    if not len(others):
        return Figure(value)
    low, high = np.quantile(others, (0.025, 0.975))
    return Figure(value, float(low), float(high))


@dataclass(frozen=True)
class Tuned:
    """What `tune` found. `chosen`: settings; `spared`: seconds of penalty a case beside the beginning, on the half that was
    not looked at; `held_out`: the figures there."""

    chosen: dict[str, Any]
    spared: Figure
    held_out: Figures
    before: Figures

    def __repr__(self) -> str:
        """In one sentence."""
        values = ", ".join(f"{name}={value}" for name, value in self.chosen.items())
        return f"{values}: penalty {self.held_out.penalty_s} s a case, {self.spared} s less than before (generated, held-out half)"


KNOBS: dict[str, tuple[float, ...]] = {
    "sustained_ms": (400, 500, 600, 700, 800),  # who is heard for longer before she stops speaks louder, or gives up
    "words_so_far_ms": (0, 300, 400, 460, 520, 600),
    "unfinished_hold_ms": (800, 1200, 1500, 2000, 2500),
    "turn_hold_ms": (0, 200, 400, 700),
    "no_words_after_sound_ms": (400, 600, 800, 1000),
    "protected_opening_ms": (0, 500, 1000),
    "min_words": (1, 2),
    "taken_back_ms": (0, 500, 1000, 1500, 2000),
}
"""What is tried for each setting; ms but for the words."""


def tune(
    cases: Sequence[Case] | None = None, start: Mapping[str, Any] | None = None, *, knobs: Mapping[str, Sequence[float]] = KNOBS
) -> Tuned:  # fmt: skip
    """Choose each knob's value by the penalty on every other case of a kind; told is what comes of it on the others.
    No value is taken that misses more of what was meant.

    start: what is changed of `Settings()` at the beginning (default: the tuned preset).
    """
    start = PRESETS["tuned"] if start is None else start
    cases, chosen = overlaps() if cases is None else cases, dict(start)
    seen, held = (Sample(half) for half in _halves(cases))
    best, changed = seen.figures(Settings.of(**chosen), intervals=False), True
    while changed:
        changed = False
        for knob, values in knobs.items():
            for value in values:
                tried = {**chosen, knob: value}
                found = seen.figures(Settings.of(**tried), intervals=False)
                if _spares(found, best):
                    chosen, best, changed = tried, found, True
    before, after = Settings.of(**start), Settings.of(**chosen)
    return Tuned(chosen, held.better(after, before), held.figures(after), held.figures(before))


def _spares(one: Figures, best: Figures) -> bool:
    """It costs less, and nothing is bought with an interruption that is missed."""
    worse = (one.missed.value or 0.0) > (best.missed.value or 0.0)
    return not worse and (one.penalty_s.value or 0.0) < (best.penalty_s.value or 0.0) - 1e-9


def _halves(cases: Sequence[Case]) -> tuple[list[Case], list[Case]]:
    """Every other case of a kind; each half stands for all that happens in a minute."""
    halves: tuple[list[Case], list[Case]] = ([], [])
    for kind in dict.fromkeys(case.kind for case in cases):
        whole = [case for case in cases if case.kind == kind]
        for n, half in enumerate(halves):
            part = whole[n::2]
            half += [replace(case, per_min=case.per_min * len(whole) / len(part)) for case in part]
    return halves


TOLD = {
    "false_stops_per_min": "false stops a minute", "yield_ms": "sound to order to stop, median, ms",
    "yield_p90_ms": "90 of 100 below, ms", "duck_ms": "sound to ducked, median, ms", "missed": "missed",
    "answered": "backchannels, echoes answered", "cut_off": "answered in mid-thought",
    "apart": "halves answered apart",
    "wasted_per_min": "wasted requests a minute", "penalty_s": "penalty, s a case",
}  # fmt: skip


WORLDS: dict[str, float | None] = {"published": None, "she answers in 0.8 s": 800.0}


def markdown() -> str:
    """The figures of the presets as a table, with their intervals, in today's world and where she answers soon."""
    columns = [(name, world) for world in WORLDS for name in ("plan", "tuned")]
    rows = [f"| | {' | '.join(f'{name}, {world}' for name, world in columns)} |", "|---|" + "---|" * len(columns)]
    samples = {world: Sample(overlaps(answers_ms=ms)) for world, ms in WORLDS.items()}
    found = [samples[world].figures(Settings.of(**PRESETS[name])) for name, world in columns]
    rows += [f"| {told} | {' | '.join(str(getattr(one, figure)) for one in found)} |" for figure, told in TOLD.items()]
    return "\n".join(rows)


def readme() -> str:
    """`data/turns/README.md` as it should be."""
    text = README.read_text(encoding="utf-8")
    head, rest = text.split(MARKS[0])
    return f"{head}{MARKS[0]}\n\n{markdown()}\n\n{MARKS[1]}{rest.split(MARKS[1])[1]}"


if __name__ == "__main__":
    README.write_text(readme(), encoding="utf-8")
