"""What is known of Claude models: prices, when they retire, and which parameters they take.

Asked by `claude.py` before a request (what to send) and after it (what it cost). A plain table: nothing
here talks to anyone. A model that is not in it can be used; its cost is then None, never a guess.

Sources, read 2026-11-23: prices from Anthropic's pricing and model pages (platform.claude.com/docs; Haiku
5.5 as of 2026-10-07); retirement dates from the Anthropic Python SDK 2.12.0 and Anthropic's deprecations
page; sampling parameters from the API's version notes (removed with anthropic-version 2026-10-21, refused
by Opus 4.7, Sonnet 5, Haiku 5.5 and everything newer).
"""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

from clara_kit.core.events import Usage

SUCCESSOR = "claude-haiku-5-5"
_LONG_PROMPT_TOKENS = 100_000  # above this prompt length some models have a second price list


class Price(NamedTuple):
    """US dollars for a million tokens. `cache_write` is the five-minute cache."""

    input: float
    output: float
    cache_write: float
    cache_read: float

    def of(self, usage: Usage) -> float:
        """What `usage` costs, in US dollars."""
        tokens = (usage.input_tokens, usage.output_tokens, usage.cache_write_tokens, usage.cache_read_tokens)
        return sum(n * usd for n, usd in zip(tokens, self, strict=True)) / 1_000_000


PRICES: dict[str, Price] = {
    "claude-haiku-5-5": Price(input=0.10, output=0.50, cache_write=0.125, cache_read=0.01),
    "claude-sonnet-5-5": Price(input=2, output=10, cache_write=2.5, cache_read=0.10),
    "claude-opus-5-5": Price(input=4, output=20, cache_write=5, cache_read=0.20),
    "claude-sonnet-5": Price(input=2, output=10, cache_write=2.5, cache_read=0.20),
    "claude-opus-5": Price(input=5, output=25, cache_write=6.25, cache_read=0.50),
    "claude-sonnet-4-6": Price(input=3, output=15, cache_write=3.75, cache_read=0.30),
    "claude-sonnet-4-5": Price(input=3, output=15, cache_write=3.75, cache_read=0.30),
    "claude-haiku-4-5": Price(input=1, output=5, cache_write=1.25, cache_read=0.10),
    "claude-3-5-haiku": Price(input=0.80, output=4, cache_write=1, cache_read=0.08),
}
LONG_PROMPT_PRICES: dict[str, Price] = {
    "claude-haiku-5-5": Price(input=0.50, output=2.50, cache_write=0.625, cache_read=0.05)
}

# Least tokens of a prompt that is kept at all: the pages of both models. Of others the kit does not know it.
_MIN_CACHEABLE = {"claude-haiku-5-5": 512, "claude-haiku-4-5": 4096}
MOST_CHARS_A_TOKEN = 4.0  # of Spanish: so a prompt that is held to be long enough is

_RETIRED_ON = {
    date(2025, 7, 21): "claude-2.0 claude-2.1 claude-3-sonnet-20240229",
    date(2025, 10, 28): "claude-3-5-sonnet-20240620 claude-3-5-sonnet-20241022",
    date(2026, 1, 5): "claude-3-opus-20240229",
    date(2026, 2, 19): "claude-3-7-sonnet-latest claude-3-7-sonnet-20250219 "
    "claude-3-5-haiku-latest claude-3-5-haiku-20241022",
    date(2026, 6, 15): "claude-opus-4-0 claude-opus-4-20250514 claude-sonnet-4-0 claude-sonnet-4-20250514",
    date(2026, 6, 30): "claude-mythos-preview",
    date(2026, 11, 30): "claude-sonnet-4-5 claude-sonnet-4-5-20250929",
}
RETIREMENTS: dict[str, date] = {model: day for day, models in _RETIRED_ON.items() for model in models.split()}

# Named one by one: a model that is not here must not get a temperature, for the newer ones refuse it.
_TAKE_TEMPERATURE = re.compile(r"claude-(3-|haiku-4-5|(sonnet|opus)-4-(0|2025|5|6))")
_THINK_ALWAYS = ("claude-opus-5-5", "claude-fable-", "claude-mythos-")
_NEVER_THOUGHT = ("claude-2", "claude-3-sonnet", "claude-3-opus", "claude-3-haiku", "claude-3-5-")


def takes_temperature(model: str) -> bool:
    """Whether a request to this model may hold a temperature (under anthropic-version 2023-06-01)."""
    return _TAKE_TEMPERATURE.match(model) is not None


def can_disable_thinking(model: str) -> bool:
    """Whether thinking is to be switched off by name. Some models always think; the oldest never do."""
    return not model.startswith(_THINK_ALWAYS + _NEVER_THOUGHT)


def min_cacheable_tokens(model: str) -> int | None:
    """How long a prompt must be for the vendor to keep it; None where that is not known."""
    return _MIN_CACHEABLE.get(_family(model))


def cost_usd(model: str, usage: Usage) -> float | None:
    """What a reply cost in US dollars, or None where the model's price is not known."""
    name = _family(model)
    prompt_tokens = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    if prompt_tokens > _LONG_PROMPT_TOKENS and name in LONG_PROMPT_PRICES:
        return LONG_PROMPT_PRICES[name].of(usage)
    return PRICES[name].of(usage) if name in PRICES else None


def note(model: str, *, today: date | None = None) -> str | None:
    """What a person should know before using this model; None where there is nothing to say."""
    retires = RETIREMENTS.get(model)
    if retires is not None and retires <= (today or date.today()):
        return f"{model} was retired by Anthropic on {retires}: requests to it fail. Use {SUCCESSOR}."
    if retires is not None:
        return f"{model} will be retired by Anthropic on {retires}. Move to {SUCCESSOR} before that day."
    if _family(model) not in PRICES:
        return (
            f"{model} is not in the kit's table of models: its cost will not be known, it gets no "
            f"temperature, and the name may be wrong. The default is {SUCCESSOR}."
        )
    return None


def _family(model: str) -> str:
    """The name without its date: claude-haiku-4-5-20251001 is claude-haiku-4-5."""
    stem, _, tail = model.rpartition("-")
    return stem if (len(tail) == 8 and tail.isdigit()) or tail == "latest" else model
