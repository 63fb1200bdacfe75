"""The shapes of LiveAvatar's REST side: bodies, envelope, errors, lists.

Used by `liveavatar.py` alone. Answers are `{"code", "data", "message"}`; the reference's examples print code
100. Of errors the documents say "code 4xxx and a message" and, for 422, a list called `detail`; which code
goes with which refusal is not published, so the twin's are the HTTP status times ten.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from clara_kit.world.twins.base import json_of
from clara_kit.world.twins.liveavatar.session import TwinSession

OK_CODE = 100
CREDITS_A_MINUTE = {"LITE": 1.0, "FULL": 2.0}  # LiveAvatar's credits page


class Refusal(Exception):
    """An answer that is not the one that was asked for."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict[str, str]()
        self.body = {"code": status * 10, "data": None, "message": message, **more}


class _Body(BaseModel):
    # The vendor passes over what it does not know: clients send fields that no document names.
    model_config = ConfigDict(extra="allow")


class LiteToken(_Body):
    """What a LITE session is asked for with."""

    mode: Literal["LITE"]
    avatar_id: UUID
    is_sandbox: bool = False
    max_session_duration: int | None = Field(default=None, ge=1)
    video_settings: dict[str, Any] | None = None
    livekit_config: dict[str, Any] | None = None


class FullToken(_Body):
    """What a FULL session is asked for with."""

    mode: Literal["FULL"]
    avatar_id: UUID
    avatar_persona: dict[str, Any] | None = None
    interactivity_type: Literal["CONVERSATIONAL", "PUSH_TO_TALK"] = "CONVERSATIONAL"
    is_sandbox: bool = False
    max_session_duration: int | None = Field(default=None, ge=1)
    video_settings: dict[str, Any] | None = None


TokenBody = LiteToken | FullToken
_TOKEN: TypeAdapter[TokenBody] = TypeAdapter(Annotated[TokenBody, Field(discriminator="mode")])


async def json_body(request: web.Request) -> dict[str, Any]:
    """The body as an object; none at all is an empty one."""
    try:
        body = await json_of(request) if await request.read() else {}
    except (ValueError, web.RequestPayloadError):
        body = None
    if not isinstance(body, dict):
        raise invalid([{"type": "json_invalid", "loc": ["body"], "msg": "JSON decode error"}])
    return body


def parse_token(body: dict[str, Any]) -> TokenBody:
    """Check what a token is asked for with; raises `Refusal` 422."""
    try:
        return _TOKEN.validate_python(body)
    except ValidationError as exc:
        raise unfit(exc) from None


def unfit(exc: ValidationError) -> Refusal:
    """What is wrong with a body."""
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    return invalid([{**e, "loc": ["body", *e["loc"]]} for e in errors])


def invalid(detail: list[dict[str, Any]]) -> Refusal:
    """A 422 as the OpenAPI document describes it."""
    first = f"{'.'.join(map(str, detail[0]['loc']))}: {detail[0]['msg']}"
    return Refusal(422, f"Validation error: {first}", detail=detail)


def answer(data: Any, *, status: int = 200, message: str = "Success") -> web.Response:
    """A good answer in the vendor's envelope."""
    return web.json_response({"code": OK_CODE, "data": data, "message": message}, status=status)


def page(results: list[dict[str, Any]], query: Any) -> dict[str, Any]:
    """One page of a list, as the vendor pages; raises `Refusal` 422."""
    try:
        number, size = int(query.get("page", 1)), int(query.get("page_size", 20))
    except ValueError:
        number = size = 0
    if number < 1 or not 1 <= size <= 100:
        detail = {"type": "int_range", "loc": ["query", "page"], "msg": "page >= 1, page_size 1..100"}
        raise invalid([detail])
    first = (number - 1) * size
    more = f"?page={number + 1}&page_size={size}" if first + size < len(results) else None
    back = f"?page={number - 1}&page_size={size}" if number > 1 else None
    return {"count": len(results), "next": more, "previous": back, "results": results[first : first + size]}


def entry(session: TwinSession) -> dict[str, Any]:
    """A session in a list."""
    lasted_s = _lasted_s(session)
    return {
        "id": session.id,
        "created_at": (datetime.now(UTC) - timedelta(seconds=lasted_s)).isoformat(),
        "duration": round(lasted_s),
        "source": "API",
        "mode": session.config.mode,
        "is_sandbox": session.config.sandbox,
        "credits_consumed": round(cost(session), 2),
        "status": session.state,
        "end_reason": session.end_reason or None,
    }


def avatar(avatar_id: str, name: str) -> dict[str, Any]:
    """An avatar in a list."""
    return {
        "id": avatar_id,
        "name": name,
        "type": "VIDEO",
        "status": "ACTIVE",
        "is_expired": False,
        "preview_url": None,
    }


def cost(session: TwinSession) -> float:
    """Credits that a session has used; the sandbox is free."""
    return 0.0 if session.config.sandbox else _lasted_s(session) / 60 * CREDITS_A_MINUTE[session.config.mode]


def _lasted_s(session: TwinSession) -> float:
    if session.started_s is None:
        return 0.0
    end_s = session.ended_s if session.ended_s is not None else asyncio.get_running_loop().time()
    return end_s - session.started_s
