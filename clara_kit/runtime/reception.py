"""Whom Clara talks to: asks the shop, keeps what Clara is told, and hides a person's words from the trace.

Stands at the manager's one door. The shop is asked as soon as the conversation is set up, while everything else is
still being connected; nobody ever waits for it here, for how long the greeting waits is the conversation's decision.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from msgspec.structs import replace

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.placeholders import Placeholders
from clara_kit.core.prompt import Prompt
from clara_kit.prompts.briefing import Briefing, brief
from clara_kit.prompts.catalog import Catalog
from clara_kit.shop.answer import ShopAnswer
from clara_kit.shop.errors import ShopError

log = logging.getLogger("clara_kit.runtime")


class ProfileSource(Protocol):
    """Knows customers. Raises `ShopError`."""

    async def fetch(self, customer: str) -> ShopAnswer: ...


class Reception:
    """One customer's reception. `shop` is entered when the profile is fetched and left right after."""

    def __init__(
        self,
        clock: Clock,
        anonymous: Briefing | Prompt,
        *,
        catalog: Catalog | None = None,
        customer: str = "",
        shop: AbstractAsyncContextManager[ProfileSource] | None = None,
    ) -> None:
        self._clock, self._catalog = clock, catalog
        self._customer, self._shop = customer, shop
        self._anonymous = anonymous
        self.briefing = anonymous if isinstance(anonymous, Briefing) else None
        self.placeholders = self.briefing.placeholders if self.briefing else Placeholders()
        self._fetching: asyncio.Task[ShopAnswer | ev.ProviderFailed] | None = None
        self._spoken: dict[int, list[str]] = {}  # pieces with placeholders, by utterance

    @property
    def hides(self) -> bool:
        """Whether anything is known that the trace must not know."""
        return not self.placeholders.is_empty

    # --- the profile ------------------------------------------------------------------------------------

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Ask the shop now."""
        if self._shop is not None:
            self._fetching = tasks.create_task(self._fetch())

    async def load(self) -> list[ev.Event]:
        """What came of it, as events. From then on prompts know the customer, and the trace does not."""
        if self._fetching is None:
            return []
        answer = await asyncio.shield(self._fetching)
        now_ms = self._clock.now_ms()
        if isinstance(answer, ev.ProviderFailed):
            return [replace(answer, at_ms=now_ms)]
        assert isinstance(self._anonymous, Briefing)
        self.briefing = brief(self._anonymous.template, answer.profile, catalog=self._catalog)
        self.placeholders = self.briefing.placeholders
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

    async def _fetch(self) -> ShopAnswer | ev.ProviderFailed:
        assert self._shop is not None
        try:
            async with self._shop as shop:
                return await shop.fetch(self._customer)
        except ShopError as exc:
            return self._failure(exc.kind, exc.message, exc.hint, exc.retryable)
        except Exception as exc:  # a mistake of ours: the conversation goes on without a profile
            log.exception("asking the shop failed")
            why = f"Asking the shop failed in the kit itself ({type(exc).__name__})."
            return self._failure("unknown", why, "the log has the details.", False)

    def _failure(self, kind: ev.FailureKind, message: str, hint: str, retryable: bool) -> ev.ProviderFailed:
        return ev.ProviderFailed(
            at_ms=0.0, service="shop", kind=kind, message=message, hint=hint, retryable=retryable
        )

    # --- the door ---------------------------------------------------------------------------------------

    def prompt(self, *, personal: bool) -> Prompt:
        """What the model is told now; without the customer where personalisation is switched off."""
        if self.briefing is not None and personal:
            return self.briefing.prompt
        return self._anonymous if isinstance(self._anonymous, Prompt) else self._anonymous.prompt

    def logged(self, prompt: Prompt) -> Prompt:
        """A prompt as the log may know it."""
        return Prompt(static=prompt.static, personal=self.placeholders.hide(prompt.personal))

    def hide(self, event: ev.Event) -> Iterable[ev.Event]:
        """An event as the conversation may know it."""
        if isinstance(event, ev.SpeechVoiced) and event.words and event.utterance_id in self._spoken:
            text = " ".join(self._spoken[event.utterance_id])
            ends = [self.placeholders.hidden_chars(text, word.char_end) for word in event.words]
            words = tuple(replace(w, char_end=end) for w, end in zip(event.words, ends, strict=True))
            return (replace(event, words=words),)
        return self.placeholders.events(event)

    def fill(self, command: Any) -> Any:
        """A command as the world must know it."""
        if isinstance(command, do.Speak):
            self._spoken.setdefault(command.utterance_id, []).append(command.text)
            return replace(command, text=self.placeholders.fill(command.text))
        if isinstance(command, do.RequestReply):
            messages = tuple(replace(m, text=self.placeholders.fill(m.text)) for m in command.messages)
            return replace(command, text=self.placeholders.fill(command.text), messages=messages)
        return command
