"""The models of one conversation: the first, and those it was exchanged for. Used by `session.py`.

Each reply is written by the model that was there when it was asked for: so the trace tells whose it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.events import Usage
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Keys, Mode
from clara_kit.providers.base import Warms
from clara_kit.providers.llm.base import CountsCancelled, LLMProvider, WarmsPrompt
from clara_kit.runtime.libraries import load
from clara_kit.runtime.services import Services


class Models:
    """`now` is whom to ask; all of `made` are to be closed, for a reply may still come of one that was exchanged."""

    def __init__(self, services: Services, clock: Clock, feed: Callable[[ev.Event], object]) -> None:
        self._services, self._clock, self._feed = services, clock, feed
        self._one_by_one = asyncio.Lock()  # whatever was chosen last stays, however long the vendor took
        self.now: asyncio.Future[LLMProvider] = asyncio.get_running_loop().create_future()
        self.made: list[LLMProvider] = []

    async def begin(self, over: asyncio.Event) -> None:
        """Have one at hand before the first question: the greeting needs none, and its library takes the longest.

        A failure to open its connection shows with that question.
        """
        await load(self._services.modes, over, "llm")
        if not over.is_set():
            self.now.set_result(llm := self._make(self._services))
            with contextlib.suppress(Exception):
                await _warmed(llm)

    async def exchange(self, mode: Mode, keys: Keys, over: asyncio.Event) -> Services:
        """Another for every reply from now on; returns with what it came. See `ConversationManager.exchange_llm`."""
        async with self._one_by_one:
            services = self._services.exchanged("llm", mode, keys)
            await asyncio.shield(self.now)  # whoever asked before has one
            await load(services.modes, over, "llm")  # which a simulated one did without
            llm = self._make(services)
            await _warmed(llm)  # free, and a key that is refused is told now, not as Clara's silence
            self._services, self.now = services, asyncio.get_running_loop().create_future()
            self.now.set_result(llm)
            return services

    async def probe(self) -> None:
        """Is the one of now there? Costs nothing. Raises `ProviderError`."""
        await _warmed(await asyncio.shield(self.now))

    async def warm_prompt(self, prompt: Prompt) -> Usage | None:
        """Let the vendor keep what every request begins with, so that the first question finds it; what that used, if anything."""
        llm = await asyncio.shield(self.now)
        with contextlib.suppress(Exception):  # the first question will show what is wrong
            return await llm.warm_prompt(prompt) if isinstance(llm, WarmsPrompt) else None
        return None

    def _make(self, services: Services) -> LLMProvider:
        llm = services.llm(self._clock)
        self.made.append(llm)
        if isinstance(llm, CountsCancelled):
            llm.on_cancelled = self._feed
        return llm


async def _warmed(llm: LLMProvider) -> None:
    if isinstance(llm, Warms):
        await llm.warm()
