"""Every knob of a conversation in one frozen object, validated once, then passed in.

`Settings()` is what the code says, the same on every machine. `Settings.from_env(...)` lays environment
variables over it; their names are the fields' names in capitals (`BARGE_IN_DEBOUNCE_MS=100`). Reading the
environment and `.env` is done in `runtime/config.py`: this module only knows mappings. Keys live in
`Keys`, apart from the settings, so that a run log can hold all settings and no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from clara_kit.core.errors import SettingsError
from clara_kit.core.retry import RetryPolicy

Mode = Literal["live", "twin", "sim"]
Ms = Annotated[float, Field(ge=0, le=600_000)]

USUAL_GREETING = "¡Hola! Soy Clara, de Beta Skincare. ¿En qué te puedo ayudar?"
"""What Clara says first where no template says otherwise."""

_LATER = {
    "enable_response_cache": "the response cache",
    "enable_connection_pool": "the connection pool",
    "enable_auto_fallback": "automatic fallback",
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureFlags(_Frozen):
    """The plan's flags. One whose feature this version lacks refuses to be switched on."""

    enable_barge_in: bool = True
    enable_chunked_heygen: bool = True  # sentence by sentence to the avatar; off: the whole reply at once
    enable_personalization: bool = True  # off: Clara treats everyone as a customer of whom nothing is known
    enable_response_cache: bool = False
    enable_connection_pool: bool = False
    enable_auto_fallback: bool = False

    @field_validator(*_LATER)
    @classmethod
    def _not_yet(cls, value: bool, info: Any) -> bool:
        if value:
            raise ValueError(f"{_LATER[info.field_name]} is not part of this version")
        return value


class Settings(_Frozen):
    """All settings. Times in milliseconds. Defaults are the plan's unless the comment says otherwise."""

    flags: FeatureFlags = FeatureFlags()

    # The customer's profile
    profile_deadline_ms: Ms = 1500  # the greeting waits for the shop no longer than this
    profile_cache_hours: Annotated[float, Field(ge=0, le=168)] = 24  # 0: ask the shop every time
    # Shopify serves a version for a year and then quietly answers with an older one; the fetcher notices.
    shopify_api_version: Annotated[str, Field(pattern=r"^(20\d\d-(01|04|07|10)|unstable)$")] = "2026-10"

    # Turn-taking
    barge_in_debounce_ms: Ms = 100  # a sound must last this long to interrupt Clara
    turn_hold_ms: Ms = 0  # wait this long after a final for the customer to go on (0: answer at once)
    no_words_timeout_ms: Ms = 2500  # a sound that brought no words in this time was none
    final_timeout_ms: Ms = 4000  # interim words whose final never comes count as final after this
    after_false_interruption: Literal["resume", "end"] = "resume"
    slow_response_ms: Ms = 3000  # words ended to Clara's first sound; above this an alert is raised

    # Speech to text. nova-3 has es-419 since 2025-09-02 and takes keyterms; the plan's nova-2 stays selectable.
    stt_model: str = "nova-3"
    stt_language: str = "es-419"
    stt_endpointing_ms: Annotated[int, Field(ge=10, le=5000)] = 300
    stt_utterance_end_ms: Annotated[int, Field(ge=1000, le=5000)] = 1000  # Deepgram refuses less than 1000
    stt_keyterms: tuple[str, ...] = ()
    local_vad: bool = True

    # The model. The plan's claude-3-5-haiku-20241022 was retired by Anthropic on 2026-02-19.
    llm_model: str = "claude-haiku-5-5"
    # The plan's 150 tokens, times 1.3: Haiku 5.5's tokenizer needs about 30 % more for the same text
    # (Anthropic's Haiku 5.5 migration guide).
    llm_max_tokens: Annotated[int, Field(ge=1, le=4096)] = 195
    llm_temperature: Annotated[float, Field(ge=0, le=1)] | None = 0.7  # sent only where the model takes it
    llm_first_token_timeout_ms: Ms = 8000
    llm_stall_timeout_ms: Ms = 5000
    history_max_messages: Annotated[int, Field(ge=2, le=400)] = 40

    # The voice and the avatar
    tts_voice: str = "aura-2-celeste-es"
    tts_speed: Annotated[float, Field(ge=0.7, le=1.5)] = 1.0
    avatar_vendor: Literal["liveavatar", "heygen"] = "liveavatar"  # heygen: the plan's classic API, being retired
    heygen_avatar_name: str = ""  # of your HeyGen account; only for avatar_vendor="heygen"
    heygen_voice_id: str = ""  # empty: the avatar's own
    avatar_id: str = "dd73ea75-1218-4ef3-92ce-606d5f7fbc0a"  # LiveAvatar's sandbox avatar
    avatar_sandbox: bool = True  # no credits, but the session ends after about a minute

    # Retries
    max_retries: Annotated[int, Field(ge=0, le=10)] = 3
    initial_retry_delay_ms: Ms = 1000
    retry_backoff_multiplier: Annotated[float, Field(ge=1, le=10)] = 2
    max_retry_delay_ms: Ms = 10000
    failure_threshold: Annotated[int, Field(ge=1, le=100)] = 3  # failures in a row before an alert

    # What Clara says
    greeting: str | None = None  # None: as the prompt's template has it; empty: Clara waits to be spoken to
    apology: str = "Disculpa, se me cortó un momento. ¿Me lo repites, por favor?"

    @property
    def retry(self) -> RetryPolicy:
        """The plan's retry constants as one policy."""
        return RetryPolicy(
            max_retries=self.max_retries,
            initial_delay_ms=self.initial_retry_delay_ms,
            multiplier=self.retry_backoff_multiplier,
            max_delay_ms=self.max_retry_delay_ms,
        )

    @classmethod
    def of(cls, **changes: Any) -> Self:
        """Settings with some fields changed; a flag may be given by its own name."""
        return cls().with_changes(**changes)

    def with_changes(self, **changes: Any) -> Self:
        """A copy with some fields changed (flags by their own names), validated; raises `SettingsError`."""
        flags = {name: changes.pop(name) for name in list(changes) if name in FeatureFlags.model_fields}
        data: dict[str, Any] = self.model_dump()
        data["flags"] = {**data["flags"], **flags}
        try:
            return type(self).model_validate({**data, **changes})
        except ValidationError as exc:
            raise SettingsError(_explain(exc), hint="see Settings for the names and ranges.") from exc

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Defaults with the environment's values laid over them. Unrelated variables are passed over."""
        names = [n for n in (*cls.model_fields, *FeatureFlags.model_fields) if n != "flags"]
        found: dict[str, Any] = {n: environ[n.upper()] for n in names if environ.get(n.upper(), "") != ""}
        if "stt_keyterms" in found:
            found["stt_keyterms"] = tuple(t.strip() for t in found["stt_keyterms"].split(",") if t.strip())
        if str(found.get("llm_temperature", "")).lower() == "none":
            found["llm_temperature"] = None
        return cls.of(**found)


