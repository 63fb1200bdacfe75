"""What a conversation costs: by now, and by the minute and the answer. Estimated from published prices.

For a desk, and for the list of what is open, which show it and stop at a limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from clara_kit.core.commands import CloseBackup, Disconnect, OpenBackup, RequestReply, Speak, SwitchTo
from clara_kit.core.events import ProviderFailed, ProviderRecovered, ReplyCompleted, ServiceExchanged
from clara_kit.core.records import Record
from clara_kit.core.settings import Settings
from clara_kit.providers.llm.pricing import cost_usd
from clara_kit.providers.prices import (
    ANSWER_CHARS,
    ELEVENLABS_USD_A_CHARACTER,
    FULL_CREDITS_A_MINUTE,
    HEYGEN_CREDIT_USD,
    HEYGEN_CREDITS_A_MINUTE,
    LITE_CREDIT_USD,
    LITE_CREDITS_A_MINUTE,
    USAGE,
)
from clara_kit.providers.vendors import STT_USD_A_MINUTE, TTS_USD_A_CHARACTER

USUAL = Settings()


@dataclass(frozen=True)
class Spent:
    """US dollars for what is live, and what of it has no price here (an unknown model)."""

    usd: float
    unknown: tuple[str, ...] = ()


class Rate(NamedTuple):
    """About how many US dollars go for each minute on the line, and for each answer."""

    usd_a_minute: float
    usd_an_answer: float


def rate(live: Iterable[str], settings: Settings = USUAL) -> Rate:
    """Of what is live; what has no price here (see `Spent`) is not in it."""
    live = set(live)
    answer = (cost_usd(settings.llm_model, USAGE) or 0.0) if "llm" in live else 0.0
    answer += ANSWER_CHARS * TTS_USD_A_CHARACTER if "tts" in live else 0.0
    return Rate(_minute(live, settings), answer)


def _minute(live: set[str], settings: Settings) -> float:
    """What a minute on the line costs, at most; the sandbox's avatar is free."""
    usd = STT_USD_A_MINUTE if "stt" in live else 0.0
    if "avatar" not in live:
        return usd
    if settings.avatar_vendor == "heygen":
        return usd + HEYGEN_CREDIT_USD * HEYGEN_CREDITS_A_MINUTE
    return usd if settings.avatar_sandbox else usd + LITE_CREDIT_USD * LITE_CREDITS_A_MINUTE


def spent(trace: Iterable[Record], modes: Mapping[str, str], settings: Settings = USUAL) -> Spent:
    """Counts live services only: nothing else costs anything. modes: those that it began with.

    Tokens count when a reply is over, whichever way; of one that broke off or was dropped, they are estimated.
    """
    live = {service for service, mode in modes.items() if mode == "live"}
    usd, asked = 0.0, set()
    unknown: set[str] = set()
    stands: dict[str, str] = {}  # in another's place
    began_ms = now_ms = None
    for record in trace:
        began_ms = record.at_ms if began_ms is None else began_ms
        now_ms = record.at_ms
        if isinstance(record, ServiceExchanged):
            (live.add if record.mode == "live" else live.discard)(record.service)
        elif isinstance(record, RequestReply) and "llm" in live:
            asked.add(record.reply_id)
        elif isinstance(record, ReplyCompleted | ProviderFailed) and record.reply_id in asked and record.usage:
            usd += record.usage.cost_usd or 0.0
            unknown |= {"llm"} if record.usage.cost_usd is None else set()
        elif isinstance(record, SwitchTo):
            stands[record.service] = record.target
        elif isinstance(record, Speak) and "tts" in live and stands.get("avatar") != "backup":
            other = stands.get("tts") == "other"
            usd += len(record.text) * (ELEVENLABS_USD_A_CHARACTER if other else TTS_USD_A_CHARACTER)
    if began_ms is not None and now_ms is not None:
        usd += (now_ms - began_ms) / 60_000 * _minute(live, settings)
        usd += _standing_in(trace, now_ms, settings) if "avatar" in live else 0.0
    return Spent(usd, tuple(sorted(unknown)))


def _standing_in(trace: Iterable[Record], now_ms: float, settings: Settings) -> float:
    """What the backup's session costs more than the avatar's, which is closed meanwhile; none on the classic API, in a sandbox."""
    if settings.avatar_vendor == "heygen" or settings.avatar_sandbox:
        return 0.0
    began = {"backup": now_ms, "avatar": now_ms}
    credits = 0.0  # times milliseconds
    for record in trace:
        if isinstance(record, OpenBackup):
            began["backup"] = record.at_ms
        elif isinstance(record, Disconnect) and record.service == "avatar":
            began["avatar"] = record.at_ms
        elif isinstance(record, CloseBackup):
            credits += (record.at_ms - began["backup"]) * FULL_CREDITS_A_MINUTE
            began["backup"] = now_ms
        elif isinstance(record, ProviderRecovered) and record.service == "avatar":
            credits -= (record.at_ms - min(record.at_ms, began["avatar"])) * LITE_CREDITS_A_MINUTE
            began["avatar"] = now_ms
    credits += (now_ms - began["backup"]) * FULL_CREDITS_A_MINUTE - (now_ms - began["avatar"]) * LITE_CREDITS_A_MINUTE
    return credits / 60_000 * LITE_CREDIT_USD
