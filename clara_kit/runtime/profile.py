"""The customer's profile on its way: asked of the shop, turned into what Clara is told.

The shop is asked as soon as the conversation is set up, while everything else is still being connected; for how long
the greeting waits, and whether the shop is asked again, is the conversation's decision.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderError
from clara_kit.core.outside import place
from clara_kit.core.placeholders import Placeholders
from clara_kit.core.prompt import Prompt
from clara_kit.prompts.briefing import Briefing, brief_or_why
from clara_kit.prompts.catalog import Catalog
from clara_kit.shop.answer import ShopAnswer

log = logging.getLogger("clara_kit.runtime")


class ProfileSource(Protocol):
    """Knows customers. Raises `ShopError`."""

    async def fetch(self, customer: str) -> ShopAnswer: ...


Shop = Callable[[], AbstractAsyncContextManager[ProfileSource]]


class ProfileLoader:
    """Of one conversation. `anonymous`: what Clara is told of a stranger. `shop`: None where nobody is asked."""

    def __init__(
        self,
        clock: Clock,
        anonymous: Briefing | Prompt,
        *,
        catalog: Catalog | None = None,
        customer: str = "",
        shop: Shop | None = None,
    ) -> None:
        self._clock, self._catalog = clock, catalog
        self._customer, self._shop = customer, shop
        self._anonymous = anonymous
        self.briefing = anonymous if isinstance(anonymous, Briefing) else None
        self._asked: asyncio.Task[ShopAnswer | ProviderError] | None = None
        self._of_nobody = Placeholders()

    @property
    def placeholders(self) -> Placeholders:
        """What must be hidden from the trace now."""
        return self.briefing.placeholders if self.briefing is not None else self._of_nobody

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Ask the shop now."""
        if self._shop is not None:
            self._asked = tasks.create_task(self._fetch(self._shop))

    async def load(self) -> list[ev.Event]:
        """What came of asking, as events; asks anew where the answer was fetched before."""
        if self._shop is None:
            return []
        asked, self._asked = self._asked, None
        answer = await (asked if asked is not None else self._fetch(self._shop))
        now_ms = self._clock.now_ms()
        if isinstance(answer, ProviderError):
            return [ev.ProviderFailed.of(answer, "shop", now_ms)]
        assert isinstance(self._anonymous, Briefing)
        made = brief_or_why(self._anonymous.template, answer.profile, catalog=self._catalog)
        if isinstance(made, ProviderError):
            return [ev.ProviderFailed.of(made, "shop", now_ms)]
        self.briefing = made
        warnings = [*answer.warnings, *(f"{x.field} is left out: {x.why}" for x in answer.profile.left_out)]
        return [
            *(ev.ProviderWarned(at_ms=now_ms, service="shop", message=w) for w in warnings),
            ev.ProfileLoaded(
                at_ms=now_ms,
                known_fields=answer.profile.known_fields,
                greeting=self.briefing.hidden_greeting,
                age_s=round(answer.age_s, 3),
            ),
        ]

    async def _fetch(self, make: Shop) -> ShopAnswer | ProviderError:
        try:
            async with make() as shop:
                return await shop.fetch(self._customer)
        except ProviderError as exc:
            return exc
        except Exception as exc:  # a mistake of ours: the conversation goes on without a profile
            log.error("asking the shop failed: %s", place(exc))
            why = f"Asking the shop failed in the kit itself ({type(exc).__name__})."
            return ProviderError(why, hint="the log has the details.", retryable=False)

    def prompt(self, *, personal: bool) -> Prompt:
        """What the model is told now; without the customer where personalisation is switched off."""
        if self.briefing is not None and personal:
            return self.briefing.prompt
        return self._anonymous if isinstance(self._anonymous, Prompt) else self._anonymous.prompt

    @property
    def prompt_mark(self) -> str:
        """What stands for what everybody's model is told: the template's hash, or a plain prompt's."""
        return self._anonymous.hash if isinstance(self._anonymous, Prompt) else self._anonymous.template.hash

    def logged(self, prompt: Prompt) -> Prompt:
        """A prompt as the log may know it."""
        if self.briefing is not None and prompt is self.briefing.prompt:
            return self.briefing.hidden_prompt
        return Prompt(static=prompt.static, personal=self.placeholders.hide(prompt.personal))
