"""What ElevenLabs sends over its socket, in our words: the places of letters, errors, and reasons for leaving. Pure."""

from __future__ import annotations

from typing import Any

from websockets.exceptions import ConnectionClosed

from clara_kit.core.errors import FailureKind, ProviderError
from clara_kit.core.outside import about, speaks_of
from clara_kit.core.settings import KEY_PAGES
from clara_kit.providers import http

_CHECK_KEY = (
    f"check ELEVENLABS_API_KEY ({KEY_PAGES['elevenlabs_api_key']}), its rights, and the characters that are left."
)
HINTS = {
    400: "check voice and model.",
    401: _CHECK_KEY,
    402: "the account has no characters left, or its plan has not this voice; see https://elevenlabs.io/app/subscription.",
    403: _CHECK_KEY,
    404: "check the voice's id and ELEVENLABS_BASE_URL.",
    429: "too many requests at once for this plan; wait a moment, then try again.",
}
_MEANS: dict[str, tuple[FailureKind, str]] = {  # what its words speak of: the first that is found counts
    **dict.fromkeys(("quota_exceeded", "quota", "credits"), ("refused", HINTS[402])),
    **dict.fromkeys(("invalid_api_key", "api key", "unauthorized", "missing_permissions"), ("refused", _CHECK_KEY)),
    **dict.fromkeys(("too_many_concurrent_requests", "max_active_conversations", "concurrent"),
                    ("rate_limited", HINTS[429])),
    **dict.fromkeys(("system_busy", "busy", "internal"), ("overloaded", "")),
    **dict.fromkeys(("input_timeout_exceeded", "timeout"), ("cut", "")),
    **dict.fromkeys(("voice_not_found", "voice_id_does_not_exist", "voice", "model"), ("refused", HINTS[400])),
}  # fmt: skip


def letters_of(alignment: Any) -> list[tuple[float, float]]:
    """Where each letter and digit begins and ends, in ms and in order; empty where that is not told."""
    if not isinstance(alignment, dict):
        return []
    found = alignment.get("charStartTimesMs"), alignment.get("charDurationsMs") or alignment.get("charsDurationsMs")
    try:
        rows = [*zip(alignment["chars"], *found, strict=True)]  # type: ignore[arg-type]
        return [(float(s), float(s) + float(d)) for char, s, d in rows if char.isalnum()]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def failure(what: str, words: object, usual: FailureKind = "unknown") -> ProviderError:
    """The error of what a vendor's words speak of; they themselves are not repeated."""
    found = speaks_of(words, _MEANS)
    kind, hint = _MEANS[found[0]] if found else (usual, "")
    return http.failure(kind, f"{what}{about(words, _MEANS)}.", hint)


def closed(exc: ConnectionClosed) -> ProviderError:
    """What a connection that broke means."""
    if (received := exc.rcvd) is None:
        return http.failure("cut", "The connection to ElevenLabs broke without a farewell.", "check the network.")
    usual: FailureKind = "bad_input" if received.code == 1009 else "overloaded" if received.code == 1013 else "cut"
    return failure(f"ElevenLabs closed the connection (code {received.code})", received.reason, usual)
