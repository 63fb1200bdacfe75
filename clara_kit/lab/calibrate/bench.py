"""What every part of the protocol works with: the services as a conversation has them, a clock, and a tape."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from clara_kit.audio.pcm import Sound
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderUnavailable
from clara_kit.core.events import Event, ProviderFailed
from clara_kit.lab.calibrate.tape import Cost, Tape
from clara_kit.runtime.services import Services


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One calibration. The providers are made as for a conversation, new ones in each round."""

    services: Services
    clock: Clock
    tape: Tape
    lines: dict[str, Sound] = field(default_factory=dict)  # what the recogniser is given to hear, by its words

    async def took_ms(self, work: Awaitable[Any]) -> float:
        """How long something takes."""
        began_ms = self.clock.now_ms()
        await work
        return self.clock.now_ms() - began_ms


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is measured of one service. probe: one round of it; cost: what that may cost at most; beside: no stages."""

    service: str
    vendor: str
    stages: tuple[str, ...]
    beside: tuple[str, ...]
    probe: Callable[[Bench, int], Awaitable[None]]
    cost: Callable[[Services], Cost]


async def good(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    """The events, until one says that the vendor failed: that is raised."""
    async for event in events:
        if isinstance(event, ProviderFailed):
            raise ProviderUnavailable(event.message, hint=event.hint)
        yield event


async def until(events: AsyncIterator[Event], *kinds: type[Event], **fields: Any) -> Any:
    """The next event of these kinds and with these fields; the others are passed over. Raises `ProviderUnavailable`."""
    async for event in events:
        if isinstance(event, kinds) and all(getattr(event, name) == value for name, value in fields.items()):
            return event
    raise ProviderUnavailable("The connection ended before its time.", hint="try again.")
