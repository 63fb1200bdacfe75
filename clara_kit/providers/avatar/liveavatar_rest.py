"""LiveAvatar's REST calls for one session, LITE or FULL: ask for a token, start, stop; what FULL needs beside.

Used by `liveavatar.py` before and after the socket, and by `full.py`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from clara_kit.core.errors import ProviderError
from clara_kit.core.text import whole
from clara_kit.providers.avatar.rest import Rest

_MODE_HINT = "the session must be of mode LITE, without a hosted agent."
_ROOM_HINT = "the session must be of mode FULL, in a room of the vendor's."
_HINTS = {
    "4003": "the plan allows no more sessions at once: close those that are open.",
    "400": "check AVATAR_ID and the session's options.",
    "401": "HeyGen API keys do not work on LiveAvatar: make a key at https://app.liveavatar.com and set "
    "LIVEAVATAR_API_KEY.",
    "402": "a LITE session costs 1 credit a minute, a FULL one 2, and needs one minute in advance: add credits, or set "
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


@dataclass(frozen=True, slots=True)
class FullSession:
    """A started session of the vendor's own assistant; the other two open its room to one user."""

    session_id: str = field(repr=False)
    livekit_url: str = field(repr=False)
    livekit_client_token: str = field(repr=False)


class LiveAvatarRest(Rest):
    """The REST side of one session."""

    who = "LiveAvatar"
    setting = "LIVEAVATAR_BASE_URL"
    hints = _HINTS
    _session_id = ""
    _context_id = ""
    _may_run = False

    async def open(self, config: dict[str, Any]) -> LiteSession:
        """Start a LITE session of this `config`; raises `ProviderRefused` or `ProviderUnavailable`."""
        data = await self._start(config)
        return LiteSession(
            session_id=str(data.get("session_id") or self._session_id),
            ws_url=self.text_of(data, "ws_url", _MODE_HINT),
            livekit_url=str(data.get("livekit_url") or ""),
            livekit_client_token=str(data.get("livekit_client_token") or ""),
        )

    async def open_full(self, config: dict[str, Any]) -> FullSession:
        """Start a FULL session of this `config`, which names a context; raises as `open` does."""
        data = await self._start(config)
        return FullSession(
            session_id=str(data.get("session_id") or self._session_id),
            livekit_url=self.text_of(data, "livekit_url", _ROOM_HINT),
            livekit_client_token=self.text_of(data, "livekit_client_token", _ROOM_HINT),
        )

    async def _start(self, config: dict[str, Any]) -> dict[str, Any]:
        data = await self.post("/v1/sessions/token", config)
        self._bearer = {"Authorization": f"Bearer {self.text_of(data, 'session_token', _MODE_HINT)}"}
        self._session_id = str(data.get("session_id") or "")
        self._may_run = True  # from here on a session may be running, whatever we get to see of the answer
        return await self.post("/v1/sessions/start", {"session_id": self._session_id}, self._bearer)

    async def new_context(self, prompt: str) -> str:
        """Tell the vendor a prompt for one session; its id. What begins to speak by itself is not wanted."""
        body = {"name": f"Clara {uuid4().hex[:12]}", "prompt": prompt, "opening_text": ""}
        data = await self.post("/v1/contexts", body)
        self._context_id = self.text_of(data, "id", "check LIVEAVATAR_BASE_URL.")
        return self._context_id

    async def delete_context(self) -> None:
        """Take it back: it holds what the customer said. Never fails."""
        context_id, self._context_id = self._context_id, ""
        if context_id:
            with suppress(ProviderError):
                await self.ask("DELETE", f"/v1/contexts/{context_id}")

    async def keep_alive(self) -> None:
        """The session is wanted. Raises `ProviderError`; `gone` where it is over."""
        await self.post("/v1/sessions/keep-alive", {"session_id": self._session_id}, self._bearer)

    async def last_words(self) -> str:
        """What the vendor wrote down of what its assistant said last. Raises `ProviderError`."""
        data = await self.ask("GET", f"/v1/sessions/{self._session_id}/transcript")
        lines = data.get("transcript_data")
        said = [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []
        own = (line.get("transcript") for line in reversed(said) if line.get("role") != "user")
        return whole(next((text for text in own if isinstance(text, str)), ""))

    def says_gone(self, path: str, status: int, code: str) -> bool:
        """A sign of life to a session that is over is refused."""
        return path.endswith("/keep-alive") and status in (400, 401, 404)

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
