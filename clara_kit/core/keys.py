"""Vendors' keys, apart from the settings, so that a run log can hold all settings and no key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, SecretStr

from clara_kit.core.errors import SettingsError


class Keys(BaseModel):
    """Vendors' keys and addresses. Shows names, never values (an address may hold a password); an absent key is None."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    deepgram_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    liveavatar_api_key: SecretStr | None = None
    heygen_api_key: SecretStr | None = None
    elevenlabs_api_key: SecretStr | None = None  # only for another voice where Deepgram's is lost
    shopify_shop: str | None = None  # name.myshopify.com
    shopify_admin_token: SecretStr | None = None  # either this, or the two below
    shopify_client_id: SecretStr | None = None
    shopify_client_secret: SecretStr | None = None
    deepgram_base_url: str = "https://api.deepgram.com"
    anthropic_base_url: str = "https://api.anthropic.com"
    liveavatar_base_url: str = "https://api.liveavatar.com"
    heygen_base_url: str = "https://api.heygen.com"
    elevenlabs_base_url: str = "https://api.elevenlabs.io"
    shopify_base_url: str = ""  # empty: https:// and the shop's own name
    local_llm_base_url: str = "http://127.0.0.1:11434"  # a model's server on this machine, for llm="local"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Keys and addresses from `DEEPGRAM_API_KEY`, `DEEPGRAM_BASE_URL` and their like."""
        found = {n: environ[n.upper()].strip() for n in cls.model_fields if environ.get(n.upper(), "").strip()}
        return cls.model_validate(found)

    def __repr__(self) -> str:
        return f"Keys(set: {', '.join(sorted(self.model_fields_set)) or 'none'})"

    __str__ = __repr__

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
    "elevenlabs_api_key": "https://elevenlabs.io/app/settings/api-keys",
    "shopify_shop": "https://admin.shopify.com (Settings, Domains: the name that ends in .myshopify.com)",
    # Since 2026-01-01 no new custom apps with an eternal token can be made in a shop's admin.
    "shopify_admin_token": "https://admin.shopify.com (Settings, Apps, Develop apps; only for apps made there "
    "before 2026, newer ones have SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET instead)",
    "shopify_client_id": "https://dev.shopify.com/dashboard (your app, Settings)",
    "shopify_client_secret": "https://dev.shopify.com/dashboard (your app, Settings)",
}
