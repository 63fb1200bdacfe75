"""What Clara is to say, on its way to the avatar: one order after the other, but an interruption first.

Between the session, which puts the orders in, and an avatar, which may take its time with each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError, ProviderUnavailable
from clara_kit.providers.avatar.base import AvatarProvider, Backup, Ducks, Foretold, Wakes
from clara_kit.world.mouths import KEPT_BY

_WAIT = "wait for it to be connected again."
Order = do.Speak | do.EndSpeech | do.InterruptAvatar | do.AskBackup


class Orders:
    """`avatar`: whoever speaks now; None while none is connected, which each piece is told. `backup`: whom to ask."""

    def __init__(self, clock: Clock, feed: Callable[[ev.Event], object]) -> None:
        self._clock, self._feed = clock, feed
        self._queue: asyncio.Queue[Order] = asyncio.Queue()
        self.avatar: AvatarProvider | None = None
        self.backup: Backup | None = None
        self._given: dict[
            int, AvatarProvider
        ] = {}  # who was given an utterance also ends and stops it, until it is over
        self.coming = asyncio.Event()
        """Unset: whoever shall speak is coming in a moment, and the orders wait."""
        self.coming.set()

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

    def wake(self, order: do.WakeAvatar) -> None:
        """At once, where the avatar can: it is of what comes next, and has no place in the queue."""
        if isinstance(self.avatar, Wakes):
            self.avatar.wake(order.on)

    def saw(self, event: ev.Event) -> None:
        """What became of an utterance."""
        if isinstance(event, ev.SpeakingEnded | ev.SpeakingInterrupted | ev.ProviderFailed):
            self._given.pop(-1 if event.utterance_id is None else event.utterance_id, None)

    def given(self, avatar: object) -> list[int]:
        """The utterances that it has not ended yet."""
        return [who for who, one in self._given.items() if one is avatar]

    def gone(self, avatar: object) -> None:
        """What it was given can be said by another."""
        self._given = {who: one for who, one in self._given.items() if one is not avatar}

    async def carry_out(self) -> None:
        """Hand them over, until cancelled."""
        while True:
            order = await self._queue.get()
            if isinstance(order, do.Speak):
                await self.coming.wait()
            who: ev.Service = "backup" if isinstance(order, do.AskBackup) else "avatar"
            try:
                if await self._hand_over(order) or not isinstance(order, do.Speak | do.AskBackup):
                    continue
                error: ProviderError = ProviderUnavailable(f"The {who} is not connected.", hint=_WAIT)
            except ProviderError as exc:
                error = exc
            ids = {"utterance_id": order.utterance_id, "reply_id": getattr(order, "reply_id", None)}
            self._feed(ev.ProviderFailed.of(error, who, self._clock.now_ms(), **ids))

    async def _hand_over(self, order: Order) -> bool:
        """Says whether there was anybody to take it."""
        who, given = order.utterance_id, self._given
        if isinstance(order, do.AskBackup | do.Speak):
            avatar = self.backup if isinstance(order, do.AskBackup) else given.get(who, self.avatar)
            if avatar is not None:
                given[who] = avatar
        else:
            avatar = given.get(who)
        if avatar is None:
            return False
        match order:
            case do.AskBackup():
                assert self.backup is not None
                await self.backup.ask(order.turn_id, order.reply_id, who, order.text, heard=order.heard)
            case do.Speak():
                if order.by in KEPT_BY and isinstance(avatar, Foretold):
                    avatar.foretell(order.text)
                await avatar.speak(who, order.piece_no, order.text)
            case do.EndSpeech():
                await avatar.end_speech(who)
            case do.InterruptAvatar():
                await avatar.interrupt(who)
        return True
