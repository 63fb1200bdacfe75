"""What a conversation has cost: only what is live, and what has no price is named."""

from __future__ import annotations

import pytest

from clara_kit import Settings, simulate
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.lab.spending import rate, spent
from clara_kit.providers.prices import (
    ELEVENLABS_USD_A_CHARACTER,
    FULL_CREDITS_A_MINUTE,
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


def test_the_backup_costs_its_own_minutes_in_place_of_the_avatar_s_and_another_voice_its_own_price() -> None:
    why = {"reason": "because"}
    trace = (
        ev.ConversationStarted(at_ms=0),
        do.OpenBackup(at_ms=60_000, messages=(), **why),
        do.SwitchTo(at_ms=62_000, service="avatar", target="backup", **why),
        do.Disconnect(at_ms=62_000, service="avatar", **why),
        do.Speak(
            at_ms=63_000, turn_id=1, utterance_id=1, piece_no=0, text="Un momento.", **why
        ),  # by the backup's own voice
        ev.ProviderRecovered(at_ms=180_000, service="avatar"),
        do.SwitchTo(at_ms=180_000, service="avatar", target="", **why),
        do.CloseBackup(at_ms=180_000, **why),
        do.SwitchTo(at_ms=181_000, service="tts", target="other", **why),
        do.Speak(at_ms=182_000, turn_id=2, utterance_id=2, piece_no=0, text="Claro.", **why),
        ev.ConversationStopped(at_ms=240_000),
    )
    credits = 240 / 60 * LITE_CREDITS_A_MINUTE + 2 * FULL_CREDITS_A_MINUTE - 118 / 60 * LITE_CREDITS_A_MINUTE
    paid = Settings(avatar_sandbox=False)
    assert spent(trace, {"avatar": "live"}, paid).usd == pytest.approx(credits * LITE_CREDIT_USD)
    assert spent(trace, {"avatar": "live"}).usd == 0  # the sandbox
    classic = Settings(avatar_vendor="heygen")  # one session for both
    assert spent(trace, {"avatar": "live"}, classic).usd == pytest.approx(
        4 * HEYGEN_CREDIT_USD * HEYGEN_CREDITS_A_MINUTE
    )
    assert spent(trace, {"tts": "live"}).usd == pytest.approx(len("Claro.") * ELEVENLABS_USD_A_CHARACTER)
    assert spent(trace, {"avatar": "twin", "tts": "twin"}, paid).usd == 0
    never_back = trace[:5] + trace[-1:]
    credits = 4 * LITE_CREDITS_A_MINUTE + 3 * FULL_CREDITS_A_MINUTE - 178 / 60 * LITE_CREDITS_A_MINUTE
    assert spent(never_back, {"avatar": "live"}, paid).usd == pytest.approx(credits * LITE_CREDIT_USD)
