"""`Explorer`: what turn-taking costs, as a curve: false stops a minute against the time in which Clara yields.

The view is in `explorer.js`. Everything is generated and simulated, never yet seen on customers, and says so. A slider
is answered from a smaller sample first and, when it rests, from the whole with intervals.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import isnan
from typing import Any

import anywidget
import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.core.settings import PRESETS, Settings, sure
from clara_kit.lab.explorer import RULES, TOLD, VALUES, WORLDS, Figures, Outcome, Sample
from clara_kit.lab.labels import Labelled
from clara_kit.lab.overlaps import Case, overlaps
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.words import Language, spoken_in, usual_language

CASES, QUICK = 1000, 240
YOURS, KNOB = "yours", "sustained_ms"  # the curve of the sliders, and the one of them that it runs along
SLIDERS = {  # from, to, step
    "sustained_ms": (0, 1500, 20),
    "words_so_far_ms": (0, 1000, 20), "barge_in_debounce_ms": (0, 1000, 20), "min_words": (1, 5, 1),
    "unfinished_hold_ms": (0, 3000, 100),
}  # fmt: skip
TICKS = ("ignore_backchannels", "ignore_echo", "finalize_short_sounds", "duck")
OWN = (*SLIDERS, *TICKS)


@lru_cache(maxsize=4)
def _sample(world: str, count: int) -> Sample:
    return Sample(overlaps(count, answers_ms=WORLDS[world]))


class Explorer(anywidget.AnyWidget):
    """`choose` and `take` do what the sliders and the buttons do; `figures`: what came of it, by the marks' names.

    settings: where the sliders begin (default: the tuned preset). labelled: moments of people (`lab/labels.py`), or
    cases; each is a dot on the curve, full where these settings would have been right.
    """

    _esm = view("explorer")
    _css = style("desk", "explorer")

    words = traitlets.Dict().tag(sync=True)
    controls = traitlets.Dict().tag(sync=True)
    rules: Any = traitlets.List().tag(sync=True)
    worlds: Any = traitlets.List().tag(sync=True)
    world = traitlets.Unicode("").tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    curves = traitlets.Dict().tag(sync=True)
    marks = traitlets.Dict().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    dots: Any = traitlets.List().tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        settings: Settings | None = None,
        labelled: Iterable[Case | Labelled] = (),
        *,
        language: Language | None = None,
    ) -> None:
        self._language = language or usual_language()
        super().__init__(words=spoken_in(self._language), rules=[*RULES], worlds=[*WORLDS], world=next(iter(WORLDS)))
        self.controls = {"sliders": {name: [*span] for name, span in SLIDERS.items()}, "ticks": [*TICKS]}
        self._settings = sure(settings or Settings.preset("tuned"))
        self._others: Settings | None = None
        cases = [case for one in labelled if (case := one if isinstance(one, Case) else one.case()) is not None]
        self._labelled = Sample(cases, draws=1) if cases else None
        self.figures: dict[str, Figures] = {}
        self.on_msg(self._asked)
        self._preset_marks()
        self.choose(quick=True)  # so that the first slider finds it ready
        self.choose()

    @property
    def settings(self) -> Settings:
        """The settings as the sliders have them."""
        return self._settings

    def choose(self, *, quick: bool = False, **changes: Any) -> Figures:
        """Change some settings by their names and judge anew (quick: on a smaller sample, without intervals). Raises `SettingsError`."""
        self._settings = self._settings.with_changes(**changes)
        self.chosen = {name: getattr(self._settings, name) for name in OWN}
        self._your_curve()
        sample = _sample(self.world, QUICK if quick else CASES)
        self._mark("yours", sample.figures(self._settings, intervals=not quick))
        self.dots = [*self._dots()]
        return self.figures["yours"]

    def _your_curve(self) -> None:
        """It is drawn where it is another than that of «tuned»; the one that was is no longer true."""
        others = self._settings.with_changes(**{KNOB: 0.0})
        if others == self._others:
            return
        self._others = others
        tuned = others == Settings.preset("tuned").with_changes(**{KNOB: 0.0})
        self.rules = [*RULES] if tuned else [*RULES, YOURS]
        self.curves = {rule: points for rule, points in self.curves.items() if rule != YOURS}

    def take(self, preset: str) -> Figures:
        """Begin anew from a preset. Raises `SettingsError`."""
        self._settings = Settings.preset(preset)  # type: ignore[arg-type]
        return self.choose()

    def turn_to(self, world: str) -> None:
        """Judge in another world, one of `WORLDS`: as published, or where Clara answers soon."""
        self.world, self.curves = world, {}
        self._preset_marks()
        self.choose()

    def draw(self, *rules: str) -> None:
        """Draw the curves of these sets of rules (default: of all; "yours": of the sliders)."""
        sample = _sample(self.world, CASES)
        for rule in rules or self.rules:
            points = sample.curve(self._settings, KNOB, VALUES[KNOB]) if rule == YOURS else sample.swept(rule)
            self.curves = {**self.curves, rule: [[*_place(figures), value] for value, figures in points]}

    def _preset_marks(self) -> None:
        for name in PRESETS:
            self._mark(name, _sample(self.world, CASES).figures(Settings.of(**PRESETS[name])))

    def _mark(self, name: str, figures: Figures) -> None:
        self.figures = {**self.figures, name: figures}
        self.marks = {name: _place(one) for name, one in self.figures.items()}
        self.rows = [[key, [str(getattr(one, key)) for one in self.figures.values()]] for key in TOLD]

    def _dots(self) -> list[list[Any]]:
        if self._labelled is None:
            return []
        judged = self._labelled.outcomes(self._settings)
        return [
            [round(case.ends_ms - case.begins_ms), _right(one), f"{case.text or case.kind}: {case.should}"]
            for case, one in zip(self._labelled.cases, judged)
        ]

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asked = content if isinstance(content, dict) else {}
        kind, self.problem = asked.get("kind"), ""
        try:
            if kind == "choose" and isinstance(changes := asked.get("changes"), dict):
                self.choose(quick=bool(asked.get("quick")), **{k: v for k, v in changes.items() if k in OWN})
            elif kind == "take" and asked.get("preset") in PRESETS:
                self.take(asked["preset"])
            elif kind == "world" and asked.get("world") in WORLDS:
                self.turn_to(asked["world"])
            elif kind == "draw" and asked.get("rule") in self.rules:
                self.draw(asked["rule"])
        except ClaraError as exc:
            self.problem = tell(exc, self._language)
        finally:
            self.answered += 1

    def __repr__(self) -> str:
        yours = self.figures["yours"]
        return (
            f"<Explorer: yours {yours.false_stops_per_min} false stops a minute, yields in {yours.yield_ms} ms, penalty "
            f"{yours.penalty_s} s a case; generated, never yet on customers>"
        )


def _place(figures: Figures) -> list[float]:
    return [round(figures.yield_ms.value or 0.0), round(figures.false_stops_per_min.value or 0.0, 3)]


def _right(one: Outcome) -> bool:
    wrong = (one.false_stop, one.missed, one.answered, one.cut_off, one.apart)
    return not any(figure > 0 for figure in wrong if not isnan(figure))
