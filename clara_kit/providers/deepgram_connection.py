"""What recogniser and voice share of Deepgram: the client, and refusals and cuts in plain words.

Knows the traps of deepgram-sdk 7.17: a refusal's reason stands only in the response behind the exception, a
refused connection and a timeout come unwrapped, and closing waits up to half a minute for a silent peer.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

from clara_kit.core.errors import ProviderError, ProviderRefused, ProviderUnavailable, SettingsError

HINTS = {
    400: "check model, language and voice in the settings.",
    401: "check DEEPGRAM_API_KEY (https://console.deepgram.com).",
    402: "the account has no credit left; top it up at https://console.deepgram.com.",
    403: "the key may not use this model or feature; check the project's plan.",
    429: "too many connections at once; close others and try again.",
}


def make_client(api_key: str, base_url: str) -> Any:
    """The SDK's client for a base address (http, https, ws or wss); raises `SettingsError` for a bad one."""
    if not api_key:
        raise SettingsError("DEEPGRAM_API_KEY is empty.", hint="get one at https://console.deepgram.com.")
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https", "ws", "wss"} or not parts.netloc:
        raise SettingsError(f"{base_url!r} is no address.", hint="write it like https://api.deepgram.com.")
    from deepgram import AsyncDeepgramClient
    from deepgram.environment import DeepgramClientEnvironment

    rest = (
        f"{'https' if parts.scheme in {'https', 'wss'} else 'http'}://{parts.netloc}{parts.path.rstrip('/')}"
    )
    socket = "ws" + rest.removeprefix("http")
    environment = DeepgramClientEnvironment(base=rest, production=socket, agent=socket, agent_rest=rest)
    return AsyncDeepgramClient(api_key=api_key, environment=environment)


async def enter(
    connection: AbstractAsyncContextManager[Any], *, what: str, address: str, timeout_s: float
) -> Any:
    """Open a socket, or raise `ProviderRefused` or `ProviderUnavailable` with the vendor's own reason."""
    from deepgram.core.api_error import ApiError

    try:
        async with asyncio.timeout(timeout_s):
            return await connection.__aenter__()
    except ApiError as exc:
        raise _refusal(exc, what) from exc
    except TimeoutError as exc:
        raise ProviderUnavailable(
            f"Deepgram ({what}) did not answer within {timeout_s:.0f} s at {address}.",
            hint="check the network.",
        ) from exc
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise ProviderUnavailable(
            f"Deepgram ({what}) cannot be reached at {address}: {reason}.",
            hint="check the network and the address.",
        ) from exc
    except Exception as exc:  # the handshake of whatever answered there was no handshake
        raise ProviderUnavailable(
            f"{address} does not speak Deepgram's protocol ({what}): {type(exc).__name__}.",
            hint="check the address.",
        ) from exc


def _refusal(exc: Any, what: str) -> ProviderError:
    behind = getattr(exc.__context__, "headers", None)
    headers = behind if behind is not None else {}
    reason = headers.get("dg-error") or "no reason given"
    request_id = headers.get("dg-request-id") or "unknown"
    status = exc.status_code or 0
    message = f"Deepgram refused the {what} connection: {reason} (HTTP {status}, dg-request-id {request_id})."
    hint = HINTS.get(status, "try again in a while.")
    if status == 429:
        return ProviderUnavailable(message, hint=hint, kind="rate_limited")
    if status >= 500:
        return ProviderUnavailable(message, hint=hint, kind="overloaded")
    return ProviderRefused(message, hint=hint)


def closed(exc: BaseException, what: str) -> ProviderError:
    """What a connection that broke means: cut or stalled (worth another try), or bad_input (not)."""
    received = getattr(exc, "rcvd", None)
    code, reason = getattr(received, "code", None), getattr(received, "reason", "") or ""
    if code is None:
        message = f"The {what} connection to Deepgram broke without a farewell."
        return ProviderUnavailable(message, hint="check the network.", kind="cut")
    message = f"Deepgram closed the {what} connection: {code} {reason}.".replace(" .", ".")
    if "DATA-" in reason or "BIG-" in reason or code in (1008, 1009):
        hint = "what was sent is not what was announced; check encoding, rate and length."
        return ProviderRefused(message, hint=hint, kind="bad_input")
    if "NET-0001" in reason:
        return ProviderUnavailable(message, hint="no sound was sent for ten seconds.", kind="stalled")
    return ProviderUnavailable(message, hint="try again.", kind="cut")


def abort(socket: Any) -> None:
    """Drop a connection at once: a farewell would wait for the peer."""
    transport = getattr(getattr(socket, "_websocket", None), "transport", None)
    if transport is not None:
        transport.abort()


async def leave(connection: AbstractAsyncContextManager[Any], socket: Any) -> None:
    """Close a socket within a moment, whatever the far end does."""
    abort(socket)
    with contextlib.suppress(Exception):
        async with asyncio.timeout(0.5):
            await connection.__aexit__(None, None, None)
