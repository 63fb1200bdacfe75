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
    Metric("short", "yes_no", "more", ("short enough to listen to", "breve al oído")),
    Metric("name", "yes_no", "more", ("name used well", "usa bien el nombre")),
    Metric("tu", "yes_no", "more", ("says tú", "trata de tú")),
    Metric("catalogue_only", "yes_no", "more", ("only products of the catalogue", "solo productos del catálogo")),
    Metric("price_right", "yes_no", "more", ("prices right", "precios correctos")),
    Metric("no_medical_claim", "yes_no", "more", ("no medical claim", "sin promesas médicas")),
    Metric("answers_question", "yes_no", "more", ("answers what was asked", "responde lo preguntado")),
    Metric("spanish", "yes_no", "more", ("only Spanish", "solo español")),
    Metric("speakable", "yes_no", "more", ("can be said aloud", "se puede decir en voz alta")),
)}  # fmt: skip
"""In the order in which they are shown; from `short` on they are the checks of `checks.py`."""

JUDGE = Metric("judge", "rating", "more", ("the judge's preference", "la preferencia del juez"))
PEOPLE = Metric("people", "rating", "more", ("people's preference", "la preferencia de las personas"))
"""Of pairs, so that no conversation has them by itself: 1 preferred, 0.5 neither, 0 the other. For `compare(metrics=…)`, where
the difference is the share of pairs won less the share lost."""
