"""A setting that the simulation records as an input changes what it plays, or is listed as without effect."""

from __future__ import annotations

from typing import Any

import pytest

from clara_kit import Fault, Run, Settings, simulate
from clara_kit.core.events import ProviderFailed, ReplyDelta, ReplyStarted, SpeakingStarted, SpeechVoiced
from clara_kit.core.settings import FeatureFlags
from clara_kit.world.sim import WITHOUT_EFFECT

PAUSE = {"text": "Busco un protector solar que no deje grasa", "pauses": [{"after_word": 4, "ms": 700}]}
COUGH = {"sound": "cough", "sound_ms": 150, "interrupt_after_ms": 900}
CUT_IN = {"text": "Espera, ¿cuánto cuesta?", "interrupt_after_ms": 1500}
LINES = ["¿Qué protector solar me recomiendas?", COUGH, PAUSE, CUT_IN, {"text": "¿Hacen despachos?", "typed": True}]
NO_WORDS = {"sound": "noise", "sound_ms": 800, "interrupt_after_ms": 1200}

NO_MODEL = [Fault(service="llm", kind="refuse", status=529, on=n) for n in range(1, 4)]
CUT_SHORT = [
    Fault(service="llm", kind="cut", after_ms=300),
    *(Fault(service="llm", kind="refuse", status=529, on=n) for n in range(2, 9)),
]
FALLS_BACK = {"enable_auto_fallback": True, "failure_threshold": 1}

# setting: another value, and a world in which it can matter (default: LINES without faults)
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "enable_barge_in": (False, {}),
    "enable_chunked_heygen": (False, {}),
    "enable_personalization": (False, {"customer": "camila"}),
    "profile_deadline_ms": (50, {"customer": "camila"}),
    "barge_in_debounce_ms": (400, {}),
    "sustained_ms": (700, {}),
    "duck": (True, {}),
    "words_so_far_ms": (400, {"script": [LINES[0], CUT_IN], "with": {"sustained_ms": 700}}),
    "protected_opening_ms": (
        3000,
        {
            "script": [LINES[0], {"text": "Espera un momento", "interrupt_after_ms": 200}],
            "with": {"sustained_ms": 500, "local_vad": True},
        },
    ),
    "min_words": (3, {"script": [LINES[0], {"text": "crema", "interrupt_after_ms": 1500}]}),
    "taken_back_ms": (800, {"script": [LINES[0], {"text": "que no deje grasa", "interrupt_after_ms": 100}]}),
    "finalize_short_sounds": (
        True,
        {"script": [LINES[0], {"text": "para", "interrupt_after_ms": 1500}], "with": {"sustained_ms": 700}},
    ),
    "ignore_backchannels": (True, {"script": [LINES[0], {"text": "ajá", "interrupt_after_ms": 1500}]}),
    "ignore_echo": (True, {"script": [LINES[0], {"text": "Para casi todas las pieles", "interrupt_after_ms": 1500}]}),
    "unfinished_hold_ms": (1500, {"script": ["Y también quería", "Gracias"]}),
    "no_words_after_sound_ms": (300, {"script": ["Hola", NO_WORDS, "Gracias"]}),
    "turn_hold_ms": (900, {}),
    "no_words_timeout_ms": (900, {"script": ["Hola", NO_WORDS, "Gracias"]}),
    "final_timeout_ms": (100, {}),
    "after_false_interruption": ("end", {"script": ["¿Qué protector solar me recomiendas?", NO_WORDS, "Gracias"]}),
    "slow_response_ms": (100, {}),
    "stt_endpointing_ms": (800, {}),
    "stt_utterance_end_ms": (3000, {"faults": [Fault(service="stt", kind="no_end")]}),
    "local_vad": (False, {}),
    "llm_model": ("claude-sonnet-5-5", {}),
    "llm_max_tokens": (7, {}),
    "llm_first_token_timeout_ms": (1000, {"faults": [Fault(service="llm", kind="stall")]}),
    "llm_stall_timeout_ms": (1000, {"faults": [Fault(service="llm", kind="stall", after_ms=100)]}),
    "history_max_messages": (2, {}),
    "tts_speed": (1.3, {}),
    "trim_lead_silence": (True, {}),
    "avatar_vendor": ("heygen", {}),
    "max_retries": (0, {"faults": [Fault(service="llm", kind="refuse", status=529)]}),
    "initial_retry_delay_ms": (50, {"faults": [Fault(service="llm", kind="refuse", status=529)]}),
    "retry_backoff_multiplier": (4, {"faults": [Fault(service="llm", kind="cut", on=n) for n in (1, 2)]}),
    "max_retry_delay_ms": (300, {"faults": [Fault(service="llm", kind="refuse", status=529)]}),
    "failure_threshold": (1, {"faults": [Fault(service="llm", kind="refuse", status=529)]}),
    "greeting": ("Buenas.", {}),
    "apology": ("Perdón.", {"faults": [Fault(service="llm", kind="decline")]}),
    "hold_phrase": ("Ya te digo.", {"faults": [Fault(service="llm", kind="slow", for_ms=5000)]}),
    "broken_reply": ("Se me fue el hilo.", {"script": LINES[:1], "faults": CUT_SHORT, "with": {"greeting": ""}}),
    "retry_jitter": (0.5, {"faults": [Fault(service="llm", kind="refuse", status=529)]}),
    "turn_deadline_ms": (1000, {"faults": [Fault(service="llm", kind="refuse", status=529)]}),
    "enable_auto_fallback": (True, {"faults": NO_MODEL}),
    "enable_response_cache": (True, {}),
    "first_clause": (True, {"script": ["¿Qué me recomiendas para las manchas?"]}),
    "openers": (True, {"script": ["¿Qué me recomiendas para las manchas?"]}),
    "open_avatar_early": (True, {}),
    "fallback_notice": ("Cambio de voz.", {"faults": NO_MODEL, "with": FALLS_BACK}),
    "fallback_open_ms": (5000, {"faults": NO_MODEL, "with": FALLS_BACK}),
    "fallback_successes": (1, {"script": ["Hola"] * 5, "faults": [*NO_MODEL, Fault(service="llm", kind="cut", on=5)],
                               "with": {**FALLS_BACK, "fallback_open_ms": 2000}}),
}  # fmt: skip


