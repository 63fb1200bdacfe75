"""A session of the HeyGen twin, what was given it to speak, and the ways in which a call can fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from clara_kit.world.faults import Fault
from clara_kit.world.twins.base import json_of

Json = dict[str, Any]


@dataclass(kw_only=True)
class Spoken:
    """One task, and how much of it was played."""

    session_id: str
    task_id: str
    text: str
    kind: str
    duration_ms: float
    started_s: float | None = None
    ended_s: float | None = None
    interrupted: bool = False


@dataclass(kw_only=True)
class Session:
    """One avatar, from `new` to `closed`. free_s: when it will have spoken everything."""

    id: str
    config: Json
    born_s: float
    idle_s: float
    seen_s: float
    state: str = "new"
    free_s: float = 0.0
    tasks: list[Spoken] = field(default_factory=list)
    silenced: asyncio.Event = field(default_factory=asyncio.Event)


class Refusal(Exception):
    """Answered with this status, and code and message in the body."""

    def __init__(self, status: int, code: int | str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


class Cut(Exception):
    """The connection is torn down."""


class Garble(Exception):
    """The answer makes no sense."""


async def body_of(request: web.Request) -> Json:
    """The JSON object of a request; raises `Refusal`."""
    try:
        body = await json_of(request)
    except ValueError as exc:
        raise Refusal(400, 400001, "The body is not JSON.") from exc
    if not isinstance(body, dict):
        raise Refusal(400, 400001, "The body must be an object.")
    return body


async def strike(fault: Fault) -> None:
    """Let it happen to the call that is being answered."""
    if fault.kind == "cut":
        raise Cut
    if fault.kind == "garble":
        raise Garble
    if fault.kind == "error":
        raise Refusal(500, fault.detail or 500, "internal error")
    if fault.kind == "stall":
        await asyncio.sleep((fault.for_ms or 3_600_000) / 1000)
