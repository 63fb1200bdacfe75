"""Where the vendors are measured by hand: what it may cost, a limit, a button; then what was found beside what is published.

Stands below the keys (`key_panel.py`). The protocol is `lab/calibrate`'s; it runs in a thread and an event loop of its own,
so that no busy cell delays what is measured, and can be stopped at any moment.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ipywidgets as w

from clara_kit.core.errors import ClaraError
from clara_kit.core.page import escape
from clara_kit.lab.calibrate.calibrate import (
    PARTS,
    ROUNDS,
    SECONDS_A_ROUND,
    TWINS_PACE,
    Calibration,
    Step,
    calibrate,
    calibrate_twins,
    foreseen,
    live_services,
    parts_with_key,
)
from clara_kit.lab.calibrate.mark import calibrated_mark, cells, gains
from clara_kit.lab.calibrate.tape import Tape, together
from clara_kit.lab.sentences import table
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.config import load_keys, load_settings
from clara_kit.widgets.telling import in_language, tell
from clara_kit.widgets.words import Language, spoken_in, usual_language
from clara_kit.world.latency import CALIBRATED, Found, LatencyProfile, newest_calibration
from clara_kit.world.pace import loop_factory

TWINS_ROUNDS = 3
_DIM = "color:var(--jp-ui-font-color1);line-height:1.4;max-width:110ch"
_CELL = "padding:1px 10px 1px 0;text-align:right"
Work = Callable[[], Coroutine[Any, Any, Calibration]]


class CalibrationPanel:
    """Shows itself in a notebook; every button is also a method. folder: where profiles go (default: data/cache/latency)."""

    def __init__(self, *, folder: Path | None = None, language: Language | None = None) -> None:
        self._folder = folder
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] = lambda: None
        self._news: Callable[[], str] = lambda: ""
        self.profile: LatencyProfile | None = None
        """What was found last, here or before."""
        self.problem: ClaraError | None = None
        self._rounds = w.BoundedIntText(ROUNDS, min=3, max=200, layout=w.Layout(width="190px"))
        self._cap = w.BoundedFloatText(1.0, min=0.0, max=100.0, step=0.5, layout=w.Layout(width="230px"))
        acts: dict[str, Callable[[], object]] = {"measure": self.measure, "twins": self.try_twins, "stop": self.stop}
        self._buttons = {name: _button(act) for name, act in acts.items()}
        self._about, self._says, self._found = (w.HTML(layout=w.Layout(max_width="100%")) for _ in range(3))
        for field in (self._rounds, self._cap):
            field.style.description_width = "initial"
            field.observe(lambda _: self._label(), names="value")
        row = w.HBox([self._rounds, self._cap, *self._buttons.values()], layout=w.Layout(flex_flow="row wrap"))
        self.widget = w.VBox([self._about, row, self._says, self._found])
        self.widget.add_class("clara-calibration")
        if (newest := newest_calibration(folder)) is not None:
            self.profile = LatencyProfile.load(newest)
        self.speak(language or usual_language())

    # --- what the hand does, without a hand -------------------------------------------------------------

    def measure(self) -> None:
        """Measure the vendors that have a key, for no more than the limit; returns at once."""
        try:
            keys, settings = load_keys(), load_settings()
            parts = parts_with_key(keys, settings)
            services = live_services(parts, settings, keys)
        except ClaraError as exc:
            return self._fail(exc)
        clock, how = MonotonicClock(), self._how()
        cap_usd: float = self._cap.value
        self._begin(lambda: calibrate(services, clock, parts=parts, cap_usd=cap_usd, behind="live", **how), None)

    def try_twins(self) -> None:
        """The same of the kit's twins, in a minute and for nothing: to see what comes of it; returns at once."""
        how = self._how() | {"rounds": TWINS_ROUNDS}

        async def work() -> Calibration:
            with TemporaryDirectory() as folder:  # to look at, not to be kept
                return await calibrate_twins(pace=TWINS_PACE, **how | {"folder": Path(folder)})

        self._begin(work, TWINS_PACE)

    def stop(self) -> None:
        """End it now; what was measured is kept."""
        self._stop()

    def wait(self) -> LatencyProfile | None:
        """Until it is over: what was found. Raises what went wrong."""
        if self._thread is not None:
            self._thread.join()
        if self.problem is not None:
            raise self.problem
        return self.profile

    def speak(self, language: Language) -> None:
        """Label everything in this language."""
        self._language, self._words = language, spoken_in(language)
        self._label()

    def keys_changed(self) -> None:
        """Other keys count from now on: so does another price."""
        self._label()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return {**self.widget._repr_mimebundle_(**options), "text/plain": "CalibrationPanel()"}

    # --- the work ---------------------------------------------------------------------------------------

    def _how(self) -> dict[str, Any]:
        return {
            "rounds": self._rounds.value, "now": datetime.now().astimezone(), "folder": self._folder, "tell": self._told,
        }  # fmt: skip

    def _begin(self, work: Work, pace: float | None) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        self.problem, ready = None, threading.Event()
        self._tell(lambda: self._words["cal_begins"])

        def run() -> None:
            with asyncio.Runner(loop_factory=loop_factory(pace)) as runner:
                try:
                    runner.run(self._stoppable(work, ready))
                except ClaraError as exc:
                    self._fail(exc)
            self._thread = None
            self._label()

        self._thread = threading.Thread(target=run, name="clara-calibration", daemon=True)
        self._thread.start()
        ready.wait(10)
        self._label()

    async def _stoppable(self, work: Work, ready: threading.Event) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work())
        self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
        ready.set()
        await asyncio.wait({task})
        self._stop = lambda: None
        ended = "stopped" if task.cancelled() else task.result().ended
        notes = [] if task.cancelled() else [*task.result().tape.notes]
        spent = Tape().spent if task.cancelled() else task.result().tape.spent
        self._tell(lambda: self._over(ended, notes, spent.usd))

    def _told(self, told: Step | Path) -> None:
        if isinstance(told, Path):
            self.profile = LatencyProfile.load(told)
        else:
            self._tell(
                lambda: self._words["cal_step"].format(**told._asdict() | {"service": self._words[told.service]})
            )

    def _fail(self, exc: ClaraError) -> None:
        self.problem = exc
        self._tell(lambda: tell(exc, self._language))

    # --- what is seen -----------------------------------------------------------------------------------

    def _tell(self, news: Callable[[], str]) -> None:
        self._news = news
        self._label()

    def _over(self, ended: str, notes: list[str], usd: float) -> str:
        told = [table("calibration")[f"ended_{ended}"][self._language == "es"]]
        if ended != "stopped" and usd:
            told.append(self._words["cal_spent"].format(usd=f"{usd:.3f}"))
        return " ".join([*told, *(in_language(note, self._language) for note in notes)])

    def _label(self) -> None:
        word, busy = self._words, self._thread is not None and self._thread.is_alive()
        self._rounds.description, self._cap.description = word["cal_rounds"], word["cal_cap"]
        for name, button in self._buttons.items():
            button.description, button.tooltip = word[f"cal_{name}"], word[f"cal_{name}_hint"]
            button.disabled = busy != (name == "stop")
        profile = self.profile or LatencyProfile.load("published")
        mark = calibrated_mark(profile, language=self._language)
        self._about.value = f"<div style='{_DIM}'><b>{escape(mark)}.</b> {escape(self._foretold())}</div>"
        self._says.value = f"<div style='line-height:1.4' role='status'>{escape(self._news())}</div>"
        self._found.value = self._figures(self.profile) if self.profile is not None else ""

    def _foretold(self) -> str:
        rounds, word = self._rounds.value, self._words
        told = word["cal_about"].format(rounds=rounds, minutes=round(rounds * SECONDS_A_ROUND / 60))
        try:
            keys, settings = load_keys(), load_settings()
            parts = parts_with_key(keys, settings)
        except ClaraError as exc:
            return f"{told} {tell(exc, self._language)}"
        cost = together(foreseen(parts, live_services(parts, settings, keys), rounds).values())
        if cost.unknown:
            return f"{told} {word['cal_unpriced'].format(model=cost.unknown[0])}"
        priced = word["cal_price"].format(usd=f"{cost.usd:.2f}", credits=f"{cost.credits:g}")
        left_out = ", ".join(word[part.service] for part in PARTS if part not in parts)
        return f"{told} {priced} {word['cal_left_out'].format(services=left_out) if left_out else ''}".rstrip()

    def _figures(self, profile: LatencyProfile) -> str:
        found, word = profile.calibrated, self._words
        if found is None:
            return ""
        use = "" if found.behind == "twins" else word["cal_use"].format(name=CALIBRATED)
        told = "".join(
            f"<p style='margin:4px 0'>{escape(text)}</p>" for text in (*gains(profile, self._language), use) if text
        )
        more = f"<details><summary>{escape(word['cal_beside'])}</summary>{self._rows(found.beside)}</details>"
        return f"{self._rows(found.stages)}{more if found.beside else ''}<div style='{_DIM}'>{told}</div>"

    def _rows(self, found: Mapping[str, Found]) -> str:
        published, names, word = LatencyProfile.load("published").laws, table("measured"), self._words
        heads = ("n", word["cal_median"], "p95", word["cal_published"])
        rows = ["<td></td>" + "".join(f"<th scope='col' style='{_CELL}'>{escape(head)}</th>" for head in heads)]
        for name, one in found.items():
            row = cells(one, published.get(name))  # type: ignore[call-overload]
            label = escape(names[name][self._language == "es"])
            first = f"<th scope='row' style='text-align:left;font-weight:normal'>{label}</th>"
            rows.append(first + "".join(f"<td style='{_CELL}'>{escape(cell)}</td>" for cell in row))
        return f"<table style='line-height:1.4'>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _button(act: Callable[[], object]) -> w.Button:
    made = w.Button(layout=w.Layout(width="auto"))
    made.on_click(lambda _: act())
    return made
