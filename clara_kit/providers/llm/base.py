"""The Protocol of every language model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from clara_kit.core.commands import Message
from clara_kit.core.events import Event, ReplyCompleted, Usage
from clara_kit.core.prompt import Prompt
from clara_kit.providers.base import Warms as Warms


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyRequest:
    """What a model needs for one reply. `messages` alternate, begin and end with the user's."""

    reply_id: int
    prompt: Prompt
    messages: tuple[Message, ...]


class LLMProvider(Protocol):
    """Yields ReplyStarted, ReplyDelta..., then exactly one of ReplyCompleted or ProviderFailed; nothing after a cancel.

    Leaving the context (also by cancelling the task) ends the request at the server at once.
    """

    def reply(self, request: ReplyRequest) -> AbstractAsyncContextManager[AsyncIterator[Event]]: ...

    async def aclose(self) -> None:
        """Close kept connections."""


@runtime_checkable
class CountsCancelled(Protocol):
    """A model that tells what a reply had used that was left before its end. Optional."""

    on_cancelled: Callable[[ReplyCompleted], object] | None
    """Gets it, with stop reason "cancelled", when the reply's context has been left, if the model had begun the reply.
    Must return at once and not raise. None: nobody listens."""


@runtime_checkable
class WarmsPrompt(Protocol):
    """A model whose vendor keeps the beginning of a prompt, and can be told it before the first question. Optional."""

    async def warm_prompt(self, prompt: Prompt) -> Usage | None:
        """What that used; None where the prompt is too short to be kept, and nothing was sent. May raise what the vendor says."""
