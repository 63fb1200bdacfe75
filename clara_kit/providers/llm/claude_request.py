"""What is sent to Claude: the parameters, the system prompt and the history, as the API wants them.

Pure; used by `claude.py`, and by whoever must know a request before it is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clara_kit.core.commands import Message
from clara_kit.core.prompt import Prompt
from clara_kit.core.text import whole
from clara_kit.providers.llm import pricing
from clara_kit.providers.llm.base import ReplyRequest


def fixed_parameters(model: str, max_tokens: int, temperature: float | None) -> dict[str, Any]:
    """What is the same in every request of this provider."""
    fixed: dict[str, Any] = {"model": model, "max_tokens": max_tokens}
    if pricing.can_disable_thinking(model):
        fixed["thinking"] = {"type": "disabled"}
    if temperature is not None and pricing.takes_temperature(model):
        fixed["extra_headers"] = {"anthropic-version": "2023-06-01"}
        fixed["extra_body"] = {"temperature": temperature}
    return fixed


def body_of(fixed: dict[str, Any], request: ReplyRequest) -> dict[str, Any]:
    """What the SDK's `create` gets; raises ValueError with the reason where the history cannot be sent."""
    return {**fixed, "messages": wire_messages(request.messages), **system_blocks(request.prompt)}


def on_the_wire(body: dict[str, Any]) -> dict[str, Any]:
    """The JSON that the SDK makes of it for a stream."""
    plain = {name: value for name, value in body.items() if name not in ("extra_headers", "extra_body")}
    return {**plain, **body.get("extra_body", {}), "stream": True}


def system_blocks(prompt: Prompt) -> dict[str, Any]:
    """The field `system`: the static part first, marked for the cache so that customers share it."""
    cached = {"cache_control": {"type": "ephemeral"}}
    parts: tuple[tuple[str, dict[str, Any]], ...] = ((prompt.static, cached), (prompt.personal, {}))
    blocks = [{"type": "text", "text": text, **more} for text, more in parts if text.strip()]
    return {"system": blocks} if blocks else {}  # the API takes no empty block


def wire_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The history as the API wants it: no empty turn, neighbours of one role joined, user first and last.

    Raises ValueError with the reason where that cannot be had.
    """
    joined: list[tuple[str, str]] = []
    for message in messages:
        text = whole(message.text).strip()
        if not text:
            continue
        if joined and joined[-1][0] == message.role:
            text = f"{joined.pop()[1]} {text}"
        joined.append((message.role, text))
    if not joined:
        raise ValueError("it holds no words")
    for place, (role, _) in (("begin", joined[0]), ("end", joined[-1])):
        if role != "user":
            raise ValueError(f"it must {place} with the customer's turn, not Clara's")
    return [{"role": role, "content": text} for role, text in joined]
