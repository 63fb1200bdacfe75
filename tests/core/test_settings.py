"""Settings: from code and environment, validated, and no key is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from clara_kit.core.errors import SettingsError
from clara_kit.core.settings import FeatureFlags, Keys, Settings
from clara_kit.runtime.config import environment


def test_the_plans_constants_are_the_defaults() -> None:
    s = Settings()
    assert (s.barge_in_debounce_ms, s.failure_threshold, s.slow_response_ms) == (100, 3, 3000)
    assert [s.retry.delay_ms(n) for n in range(1, 6)] == [1000, 2000, 4000, None, None]


def test_the_environment_lies_over_the_env_file_and_both_over_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("BARGE_IN_DEBOUNCE_MS=150\nSTT_MODEL=nova-2\n", encoding="utf-8")
    monkeypatch.setenv("STT_MODEL", "nova-3")
    settings = Settings.from_env(environment(tmp_path / ".env"))
    assert (settings.barge_in_debounce_ms, settings.stt_model) == (150, "nova-3")


@pytest.mark.parametrize(
    "bad", [{"barge_in_debounce_ms": -1}, {"nonsense": 1}, {"stt_utterance_end_ms": 500}, {"answers_expire_h": -1}]
)
def test_a_wrong_setting_is_refused_by_name(bad: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(bad))):
        Settings.of(**bad)


def test_a_missing_key_says_which_and_where_to_get_it_and_a_present_one_is_not_shown() -> None:
    with pytest.raises(SettingsError, match=r"DEEPGRAM_API_KEY .*console\.deepgram\.com"):
        Keys().need("deepgram_api_key")
    keys = Keys.from_env({"DEEPGRAM_API_KEY": "very-secret"})
    assert keys.need("deepgram_api_key") == "very-secret"
    assert "very-secret" not in f"{keys!r}{keys}{keys.model_dump()}"


def test_the_example_env_file_names_every_variable() -> None:
    text = (Path(__file__).parents[2] / ".env.example").read_text(encoding="utf-8")
    names = [*Settings.__struct_fields__, *FeatureFlags.__struct_fields__, *Keys.model_fields]
    missing = [n.upper() for n in names if n != "flags" and f"{n.upper()}=" not in text]
    assert not missing
