"""`LatencyLive`: the desk's panel that shows where the milliseconds go while one talks, and what is over its budget.

The view is in `latency_live.js`. The figures are the monitor's (`measure/monitor.py`), which reads along in the thread of
each conversation; here they are only drawn, when there is something new and at most a few times a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import Any

import anywidget
import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.lab.calibrate.mark import calibrated_mark
from clara_kit.measure.monitor import ANSWER, BUDGETS_MS, GAP, TOTAL, LatencyMonitor
from clara_kit.measure.run import mix_of
from clara_kit.runtime.manager import ConversationManager
from clara_kit.runtime.watching import Watching
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.words import Language, spoken_in, usual_language, whose

DRAWN_EVERY_S = 0.3
TARGET_MS = 800  # the plan's: 600 to 800
SHOWN = 20  # alerts, the newest
USUAL = ("hear", "send", "think", "first sentence", "hand over", "voice", "avatar", "ear", GAP, TOTAL)
"""Shown also before they have a value; others when they have one."""


class LatencyLive(anywidget.AnyWidget):
    """Of one desk, over all its conversations. `budget` and `start_anew` do what a hand does; `rows` is what it shows.

    Whatever stands behind the services is told beside the figures; where that is another mix than before, they begin anew.
    """

    _esm = view("latency_live")
    _css = style("desk", "latency_live")

    words = traitlets.Dict().tag(sync=True)
    language = traitlets.Unicode("en").tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    told: Any = traitlets.List().tag(sync=True)
    sums = traitlets.Dict().tag(sync=True)
    mix = traitlets.Unicode("").tag(sync=True)
    is_live = traitlets.Bool(False).tag(sync=True)
    mark = traitlets.Unicode("").tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)

    def __init__(self, *, language: Language | None = None) -> None:
        super().__init__()
        self.watching = Watching()
        self._clara: ConversationManager | None = None
        self._mixes: list[str] = []
        self._drawn = (-1, 0.0)  # the version, and when
        self.speak(language or usual_language())
        self.on_msg(self._asked)
        self.draw(now=True)

    def speak(self, language: Language) -> None:
        """Say everything in this language from now on."""
        self.language, self.words = language, spoken_in(language)
        self._name()

    # --- what a hand does -----------------------------------------------------------------------------------

    def budget(self, stage: str, ms: float) -> None:
        """Another limit for a stage, in ms; 0: none. Raises `ClaraError`."""
        if stage not in {*USUAL, *BUDGETS_MS}:
            raise ClaraError(
                f"There is no stage {stage!r}.", hint=f"the stages: {', '.join((*USUAL, ANSWER, 'backup'))}."
            )
        self.watching.look(lambda monitor: monitor.budget(**{stage: ms}))
        self.draw(now=True)

    def start_anew(self) -> None:
        """Forget the figures, but not the budgets."""
        self.watching.look(LatencyMonitor.start_anew)
        self._mixes = self._mixes[-1:]
        self._name()
        self.draw(now=True)

    # --- what it shows --------------------------------------------------------------------------------------

    def attach(self, clara: ConversationManager, *, log: bool) -> None:
        """Watch this conversation from its beginning. log: and write `latency.jsonl` beside its run."""
        self._clara = clara
        mix = mix_of(clara.services.modes)
        if self._mixes and self._mixes != [mix]:
            self.start_anew()
        self._mixes = [mix]
        self.watching.follow(clara, log=log)
        self._name()
        self.draw(now=True)

    def detach(self) -> None:
        """It is over; its figures stay."""
        self._clara = None
        self.draw(now=True)

    def draw(self, *, now: bool = False) -> None:
        """Show the figures as they are, if they are others and were not drawn just before."""
        if self._clara is not None and (mix := mix_of(self._clara.services.modes)) not in self._mixes:
            self._mixes.append(mix)
            self._name()
        if not now and monotonic() - self._drawn[1] < DRAWN_EVERY_S:
            return
        self.watching.look(self._look)

    def _look(self, monitor: LatencyMonitor) -> None:
        """Called while no conversation is at the monitor."""
        if monitor.version == self._drawn[0]:
            return
        self._drawn = monitor.version, monotonic()
        with self.hold_sync():
            self.rows = [*_rows(monitor)]
            self.told = [
                {"stage": one.stage, "raised": one.raised, "ms": round(one.ms), "limit": round(one.limit_ms),
                 "slow": one.slow, "turns": one.turns}
                for one in [*monitor.told][: -SHOWN - 1 : -1]
            ]  # fmt: skip
            self.sums = {"turns": monitor.turns, "unanswered": monitor.unanswered, "target": TARGET_MS}

    def _name(self) -> None:
        """Whose the figures are; and what is not live is as late as a profile has it: was that measured, and when?"""
        language: Language = "es" if self.language == "es" else "en"
        self.mix = " → ".join(whose(mix, language) for mix in self._mixes)
        self.is_live = "live" in " ".join(self._mixes)
        services = self._clara.services if self._clara is not None else None
        if services is not None:
            played = {"twin", "sim"} & {*services.modes.values()}
            self.mark = calibrated_mark(services.latency, language=language) if played else ""

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asked = content if isinstance(content, dict) else {}
        self.problem = ""
        try:
            if asked.get("kind") == "budget":
                self.budget(str(asked.get("stage")), asked.get("ms"))  # type: ignore[arg-type]
            elif asked.get("kind") == "anew":
                self.start_anew()
        except ClaraError as exc:
            self.problem = tell(exc, self.language)

    def __repr__(self) -> str:
        return f"<LatencyLive: {self.watching.look(repr)}>"


def _rows(monitor: LatencyMonitor) -> Iterable[dict[str, Any]]:
    figures, budgets = monitor.figures, monitor.budgets
    for name in (*USUAL[:-2], "backup", GAP, ANSWER, TOTAL):
        one = figures.get(name)
        if one is not None:
            numbers = {field: round(getattr(one, field)) for field in ("last", "p50", "p95", "p99")}
            yield {
                "stage": name,
                "n": one.n,
                **numbers,
                "budget": budgets.get(name),
                "alert": one.alert,
                "over": one.over,
            }
        elif name in USUAL:
            yield {"stage": name, "n": 0, "budget": budgets.get(name), "alert": False, "over": 0}
