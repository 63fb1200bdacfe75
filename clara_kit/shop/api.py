"""HTTP to one shop's Admin API: the token, one query, and asking again where that may help.

Used by `fetcher.py` alone, which decides what to ask. Every failure leaves here as a `ShopError` without its cause,
for the cause of an HTTP failure holds the request with its token, and that of a broken body the body.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from clara_kit.core.errors import SettingsError
from clara_kit.core.outside import Address, media_type
from clara_kit.core.retry import RetryPolicy
from clara_kit.shop import errors
from clara_kit.shop.answer import Reply, version_of
from clara_kit.shop.errors import ShopError

# Shorter than the plan's for other vendors: a profile that comes after ten seconds greets nobody.
RETRY = RetryPolicy(max_retries=3, initial_delay_ms=200, multiplier=2, max_delay_ms=2000)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MAX_THROTTLES = 20
_THROTTLE_SLACK_MS = 50  # the bucket fills in steps


class Credentials(NamedTuple):
    """One of the two ways in: a token, or a client with its secret, which gets one. Shows nothing of itself."""

    token: str | None
    client_id: str | None
    client_secret: str | None

    def __repr__(self) -> str:
        return "Credentials(...)"


class AdminApi:
    """Queries to one server with one way in. `clock`: seconds, monotonic.

    timeout_ms: of all together; half of it for each, so that one that hangs is tried again.
    """

    def __init__(
        self,
        base_url: str,
        api_version: str,
        credentials: Credentials,
        *,
        timeout_ms: float,
        clock: Callable[[], float],
        retry: RetryPolicy = RETRY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        _check(credentials)
        self._address, self._path = Address.of(base_url), f"/admin/api/{api_version}/graphql.json"
        self._credentials = credentials
        self._token = Token(credentials.token or None, self._ask_for_token, clock)
        self._timeout_ms, self._retry, self._clock, self._sleep = timeout_ms, retry, clock, sleep
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Make the client; connects to nothing yet."""
        if not self._address.host:
            raise ShopError("unreachable", "SHOPIFY_BASE_URL is no address")
        loopback = urlsplit(self._address.url).hostname in _LOOPBACK  # a proxy must not get what stays here
        self._loop = asyncio.get_running_loop()
        self._http = httpx.AsyncClient(
            timeout=self._timeout_ms / 2000,
            trust_env=not loopback,
            transport=self._transport,
            headers=self._address.login,
        )

    async def aclose(self) -> None:
        """Close kept connections."""
        await self._token.aclose()
        if self._http is not None and self._loop is asyncio.get_running_loop():
            await self._http.aclose()
        self._http = None

    def repeats_a_key(self, text: str) -> bool:
        """Whether something that the server said holds what only it and we know."""
        return any(key and key in text for key in (*self._credentials, self._token.value))

    async def ask(self, body: dict[str, Any], root: str, until_s: float) -> Reply:
        """One query, again where that may help. Whatever holds something under `root` is an answer."""
        tried, failures = "", 0
        while True:
            token = ""
            try:
                token = await self._token.get(tried)
                return await self._once(body, root, token)
            except ShopError as exc:
                if exc.reason == "bad_token" and token and not tried and self._token.renewable:
                    tried = token  # it may have been revoked, or have ended on a clock that is not ours
                    continue
                failures += 1
                wait_ms = self._wait_ms(exc, failures)
                if wait_ms is None or self._clock() + wait_ms / 1000 >= until_s:
                    raise
            await self._sleep(wait_ms / 1000)

    def _wait_ms(self, error: ShopError, failures: int) -> float | None:
        if not error.retryable:
            return None
        usual = self._retry.delay_ms(failures)
        if error.reason == "throttled" and error.wait_ms is not None:
            return error.wait_ms + _THROTTLE_SLACK_MS if failures <= _MAX_THROTTLES else None
        return None if usual is None else max(usual, error.wait_ms or 0.0)

    async def _once(self, body: dict[str, Any], root: str, token: str) -> Reply:
        response = await self._send(self._path, {"X-Shopify-Access-Token": token}, json=body)
        envelope = _json_of(response)
        problems = errors.problems_of(envelope)
        data = envelope["data"] if isinstance(envelope.get("data"), dict) else {}
        again = next((p for p in problems if p.kind in errors.RETRYABLE), None)
        if again is not None and not isinstance(data.get(root), dict):
            wait_ms = errors.throttle_wait_ms(envelope) if again.kind == "throttled" else None
            if wait_ms == float("inf"):
                raise ShopError("bad_request", "it costs more than the shop's limit ever holds")
            raise again.error(wait_ms)
        if not data and not problems:
            raise ShopError("bad_answer", "it holds neither data nor errors")
        return Reply(
            data=data,
            problems=problems,
            cost=errors.cost_of(envelope),
            served_version=version_of(response.headers.get("x-shopify-api-version", "")),
            deprecated="x-shopify-api-deprecated-reason" in response.headers,
        )

    async def _ask_for_token(self) -> dict[str, Any]:
        _, client_id, client_secret = self._credentials
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        try:
            return _json_of(await self._send("/admin/oauth/access_token", {}, data=form))
        except ShopError as exc:
            if exc.reason not in ("bad_request", "forbidden"):  # HTTP 400 or 403: Shopify's words for a wrong client
                raise
        facts = "the client credentials were refused; app and shop must be of one organisation"
        raise ShopError("bad_token", facts)

    async def _send(self, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        """Post; anything but a success is raised. The cause is not kept: it holds the request with its token."""
        if self._http is None:
            raise RuntimeError("The fetcher is not entered: use `async with ShopifyCustomerFetcher(...)`.")
        if self._loop is not asyncio.get_running_loop():
            self.open()  # connections belong to the event loop that they were opened in
        try:
            response = await self._http.post(self._address.url + path, headers=headers, **body)
        except httpx.TimeoutException as exc:
            failure = ShopError("timeout", type(exc).__name__)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as exc:
            failure = ShopError("unreachable", type(exc).__name__)
        else:
            if response.is_success:
                return response
            try:
                failure = errors.from_status(response.status_code, response.headers, _json_of(response))
            except ShopError:
                failure = errors.from_status(response.status_code, response.headers, None)
        raise failure


def _check(credentials: Credentials) -> None:
    """One of the two ways in must be there, and be what can stand in a request."""
    given = credentials[:1] if credentials.token else credentials[1:]
    if not all(given):
        raise SettingsError(
            "The shop needs a token, or a client id with its secret.",
            hint="set SHOPIFY_ADMIN_TOKEN, or SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET, in the file .env.",
        )
    if not all(is_header_value(value or "") for value in given):
        says = "That is no token: it holds characters that no token has"
        raise ShopError("bad_token", says=says, hint="copy it again, alone.")


def _json_of(response: httpx.Response) -> dict[str, Any]:
    """The body as an object. The cause is not kept: it holds the body."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        return body
    raise ShopError("not_json", f"HTTP {response.status_code}, {media_type(response.headers.get('content-type', ''))}")


_EARLY_S = 300.0  # renewed this long before its end, or after nine tenths of a shorter life
_USUAL_LIFE_S = 86_399.0


class Token:
    """A token and how to get another. Shows nothing of itself."""

    def __init__(
        self, lasting: str | None, ask: Callable[[], Awaitable[dict[str, Any]]], clock: Callable[[], float]
    ) -> None:
        self._lasting, self._ask, self._clock = lasting, ask, clock
        self._value, self._ends_s = "", 0.0
        self._asking: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Token({'lasting' if self._lasting else 'renewed'})"

    @property
    def value(self) -> str:
        """The token of now; empty where there is none yet."""
        return self._lasting or self._value

    @property
    def renewable(self) -> bool:
        """Another one can be had."""
        return self._lasting is None

    async def get(self, refused: str = "") -> str:
        """The token, fresh where needed. `refused`: the one that was answered with a 401, if any.

        Whoever comes while one is being asked for waits for the same answer; whoever gives up waiting does not
        take it from the others.
        """
        if self._lasting is not None:
            return self._lasting
        if not self._value or self._value == refused or self._clock() >= self._ends_s:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.ensure_future(self._renew())
                self._asking.add_done_callback(_looked_at)
            await asyncio.shield(self._asking)
        return self._value

    async def aclose(self) -> None:
        """Stop asking."""
        if self._asking is not None and not self._asking.done():
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _renew(self) -> None:
        answer = await self._ask()
        value, life_s = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(value, str) or not is_header_value(value):
            raise ShopError("bad_answer", "the token's answer holds no token")
        if not isinstance(life_s, int | float) or isinstance(life_s, bool) or not 0 < life_s < 1e9:
            life_s = _USUAL_LIFE_S
        self._value = value
        self._ends_s = self._clock() + max(life_s - _EARLY_S, 0.9 * life_s if life_s < 10 * _EARLY_S else 0.0)


def is_header_value(text: str) -> bool:
    """The text may stand in a header as it is: no spaces, no controls, ASCII."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _looked_at(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
