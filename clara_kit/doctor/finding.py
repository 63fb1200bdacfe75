"""One thing that the doctor looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "absent", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `problem` is something that should work and does not; `absent` is optional."""

    group: str
    name: str
    state: State
    text: str
    todo: str = ""
