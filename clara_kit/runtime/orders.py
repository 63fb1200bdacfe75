"""What Clara is to say, on its way to the avatar: one order after the other, but an interruption first.

Between the session, which puts the orders in, and an avatar, which may take its time with each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderUnavailable
from clara_kit.providers.avatar.base import AvatarProvider, Ducks

Order = do.Speak | do.EndSpeech | do.InterruptAvatar


class Orders:
    """`avatar`: whoever speaks now; None while none is connected, which each piece is told."""

    def __init__(self, clock: Clock, feed: Callable[[ev.Event], object]) -> None:
        self._clock, self._feed = clock, feed
        self._queue: asyncio.Queue[Order] = asyncio.Queue()
        self.avatar: AvatarProvider | None = None

    def put(self, order: Order) -> None:
        """After all that were put before."""
        self._queue.put_nowait(order)

    def interrupt(self, order: do.InterruptAvatar) -> None:
        """What still waits of this utterance is forgotten, so that the order to stop waits for nothing of it."""
        waiting = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
        for other in (*(w for w in waiting if w.utterance_id != order.utterance_id), order):
            self._queue.put_nowait(other)

    def duck(self, order: do.Duck) -> None:
        """At once, where the avatar can: it is of what sounds now, not of what waits."""
        if isinstance(self.avatar, Ducks):
            self.avatar.duck(order.on)

    async def carry_out(self) -> None:
        """Hand them over, until cancelled."""
        while True:
            order, avatar = await self._queue.get(), self.avatar
            if avatar is not None:
                match order:
                    case do.Speak():
                        await avatar.speak(order.utterance_id, order.piece_no, order.text)
                    case do.EndSpeech():
                        await avatar.end_speech(order.utterance_id)
                    case do.InterruptAvatar():
                        await avatar.interrupt(order.utterance_id)
            elif isinstance(order, do.Speak):
                error = ProviderUnavailable("The avatar is not connected.", hint="wait for it to be connected again.")
                now_ms, who = self._clock.now_ms(), order.utterance_id
                self._feed(ev.ProviderFailed.of(error, "avatar", now_ms, utterance_id=who))
