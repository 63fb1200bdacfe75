"""What one of Claude's streams says besides its text: usage, cost, how it ended. Used by `claude.py` and for kept calls."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from clara_kit.core.events import Usage
from clara_kit.providers.llm import pricing

_CHARS_PER_TOKEN = 2.7  # 3.5 in English (Anthropic's glossary), and 30 % more tokens since Haiku 5.5: an estimate
_MOST_TOKENS = 10**9  # more is no count
_COUNTED = {  # the API's names of what a reply used, and the kit's
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}

_STOP_REASONS = (  # of the SDK's types
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded",
)  # fmt: skip


class Tally:
    """What a stream says besides its text. Lenient: what it does not understand changes nothing."""

    def __init__(self) -> None:
        self.events = 0
        self.text_came = False
        self.stopped = False
        self.stop_reason = "unknown"
        self.owed = False
        """The model has begun, and nobody was told yet what that costs."""
        self._tokens: dict[str, int] = {}
        self._chars = 0
        self._output_told = False

    def take(self, event: Any) -> str:
        """Note one event of the SDK; returns the text it brought, if any."""
        self.events += 1
        kind, part = getattr(event, "type", None), getattr(event, "delta", None)
        text = ""
        if kind == "message_start":
            self._count(getattr(getattr(event, "message", None), "usage", None))
        elif kind == "content_block_start":
            text = _text_of(getattr(event, "content_block", None))
        elif kind == "content_block_delta":
            text = _text_of(part)
            thought = getattr(part, "thinking", "")
            self._chars += len(thought) if isinstance(thought, str) else 0
        elif kind == "message_delta":
            reason = getattr(part, "stop_reason", None)
            self.stop_reason = reason if reason in _STOP_REASONS else self.stop_reason
            self._output_told |= self._count(getattr(event, "usage", None))
        elif kind == "message_stop":
            self.stopped = True
        self._chars += len(text)
        self.text_came = self.text_came or bool(text.strip())
        self.owed = self.owed or bool(text) or kind == "message_start"
        return text

    def usage(self, model: str) -> Usage:
        """All tokens, and what they cost; where the end is missing, the output is estimated by the text that came."""
        counted = replace(Usage(), **self._tokens)
        if not self._output_told:
            tokens = max(counted.output_tokens, round(self._chars / _CHARS_PER_TOKEN))
            counted = replace(counted, output_tokens=tokens, output_estimated=True)
        return replace(counted, cost_usd=pricing.cost_usd(model, counted))

    def _count(self, usage: Any) -> bool:
        """Take over what is counted there; returns whether the output is."""
        # The numbers are cumulative: one that is missing, or smaller than before, takes nothing back.
        told = False
        for name, ours in _COUNTED.items():
            value = getattr(usage, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST_TOKENS:
                self._tokens[ours] = max(value, self._tokens.get(ours, 0))
                told = told or name == "output_tokens"
        return told


def _text_of(part: Any) -> str:
    """Its text; of what is no text (thinking, say) nothing."""
    text = getattr(part, "text", "") if getattr(part, "type", None) in ("text", "text_delta") else ""
    return text if isinstance(text, str) else ""
