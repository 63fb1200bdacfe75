"""The twin of Shopify's Admin API: GraphQL over HTTP, tokens, versions, costs, and everything that can go wrong.

Serves the invented customers of `data/customers/` and the catalogue, or any others of that shape. Here is the HTTP;
`shopify_graph.py` executes, `shopify_cost.py` counts, `shopify_answers.py` has the bodies of what is refused. Sources:
shopify.dev (versioning, response codes, rate limits, client credentials grant) and answers seen in public threads.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import count
from typing import Any, Self
from zoneinfo import ZoneInfo

from aiohttp import web

from clara_kit.prompts.catalog import FILE as CATALOG_FILE
from clara_kit.world.faults import Fault, find
from clara_kit.world.pace import here_s
from clara_kit.world.personas import Persona
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.shopify import answers, graph
from clara_kit.world.twins.shopify.cost import MAX_QUERY_COST, Bucket, Cost
from clara_kit.world.twins.shopify.shop import Shop

Json = dict[str, Any]
VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")  # stable in November 2026, oldest first
TOKEN_LIFE_S = 86_399  # Shopify's expires_in for client credentials
CLIENT_ID, CLIENT_SECRET = "test-client", "test-secret"
NOW = ("cut", "stall", "slow")  # what can strike a request that is being answered
_LESS_ACCESS = ("ACCESS_DENIED", "PROTECTED")  # errors that leave part of the data
_A_QUERY = 52  # points, of a query that is refused before it is read: about what a profile costs
_DEPRECATED = "https://shopify.dev/api/usage/versioning#deprecation-practices"


class ShopifyTwin:
    """Mounted under `/shopify`. `requests` keeps the last operations' names and variables, without tokens.

    access: what every token may see. versions: those that are served; an unknown one falls forward to the oldest.
    bucket: its size in points, and how many come back in a second. no_grants: why no client gets a token (a word of
    Shopify's: `shop_not_permitted`, where shop and app belong to different organisations); empty: the right one does.
    """

    name = "shopify"

    def __init__(
        self,
        context: TwinContext,
        shop: Shop,
        *,
        access: graph.Access | None = None,
        versions: Sequence[str] = VERSIONS,
        token_life_s: float = TOKEN_LIFE_S,
        bucket: tuple[float, float] = (2000.0, 100.0),
        no_grants: str = "",
        clock: Callable[[], float] = here_s,
    ) -> None:
        self._context, self.shop, self.access = context, shop, access or graph.Access()
        self._versions, self._token_life_s, self._clock = tuple(versions), token_life_s, clock
        self._no_grants = no_grants
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
        day = today or datetime.now(ZoneInfo(Shop.timezone)).date()
        shop = Shop(
            customers={p.gid: p.to_customer_node(day) for p in personas},
            products=json.loads(CATALOG_FILE.read_text(encoding="utf-8"))["products"]["nodes"],
            hidden=frozenset(p.gid for p in personas if p.blocked),
        )
        return cls(context, shop, **options)

    def add_routes(self, app: web.Application) -> None:
        """Register handlers under `/shopify`."""
        app.router.add_post("/shopify/admin/oauth/access_token", self._grant)
        app.router.add_route("*", "/shopify/admin/api/{version}/graphql.json", self._graphql)
        app.router.add_route("*", "/shopify/{elsewhere:.*}", self._nothing_there)

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
        try:
            form = await request.post()
        except ValueError:  # multipart that is none
            return answers.grant_refused("invalid_request")
        if form.get("grant_type") != "client_credentials":
            return answers.grant_refused("unsupported_grant_type")
        if form.get("client_id") != CLIENT_ID:
            return answers.grant_refused("application_cannot_be_found")
        if form.get("client_secret") != CLIENT_SECRET:
            return answers.grant_refused("invalid_client")
        if self._no_grants:
            return answers.grant_refused(self._no_grants)
        token = f"twin-{secrets.token_hex(8)}"
        self._issued[token] = self._clock() + self._token_life_s
        self.grants += 1
        scope = ",".join(sorted(self.access.scopes))
        return web.json_response({"access_token": token, "scope": scope, "expires_in": int(self._token_life_s)})

    def _accepts(self, token: str) -> bool:
        ends = self._issued.get(token)
        if ends is not None:
            return self._clock() < ends
        return self._context.accepts(token) and not token.startswith("twin-")

    # --- one request ------------------------------------------------------------------------------------

    async def _nothing_there(self, _request: web.Request) -> web.StreamResponse:
        return answers.plain(404, {"X-Request-Id": self._request_id()})

    def _request_id(self) -> str:
        return f"twin-{next(self._ids):06d}"

    async def _graphql(self, request: web.Request) -> web.StreamResponse:
        headers = {"X-Request-Id": self._request_id(), "X-Shopify-API-Version": self._served(request)}
        if not re.fullmatch(r"\d{4}-\d\d|unstable", request.match_info["version"]):
            return answers.plain(404, headers)
        if request.method != "POST":
            return answers.plain(405, {**headers, "Allow": "POST"})
        if not self._accepts(request.headers.get("X-Shopify-Access-Token", "")):
            return answers.plain(401, headers)
        faults = self._context.faults.next_occasion("shop")
        if not await self._wait(request, [f for f in faults if f.kind in NOW]):
            return web.Response(status=500)  # the connection is gone
        if (refusal := find(faults, "refuse")) is not None:
            return answers.refused(refusal, headers)
        if find(faults, "garble") is not None:
            return answers.html(200, "Loading", headers)
        body = await answers.body_of(request)
        if not isinstance(body, dict) or not isinstance(body.get("query"), str):
            return answers.no_query(headers)
        return web.json_response(self._answer(body, faults, headers), headers=headers)

    def _served(self, request: web.Request) -> str:
        asked = request.match_info["version"]
        return asked if asked in (*self._versions, "unstable") else self._versions[0]

    async def _wait(self, request: web.Request, waiting: list[Fault]) -> bool:
        """The shop's latency, and what strikes meanwhile; False when the connection was cut."""
        ends = self._clock() + self._context.draw("shop_answer") / 1000
        struck = asyncio.Event()
        loop = asyncio.get_running_loop()

        def take(fault: Fault) -> bool:
            there = request.transport is not None and not request.transport.is_closing()
            if not there or fault.kind not in NOW:  # a client that has hung up is past being struck
                return False
            waiting.append(fault)
            loop.call_soon_threadsafe(struck.set)
            return True

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

    def _answer(self, body: Json, faults: tuple[Fault, ...], headers: dict[str, str]) -> Json:
        """The answer's JSON; `headers` get what the query earns."""
        given, operation = body.get("variables"), body.get("operationName")
        variables: Json = given if isinstance(given, dict) else {}
        self.requests.append({"operationName": operation, "variables": variables})
        wrong = find(faults, "error")
        request_id = headers["X-Request-Id"]
        if wrong is not None and wrong.detail not in _LESS_ACCESS:
            return answers.whole_error(wrong.detail, request_id, self._short_of(_A_QUERY))
        document, errors, deprecated = graph.read(body["query"], operation, variables)
        if document is None:
            return {"errors": list(errors)}
        if deprecated:
            headers["X-Shopify-API-Deprecated-Reason"] = _DEPRECATED
        cost = Cost(document, operation, variables)
        asked = cost.requested
        if asked > MAX_QUERY_COST:
            return answers.whole_error("MAX_COST_EXCEEDED", request_id, self._cost(asked, None))
        if not self.bucket.take(asked):
            return answers.whole_error("THROTTLED", request_id, self._cost(asked, None))
        outcome = graph.run(self.shop, self._access_of(wrong), document, variables, operation)
        spent = cost.actual(outcome.data)
        self.bucket.give_back(asked - spent)
        answer: Json = {"data": outcome.data, **({"errors": list(outcome.errors)} if outcome.errors else {})}
        if find(faults, "truncate") is not None:
            answer = answers.truncated(answer, request_id)
        searches = {"search": list(outcome.searches)} if outcome.searches else {}
        return {**answer, "extensions": {**searches, "cost": self._cost(asked, spent)}}

    def _access_of(self, wrong: Fault | None) -> graph.Access:
        """The token's access, or less where a fault says so."""
        if wrong is None:
            return self.access
        if wrong.detail == "PROTECTED":
            return replace(self.access, personal=False)
        return replace(self.access, scopes=self.access.scopes - {"read_customers"})

    def _short_of(self, cost: int) -> Json:
        """As if the bucket lacked what comes back within a tenth of a second."""
        told = self._cost(cost, None)
        short = max(0, cost - int(self.bucket.restore_rate / 10))
        return {**told, "throttleStatus": {**told["throttleStatus"], "currentlyAvailable": short}}

    def _cost(self, requested: int, spent: int | None) -> Json:
        return {"requestedQueryCost": requested, "actualQueryCost": spent, "throttleStatus": self.bucket.status()}
