"""What recogniser and voice share of Deepgram: the client, and refusals and cuts in plain words.

Knows the traps of deepgram-sdk 7.17: a refusal's reason stands only in the response behind the exception, a
refused connection and a timeout come unwrapped, and closing waits up to half a minute for a silent peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import traceback
from contextlib import AbstractAsyncContextManager
from typing import Any

from clara_kit.core.errors import ProviderError
from clara_kit.core.outside import Address, about, request_id
from clara_kit.providers import http

OPEN_TIMEOUT_S = 5.0
HINTS = {
    400: "check model, language and voice in the settings.",
    401: "check DEEPGRAM_API_KEY (https://console.deepgram.com).",
    402: "the account has no credit left; top it up at https://console.deepgram.com.",
    403: "the key may not use this model or feature; check the project's plan.",
    429: "too many connections at once; close others and try again.",
}
_TERMS = (
    "model", "language", "tier", "encoding", "sample_rate", "channels", "keyterm", "endpointing", "utterance_end_ms",
    "interim_results", "voice", "speed", "credentials", "permissions", "credits", "cannot be reached",
)  # fmt: skip
_CODE = re.compile(r"\b(?:BIG|DATA|MESSAGE|NET)-\d{4}\b", re.ASCII)


def make_client(api_key: str, base_url: str) -> Any:
    """The SDK's client for a base address (http, https, ws or wss); raises `SettingsError` for a bad one."""
    api_key = http.checked_key(api_key, "DEEPGRAM_API_KEY", "https://console.deepgram.com")
    way, _, place = http.checked_address(base_url, "DEEPGRAM_BASE_URL").url.partition("://")
    from deepgram import AsyncDeepgramClient
    from deepgram.environment import DeepgramClientEnvironment

    secure = "s" if way in {"https", "wss"} else ""
    rest, socket = (f"{way}{secure}://{place}" for way in ("http", "ws"))
    environment = DeepgramClientEnvironment(base=rest, production=socket, agent=socket, agent_rest=rest)
    return AsyncDeepgramClient(api_key=api_key, environment=environment)


async def enter(
    connection: AbstractAsyncContextManager[Any],
    *,
    what: str,
    address: str,
    key: str,
    timeout_s: float = OPEN_TIMEOUT_S,
) -> Any:
    """Open a socket, or raise `ProviderRefused` or `ProviderUnavailable` with what the vendor's reason is about.

    Takes at most `timeout_s`, also where the far end takes the connection and never says a word.
    """
    from deepgram.core.api_error import ApiError

    opening = asyncio.create_task(_opened(connection))
    try:
        await asyncio.wait({opening}, timeout=timeout_s)
        if not opening.done():
            raise TimeoutError
        return opening.result()
    except ApiError as exc:
        failed = _refusal(exc, what, key)
    except (TimeoutError, OSError) as exc:
        failed = http.broken(exc, f"Deepgram ({what})", address, setting="DEEPGRAM_BASE_URL")
    except asyncio.CancelledError:
        if opening.done() and not opening.cancelled() and opening.exception() is None:
            await leave(connection, opening.result())
        raise
    except Exception as exc:  # the handshake of whatever answered there was no handshake
        message = f"{Address.of(address).host} does not speak Deepgram's protocol ({what}): {type(exc).__name__}."
        failed = http.failure("protocol", message, "check the address.")
    finally:
        while not opening.done():  # the first is swallowed: the old client first wants to say farewell for ten seconds
            opening.cancel()
            await asyncio.sleep(0)
    raise failed


async def _opened(connection: AbstractAsyncContextManager[Any]) -> Any:
    """The open socket. Cancelled, it leaves nothing open, which the SDK's client would, and has no way to say."""
    try:
        return await connection.__aenter__()
    except asyncio.CancelledError as exc:
        for frame, _ in traceback.walk_tb(exc.__traceback__):
            if (transport := getattr(frame.f_locals.get("protocol"), "transport", None)) is not None:
                transport.abort()
        raise


def _refusal(exc: Any, what: str, key: str) -> ProviderError:
    headers = getattr(exc.__context__, "headers", None) or {}
    status, dg_id = exc.status_code or 0, request_id(headers.get("dg-request-id"), key)
    told = f"HTTP {status}{about(headers.get('dg-error'), _TERMS)}{dg_id and f'; dg-request-id {dg_id}'}"
    message = f"Deepgram refused the {what} connection ({told})."
    kind = http.kind_of(status) if status else "refused"
    return http.failure(kind, message, HINTS.get(status, "try again in a while."), headers=headers)


def closed(exc: BaseException, what: str) -> ProviderError:
    """What a connection that broke means: cut or stalled (worth another try), or bad_input (not)."""
    received = getattr(exc, "rcvd", None)
    code, reason = getattr(received, "code", None), getattr(received, "reason", "") or ""
    if code is None:
        message = f"The {what} connection to Deepgram broke without a farewell."
        return http.failure("cut", message, "check the network.")
    told = " ".join(map(str, (code, *_CODE.findall(str(reason)[:200]))))
    message = f"Deepgram closed the {what} connection: {told}."
    if "DATA-" in reason or "BIG-" in reason or code in (1008, 1009):
        hint = "what was sent is not what was announced; check encoding, rate and length."
        return http.failure("bad_input", message, hint)
    if "NET-0001" in reason:
        return http.failure("stalled", message, "no sound was sent for ten seconds.")
    return http.failure("cut", message)


def is_open(socket: Any) -> bool:
    """Whether neither side has closed a socket of the SDK's."""
    websocket = getattr(socket, "_websocket", None)  # of the old client or the new: both have a close code
    return websocket is not None and websocket.close_code is None


async def leave(connection: AbstractAsyncContextManager[Any], socket: Any) -> None:
    """Close a socket within a moment, whatever the far end does."""
    transport = getattr(getattr(socket, "_websocket", None), "transport", None)
    with contextlib.suppress(Exception):
        if transport is not None:
            transport.abort()  # a farewell would wait for the peer
        async with asyncio.timeout(0.5):
            await connection.__aexit__(None, None, None)
