"""`LatencyBudget`: where the milliseconds of a turn go, which levers win them back, and what that costs.

The view is in `budget.js`. Everything is calculated from published figures (or from a calibrated profile), never measured on a
line of your own, and says so. Levers and sliders are answered at once, with intervals.
"""

from __future__ import annotations

from typing import Any

import anywidget
import numpy as np
import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.lab.budget.figures import Figures, bought, figures
from clara_kit.lab.budget.heard import QUESTION, ROUNDS, Heard, heard
from clara_kit.lab.budget.levers import FAST, LEVERS, OPENERS, PLAN, UNPROVEN, Cost, Given, Levers
from clara_kit.lab.budget.reach import ALL, PROVEN, can_we, percent, reach
from clara_kit.lab.budget.times import CLASSIC, draws, times
from clara_kit.lab.calibrate.mark import calibrated_mark
from clara_kit.lab.explorer import Figure
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.words import Language, spoken_in, usual_language
from clara_kit.world.latency import CALIBRATED, newest_calibration

PROFILES = ("published", "optimistic", "long_tail", "classic", CALIBRATED)
PRESETS = {"plan": PLAN, "fast": FAST, "openers": OPENERS, "proven": PROVEN, "all": ALL}
SLIDERS = {  # from, to, step; percent where it is a share
    "reply_tokens": (10, 200, 5), "sentence_tokens": (4, 60, 1), "clause_tokens": (3, 40, 1), "hit_share": (0, 100, 5),
    "cold_share": (0, 100, 5),
}  # fmt: skip
SHARES = ("hit_share", "cold_share")
BIN_MS, MOST_MS = 100.0, 10_000.0
_TIMES = ("first_p50", "first_p95", "answer_p50")
_EARS = {"first_p50": "ear_p50", "first_p95": "ear_p95", "answer_p50": "answer_ear_p50"}
_SHARES = ("under_600", "under_800", "over_3000")


