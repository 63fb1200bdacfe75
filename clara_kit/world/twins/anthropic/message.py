"""One message as the API words it: the same, streamed or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clara_kit.world.twins.anthropic.rules import MODELS

THOUGHT = {"type": "thinking", "thinking": "", "signature": "twin"}


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: streamed or not, its text, its end and what it used are the same."""

    tokens: list[str]
    reason: str
    stop: str | None = None

    @property
    def ends(self) -> dict[str, Any]:
        """How the API tells the end."""
        return {"stop_reason": self.reason, "stop_sequence": self.stop}

    def used(self, usage: dict[str, Any]) -> dict[str, Any]:
        """The counters, with what was written."""
        return {**usage, "output_tokens": max(1, len(self.tokens))}


def message_of(request_id: str, model: str, usage: dict[str, Any]) -> dict[str, Any]:
    """A message that has not yet said anything."""
    return {
        "id": request_id.replace("req", "msg"), "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip


def model_info(name: str) -> dict[str, Any]:
    """A model as the list has it."""
    return {
        "type": "model",
        "id": name,
        "display_name": MODELS[name].display,
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
    }
