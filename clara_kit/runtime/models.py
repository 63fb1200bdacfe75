"""The models of one conversation, the first and those it was exchanged for, and the replies they write. Used by `session.py`.

Each reply is written by the model that was there when it was asked for: so the trace tells whose it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.events import Usage
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Keys, Mode
from clara_kit.providers.base import Warms
from clara_kit.providers.llm.base import CountsCancelled, LLMProvider, ReplyRequest, WarmsPrompt
from clara_kit.runtime.libraries import load
from clara_kit.runtime.profile import ProfileLoader
from clara_kit.runtime.services import Services


class Models:
    """`now` is whom to ask; all of `made` are to be closed, for a reply may still come of one that was exchanged."""

    def __init__(
        self, services: Services, clock: Clock, feed: Callable[[ev.Event], object], talks: Conversation, profile: ProfileLoader
    ) -> None:  # fmt: skip
        self._services, self._clock, self._feed = services, clock, feed
        self._talks, self._profile = talks, profile
        self._replies: dict[int, asyncio.Task[None]] = {}
        self._one_by_one = asyncio.Lock()  # whatever was chosen last stays, however long the vendor took
        self.now: asyncio.Future[LLMProvider] = asyncio.get_running_loop().create_future()
        self.made: list[LLMProvider] = []

    @property
    def hands(self) -> dict[type, Callable[[Any], object]]:
        """What is done here, by command."""
        return {do.RequestReply: self._ask, do.CancelReply: self._drop}

    def begin(self, tasks: asyncio.TaskGroup, over: asyncio.Event) -> None:
        """Have one at hand before the first question: the greeting needs none, and its library takes the longest.

        A failure to open its connection shows with that question.
        """
        self._tasks = tasks
        tasks.create_task(self._first(over))

    async def _first(self, over: asyncio.Event) -> None:
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

    def _ask(self, command: do.RequestReply) -> None:
        task = self._replies[command.reply_id] = self._tasks.create_task(self._reply(command, self.now))
        task.add_done_callback(lambda _: self._replies.pop(command.reply_id, None))

    def _drop(self, command: do.CancelReply) -> None:
        if (task := self._replies.pop(command.reply_id, None)) is not None:
            task.cancel()

    async def _reply(self, command: do.RequestReply, model: asyncio.Future[LLMProvider]) -> None:
        prompt = self._profile.prompt(personal=self._talks.settings.flags.enable_personalization)
        request = ReplyRequest(reply_id=command.reply_id, prompt=prompt, messages=command.messages)
        hides = not self._profile.placeholders.is_empty
        async with (await asyncio.shield(model)).reply(request) as events:
            async for event in events:
                if hides and isinstance(event, ev.ReplyStarted):
                    event = replace(event, prompt_hash=self._profile.logged(prompt).hash)  # known without its person
                self._feed(event)

    def _make(self, services: Services) -> LLMProvider:
        llm = services.llm(self._clock)
        self.made.append(llm)
        if isinstance(llm, CountsCancelled):
            llm.on_cancelled = self._feed
        return llm


async def _warmed(llm: LLMProvider) -> None:
    if isinstance(llm, Warms):
        await llm.warm()
