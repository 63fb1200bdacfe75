"""The vendors as one table: names, keys, addresses, and a free question for each. Data; talks to nobody.

Below the doctor and the key panel, which know of a vendor what stands here. The keys themselves live in `Keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clara_kit.core.errors import SettingsError
from clara_kit.core.settings import KEY_PAGES, Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One vendor. free: path of a GET that needs a key and is not billed; headers: how it is signed, by `{key}`."""

    id: str
    name: str
    key_fields: tuple[str, ...]  # of `Keys`; in capitals they are the environment's
    free: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment's names of its keys."""
        return tuple(name.upper() for name in self.key_fields)

    @property
    def page(self) -> str:
        """Where its (first) key is got."""
        return KEY_PAGES[self.key_fields[0]]

    @property
    def usual_address(self) -> str:
        """The base address, where none is set."""
        return str(Keys.model_fields[f"{self.id}_base_url"].default)

    def address(self, keys: Keys) -> str:
        """The base address that counts; see `as_http`."""
        return as_http(str(getattr(keys, f"{self.id}_base_url")))

    def has_key(self, keys: Keys) -> bool:
        """Whether its (first) key is set."""
        return getattr(keys, self.key_fields[0]) is not None

    def signed(self, key: str) -> dict[str, str]:
        """The headers of a request with this key."""
        return {name: value.format(key=key) for name, value in self.headers.items()}


_ALL = (
    Vendor(id="deepgram", name="Deepgram", key_fields=("deepgram_api_key",),
           free="/v1/projects", headers={"Authorization": "Token {key}"}),
    Vendor(id="anthropic", name="Anthropic", key_fields=("anthropic_api_key",),
           free="/v1/models?limit=1", headers={"x-api-key": "{key}", "anthropic-version": "2023-06-01"}),
    Vendor(id="liveavatar", name="LiveAvatar", key_fields=("liveavatar_api_key",),
           free="/v1/users/credits", headers={"X-API-KEY": "{key}"}),
    Vendor(id="heygen", name="HeyGen", key_fields=("heygen_api_key",),
           free="/v2/user/remaining_quota", headers={"X-Api-Key": "{key}"}),
    Vendor(id="elevenlabs", name="ElevenLabs", key_fields=("elevenlabs_api_key",),
           free="/v1/user", headers={"xi-api-key": "{key}"}),
    Vendor(id="shopify", name="Shopify", key_fields=(
        "shopify_shop", "shopify_admin_token", "shopify_client_id", "shopify_client_secret")),
)  # fmt: skip
STT_USD_A_MINUTE = 0.0092
"""Nova-3, at most: Cloudflare resells it for this (its list, 2025-08)."""
TTS_USD_A_CHARACTER = 0.030 / 1000
"""Aura-2, by a reseller's list."""
TABLE = {vendor.id: vendor for vendor in _ALL}
VENDORS = ("deepgram", "anthropic", "liveavatar")
"""The three that a sentence goes through. HeyGen's classic avatar, ElevenLabs' voice and the shop come in only where they are set up."""


def as_http(address: str) -> str:
    """A base address without its last slash, and http(s) where it is a socket's: that is the same host."""
    address = address.strip().rstrip("/")
    return "http" + address[2:] if address.startswith(("ws://", "wss://")) else address


def named(vendor: str) -> Vendor:
    """The vendor of this id; raises `SettingsError` for any other."""
    if vendor not in TABLE:
        raise SettingsError(f"There is no vendor {vendor!r}.", hint=f"use {', '.join(TABLE)}.")
    return TABLE[vendor]