class LatencyBudget(anywidget.AnyWidget):
    """`choose`, `give`, `take`, `listen`, `ask` and `hear` do what ticks, sliders and buttons do; `figures`: what came of it.

    levers: those that are pulled at the beginning (default: what «fast» pulls). given: what is calculated for.
    """

    _esm = view("budget")
    _css = style("desk", "budget")

    words = traitlets.Dict().tag(sync=True)
    controls = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    given = traitlets.Dict().tag(sync=True)
    heard = traitlets.Bool(True).tag(sync=True)
    bars = traitlets.Dict().tag(sync=True)
    curves = traitlets.Dict().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    buys = traitlets.Dict().tag(sync=True)
    mark = traitlets.Unicode("").tag(sync=True)
    sentence = traitlets.Unicode("").tag(sync=True)
    asked = traitlets.Dict().tag(sync=True)
    waits = traitlets.Unicode("").tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)

    def __init__(self, levers: Levers = FAST, given: Given | None = None, *, language: Language | None = None) -> None:
        self._language = language or usual_language()
        super().__init__(words=spoken_in(self._language))
        self.controls = {
            "levers": {
                n: [one.mark, one.source, bool(one.setting), one.needs, n in UNPROVEN] for n, one in LEVERS.items()
            },
            "sliders": {name: [*span, name in SHARES] for name, span in SLIDERS.items()},
            "profiles": [one for one in PROFILES if one != CALIBRATED or newest_calibration() is not None],
            "presets": [*PRESETS],
            "question": QUESTION,
        }
        self._levers, self._given, self.sound = levers, given or Given(), b""
        self.on_msg(self._told)
        self._draw()

    @property
    def levers(self) -> Levers:
        """Those that are pulled."""
        return self._levers

    @property
    def figures(self) -> Figures:
        """What comes of them."""
        return figures(self._levers, self._given)

    def choose(self, **levers: bool) -> Figures:
        """Pull levers, or let them go, by their names. Raises `SettingsError`."""
        self._levers = self._levers.but(**levers)
        return self._draw()

    def take(self, preset: str) -> Figures:
        """Pull what one of `PRESETS` pulls."""
        self._levers = PRESETS[preset]
        return self._draw()

    def give(self, **given: Any) -> Figures:
        """Calculate for other replies, questions or times (the fields of `Given`). Raises `SettingsError`, `ScriptError`."""
        now = Given.model_validate({**{n: getattr(self._given, n) for n in Given.__struct_fields__}, **given})
        draws(now.profile)
        self._given = now
        return self._draw()

    def listen(self, *, heard: bool) -> None:
        """Count to the ear, or to the avatar's own word that it speaks."""
        self.heard = heard
        self._draw()

    def ask(self, target_ms: float = 800.0, share: float = 0.5) -> str:
        """What brings this share of turns below the target, or what the unknowns must be."""
        told = reach(target_ms, share, self._given, heard=self.heard).told(self._language)
        self.asked = {"target": target_ms, "share": share, "told": told}
        return told

    def hear(self, question: str = QUESTION) -> Heard:
        """The question under the plan and under these levers, one after the other, as far as they are built; `sound`: as a WAV.

        Raises `AudioError` where the offline voice is not installed.
        """
        vendor = {"avatar_vendor": "heygen"} if self._given.profile == CLASSIC else {}
        choices = {name: one.settings.with_changes(**vendor) for name, one in (("plan", PLAN), ("yours", self._levers))}
        found = heard(choices, question, latency=self._given.profile)
        self.sound = found.sound()
        told = {name: f"{wait_s:.1f}" for name, wait_s in found.waits_s.items()}
        self.waits = spoken_in(self._language)["lb_waits"].format(n=ROUNDS, **told)
        self.send({"kind": "sound"}, [self.sound])
        return found

    def _draw(self) -> Figures:
        plan, yours = figures(PLAN, self._given), self.figures
        self.chosen = {name: getattr(self._levers, name) for name in LEVERS}
        self.given = {name: getattr(self._given, name) for name in ("profile", "slow_share", *SLIDERS)}
        self.bars = {name: self._bar(one) for name, one in (("plan", plan), ("yours", yours))}
        self.curves = {name: self._curve(one) for name, one in (("plan", PLAN), ("yours", self._levers))}
        names = dict(zip(_TIMES, (_EARS[n] if self.heard else n for n in _TIMES), strict=True))
        self.rows = [
            *([n, [_ms(getattr(one, of)) for one in (plan, yours)]] for n, of in names.items()),
            *([n, [_share(getattr(one, self._of(n))) for one in (plan, yours)]] for n in _SHARES),
            *([n, [self._cost(n, one.cost) for one in (plan, yours)]] for n in ("usd", "prompt_tokens", "cut_off")),
        ]
        kind = "ear" if self.heard else "first"
        self.buys = {
            one.lever: [
                round(getattr(one, f"{what}_{when}")) for what in (kind, "answer") for when in ("alone", "last")
            ]
            for one in bought(self._levers, self._given)
        }
        self.mark = calibrated_mark(draws(self._given.profile).profile, language=self._language)
        self.sentence = can_we(600.0, self._given, self._language)
        if self.asked:
            self.ask(self.asked["target"], self.asked["share"])
        return yours

    def _of(self, name: str) -> str:
        return f"ear_{name}" if self.heard else name

    def _bar(self, one: Figures) -> dict[str, Any]:
        stages = [[name, round(ms)] for name, ms in one.stages.items() if self.heard or name != "playout"]
        answer = one.answer_ear_p50 if self.heard else one.answer_p50
        return {"stages": stages, "answer": round(answer.value or 0.0)}

    def _curve(self, levers: Levers) -> list[float]:
        what = times(levers, self._given, draws(self._given.profile))
        array = what.ear if self.heard else what.first
        counts, _ = np.histogram(np.minimum(array, MOST_MS - 1), bins=int(MOST_MS / BIN_MS), range=(0, MOST_MS))
        return [round(float(n) / len(array), 4) for n in counts]

    def _cost(self, name: str, cost: Cost) -> str:
        words = spoken_in(self._language)
        value = getattr(cost, name)
        if value is None:
            return words["lb_unknown"]
        return (
            f"{value * 1000:.2f}"
            if name == "usd"
            else words["lb_cut_off"].format(share=percent(value))
            if name == "cut_off"
            else f"{value:,.0f}".replace(",", "\u202f" if self._language == "es" else ",")  # «3,000» would be 3 there
        )

    def _told(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asked = content if isinstance(content, dict) else {}
        kind, changes, self.problem = asked.get("kind"), asked.get("changes"), ""
        try:
            if kind == "choose" and isinstance(changes, dict):
                self.choose(**{n: bool(on) for n, on in changes.items() if n in LEVERS})
            elif kind == "give" and isinstance(changes, dict):
                self.give(**{n: x for n, x in changes.items() if n in SLIDERS or _chosen(n, x)})
            elif kind == "take" and asked.get("preset") in PRESETS:
                self.take(asked["preset"])
            elif kind == "listen":
                self.listen(heard=bool(asked.get("heard")))
            elif kind == "ask" and all(isinstance(asked.get(n), int | float) for n in ("target", "share")):
                self.ask(min(max(float(asked["target"]), 100.0), 20_000.0), min(max(float(asked["share"]), 0.01), 1.0))
            elif kind == "hear" and str(asked.get("question") or "").strip():
                self.hear(str(asked["question"])[:300])
        except ClaraError as exc:
            self.problem = tell(exc, self._language)
        finally:
            self.answered += 1

    def __repr__(self) -> str:
        yours = self.figures
        return (
            f"<LatencyBudget: {', '.join(self._levers) or 'the plan'}: first sound {yours.first_p50} ms by the avatar's word, "
            f"{yours.ear_p50} ms at the ear, answer {yours.answer_ear_p50} ms; calculated from «{self._given.profile}», not measured>"
        )


def _chosen(name: str, value: Any) -> bool:
    """A profile, or whether the avatar's slow starts count: as the profile has them, or not at all."""
    return (name == "profile" and value in PROFILES) or (name == "slow_share" and value in (None, 0))


def _ms(figure: Figure) -> list[str]:
    """A time and its interval, as they are read."""
    return [f"{figure.value or 0:.0f} ms", "" if figure.low is None else f"{figure.low:.0f}–{figure.high or 0:.0f}"]


def _share(figure: Figure) -> list[str]:
    low = "" if figure.low is None else f"{percent(max(0.0, figure.low))[:-2]}–{percent(figure.high or 0.0)}"
    return [percent(figure.value or 0.0), low]
