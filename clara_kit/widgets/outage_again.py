"""`OutageAgain`: an outage that was recorded, played again with fallback and without; each of the three can be opened.

What is played again is `lab/outage.py`'s; the view is in `outage_again.js`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.lab.outage import Outage, outage
from clara_kit.lab.sheet import Sheet
from clara_kit.lab.shelf import UNREADABLE, Kept, kept
from clara_kit.lab.survival.checked import checked
from clara_kit.measure.run import Run
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.window import ConversationWindow
from clara_kit.widgets.words import Language, mixed, spoken_in, usual_language, whose

SIDES = ("recorded", "off", "on")
MOST = 60  # of the shelf's runs, the newest


class OutageAgainView(anywidget.AnyWidget):
    """The page's half."""

    _esm = view("outage_again")
    _css = style("desk", "outage_again")

    words = traitlets.Dict().tag(sync=True)
    offers: Any = traitlets.List().tag(sync=True)
    chosen = traitlets.Unicode("").tag(sync=True)
    faults: Any = traitlets.List().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    mixes: Any = traitlets.List().tag(sync=True)
    opened = traitlets.Unicode("").tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)


class OutageAgain(ipywidgets.VBox):  # type: ignore[misc]
    """`run`, or one of the shelf of `root` (default `data/runs`), three times. `choose` and `show` do what the fields do."""

    def __init__(
        self, run: Run | None = None, *, root: Path | str | None = None, language: Language | None = None
    ) -> None:
        self._language: Language = language or usual_language()
        self._given, self._root = run, root
        self._kept: dict[str, Kept] = {}
        self.outage: Outage | None = None
        self._view = OutageAgainView(words=spoken_in(self._language))
        self._view.on_msg(self._asked)
        super().__init__([self._view])
        self.refresh()
        if run is not None:
            self._do(lambda: self.choose(""))

    def refresh(self) -> None:
        """Offer what is on the shelf now."""
        rows = [one for one in kept(self._root) if one.ended != UNREADABLE][:MOST]
        self._kept = {one.folder.name: one for one in rows}
        given = [["", self._given.title or self._view.words["oa_this"]]] if self._given is not None else []
        self._view.offers = [*given, *([name, one.title or name] for name, one in self._kept.items())]

    def choose(self, name: str) -> Outage:
        """Play one again, by its folder's name; the empty name is the run that was given. Raises `ClaraError`."""
        run = self._given if name == "" else self._kept[name].load() if name in self._kept else None
        if run is None:
            raise ClaraError(f"There is no conversation «{name}» on the shelf.", hint="choose another one.")
        found = self.outage = outage(run)
        whole = {side: getattr(found, side) for side in SIDES}
        results = {side: (checked(one), found.figures()[side]) for side, one in whole.items()}
        with self._view.hold_sync():
            self._view.chosen, self._view.opened = name, ""
            self._view.mixes = [mixed(one.mix, self._language) for one in whole.values()]
            counts = Counter((fault.service, fault.kind) for fault in found.faults)
            self._view.faults = [[*names, n] for names, n in counts.items()]
            self._view.rows = [
                ["outcome", *(self._view.words[f"sv_{one.outcome}"] for one, _ in results.values())],
                *([key, *(figures[key] for _, figures in results.values())] for key in ("turns", "answered", "by_backup")),
                ["lost", *(one.lost for one, _ in results.values())],
                ["longest", *(_seconds((ms := figures["longest_wait_ms"]) and ms / 1000) for _, figures in results.values())],
                ["degraded", *(_seconds(one.degraded_s) for one, _ in results.values())],
                ["silent", *(_seconds(one.silent_s) for one, _ in results.values())],
            ]  # fmt: skip
        self._put_below()
        return found

    def show(self, side: str) -> Run:
        """Open "recorded", "off" or "on" below, to hear and to walk through. Raises `ClaraError`."""
        if self.outage is None or side not in SIDES:
            raise ClaraError("There is nothing to open yet.", hint="choose a conversation first.")
        run: Run = getattr(self.outage, side)
        self._view.opened = side
        self._put_below(ConversationWindow(run, language=self._language, voiced=True))
        return run

    def _put_below(self, *widgets: ipywidgets.DOMWidget) -> None:
        self.children = (self._view, *widgets)

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asked = content if isinstance(content, dict) else {}
        kind, name = asked.get("kind"), asked.get("name")
        if kind == "offers":
            self.refresh()
        elif isinstance(name, str) and kind in ("choose", "show"):
            self._do(lambda: self.choose(name) if kind == "choose" else self.show(name))

    def _do(self, act: Any) -> None:
        self._view.problem = ""
        try:
            act()
        except ClaraError as exc:
            self._view.problem = tell(exc, self._language)

    def __repr__(self) -> str:
        return f"<OutageAgain: {self.outage!r}>"


def what_became(run: Run, language: Language | None = None) -> Sheet:
    """Each thing that the customer said, and what became of it; above, how long Clara was in fallback mode, and silent."""
    which = language or usual_language()
    words, found = spoken_in(which), checked(run)
    rows = [
        {
            words["wb_said"]: one.text,
            words["wb_became"]: words[f"fate_{one.fate}"],
            words["wb_by"]: words[f"wb_by_{one.by}"] if one.by else "",
            words["wb_waited"]: "" if one.waited_ms is None else _seconds(one.waited_ms / 1000),
        }
        for one in found.said
    ]
    numbers = {"degraded": f"{found.degraded_s:.1f}", "longest": f"{found.longest_silence_s:.1f}", "lost": found.lost}
    caption = f"{whose(run.mix, which)}. {words['wb_sums'].format(**numbers)}"
    return Sheet.of(rows or [{words["wb_said"]: "–"}], " ".join((caption, *found.problems)))


def _seconds(s: float | None) -> str:
    return "–" if s is None else f"{s:.1f}\u00a0s"
