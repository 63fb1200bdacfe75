"""What a conversation has cost by now: for a desk that shows it and stops at a limit. Estimated from published prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clara_kit.core.commands import Speak
from clara_kit.core.events import ReplyCompleted
from clara_kit.core.records import Record
from clara_kit.providers.vendors import STT_USD_A_MINUTE, TTS_USD_A_CHARACTER


@dataclass(frozen=True)
class Spent:
    """US dollars for what is live, and what of it has no price here (an avatar's credits, an unknown model)."""

    usd: float
    unknown: tuple[str, ...] = ()


def spent(trace: Iterable[Record], modes: Mapping[str, str]) -> Spent:
    """Counts live services only: nothing else costs anything. Tokens count when a reply is complete."""
    live = {service for service, mode in modes.items() if mode == "live"}
    usd, unknown = 0.0, {"avatar"} & live
    began_ms = now_ms = None
    for record in trace:
        began_ms = record.at_ms if began_ms is None else began_ms
        now_ms = record.at_ms
        if "llm" in live and isinstance(record, ReplyCompleted):
            usd += record.usage.cost_usd or 0.0
            unknown |= {"llm"} if record.usage.cost_usd is None else set()
        elif "tts" in live and isinstance(record, Speak):
            usd += len(record.text) * TTS_USD_A_CHARACTER
    if "stt" in live and began_ms is not None and now_ms is not None:
        usd += (now_ms - began_ms) / 60_000 * STT_USD_A_MINUTE
    return Spent(usd, tuple(sorted(unknown)))
