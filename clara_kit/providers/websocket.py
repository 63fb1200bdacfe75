"""Opening a websocket of a vendor that has no client of its own, and leaving it; what fails is told in plain words."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from clara_kit.providers import http


async def open_socket(
    url: str,
    who: str,
    *,
    setting: str,
    timeout_s: float,
    hints: Mapping[int, str],
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> ClientConnection:
    """The open socket, or a `ProviderError`. who, hints: of the words, by HTTP status. setting: what holds the address.

    It is not compressed: base64 of sound hardly shrinks, and deflating it delays an interrupt.
    """
    proxy: Literal[True] | None = None if http.is_loopback(url) else True
    try:
        return await connect(
            url, additional_headers=headers, compression=None, open_timeout=timeout_s, close_timeout=0.5, proxy=proxy,
            **more,
        )  # fmt: skip
    except InvalidStatus as exc:
        status = exc.response.status_code
        message = f"{who} refused the socket (HTTP {status})."
        failed = http.failure(http.kind_of(status), message, hints.get(status, ""), headers=exc.response.headers)
    except (OSError, TimeoutError, ValueError, WebSocketException) as exc:
        failed = http.broken(exc, who, url, setting=setting)
    raise failed


async def leave(socket: ClientConnection) -> None:
    """Close it within a moment, whatever the far end does."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(0.3):
            await socket.close()
    socket.transport.abort()
