"""What the vendors charge: the one place for prices, but for Claude's list (`llm/pricing.py`) and Deepgram's two (`vendors.py`).

Data, and two sums of it. Where a price depends on the plan, the dearest counts: a limit must not be reached too late.
`data/money_and_privacy.md` tells people the same figures; a test holds the two together.
"""

from __future__ import annotations

from typing import NamedTuple

from clara_kit.core.events import Usage
from clara_kit.providers.llm.pricing import PRICES, SUCCESSOR
from clara_kit.providers.vendors import STT_USD_A_MINUTE, TTS_USD_A_CHARACTER

LITE_CREDITS_A_MINUTE = 1
LITE_CREDIT_USD = 0.13
"""At most: the smallest plan, 19 USD for 150 credits; further credits 0.10 to 0.12 (docs.liveavatar.com, credits, 2026-11)."""
FULL_CREDITS_A_MINUTE = 2
"""LiveAvatar's own assistant, while it stands in (docs.liveavatar.com, credits, 2026-11)."""
ELEVENLABS_USD_A_CHARACTER = 0.060 / 1000
"""Flash, at most: ElevenLabs' list as a guide for developers quotes it, 2026; others quote 0.050."""
HEYGEN_CREDITS_A_MINUTE = 0.2
HEYGEN_CREDIT_USD = 0.99
"""At most: the plan Pro, 99 USD for 100 credits (docs.heygen.com, limits, as stored in 2026)."""

ANSWERS, ANSWER_CHARS = 3, 150  # a minute; of each: what is usual in the kit's own conversations
USAGE = Usage(input_tokens=3000, output_tokens=80)  # of an answer: the prompt is 2,100 to 3,100 tokens, uncached


class Part(NamedTuple):
    """What one vendor's part of a conversation costs, in US dollars."""

    vendor: str
    usd: float


def conversation(minutes: float = 5, model: str = SUCCESSOR) -> tuple[Part, ...]:
    """A typical conversation of this length with everything live, at most; a model without a price counts nothing."""
    answers = ANSWERS * minutes
    price = PRICES.get(model)
    return (
        Part("deepgram", STT_USD_A_MINUTE * minutes + TTS_USD_A_CHARACTER * ANSWER_CHARS * answers),
        Part("anthropic", price.of(USAGE) * answers if price else 0.0),
        Part("liveavatar", LITE_CREDIT_USD * LITE_CREDITS_A_MINUTE * minutes),
    )


def figures() -> dict[str, str]:
    """Every figure that people are told, by name, as it is written; Claude's are the usual model's."""
    parts, claude = conversation(), PRICES[SUCCESSOR]
    return {
        "stt": f"{STT_USD_A_MINUTE:.4f}",
        "tts": f"{TTS_USD_A_CHARACTER * 1000:.3f}",
        "tokens_in": f"{claude.input:.2f}",
        "tokens_out": f"{claude.output:.2f}",
        "lite_credits": f"{LITE_CREDITS_A_MINUTE:g}",
        "lite_credit": f"{LITE_CREDIT_USD:.2f}",
        "full_credits": f"{FULL_CREDITS_A_MINUTE:g}",
        "elevenlabs": f"{ELEVENLABS_USD_A_CHARACTER * 1000:.3f}",
        "heygen_credits": f"{HEYGEN_CREDITS_A_MINUTE:g}",
        "heygen_credit": f"{HEYGEN_CREDIT_USD:.2f}",
        **{f"five_{part.vendor}": f"{part.usd:.2f}" for part in parts},
        "five_all": f"{sum(part.usd for part in parts):.2f}",
        "five_sandbox": f"{sum(part.usd for part in parts if part.vendor != 'liveavatar'):.2f}",
    }
