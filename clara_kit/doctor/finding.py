"""One thing that the doctor looked at: what every check of this room returns."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["ok", "note", "absent", "problem"]


class Finding(NamedTuple):
    """One thing that was looked at. `problem` is something that should work and does not; `absent` is optional."""

    group: str
    name: str
    state: State
    text: str
    todo: str = ""
