"""The REST calls of HeyGen's classic streaming API. Used by `heygen_streaming.py`."""

from __future__ import annotations

from typing import Any, ClassVar

from clara_kit.providers.avatar.rest import Rest

_KEY_HINT = (
    "keys of the classic API come from https://app.heygen.com; LiveAvatar's do not work here. Set HEYGEN_API_KEY."
)
_OLD_HINT = "choose another avatar: this generation is no longer served."
_GONE = ("10005", "400006")  # the session is closed, or not (or no longer) started


class HeyGenRest(Rest):
    """Calls with one key against one server."""

    who = "HeyGen"
    setting = "HEYGEN_BASE_URL (HeyGen has announced the end of this API: AVATAR_VENDOR=liveavatar is its successor)"
    hints: ClassVar[dict[str, str]] = {
        "401": _KEY_HINT,
        "402": "add credits to the account.",
        "10003": _OLD_HINT,
        "400014": _OLD_HINT,
        "10013": "check HEYGEN_AVATAR_NAME.",
        "10004": "too many sessions are open: close the others, or wait until they have timed out.",
        "400112": _KEY_HINT,
        "40009": _KEY_HINT,
        "400599": "the plan has no access to the API.",
        "400573": "the key lacks the right to do this.",
    }

    session_id = ""
    """Of the session that was made; goes along with every call."""

    async def call(self, name: str, *, timeout_s: float | None = None, **body: Any) -> dict[str, Any]:
        """Call `/v1/streaming.<name>`; returns its `data` (empty where it has none). Raises `ProviderError`."""
        session = {"session_id": self.session_id} if self.session_id else {}
        return await self.post(f"/v1/streaming.{name}", session | body, timeout_s=timeout_s)

    def says_gone(self, path: str, status: int, code: str) -> bool:
        """Also a 401 to a running session: so are its tasks answered after its hard limit of an hour."""
        return code in _GONE or (status == 401 and path.endswith((".task", ".keep_alive", ".interrupt")))
