"""JSON over POST, as both of HeyGen's services want it, and their many shapes of "no".

Used by `heygen_rest.py` and `liveavatar_rest.py`. Success is a 2xx status with no error: the envelope's
`code` is 100 in one endpoint, 1000 or "SUCCESS" in another and missing in a third.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, ClassVar

import httpx

from clara_kit.core.errors import ProviderError, ProviderRefused
from clara_kit.core.outside import about, media_type
from clara_kit.providers import http

_DRIPS_S = 10.0  # how much longer than its limit an answer may take that has begun
_TERMS = (
    "avatar", "avatar_id", "avatar_name", "voice", "text", "task_type", "session", "state", "closed", "concurrent",
    "limit", "quota", "credit", "credits", "plan", "permission", "unauthorized", "sandbox", "mode", "not found", "cannot be reached",
)  # fmt: skip


class Rest:
    """Calls with one key against one server; `who` and `setting` (of its address) name it in errors."""

    who: ClassVar[str]
    setting: ClassVar[str]
    hints: ClassVar[dict[str, str]]
    """By the vendor's own code, or by HTTP status."""

    def __init__(self, *, api_key: str, base_url: str, timeout_s: float) -> None:
        address = http.checked_address(base_url, self.setting.split()[0])
        self._api_key, self._base_url = api_key, address.url
        self.timeout_s = timeout_s
        """How long nothing may come of a call, unless it has a limit of its own."""
        local = http.is_loopback(base_url)
        self._http = httpx.AsyncClient(timeout=timeout_s, trust_env=not local, headers=address.login)
        self.gone = False
        """Whether the session has ended at the other side; a new one may be opened."""

    async def post(
        self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None, *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """The answer's `data` (empty where it has none); without other `headers` with the key. Raises `ProviderError`."""
        return await self.ask("POST", path, body, headers, timeout_s=timeout_s)

    async def ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """The same with any method."""
        headers = headers or {"X-API-KEY": self._api_key}
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s + _DRIPS_S):  # the library's own limit begins anew with every byte
                response = await self._http.request(
                    method, self._base_url + path, json=body, headers=headers, timeout=limit_s
                )
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as exc:
            failed = http.broken(exc, self.who, self._base_url, setting=self.setting, asked=path)
        else:
            return self._read(path, response)
        raise failed

    def _read(self, path: str, response: httpx.Response) -> dict[str, Any]:
        try:
            envelope = json.loads(response.content)
        except (ValueError, RecursionError):
            envelope = None
        if response.is_success and isinstance(envelope, dict) and not envelope.get("error"):
            data = envelope.get("data")
            return data if isinstance(data, dict) else {}
        raise self._error(path, response, envelope)

    def text_of(self, data: dict[str, Any], name: str, hint: str) -> str:
        """A text that an answer must hold; raises `ProviderRefused` where it does not."""
        if isinstance(value := data.get(name), str) and value:
            return value
        raise ProviderRefused(
            f"{self.who}'s answer has no {name}; it holds {len(data) or 'no'} other fields.", hint=hint
        )

    async def aclose(self) -> None:
        """Close kept connections."""
        await self._http.aclose()

    def says_gone(self, path: str, status: int, code: str) -> bool:
        """Whether a "no" means that the session is over."""
        return False

    def _error(self, path: str, response: httpx.Response, envelope: Any) -> ProviderError:
        who, status = self.who, response.status_code
        code, words = _told(envelope)
        told = about(words, _TERMS)
        if envelope is None:
            told = f"; the answer was not JSON but {media_type(response.headers.get('content-type') or '')}"
        known = code if code in self.hints or re.fullmatch(r"\d{1,6}", code, re.ASCII) else ""
        said = f"{path} (HTTP {status}{known and ', code ' + known}{told})"
        hint = self.hints.get(code) or self.hints.get(str(status), "")
        if self.says_gone(path, status, code):
            self.gone = True
            return http.failure("cut", f"{who}'s session is over: {said}.", "a new session is needed.")
        if status == 429 or code in ("10004", "4003"):
            wait = http.asked_to_wait(response.headers)
            message = f"{who}'s limit is reached at {said}{wait}."
            return http.failure("rate_limited", message, hint, headers=response.headers)
        if status == 402 or (status < 500 and "credit" in f"{code} {words}".lower()):
            return http.failure("refused", f"{who} has no credits for {said}.", self.hints["402"])
        kind = http.kind_of(status)
        if kind in ("refused", "bad_input"):
            what = "the key" if status == 401 else "the request"
            return http.failure(kind, f"{who} refused {what} at {said}.", hint)
        if kind == "protocol":
            hint = f"check {self.setting}, and for a proxy."
            return http.failure(kind, f"{who}'s answer to {said} makes no sense.", hint)
        return http.failure(kind, f"{who} failed at {said}.", hint, headers=response.headers)


def _told(envelope: Any) -> tuple[str, Any]:
    """The vendor's code and words, in whatever shape this endpoint gives them."""
    if not isinstance(envelope, dict):
        return "", ""
    error = envelope.get("error")
    inner = error if isinstance(error, dict) else {}
    words = inner.get("message") or envelope.get("message") or (error if isinstance(error, str) else "")
    if not words and isinstance(detail := envelope.get("detail"), list):
        words = " ".join(map(str, detail))
    return str(inner.get("code", envelope.get("code", "")) or ""), words or envelope.get("detail")
