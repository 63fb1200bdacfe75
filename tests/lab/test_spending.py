"""What a conversation has cost: only what is live, and what has no price is named."""

from __future__ import annotations

import pytest

from clara_kit import Settings, simulate
from clara_kit.lab.spending import rate, spent
from clara_kit.providers.prices import (
    HEYGEN_CREDIT_USD,
    HEYGEN_CREDITS_A_MINUTE,
    LITE_CREDIT_USD,
    LITE_CREDITS_A_MINUTE,
)
from clara_kit.providers.vendors import STT_USD_A_MINUTE, TTS_USD_A_CHARACTER


def test_each_live_service_is_counted_by_what_it_did_and_nothing_else_is() -> None:
    run = simulate(["¿Hacen despachos a regiones?", "Muchas gracias."], seed=3)
    minutes = (run.trace[-1].at_ms - run.trace[0].at_ms) / 60_000
    said = sum(len(text) for turn in run.ledger if (text := turn.clara))
    assert spent(run.trace, dict.fromkeys(("stt", "llm", "tts", "avatar"), "twin")).usd == 0
    assert spent(run.trace, {"stt": "live"}).usd == pytest.approx(minutes * STT_USD_A_MINUTE)
    assert spent(run.trace, {"tts": "live"}).usd == pytest.approx(said * TTS_USD_A_CHARACTER, rel=0.02)
    for avatar, usd in (
        (Settings(), 0.0), (Settings(avatar_sandbox=False), LITE_CREDIT_USD * LITE_CREDITS_A_MINUTE),
        (Settings(avatar_vendor="heygen"), HEYGEN_CREDIT_USD * HEYGEN_CREDITS_A_MINUTE),
    ):  # fmt: skip
        assert spent(run.trace, {"avatar": "live"}, avatar).usd == pytest.approx(minutes * usd)
        assert rate(("avatar",), avatar).usd_a_minute == pytest.approx(usd)
    assert spent(run.trace, {"llm": "live"}).unknown == ("llm",)  # a simulated reply has no price
