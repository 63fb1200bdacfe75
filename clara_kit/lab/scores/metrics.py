"""The table of what is measured of a conversation: what it is called, how it is compared, which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["yes_no", "share", "count", "ms", "usd", "rating"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One column of an experiment's rows. `ms` are compared on logs; yes_no by exact tests; None is «not known»."""

    name: str
    kind: Kind
    better: Literal["more", "less", "neither"]
    label: tuple[str, str]
    """English, Spanish."""


METRICS: dict[str, Metric] = {m.name: m for m in (
    Metric("kept", "yes_no", "more", ("all musts and must-nots kept", "cumple todo lo exigido")),
    Metric("goal_reached", "yes_no", "more", ("goal reached", "logró su objetivo")),
    Metric("hung_up", "yes_no", "less", ("hung up", "colgó")),
    Metric("turns", "count", "neither", ("turns", "turnos")),
    Metric("seconds", "count", "less", ("seconds until the end", "segundos hasta el final")),
    Metric("first_sound_ms", "ms", "less", ("wait for the first sound", "espera hasta el primer sonido")),
    Metric("interruptions", "count", "less", ("interruptions", "interrupciones")),
    Metric("heard_share", "share", "more", ("share of her words heard", "parte escuchada de lo dicho")),
    Metric("usd_per_turn", "usd", "less", ("cost per turn", "costo por turno")),
)}  # fmt: skip
"""In the order in which they are shown. The checks of `checks.py` and the judge add their own."""
