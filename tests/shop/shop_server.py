"""A small server that answers as Shopify's Admin API was seen to: fixed answers, no schema, not the kit's twin."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

TOKEN = "not-a-real-token-7391"
SECRET = "not-a-real-secret-5527"
CAMILA: dict[str, Any] = {
    "id": "gid://shopify/Customer/1001",
    "firstName": "Camila",
    "numberOfOrders": "3",
    "metafields": {
        "nodes": [
            {
                "namespace": "beta_skincare",
                "key": "skin_type",
                "type": "single_line_text_field",
                "value": "Mixta",
                "jsonValue": "Mixta",
            },
            {
                "namespace": "beta_skincare",
                "key": "skin_concerns",
                "type": "list.single_line_text_field",
                "value": '["Manchas","Acné"]',
                "jsonValue": ["Manchas", "Acné"],
            },
        ]
    },
    "orders": {
        "nodes": [
            {
                "id": "gid://shopify/Order/1",
                "processedAt": "2026-11-13T12:00:00Z",
                "cancelledAt": None,
                "lineItems": {
                    "nodes": [
                        {
                            "title": "Gel limpiador Brisa",
                            "quantity": 1,
                            "product": {"id": "1", "handle": "gel", "title": "x"},
                        }
                    ]
                },
            }
        ]
    },
}
COST = {
    "cost": {
        "requestedQueryCost": 42,
        "actualQueryCost": 31,
        "throttleStatus": {"maximumAvailable": 2000.0, "currentlyAvailable": 1958, "restoreRate": 100.0},
    }
}
Answer = tuple[int, Any, dict[str, str]]


def answer(customer: Any, *errors: dict[str, Any], status: int = 200, **headers: str) -> Answer:
    body: dict[str, Any] = {"data": {"customer": customer}, "extensions": COST}
    if errors:
        body["errors"] = list(errors)
    return (status, body, {"X-Shopify-API-Version": "2026-10"} | {k.replace("_", "-"): v for k, v in headers.items()})


def denied(*path: Any, scope: str = "") -> dict[str, Any]:
    """As in Shopify/function-examples #164 (a scope) and MONEI/Shopify-api-node #672 (protected data)."""
    extensions = {"code": "ACCESS_DENIED", "documentation": "https://shopify.dev/api/usage/access-scopes"}
    message = f"This app is not approved to use the {path[-1]} field. See https://shopify.dev/docs/apps/launch/protected-customer-data for more details."
    if scope:
        extensions["requiredAccess"] = f"`{scope}` access scope."
        message = f"Access denied for {path[-1]} field. Required access: `{scope}` access scope."
    return {"message": message, "locations": [{"line": 2, "column": 3}], "path": list(path), "extensions": extensions}


def throttled(asked: float, held: float, rate: float, most: float = 1000.0) -> Answer:
    status = {"maximumAvailable": most, "currentlyAvailable": held, "restoreRate": rate}
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api"}}
    cost = {"requestedQueryCost": asked, "actualQueryCost": None, "throttleStatus": status}
    return 200, {"errors": [error], "extensions": {"cost": cost}}, {}


class ShopServer:
    """Plays `answers` one after the other, the last for ever; remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer | Callable[[web.Request], Awaitable[web.StreamResponse]]] = [answer(CAMILA)]
        self.token_answers: list[Answer] = []
        self.asked: list[dict[str, Any]] = []
        self.token_asked: list[dict[str, str]] = []
        self.tokens_taken = {TOKEN}
        self.delay_s = 0.0
        self.base_url = ""

    @property
    def operations(self) -> list[str]:
        return [body["operationName"] for body in self.asked]

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/admin/api/{version}/graphql.json", self._graphql)
        app.router.add_post("/admin/oauth/access_token", self._token)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _graphql(self, request: web.Request) -> web.StreamResponse:
        assert request.content_type == "application/json"
        self.asked.append(await request.json())
        await asyncio.sleep(self.delay_s)
        if request.headers.get("X-Shopify-Access-Token") not in self.tokens_taken:
            words = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return web.json_response({"errors": words}, status=401)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(found):
            return await found(request)
        return self._response(found)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        assert request.content_type == "application/x-www-form-urlencoded"
        self.token_asked.append({k: str(v) for k, v in (await request.post()).items()})
        await asyncio.sleep(self.delay_s)
        if self.token_answers:
            return self._response(self.token_answers.pop(0))
        token = f"{TOKEN}-{len(self.token_asked)}"
        self.tokens_taken = {token}
        scope = "read_customers,read_orders,read_products"
        return web.json_response({"access_token": token, "scope": scope, "expires_in": 86399})

    def _response(self, found: Answer) -> web.StreamResponse:
        status, body, headers = found
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html", headers=headers)
        return web.json_response(body, status=status, headers=headers)
