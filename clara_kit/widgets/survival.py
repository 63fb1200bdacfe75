"""`SurvivalView`: what survives when a service fails, as one picture; each cell opens its conversation, to hear and walk through.

The model is here, the view in `survival.js`. Everything is simulated, with assumed or published latencies, and says so. It is
played cell by cell in the notebook's loop, once somebody looks at it, so that nothing else is kept waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import Any

import anywidget
import ipywidgets
import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.lab.survival.checked import checked
from clara_kit.lab.survival.matrix import Cell, cells, play
from clara_kit.lab.survival.month import Month, Rates, month
from clara_kit.lab.survival.survival import OUTCOMES, Survival
from clara_kit.measure.run import Run
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.window import ConversationWindow
from clara_kit.widgets.words import Language, spoken_in, usual_language

SIDES = {"on": True, "off": False}  # of `enable_auto_fallback`
SHOW_EVERY = 12  # cells: so often the picture is drawn anew


class SurvivalPicture(anywidget.AnyWidget):
    """The page's half."""

    _esm = view("survival")
    _css = style("desk", "survival")

    words = traitlets.Dict().tag(sync=True)
    language = traitlets.Unicode("en").tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    phases: Any = traitlets.List().tag(sync=True)
    cells = traitlets.Dict().tag(sync=True)
    total = traitlets.Int(0).tag(sync=True)
    side = traitlets.Unicode("on").tag(sync=True)
    chosen = traitlets.Unicode("").tag(sync=True)
    detail = traitlets.Unicode("").tag(sync=True)
    month = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)


class SurvivalView(ipywidgets.VBox):  # type: ignore[misc]
    """The picture, and below it the conversation of the cell that was opened.

    `draw_month` draws a month of calls, `play` plays what is still missing, `open_cell` opens one, `turn_to` shows the other side: what the buttons do.
    `found`: what became of each cell that was played, by side and name. only: some of the cells (default: all).
    """

    def __init__(self, only: Iterable[Cell] | None = None, *, language: Language | None = None) -> None:
        self._language: Language = language or usual_language()
        self._cells = {cell.name: cell for cell in (cells() if only is None else only)}
        self.found: dict[str, dict[str, Survival]] = {side: {} for side in SIDES}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.months = 0
        phases = [*dict.fromkeys(cell.phase for cell in self._cells.values())]
        rows: dict[tuple[str, str], list[str]] = {}
        for cell in self._cells.values():
            rows.setdefault((cell.service, cell.trouble), []).append(cell.phase)
        self.picture = SurvivalPicture(
            words=spoken_in(self._language), language=self._language, phases=phases, total=len(self._cells),
            rows=[[*names, there] for names, there in rows.items()], cells={side: {} for side in SIDES},
        )  # fmt: skip
        self.picture.on_msg(self._asked)
        self.picture.observe(lambda _: self._start(), names="side")
        super().__init__([self.picture])

    async def play(self, side: str = "on") -> None:
        """Play what is missing on one side, and show it as it comes."""
        for n, (name, cell) in enumerate(self._cells.items()):
            if name in self.found[side]:
                continue
            self.found[side][name] = checked(play(cell, fallback=SIDES[side]))
            if n % SHOW_EVERY == 0:
                self._show()
                await asyncio.sleep(0)
        self._show()

    def turn_to(self, side: str) -> None:
        """Show the picture with fallback "on" or "off"."""
        self.picture.side = side

    def open_cell(self, name: str) -> Run:
        """Open the conversation of a cell («llm / cut / speaking») below; returns it. Raises `ClaraError` for none."""
        if name not in self._cells:
            raise ClaraError(f"There is no cell «{name}».", hint=f"one of them: {next(iter(self._cells), '')}.")
        run = play(self._cells[name], fallback=SIDES[self.picture.side])
        survival = self.found[self.picture.side][name] = checked(run)
        self.picture.chosen, self.picture.detail = name, self._told(name, survival)
        self._show()
        window = ConversationWindow(run, language=self._language, voiced=True)
        window.title = self._what(name)
        self.children = (self.picture, window)
        return run

    async def draw_month(self) -> tuple[Month, Month]:
        """Draw a month, another one each time, and play what it strikes: with fallback, and without."""
        words, seed = self.picture.words, self.months
        self.months += 1
        self.picture.month = {**self.picture.month, "busy": words["sv_month_busy"]}
        try:
            on, off = [await asyncio.to_thread(partial(month, fallback=so, seed=seed)) for so in SIDES.values()]
        finally:
            self.picture.month = {**self.picture.month, "busy": ""}
        rates = Rates.load()
        every: list[tuple[Any, str, float]] = [(one, "per_month", one.per_month) for one in rates.incidents]
        every += [(one, "per_1000", one.per_1000) for one in rates.mishaps]
        both: list[list[Any]] = [["struck", *(len(one.struck) for one in (on, off))]]
        both += [[outcome, on.counts[outcome], off.counts[outcome]] for outcome in OUTCOMES]
        both += [["turns_lost", on.lost, off.lost]]
        both += [
            [name, *(f"{getattr(one, name):.0f}\u00a0s" for one in (on, off))] for name in ("degraded_s", "silent_s")
        ]
        self.picture.month = {
            "of": on.conversations, "rows": both, "busy": "",
            "sources": [
                f"{_who(one.service, words)}: {words[f'tr_{one.what}']}, {words[f'sv_{how}'].format(n=f'{n:g}')}. {words['sv_assumed'] if one.source == 'assumed' else one.source}"
                for one, how, n in every
            ],
        }  # fmt: skip
        return on, off

    def _told(self, name: str, survival: Survival) -> str:
        words = self.picture.words
        fates = ", ".join(f"{words[f'fate_{fate}']}: {n}" for fate, n in survival.counts.items())
        return " ‼ ".join([f"{self._what(name)} – {fates}", *survival.problems])

    def _what(self, name: str) -> str:
        words, cell = self.picture.words, self._cells[name]
        what = f"{_who(cell.service, words)}: {words[f'tr_{cell.trouble}']}, {words[f'ph_{cell.phase}_hint']}"
        return f"{what} ({words[f'sv_{self.picture.side}']})"

    def _show(self) -> None:
        self.picture.cells = {
            side: {name: _seen(one) for name, one in found.items()} for side, found in self.found.items()
        }

    def _start(self) -> None:
        self._task(self.play(self.picture.side))

    def _task(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_event_loop().create_task(self._do(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except ClaraError as exc:
            self.picture.problem = tell(exc, self._language)

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asked = content if isinstance(content, dict) else {}
        self.picture.problem = ""
        try:
            if asked.get("kind") == "seen":
                self._start()
            elif asked.get("kind") == "month" and not self.picture.month.get("busy"):
                self._task(self.draw_month())
            elif asked.get("kind") == "open" and isinstance(asked.get("cell"), str):
                self.open_cell(asked["cell"])
        except ClaraError as exc:
            self.picture.problem = tell(exc, self._language)

    def __repr__(self) -> str:
        done = self.found["on"].values()
        lost = sum(one.lost for one in done)
        return f"<SurvivalView: {len(done)} of {len(self._cells)} cells played with fallback, {lost} turns lost; simulated>"


def _who(services: str, words: dict[str, str]) -> str:
    return " + ".join(words[f"ou_{service}"] for service in services.split(" + "))


def _seen(one: Survival) -> list[Any]:
    outcome = "wrong" if one.problems else one.outcome
    return [outcome, round(one.degraded_s, 1), round(one.longest_silence_s, 1), one.lost]
