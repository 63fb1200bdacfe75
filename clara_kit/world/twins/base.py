"""What every twin shares: the Protocol that the server mounts, and the context that twins get."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from aiohttp import web

from clara_kit.core.rng import child_rng
from clara_kit.world.faults import FaultBox
from clara_kit.world.latency import LatencyProfile, Stage

log = logging.getLogger("clara_kit.twins")


@dataclass(kw_only=True)
class TwinContext:
    """The world that all twins of one server share."""

    profile: LatencyProfile
    seed: int = 0
    faults: FaultBox = field(default_factory=FaultBox)
    keys: frozenset[str] = frozenset({"test-key"})
    """Keys that are accepted; an empty set accepts any but an empty one."""

    def __post_init__(self) -> None:
        self._rngs: dict[Stage, Random] = {}

    def draw(self, stage: Stage) -> float:
        """The next value of a stage, from a generator of that stage alone."""
        rng = self._rngs.get(stage)
        if rng is None:
            rng = self._rngs[stage] = child_rng(self.seed, "twin", stage)
        return self.profile.draw(stage, rng)

    def accepts(self, key: str) -> bool:
        """Whether a key lets its bearer in."""
        return bool(key) and (not self.keys or key in self.keys)


async def json_of(request: web.Request) -> Any:
    """What a body holds, whatever its headers claim of it; raises `ValueError` where that is no JSON."""
    try:
        return json.loads(await request.read())
    except (web.RequestPayloadError, RecursionError) as exc:
        raise ValueError("it cannot be unpacked, or is nested too deeply") from exc


async def nowhere(request: web.Request) -> int:
    """For a twin's last route: 405 where the path is known and the method is not, else 404."""
    for resource in request.app.router.resources():
        _, methods = await resource.resolve(request)
        if methods and "*" not in methods:
            return 405
    return 404


class Twin(Protocol):
    """One vendor. All its paths live under `/<name>`."""

    name: str

    def add_routes(self, app: web.Application) -> None:
        """Register handlers under `/<name>/...`."""
        ...

    def addresses(self, host_port: str) -> dict[str, str]:
        """Base addresses for this vendor's clients, e.g. {"base_url": "http://127.0.0.1:1234/anthropic"}."""
        ...

    async def close(self) -> None:
        """End whatever still runs (sessions, tasks)."""
        ...
