"""Lets a scripted customer talk to a running Clara, in real time; `world/sim.py` does the same in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from clara_kit.core.clock import Clock
from clara_kit.core.records import Record, StateChanged
from clara_kit.world.customer import ScriptedCustomer, Wish
from clara_kit.world.script import Line


class ScriptPlayer:
    """One scripted customer. Shown each record with `see`, it speaks when its script says so.

    say: makes a line's sound (or types it) and gives the time at which it was over.
    """

    def __init__(
        self, customer: ScriptedCustomer, clock: Clock, say: Callable[[Line], Awaitable[float]]
    ) -> None:
        self._customer, self._clock, self._say = customer, clock, say
        self._wishes: asyncio.Queue[Wish | None] = asyncio.Queue()

    def see(self, record: Record) -> None:
        """What the customer notices of the conversation."""
        if isinstance(record, StateChanged):
            self._wishes.put_nowait(self._customer.saw(record.target, record.at_ms))

    async def play(self) -> None:
        """From the first line to the end of the last."""
        lines: set[asyncio.Task[None]] = set()
        self._wishes.put_nowait(self._customer.begin(self._clock.now_ms()))
        try:
            while not self._customer.done:
                wish = await self._wishes.get()
                if wish is not None:
                    task = asyncio.create_task(self._fire(wish))
                    lines.add(task)
                    task.add_done_callback(lines.discard)
        finally:
            for task in lines:
                task.cancel()

    async def _fire(self, wish: Wish) -> None:
        await asyncio.sleep(max(0.0, wish.due_ms - self._clock.now_ms()) / 1000)
        line = self._customer.fire(wish.token)
        if line is not None:
            self._wishes.put_nowait(self._customer.line_ended(await self._say(line)))
