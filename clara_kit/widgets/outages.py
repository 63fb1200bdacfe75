"""`Outages`: the desk's panel on which a service is broken by hand, and what becomes of it is watched.

The view is in `outages.js`. What is broken is broken at a twin, or in the simulation, never at a vendor. How a service
fares is read from the very state that decides (`Talk.services`), so that no second opinion can differ from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import anywidget
import traitlets

from clara_kit.conversation.talk import Health, Timer
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.core.records import Record
from clara_kit.lab.breaking import BUTTONS, TIMES, break_it, mend, to_come
from clara_kit.lab.sentences import followed, happened
from clara_kit.lab.survival.checked import checked
from clara_kit.measure.run import Run
from clara_kit.runtime.manager import ConversationManager
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.words import Language, spoken_in, usual_language

TOLD = 40  # of what happened to the services, the newest
EVERY, LONG = 8, 5000  # records
_EVENTS = (ev.FaultInjected, ev.ProviderFailed, ev.ProviderRecovered, ev.HealthTold)
_ORDERS = (
    do.SwitchTo, do.ProbePrimary, do.OpenBackup, do.CloseBackup, do.AskBackup, do.ShowText, do.Connect, do.Disconnect,
    do.RaiseAlert,
)  # fmt: skip
_AGAIN = {"retry": "llm", "retry_voice": "tts", "retry_shop": "shop"}  # whose timer it is; others end with the service


class Outages(anywidget.AnyWidget):
    """Of one desk. `break_it` and `mend` do what the buttons do; `rows` is how each service fares."""

    _esm = view("outages")
    _css = style("desk", "outages")

    words = traitlets.Dict().tag(sync=True)
    language = traitlets.Unicode("en").tag(sync=True)
    buttons = traitlets.Dict().tag(sync=True)
    times: Any = traitlets.List([*TIMES]).tag(sync=True)
    chosen_times = traitlets.Unicode("three").tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    told: Any = traitlets.List().tag(sync=True)
    struck = traitlets.Unicode("").tag(sync=True)
    sums = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)

    def __init__(self, *, language: Language | None = None) -> None:
        super().__init__(buttons={service: [*ways] for service, ways in BUTTONS.items()})
        self._clara: ConversationManager | None = None
        self._summed = 0  # records
        self._seen: deque[tuple[float, Record]] = deque(maxlen=TOLD)
        self.speak(language or usual_language())
        self.on_msg(self._asked)
        self.rows = [*self._rows()]

    def speak(self, language: Language) -> None:
        """Say everything in this language from now on."""
        self.language, self.words = language, spoken_in(language)
        self.told = [*self._told()]

    # --- what a hand does -----------------------------------------------------------------------------------

    def break_it(self, service: str, how: str, times: str = "once") -> str:
        """Let a service fail (`lab.breaking.BUTTONS`) as often as `lab.breaking.TIMES` has it; returns "now" or "next".

        Raises `ClaraError`, where nobody is on the line, or the service is real, or cannot fail so.
        """
        if self._clara is None:
            raise ClaraError("Nobody is on the line.", hint="call Clara first.")
        when = break_it(self._clara, service, how, TIMES.get(times, 1))
        self.struck = f"{service} {how} {when}"
        self.draw()
        return when

    def mend(self, service: str) -> None:
        """What was still to befall a service does not."""
        if self._clara is not None:
            mend(self._clara, service)
            self.struck = f"{service} mended now"
            self.draw()

    # --- what it shows --------------------------------------------------------------------------------------

    def attach(self, clara: ConversationManager) -> None:
        """Watch this conversation from now on."""
        self._clara, self._summed = clara, 0
        self._seen.clear()
        self.told, self.struck, self.problem, self.sums = [], "", "", {}
        self.draw()

    def detach(self, run: Run | None) -> None:
        """It is over; what was seen of it stays, with what came of it."""
        self._clara = None
        if run is not None:
            self.sums = _sums(run)
        self.draw()

    def draw(self, fresh: Iterable[Record] = ()) -> None:
        """Show how the services fare now. fresh: what has come since it was drawn."""
        before = len(self._seen), self._seen[-1] if self._seen else None
        self._seen.extend((record.at_ms, record) for record in fresh if _is_told(record))
        with self.hold_sync():
            self.rows = [*self._rows()]
            if before != (len(self._seen), self._seen[-1] if self._seen else None):
                self.told = [*self._told()]
            self._sum_up()

    def _sum_up(self) -> None:
        """Now and then, and not of a very long one: all of it is read anew."""
        trace = self._clara.conversation.trace if self._clara is not None else ()
        if self._clara is not None and len(trace) - self._summed >= EVERY and len(trace) < LONG:
            self._summed = len(trace)
            now = {"settings": self._clara.conversation.settings.model_dump(), "modes": self._clara.services.modes}
            self.sums = _sums(Run(inputs=now, trace=tuple(trace), facts={"run_id": "it is not over"}))

    def _rows(self) -> Iterable[dict[str, Any]]:
        clara = self._clara
        talk = clara.conversation.talk if clara is not None else None
        modes: dict[str, str] = {**clara.services.modes} if clara is not None else {}
        coming, now_ms = (to_come(clara), clara.clock.now_ms()) if clara is not None and modes else ({}, 0.0)
        for service in BUTTONS:
            health = talk.services.get(service) if talk is not None else None
            health = health or Health()
            yield {
                "service": service, "mode": modes.get(service, ""), "lamp": lamp(health), "circuit": health.circuit,
                "target": health.target, "failures": health.failures, "to_come": coming.get(service, 0),
                "again_s": again_s(service, talk.timers if talk is not None else {}, now_ms),
            }  # fmt: skip

    def _told(self) -> Iterable[list[Any]]:
        language: Language = "es" if self.language == "es" else "en"
        for at_ms, record in reversed(self._seen):
            event = isinstance(record, ev.Event)
            yield [
                round(at_ms / 1000, 2),
                happened(record, language) if event else " ".join(followed((record,), language)),
            ]

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asked = content if isinstance(content, dict) else {}
        service, how, times = (str(asked.get(name, "")) for name in ("service", "how", "times"))
        self.problem = ""
        try:
            if asked.get("kind") == "break":
                self.break_it(service, how, times)
            elif asked.get("kind") == "mend" and service in BUTTONS:
                self.mend(service)
        except ClaraError as exc:
            self.problem = tell(exc, self.language)

    def __repr__(self) -> str:
        fares = ", ".join(f"{row['service']} {row['lamp']}" for row in self.rows)
        return f"<Outages: {fares}>"


def _sums(run: Run) -> dict[str, Any]:
    """Time in fallback mode, the longest wait for a sound of Clara, and what was lost."""
    found = checked(run)
    numbers = {"degraded": round(found.degraded_s, 1), "longest": round(found.longest_silence_s, 1), "lost": found.lost}
    return {**numbers, "wrong": [*found.problems]}


def lamp(health: Health) -> str:
    """One word: well, failing, away (passed by), trying (half open), lost (given up)."""
    if health.circuit == "half_open":
        return "trying"
    if health.circuit == "open" or health.target:
        return "away"
    return "lost" if health.down == "given up" else "failing" if health.failures or health.down else "well"


def again_s(service: str, timers: dict[str, Timer], now_ms: float) -> float | None:
    """In how many seconds a service is tried again, where that is known; to a tenth."""
    dues = [
        timer.due_ms for name, timer in [*timers.items()]
        if _AGAIN.get(name, name.partition("_")[2] if name.startswith(("connect_", "probe_")) else "") == service
    ]  # fmt: skip
    return round(max(0.0, min(dues) - now_ms) / 1000, 1) if dues else None


def _is_told(record: Record) -> bool:
    if isinstance(record, do.SetTimer):
        return record.timer_id.startswith(("retry", "connect"))
    return isinstance(record, (*_EVENTS, *_ORDERS))
