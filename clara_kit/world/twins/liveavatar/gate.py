"""Who may in at the LiveAvatar twin: rate limits, credentials, and refusals by fault.

Wrapped by `liveavatar.py` around every handler. Limits are counted for each credential and each endpoint in
fixed windows of one second (LiveAvatar's rate-limits page).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Literal

from aiohttp import web

from clara_kit.core.events import Service
from clara_kit.world.faults import Door
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.liveavatar.rest import Refusal
from clara_kit.world.twins.liveavatar.session import TwinSession

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Login = Literal["key", "token", "either", "none"]
"""key: X-API-KEY. token: Authorization: Bearer, the session's. either of them, or none."""


class Gate:
    """Rate limit, credentials and the shape of errors, around handlers."""

    def __init__(self, context: TwinContext, of_token: Callable[[str], TwinSession | None], rate: RateLimit) -> None:
        self._context, self._of_token = context, of_token
        self._rate = rate

    def around(self, handler: Handler, endpoint: str, login: Login) -> Handler:
        """The handler behind this gate."""

        async def handle(request: web.Request) -> web.StreamResponse:
            key, token = request.headers.get("X-API-KEY", ""), bearer(request)
            caller = key or token or f"{request.remote} {request.path}"
            now_s = asyncio.get_running_loop().time()
            passes, headers = self._rate.count(caller, f"{request.method} {endpoint}", now_s)
            try:
                if not passes:
                    raise Refusal(429, "Too many requests. Try again in 1 second.")
                self._check(login, key, token)
                response = await handler(request)
            except Refusal as exc:
                response = web.json_response(exc.body, status=exc.status, headers=exc.headers)
            if not response.prepared:
                response.headers.update(headers)
            return response

        return handle

    async def at_door(self, door: Door, service: Service = "avatar") -> None:
        """One more request at a door: raises `Refusal` if a fault is due on it."""
        for fault in self._context.faults.next_occasion(service, door):
            await asyncio.sleep(fault.after_ms / 1000)
            refusal = Refusal(fault.status, f"The request was refused ({door}).")
            refusal.headers.update(fault.retry_after)
            raise refusal

    def _check(self, login: Login, key: str, token: str) -> None:
        by_key, by_token = self._context.accepts(key), self._of_token(token) is not None
        if login == "key" and not by_key:
            raise Refusal(401, "Invalid API key." if key else "X-API-KEY is missing.")
        if login == "token" and not by_token:
            raise Refusal(401, "Invalid session token." if token else "Authorization: Bearer is missing.")
        if login == "either" and not (by_key or by_token):
            raise Refusal(401, "Invalid credentials." if key or token else "Credentials are missing.")


def bearer(request: web.Request) -> str:
    """The token of an Authorization header, or nothing."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class RateLimit:
    """Requests a second for each credential and endpoint, in fixed windows of one second."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._window = -1
        self._counts: dict[tuple[str, str], int] = {}

    def count(self, credential: str, endpoint: str, now_s: float) -> tuple[bool, dict[str, str]]:
        """Count a request: whether it may pass, and the headers that tell how much is left."""
        window = math.floor(now_s)
        if window != self._window:
            self._window, self._counts = window, {}
        used = self._counts[credential, endpoint] = self._counts.get((credential, endpoint), 0) + 1
        passes = used <= self._per_s
        headers = {
            "X-RateLimit-Limit": str(self._per_s),
            "X-RateLimit-Remaining": str(max(0, self._per_s - used)),
            "X-RateLimit-Reset": "1",
        }
        return passes, headers if passes else {**headers, "Retry-After": "1"}
