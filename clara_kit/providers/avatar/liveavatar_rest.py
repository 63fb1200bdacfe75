"""LiveAvatar's REST calls for a LITE session: ask for a token, start, stop.

Used by `liveavatar.py` before and after the socket.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from clara_kit.core.errors import ProviderError
from clara_kit.providers.avatar.rest import Rest

_MODE_HINT = "the session must be of mode LITE, without a hosted agent."
_HINTS = {
    "400": "check AVATAR_ID and the session's options.",
    "401": "HeyGen API keys do not work on LiveAvatar: make a key at https://app.liveavatar.com and set "
    "LIVEAVATAR_API_KEY.",
    "402": "a LITE session costs 1 credit a minute and needs one minute in advance: add credits, or set "
    "AVATAR_SANDBOX=true.",
    "403": "the key lacks the right, or the avatar belongs to another account; a sandbox session takes only "
    "LiveAvatar's sandbox avatar.",
    "404": "check AVATAR_ID and LIVEAVATAR_BASE_URL.",
    "422": "check AVATAR_ID and the session's options.",
    "429": "wait a moment; if it stays, close sessions that are still open.",
}


@dataclass(frozen=True, slots=True)
class LiteSession:
    """A started session. With the two LiveKit fields anyone may join the room and see the avatar."""

    session_id: str = field(repr=False)
    ws_url: str = field(repr=False)
    livekit_url: str = field(default="", repr=False)
    livekit_client_token: str = field(default="", repr=False)


class LiveAvatarRest(Rest):
    """The REST side of one session."""

    who = "LiveAvatar"
    setting = "LIVEAVATAR_BASE_URL"
    hints = _HINTS
    _session_id = ""
    _may_run = False

    async def open(self, config: dict[str, Any]) -> LiteSession:
        """Start a session of this `config`; raises `ProviderRefused` or `ProviderUnavailable`."""
        data = await self.post("/v1/sessions/token", config)
        self._bearer = {"Authorization": f"Bearer {self.text_of(data, 'session_token', _MODE_HINT)}"}
        self._session_id = str(data.get("session_id") or "")
        self._may_run = True  # from here on a session may be running, whatever we get to see of the answer
        data = await self.post("/v1/sessions/start", {"session_id": self._session_id}, self._bearer)
        return LiteSession(
            session_id=str(data.get("session_id") or self._session_id),
            ws_url=self.text_of(data, "ws_url", _MODE_HINT),
            livekit_url=str(data.get("livekit_url") or ""),
            livekit_client_token=str(data.get("livekit_client_token") or ""),
        )

    async def stop(self) -> None:
        """End the session if one may be running. Never fails: the vendor ends idle sessions by itself."""
        if not self._may_run:
            return
        self._may_run = False
        body = {"session_id": self._session_id, "reason": "USER_DISCONNECTED"}
        with suppress(ProviderError):
            await self.post("/v1/sessions/stop", body, self._bearer)


async def within(budget_s: float, *work: Any) -> None:
    """Run things at once for at most `budget_s`; what is not done by then is cancelled."""
    tasks = [asyncio.ensure_future(w) for w in work]
    try:
        await asyncio.wait(tasks, timeout=budget_s)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
