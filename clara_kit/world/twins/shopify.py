"""The twin of Shopify's Admin API: GraphQL over HTTP, tokens, versions, costs, and everything that can go wrong.

Serves the invented customers of `data/customers/` and the catalogue. Sources: shopify.dev (versioning, response codes,
rate limits, client credentials grant) and answers seen in public threads. Bodies for which no document gives the words
(402, 403, 423, 430, a refused grant) are stand-ins.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from itertools import count
from typing import Any, Self

from aiohttp import web

from clara_kit.personalization.catalog import FILE as CATALOG_FILE
from clara_kit.world.faults import Fault, find
from clara_kit.world.personas import Persona
from clara_kit.world.twins import shopify_graph as graph
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.shopify_cost import MAX_QUERY_COST, Bucket, actual_cost, requested_cost

Json = dict[str, Any]
VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")  # stable in November 2026, oldest first
TOKEN_LIFE_S = 86_399  # Shopify's expires_in for client credentials
CLIENT_ID, CLIENT_SECRET = "test-client", "test-secret"
NOW = ("cut", "stall", "slow")  # what can strike a request that is being answered
_DOC = "https://shopify.dev/docs/api/usage/limits"
_PLAIN = {
    401: "[API] Invalid API key or access token (unrecognized login or wrong password)",
    402: "Unavailable Shop", 403: "[API] This action requires merchant approval.", 404: "Not Found",
    423: "Locked", 430: "Security Rejection",
    429: "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service.",
}  # fmt: skip
_PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class ShopifyTwin:
    """Mounted under `/shopify`. `requests` keeps the last operations' names and variables, without tokens.

    access: what every token may see. versions: those that are served; an unknown one falls forward to the oldest.
    """

    name = "shopify"

    def __init__(
        self,
        context: TwinContext,
        shop: graph.Shop,
        *,
        access: graph.Access | None = None,
        versions: Sequence[str] = VERSIONS,
        token_life_s: float = TOKEN_LIFE_S,
        bucket: tuple[float, float] = (2000.0, 100.0),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context, self.shop, self.access = context, shop, access or graph.Access()
        self._versions, self._token_life_s, self._clock = tuple(versions), token_life_s, clock
        self.bucket = Bucket(clock, *bucket)
        self._issued: dict[str, float] = {}  # token -> when it ends
        self._ids = count(1)
        self.requests: deque[Json] = deque(maxlen=100)
        self.grants = 0
        """Tokens handed out for client credentials, so far."""

    @classmethod
    def of_personas(cls, context: TwinContext, *, today: date | None = None, **options: Any) -> Self:
        """The shop of the invented customers and the catalogue; orders count back from `today`."""
        personas = Persona.all()
        day = today or datetime.now(UTC).date()
        products = json.loads(CATALOG_FILE.read_text(encoding="utf-8"))["products"]["nodes"]
        shop = graph.Shop(
            customers={p.gid: p.to_customer_node(day) for p in personas},
            products=products,
            hidden=frozenset(p.gid for p in personas if p.blocked),
        )
        return cls(context, shop, **options)

    def add_routes(self, app: web.Application) -> None:
        """Register handlers under `/shopify/admin`."""
        app.router.add_post("/shopify/admin/oauth/access_token", self._grant)
        app.router.add_post("/shopify/admin/api/{version}/graphql.json", self._graphql)

    def addresses(self, host_port: str) -> dict[str, str]:
        """For `ShopifyCustomerFetcher(base_url=...)`."""
        return {"base_url": f"http://{host_port}/shopify"}

    async def close(self) -> None:
        """Nothing outlives its request."""

    def revoke(self) -> None:
        """End every token that was handed out for client credentials, now."""
        self._issued.clear()

    # --- tokens -----------------------------------------------------------------------------------------

    async def _grant(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return web.json_response({"error": "invalid_client"}, status=400)
        token = f"twin-{secrets.token_hex(8)}"
        self._issued[token] = self._clock() + self._token_life_s
        self.grants += 1
        scope = ",".join(sorted(self.access.scopes))
        return web.json_response(
            {"access_token": token, "scope": scope, "expires_in": int(self._token_life_s)}
        )

    def _accepts(self, token: str) -> bool:
        ends = self._issued.get(token)
        if ends is not None:
            return self._clock() < ends
        return self._context.accepts(token) and not token.startswith("twin-")

    # --- one request ------------------------------------------------------------------------------------

    async def _graphql(self, request: web.Request) -> web.StreamResponse:
        headers = {
            "X-Request-Id": f"twin-{next(self._ids):06d}",
            "X-Shopify-API-Version": self._served(request),
        }
        if not re.fullmatch(r"\d{4}-\d\d|unstable", request.match_info["version"]):
            return _plain(404, headers)
        if not self._accepts(request.headers.get("X-Shopify-Access-Token", "")):
            return _plain(401, headers)
        faults = self._context.faults.next_occasion("shop")
        waiting = [f for f in faults if f.kind in NOW]
        if not await self._wait(request, waiting):
            return web.Response(status=500)  # the connection is gone
        if (refusal := find(faults, "refuse")) is not None:
            return _refused(refusal, headers)
        if find(faults, "garble") is not None:
            return _html(200, "Loading", headers)
        return self._answer(await _body(request), faults, headers)

    def _served(self, request: web.Request) -> str:
        asked = request.match_info["version"]
        return asked if asked in (*self._versions, "unstable") else self._versions[0]

    async def _wait(self, request: web.Request, waiting: list[Fault]) -> bool:
        """The shop's latency, and what strikes meanwhile; False when the connection was cut."""
        ends = self._clock() + self._context.draw("shop_answer") / 1000
        struck = asyncio.Event()
        loop = asyncio.get_running_loop()

        def take(fault: Fault) -> bool:
            if fault.kind in NOW:
                waiting.append(fault)
                loop.call_soon_threadsafe(struck.set)
            return fault.kind in NOW

        with self._context.faults.running("shop", take):
            while True:
                while waiting:
                    fault = waiting.pop(0)
                    await asyncio.sleep(fault.after_ms / 1000)
                    if fault.kind == "cut":
                        if request.transport is not None:
                            request.transport.abort()
                        return False
                    ends += (fault.for_ms or (3_600_000 if fault.kind == "stall" else 0)) / 1000
                left_s = ends - self._clock()
                if left_s <= 0:
                    return True
                struck.clear()
                try:
                    async with asyncio.timeout(left_s):
                        await struck.wait()
                except TimeoutError:
                    return True

    def _answer(self, body: Any, faults: tuple[Fault, ...], headers: dict[str, str]) -> web.Response:
        if not isinstance(body, dict) or not isinstance(body.get("query"), str):
            return web.json_response(
                {"errors": {"query": "Required parameter missing or invalid"}}, status=400, headers=headers
            )
        given = body.get("variables")
        variables: Json = given if isinstance(given, dict) else {}
        operation = body.get("operationName")
        self.requests.append({"operationName": operation, "variables": variables})
        if (wrong := find(faults, "error")) is not None and wrong.detail not in (
            "PROTECTED",
            "ACCESS_DENIED",
        ):
            return web.json_response(self._error(wrong.detail), headers=headers)
        document, errors, deprecated = graph.read(body["query"], operation)
        if document is None:
            return web.json_response({"errors": list(errors)}, headers=headers)
        if deprecated:
            headers["X-Shopify-API-Deprecated-Reason"] = (
                "https://shopify.dev/api/usage/versioning#deprecation-practices"
            )
        cost = requested_cost(document, variables)
        if cost > MAX_QUERY_COST:
            return web.json_response(self._error("MAX_COST_EXCEEDED", cost), headers=headers)
        if not self.bucket.take(cost):
            return web.json_response(self._error("THROTTLED", cost), headers=headers)
        outcome = graph.run(self.shop, self._access_of(wrong), document, variables, operation)
        spent = min(cost, actual_cost(outcome.data)) if outcome.data else 0
        self.bucket.give_back(cost - spent)
        answer: Json = {"data": outcome.data, **({"errors": list(outcome.errors)} if outcome.errors else {})}
        if find(faults, "truncate") is not None:
            answer = _truncated(answer, headers["X-Request-Id"])
        answer["extensions"] = {"cost": self._cost(cost, spent)}
        return web.json_response(answer, headers=headers)

    def _access_of(self, wrong: Fault | None) -> graph.Access:
        """The token's access, or less where a fault says so."""
        if wrong is None:
            return self.access
        if wrong.detail == "PROTECTED":
            return graph.Access(scopes=self.access.scopes, personal=False)
        return graph.Access(scopes=self.access.scopes - {"read_customers"}, personal=self.access.personal)

    def _error(self, code: str, cost: int = 52) -> Json:
        """A whole answer that is an error, as the API words it."""
        match code:
            case "MAX_COST_EXCEEDED":
                message = (
                    f"Query cost is {cost}, which exceeds the single query max cost limit ({MAX_QUERY_COST})."
                )
                extensions: Json = {
                    "code": code,
                    "cost": cost,
                    "maxCost": MAX_QUERY_COST,
                    "documentation": _DOC,
                }
                return {"errors": [{"message": message, "extensions": extensions}]}
            case "SHOP_INACTIVE":
                return {"errors": [{"message": "The shop is inactive.", "extensions": {"code": code}}]}
            case "INTERNAL_SERVER_ERROR":
                return {"errors": [_internal("twin")]}
        status = self._cost(cost, None)
        if code != "THROTTLED" or status["throttleStatus"]["currentlyAvailable"] >= cost:
            # On demand: as if the bucket lacked what comes back within a tenth of a second.
            short = max(0, cost - int(self.bucket.restore_rate / 10))
            status["throttleStatus"] = {**status["throttleStatus"], "currentlyAvailable": short}
        extensions = {"code": "THROTTLED", "documentation": _DOC}
        return {
            "errors": [{"message": "Throttled", "extensions": extensions}],
            "extensions": {"cost": status},
        }

    def _cost(self, requested: int, spent: int | None) -> Json:
        return {
            "requestedQueryCost": requested,
            "actualQueryCost": spent,
            "throttleStatus": self.bucket.status(),
        }


