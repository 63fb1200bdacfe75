"""What a hand can break in a conversation that runs, and for how long: the buttons of `widgets/outages.py`.

Only what a twin or the simulation plays can be broken; a vendor that is real is left alone.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from clara_kit.core.errors import ClaraError
from clara_kit.core.events import Service
from clara_kit.core.settings import Settings
from clara_kit.measure.run import Run
from clara_kit.runtime.manager import ConversationManager
from clara_kit.world.faults import APPLIES, Fault, FaultKind
from clara_kit.world.script import Line, Script
from clara_kit.world.sim import simulate

How = Literal["down"] | FaultKind
LATE_MS = 4000.0  # «slow»: later than the three seconds after which a service is passed by
TIMES = {"once": 1, "three": 3, "lasting": 1000}
"""How often in a row: three times is what switches a service; lasting: until it is mended."""
_CONNECTED: tuple[Service, ...] = ("stt", "avatar", "backup")  # a refusal alone would only strike their next connection
_USUAL: tuple[FaultKind, ...] = ("cut", "stall", "slow", "error", "garble")
BUTTONS: dict[Service, tuple[How, ...]] = {
    service: ("down", *(kind for kind in _USUAL if kind in kinds), *(k for k in kinds if k not in (*_USUAL, "refuse")))
    for service, kinds in APPLIES.items()
}
"""For each service what can be pressed, the usual first. down: it breaks off, and refuses whoever comes."""


def break_it(clara: ConversationManager, service: str, how: str, times: int = 1) -> Literal["now", "next"]:
    """Let a service fail in a way of `BUTTONS`, so many times in a row; says whether it struck what runs now.

    Raises `ClaraError` for a service that is not played here, and for a way that it cannot fail.
    """
    if service not in BUTTONS or how not in BUTTONS[service]:
        raise ClaraError(f"There is no way «{how}» for {service} to fail.", hint="the ways: `lab.breaking.BUTTONS`.")
    one = partial(Fault, service=service)
    if how == "down":
        refused = (one(kind="refuse", status=529 if service == "llm" else 503),) * times
        return clara.inject(one(kind="cut"), *refused) if service in _CONNECTED else clara.inject(*refused)
    return clara.inject(*(one(kind=how, for_ms=LATE_MS if how == "slow" else 0.0),) * times)


def mend(clara: ConversationManager, service: str) -> int:
    """Call off all that was still to come; returns how much that was."""
    return clara.services.faults.mend(service)  # type: ignore[arg-type]


def to_come(clara: ConversationManager) -> dict[str, int]:
    """How many faults each service has still before it."""
    waiting = [fault.service for fault in clara.services.faults.waiting]
    return {service: waiting.count(service) for service in BUTTONS if service in waiting}


def overloaded() -> Run:
    """A simulated customer whose third question finds the model overloaded (HTTP 529), with automatic fallback on."""
    asked = (
        "¿Qué protector solar me recomiendas?",
        "¿Y cuánto cuesta?",
        "¿Hacen despachos a regiones?",
        "¿Y cuánto demora?",
    )
    faults = [Fault(service="llm", kind="refuse", status=529, on=on) for on in range(3, 9)]
    script = Script(title="Claude overloaded", lines=tuple(Line(text=text) for text in asked))
    return simulate(script, Settings.preset("tuned").with_changes(enable_auto_fallback=True), faults=faults, seed=6)
