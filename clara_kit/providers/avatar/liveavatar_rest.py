"""LiveAvatar's REST calls for a LITE session: ask for a token, start, stop.

Used by `liveavatar.py` before and after the socket. Success is a 2xx status with `data`; the envelope's
`code` is not looked at, for the vendor's own documents and clients disagree about its values.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from clara_kit.core.errors import ProviderError, ProviderRefused, ProviderUnavailable

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LONGEST_DETAIL_CHARS = 300

_HINTS = {
    400: "check AVATAR_ID and the session's options.",
    401: "HeyGen API keys do not work on LiveAvatar: make a key at https://app.liveavatar.com and set "
    "LIVEAVATAR_API_KEY.",
    402: "a LITE session costs 1 credit a minute and needs one minute in advance: add credits, or set "
    "AVATAR_SANDBOX=true.",
    403: "the key lacks the right, or the avatar belongs to another account; a sandbox session takes only "
    "LiveAvatar's sandbox avatar.",
    404: "check AVATAR_ID and LIVEAVATAR_BASE_URL.",
    422: "check AVATAR_ID and the session's options.",
    429: "wait a moment; if it stays, close sessions that are still open.",
}


@dataclass(frozen=True, slots=True)
class LiteSession:
    """A started session. With the two LiveKit fields anyone may join the room and see the avatar."""

    session_id: str
    ws_url: str = field(repr=False)
    livekit_url: str = ""
    livekit_client_token: str = field(default="", repr=False)


class LiveAvatarRest:
    """The REST side of one session."""

    def __init__(self, *, api_key: str, base_url: str, timeout_s: float) -> None:
        self._api_key = api_key
        self._base_url = base_url.rstrip("/")
        loopback = (
            httpx.URL(base_url).host in _LOOPBACK
        )  # a proxy must not get what is meant for this machine
        self._http = httpx.AsyncClient(timeout=timeout_s, trust_env=not loopback)
        self._session_id = ""
        self._token = ""
        self._may_run = False

    async def open(self, config: dict[str, Any]) -> LiteSession:
        """Start a session of this `config`; raises `ProviderRefused` or `ProviderUnavailable`."""
        data = await self._post("/v1/sessions/token", {"X-API-KEY": self._api_key}, config)
        self._token = _text(data, "session_token")
        self._session_id = str(data.get("session_id") or "")
        self._may_run = True  # from here on a session may be running, whatever we get to see of the answer
        data = await self._post("/v1/sessions/start", self._bearer(), {"session_id": self._session_id})
        return LiteSession(
            session_id=str(data.get("session_id") or self._session_id),
            ws_url=_text(data, "ws_url"),
            livekit_url=str(data.get("livekit_url") or ""),
            livekit_client_token=str(data.get("livekit_client_token") or ""),
        )

    async def stop(self) -> None:
        """End the session if one may be running. Never fails: the vendor ends idle sessions by itself."""
        if not self._may_run:
            return
        self._may_run = False
        body = {"session_id": self._session_id, "reason": "USER_DISCONNECTED"}
        try:
            await self._post("/v1/sessions/stop", self._bearer(), body)
        except ProviderError:
            return

    async def aclose(self) -> None:
        """Close kept connections."""
        await self._http.aclose()

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    async def _post(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        try:
            response = await self._http.post(self._base_url + path, headers=headers, json=body)
        except httpx.TimeoutException as exc:
            raise ProviderUnavailable(
                f"LiveAvatar did not answer {path} in time.", hint="try again; check the network."
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise ProviderUnavailable(
                f"LiveAvatar cannot be reached at {self._base_url} ({type(exc).__name__}).",
                hint="check the network, a proxy or firewall, and LIVEAVATAR_BASE_URL.",
            ) from exc
        envelope = _json(response)
        if response.is_success and isinstance(envelope, dict) and isinstance(envelope.get("data"), dict):
            data: dict[str, Any] = envelope["data"]
            return data
        if response.is_success and path.endswith("/stop"):
            return {}
        raise self._error(path, response, envelope)

    def _error(self, path: str, response: httpx.Response, envelope: Any) -> ProviderError:
        status = response.status_code
        detail = _detail(envelope).replace(self._api_key, "[key]")
        if envelope is None:
            detail = "the answer was not JSON but " + (response.headers.get("content-type") or "empty")
        said = f"{path} (HTTP {status}{': ' + detail if detail else ''})"
        if status == 429:
            wait = response.headers.get("retry-after")
            asks = f"; it asks to wait {wait} s" if wait else ""
            return ProviderUnavailable(
                f"LiveAvatar's rate limit is reached at {said}{asks}.", hint=_HINTS[429]
            )
        if "credit" in detail.lower() and 400 <= status < 500:
            return ProviderRefused(f"LiveAvatar has no credits for {said}.", hint=_HINTS[402])
        if 400 <= status < 500:
            what = "the key" if status == 401 else "the request"
            return ProviderRefused(
                f"LiveAvatar refused {what} at {said}.", hint=_HINTS.get(status, _HINTS[400])
            )
        if status >= 500:
            return ProviderUnavailable(f"LiveAvatar failed at {said}.", hint="try again in a moment.")
        return ProviderUnavailable(
            f"LiveAvatar's answer to {said} makes no sense.",
            hint="check LIVEAVATAR_BASE_URL, and for a proxy.",
        )


async def within(budget_s: float, *work: Any) -> None:
    """Run things at once for at most `budget_s`; what is not done by then is cancelled."""
    tasks = [asyncio.ensure_future(w) for w in work]
    try:
        await asyncio.wait(tasks, timeout=budget_s)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if isinstance(value, str) and value:
        return value
    raise ProviderUnavailable(
        f"LiveAvatar's answer lacks {name!r}; it holds {', '.join(sorted(data)) or 'nothing'}.",
        hint="the session must be of mode LITE, without a hosted agent.",
    )


def _json(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        return None


def _detail(envelope: Any) -> str:
    """The vendor's own words, wherever this endpoint puts them."""
    if not isinstance(envelope, dict):
        return ""
    for found in (envelope.get("message"), envelope.get("error"), envelope.get("detail")):
        if isinstance(found, dict):
            found = found.get("message")
        if isinstance(found, list):
            found = "; ".join(str(f.get("msg", f)) if isinstance(f, dict) else str(f) for f in found)
        if isinstance(found, str) and found:
            return " ".join(found.split())[:_LONGEST_DETAIL_CHARS]
    return ""