class Keys(_Frozen):
    """Vendors' keys and addresses. Shows names, never values; an absent key is None."""

    deepgram_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    liveavatar_api_key: SecretStr | None = None
    heygen_api_key: SecretStr | None = None
    shopify_shop: str | None = None  # name.myshopify.com
    shopify_admin_token: SecretStr | None = None  # either this, or the two below
    shopify_client_id: SecretStr | None = None
    shopify_client_secret: SecretStr | None = None
    deepgram_base_url: str = "https://api.deepgram.com"
    anthropic_base_url: str = "https://api.anthropic.com"
    liveavatar_base_url: str = "https://api.liveavatar.com"
    heygen_base_url: str = "https://api.heygen.com"
    shopify_base_url: str = ""  # empty: https:// and the shop's own name

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Keys and addresses from `DEEPGRAM_API_KEY`, `DEEPGRAM_BASE_URL` and their like."""
        found = {n: environ[n.upper()].strip() for n in cls.model_fields if environ.get(n.upper(), "").strip()}
        return cls.model_validate(found)

    def need(self, name: str) -> str:
        """The value of a key, or a `SettingsError` that says which is missing and where to get it."""
        value = getattr(self, name)
        if value is None:
            raise SettingsError(
                f"{name.upper()} is not set.",
                hint=f"get one at {KEY_PAGES[name]} and put {name.upper()}=... into the file .env.",
            )
        return str(value.get_secret_value() if isinstance(value, SecretStr) else value)


KEY_PAGES = {
    "deepgram_api_key": "https://console.deepgram.com",
    "anthropic_api_key": "https://platform.claude.com",
    "liveavatar_api_key": "https://app.liveavatar.com",
    "heygen_api_key": "https://app.heygen.com",
    "shopify_shop": "https://admin.shopify.com (Settings, Domains: the name that ends in .myshopify.com)",
    # Since 2026-01-01 no new custom apps with an eternal token can be made in a shop's admin.
    "shopify_admin_token": "https://admin.shopify.com (Settings, Apps, Develop apps; only for apps made there "
    "before 2026, newer ones have SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET instead)",
    "shopify_client_id": "https://dev.shopify.com/dashboard (your app, Settings)",
    "shopify_client_secret": "https://dev.shopify.com/dashboard (your app, Settings)",
}


def _explain(error: ValidationError) -> str:
    rows = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()]
    return "A setting is wrong. " + "; ".join(rows) + "."
