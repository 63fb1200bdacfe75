"""Contexts of the LiveAvatar twin: what its own assistant is told. Used by `twin.py`.

A context's prompt, name and opening text are required by the reference (docs.liveavatar.com/api-reference/contexts, 2026).
Our client appends the last turns of a conversation to the prompt, fenced; that they are turns is the prompt's own affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from clara_kit.conversation.history import without_notes
from clara_kit.world.twins.liveavatar.rest import Refusal, answer, json_body, page, unfit

_TURNS = re.compile(r"<conversacion>\n(.*?)\n</conversacion>", re.DOTALL)
_CUSTOMER = "Cliente: "


class _New(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str
    prompt: str
    opening_text: str
    links: list[dict[str, Any]] = []


@dataclass
class Context:
    """One of them."""

    id: str
    fields: dict[str, Any]

    @property
    def prompt(self) -> str:
        """Its instructions, without the turns that are quoted in it."""
        return _TURNS.sub("", str(self.fields["prompt"]))

    @property
    def asked(self) -> tuple[str, ...]:
        """What the customer has said in those turns."""
        found = _TURNS.search(str(self.fields["prompt"]))
        lines = found[1].splitlines() if found else []
        asked = (
            without_notes(line.removeprefix(_CUSTOMER), asides=False) for line in lines if line.startswith(_CUSTOMER)
        )
        return tuple(text for text in asked if text)


class Contexts:
    """All of an account's, and their REST handlers."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self.known: dict[str, Context] = {}
        self.told: list[Context] = []
        """All that there ever were, for tests."""

    async def create(self, request: web.Request) -> web.Response:
        """POST /v1/contexts."""
        context = Context(self._new_id(), await self._fields(request))
        self.known[context.id] = context
        self.told.append(context)
        return answer(_shown(context), status=201)

    async def list(self, request: web.Request) -> web.Response:
        """GET /v1/contexts."""
        return answer(page([_shown(context) for context in self.known.values()], request.query))

    async def get(self, request: web.Request) -> web.Response:
        """GET /v1/contexts/{id}."""
        return answer(_shown(self.of(request.match_info["context_id"])))

    async def update(self, request: web.Request) -> web.Response:
        """PATCH /v1/contexts/{id}."""
        context = self.of(request.match_info["context_id"])
        context.fields = await self._fields(request)
        return answer(_shown(context))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /v1/contexts/{id}."""
        del self.known[self.of(request.match_info["context_id"]).id]
        return answer(None)

    def of(self, context_id: str) -> Context:
        """The context of an id; raises `Refusal` 404."""
        if context_id not in self.known:
            raise Refusal(404, "Context not found.")
        return self.known[context_id]

    async def _fields(self, request: web.Request) -> dict[str, Any]:
        try:
            return _New.model_validate(await json_body(request)).model_dump()
        except ValidationError as exc:
            raise unfit(exc) from None


def _shown(context: Context) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    more = {"id": context.id, "created_at": now, "updated_at": now, "required_dynamic_variables": []}
    return {**context.fields, **more}
