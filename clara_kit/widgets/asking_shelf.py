"""`ShelfWhatIfs`: one setting changed, and which conversations of the whole shelf would have gone otherwise.

What is found is found by `lab/what_if_shelf.py`; the view is in `asking_shelf.js`. A conversation opens beneath as `WhatIfView`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.core.paths import DATA
from clara_kit.core.settings import Settings
from clara_kit.lab.sentences import happened
from clara_kit.lab.what_if_shelf import Otherwise, ShelfWhatIf, what_if_shelf
from clara_kit.widgets.ghost import KNOBS, WhatIfView, dragged, stands_at
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.words import Language, mixed, spoken_in, usual_language

_SHOWN = 200  # conversations of one reason that are listed; all are counted


class _View(anywidget.AnyWidget):
    _esm = view("asking_shelf")
    _css = style("ghost", "asking_shelf")

    words = traitlets.Dict().tag(sync=True)
    knobs: Any = traitlets.List().tag(sync=True)
    progress: Any = traitlets.List().tag(sync=True)
    said = traitlets.Unicode("").tag(sync=True)
    reasons: Any = traitlets.List().tag(sync=True)
    opened = traitlets.Unicode("").tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)


class ShelfWhatIfs(ipywidgets.VBox):  # type: ignore[misc]
    """Asks all runs under a folder (default `data/runs`). `ask` and `show` do what the buttons do; `found` is the same as data."""

    def __init__(self, root: Path | str | None = None, *, language: Language | None = None) -> None:
        self._root, self._language = root, language or usual_language()
        words, usual = spoken_in(self._language), Settings.preset("tuned")
        knobs = [[name, words[f"set_{name}"], *range_, float(stands_at(usual, name))] for name, range_ in KNOBS.items()]
        self._view = _View(words=words, knobs=knobs)
        self._view.on_msg(self._asked)
        self.found: ShelfWhatIf | None = None
        self._listed: list[list[Otherwise]] = []
        super().__init__([self._view])

    def ask(self, setting: str, value: float | bool) -> ShelfWhatIf:
        """What would have become of each, had this setting had this value. Raises `ClaraError`."""
        value, usual = dragged(setting, value), DATA / "runs"
        runs = self._root or (usual if usual.is_dir() else ())  # nobody has called yet
        try:
            self.found = what_if_shelf(runs, {setting: {setting: value}}, progress=self._progress)
        finally:
            self._view.progress = []
        self._listed = [*map(list, self.found.by_reason().values())]
        words, found = self._view.words, self.found
        with self._view.hold_sync():
            self._view.opened, self._view.problem = "", ""
            said = words["as_said" if found.otherwise else "as_none"].format(
                of=f"{found.asked:,}", n=f"{len(found.otherwise):,}"
            )
            refused = [words["as_refused"].format(n=len(found.refused))] if found.refused else []
            self._view.said = " ".join([f"{self._asked_as(setting, value)}:", said, *refused])
            self._view.reasons = [self._reason(n, ones) for n, ones in enumerate(self._listed)]
        self.children = (self._view,)
        return found

    def show(self, reason: int, place: int) -> WhatIfView:
        """Show one of them beneath, recorded and as it would have been. Raises `ClaraError`."""
        one = self._listed[reason][place]
        shown = WhatIfView(one.source, one.name, language=self._language)
        shown.choose(value=stands_at(one.settings, one.name))
        self._view.opened = f"{reason}.{place}"
        below: tuple[Any, ...] = (self._view, shown)
        self.children = below
        return shown

    def _asked_as(self, setting: str, value: float | bool) -> str:
        """What was asked, in words: the choice may change while the answer stands."""
        words = self._view.words
        now = words["gh_on" if value else "gh_off"] if isinstance(value, bool) else f"{value:g}"
        return f"«{words[f'set_{setting}']}» = {now}{' ms' if setting.endswith('_ms') else ''}"

    def _reason(self, number: int, ones: list[Otherwise]) -> dict[str, Any]:
        words, first = self._view.words, ones[0].differs
        was, now = (
            words["gh_nothing"] if r is None else happened(r, self._language) for r in (first.recorded, first.now)
        )
        rows = [
            [f"{number}.{place}", one.title or one.run_id, f"{one.differs.at_ms / 1000:.1f} s", f"{one.vouched:.0%}", mixed(one.mix, self._language)]
            for place, one in enumerate(ones[:_SHOWN])
        ]  # fmt: skip
        return {"was": was, "now": now, "count": len(ones), "rows": rows}

    def _progress(self, done: int, of: int) -> None:
        if done == of or done % 25 == 0:
            self._view.progress = [done, of]

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asked = content if isinstance(content, dict) else {}
        self._view.problem = ""
        try:
            match asked:
                case {"kind": "ask", "setting": str(setting), "value": int() | float() as value}:
                    self.ask(setting, value)
                case {"kind": "open", "which": str(which)}:
                    reason, _, place = which.partition(".")
                    self.show(int(reason), int(place))
        except ClaraError as exc:
            self._view.problem = tell(exc, self._language)
        except (IndexError, ValueError):
            self._view.problem = self._view.words["as_gone"]
        finally:
            self._view.send({"kind": "done"})  # also where nothing has changed

    def __repr__(self) -> str:
        return f"<ShelfWhatIfs: {self._view.said or 'nothing asked yet'}>"
