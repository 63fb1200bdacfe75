"""The token that opens the shop: one that lasts for ever, or one of a day that is asked for and renewed.

Used by `shopify.py`, which does the asking. Since 2026 new apps get no lasting token; theirs comes from the client
credentials grant and lives for `expires_in` seconds (86,399; shopify.dev, client credentials grant).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from clara_kit.personalization.shopify_errors import ShopError

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