def play(world: dict[str, Any], **changes: Any) -> Run:
    rest = {k: v for k, v in world.items() if k not in ("script", "with")}
    return simulate(world.get("script", LINES), Settings.of(**{**world.get("with", {}), **changes}), seed=4, **rest)


def trace(run: Run) -> str:
    return run.to_jsonl().split("\n", 1)[1]  # without the inputs


def test_every_setting_is_swept_or_listed() -> None:
    every = {*Settings.__struct_fields__, *FeatureFlags.__struct_fields__} - {"flags"}
    assert every == {*CASES, *WITHOUT_EFFECT}
    assert not CASES.keys() & WITHOUT_EFFECT.keys()


@pytest.mark.parametrize("name", CASES)
def test_the_simulation_honours(name: str) -> None:
    value, world = CASES[name]
    usual, other = play(world), play(world, **{name: value})
    assert trace(usual) != trace(other)


OTHER = {
    "profile_cache_hours": 0, "absence_ms": 1000.0, "answers_expire_h": 1.0, "enable_connection_pool": True, "shopify_api_version": "2026-07", "stt_model": "nova-2", "stt_language": "es",
    "stt_keyterms": ("retinol",), "llm_temperature": None, "tts_voice": "aura-2-nestor-es", "tts_other_voice": "x", "heygen_avatar_name": "x",
    "heygen_voice_id": "x", "avatar_id": "x", "avatar_sandbox": False,
}  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_what_is_listed_as_without_effect_has_none(name: str) -> None:
    assert OTHER[name] != getattr(Settings(), name, getattr(Settings().flags, name, None))
    assert trace(play({"customer": "camila"})) == trace(play({"customer": "camila"}, **{name: OTHER[name]}))


@pytest.mark.parametrize(("limit", "after_ms"), [("llm_first_token_timeout_ms", 0), ("llm_stall_timeout_ms", 100)])
def test_a_stalled_model_is_given_up_after_the_time_that_is_set(limit: str, after_ms: float) -> None:
    def gave_up_after_ms(run: Run) -> float:
        failed = next(e for e in run.events if isinstance(e, ProviderFailed))
        before = max(e.at_ms for e in run.events if isinstance(e, ReplyStarted | ReplyDelta) and e.at_ms < failed.at_ms)
        return round(failed.at_ms - before, 3)

    stall = {
        "script": [{"text": "Hola", "typed": True}],
        "faults": [Fault(service="llm", kind="stall", after_ms=after_ms)],
    }
    for ms in (1000.0, 3000.0):
        assert gave_up_after_ms(play(stall, greeting="", **{limit: ms})) == ms


def test_a_stall_that_ends_in_time_only_delays() -> None:
    world = {"script": [{"text": "Hola", "typed": True}]}
    stall = {**world, "faults": [Fault(service="llm", kind="stall", for_ms=700)]}
    usual, late = (
        next(e.at_ms for e in play(w, greeting="").events if isinstance(e, SpeakingStarted)) for w in (world, stall)
    )
    assert late - usual == pytest.approx(700, abs=0.01)


def test_a_faster_voice_speaks_for_a_shorter_time() -> None:
    def spoken_ms(run: Run) -> float:
        return next(e.audio_ms for e in run.events if isinstance(e, SpeechVoiced))

    lead = 250  # at most, of silence before it
    slow, fast = spoken_ms(play({"script": ["Hola"]})), spoken_ms(play({"script": ["Hola"]}, tts_speed=1.25))
    assert fast < slow and fast * 1.25 - slow <= lead
