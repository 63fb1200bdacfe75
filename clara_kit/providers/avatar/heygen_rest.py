"""The REST calls of HeyGen's classic streaming API, and its many shapes of "no".

Used by `heygen_streaming.py`. Success is a 2xx status with no error: the envelope's `code` is 100 in one
endpoint, "SUCCESS" in another and missing in a third (HeyGen's reference pages and its SDK 2.1.0).
"""

from __future__ import annotations

import json
from typing import Any

import httpx

from clara_kit.core.errors import ProviderError, ProviderRefused, ProviderUnavailable

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LONGEST_DETAIL_CHARS = 300
KEY_HINT = "keys of the classic API come from https://app.heygen.com; LiveAvatar's do not work here. Set HEYGEN_API_KEY."
GONE = ("10005", "400006")  # the session is closed, or not (or no longer) started
_HINTS = {
    "10003": "choose another avatar: this generation is no longer served.",
    "400014": "choose another avatar: this generation is no longer served.",
    "10013": "check HEYGEN_AVATAR_NAME.",
    "10004": "too many sessions are open: close the others, or wait until they have timed out.",
    "400112": KEY_HINT,
    "40009": KEY_HINT,
    "400599": "the plan has no access to the API.",
    "400573": "the key lacks the right to do this.",
}


class SessionGone(ProviderUnavailable):
    """The session has ended at the other side; a new one may be opened."""


class HeyGenRest:
    """Calls with one key against one server."""

    def __init__(self, *, api_key: str, base_url: str, timeout_s: float) -> None:
        self._api_key, self._base_url = api_key, base_url.rstrip("/")
        loopback = httpx.URL(base_url).host in _LOOPBACK  # what is meant for this machine needs no proxy
        self._http = httpx.AsyncClient(
            timeout=timeout_s, trust_env=not loopback, headers={"x-api-key": api_key}
        )

    async def post(
        self, name: str, body: dict[str, Any], *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """Call `/v1/streaming.<name>`; returns its `data` (empty where it has none). Raises `ProviderError`."""
        path = f"/v1/streaming.{name}"
        limit = httpx.USE_CLIENT_DEFAULT if timeout_s is None else httpx.Timeout(timeout_s)
        try:
            response = await self._http.post(self._base_url + path, json=body, timeout=limit)
        except httpx.TimeoutException as exc:
            raise ProviderUnavailable(
                f"HeyGen did not answer {path} in time.", hint="try again; check the network."
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise ProviderUnavailable(
                f"HeyGen cannot be reached at {self._base_url} ({type(exc).__name__}).",
                hint="check the network and HEYGEN_BASE_URL. HeyGen has announced the end of this API: "
                "AVATAR_VENDOR=liveavatar is its successor.",
            ) from exc
        try:
            envelope = json.loads(response.content)
        except ValueError:
            envelope = None
        if response.is_success and isinstance(envelope, dict) and not envelope.get("error"):
            data = envelope.get("data")
            return data if isinstance(data, dict) else {}
        raise self._error(path, response, envelope)

    async def aclose(self) -> None:
        """Close kept connections."""
        await self._http.aclose()

    def _error(self, path: str, response: httpx.Response, envelope: Any) -> ProviderError:
        status = response.status_code
        code, detail = _told(envelope)
        detail = detail.replace(self._api_key, "[key]")
        if envelope is None:
            detail = "the answer was not JSON but " + (response.headers.get("content-type") or "empty")
        said = f"{path} (HTTP {status}{', code ' + code if code else ''}{': ' + detail if detail else ''})"
        hint = _HINTS.get(code, "")
        if code in GONE or (status == 401 and path.endswith((".task", ".keep_alive", ".interrupt"))):
            # After its hard limit of an hour a session's tasks are answered with 401.
            return SessionGone(f"HeyGen's session is over: {said}.", hint="a new session is needed.")
        if status == 429 or code == "10004":
            return ProviderUnavailable(
                f"HeyGen's limit is reached at {said}.", hint=hint or "wait a moment, then try again."
            )
        if status == 402 or "credit" in f"{code} {detail}".lower():
            return ProviderRefused(f"HeyGen has no credits for {said}.", hint="add credits to the account.")
        if 400 <= status < 500:
            what = "the key" if status == 401 else "the request"
            return ProviderRefused(
                f"HeyGen refused {what} at {said}.",
                hint=hint or (KEY_HINT if status == 401 else "check the options."),
            )
        if status >= 500:
            return ProviderUnavailable(f"HeyGen failed at {said}.", hint="try again in a moment.")
        return ProviderUnavailable(
            f"HeyGen's answer to {said} makes no sense.", hint="check HEYGEN_BASE_URL, and for a proxy."
        )


def _told(envelope: Any) -> tuple[str, str]:
    """The vendor's code and words, in whatever shape this endpoint gives them."""
    if not isinstance(envelope, dict):
        return "", ""
    error = envelope.get("error")
    inner = error if isinstance(error, dict) else {}
    code = inner.get("code", envelope.get("code", ""))
    words = inner.get("message") or envelope.get("message") or (error if isinstance(error, str) else "")
    return str(code or ""), " ".join(str(words or "").split())[:_LONGEST_DETAIL_CHARS]