async def _body(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except ValueError:
        return None


def _plain(status: int, headers: dict[str, str]) -> web.Response:
    """Below GraphQL an error is a plain text under `errors`."""
    return web.json_response({"errors": _PLAIN[status]}, status=status, headers=headers)


def _refused(fault: Fault, headers: dict[str, str]) -> web.Response:
    if fault.status == 429:
        headers = {**headers, "Retry-After": "0.1"}
    if fault.status in _PLAIN:
        return _plain(fault.status, headers)
    return _html(fault.status, f"{fault.status} error", headers)


def _html(status: int, title: str, headers: dict[str, str]) -> web.Response:
    return web.Response(status=status, text=_PAGE.format(title), content_type="text/html", headers=headers)


def _internal(request_id: str) -> Json:
    message = f"Internal error. Looks like something went wrong on our end.\nRequest ID: {request_id}"
    return {"message": message, "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}}


def _truncated(answer: Json, request_id: str) -> Json:
    """Part of the data is missing: every product of every order, with an error for each."""
    errors = list(answer.get("errors", ()))
    customer = next(
        (v for v in (answer["data"] or {}).values() if isinstance(v, dict) and "orders" in v), None
    )
    for n, order in enumerate(customer["orders"]["nodes"] if customer else ()):
        for m, item in enumerate(order["lineItems"]["nodes"]):
            item["product"] = None
            path = ["customer", "orders", "nodes", n, "lineItems", "nodes", m, "product"]
            errors.append({**_internal(request_id), "path": path})
    return {**answer, "errors": errors or [{**_internal(request_id), "path": ["customer"]}]}
