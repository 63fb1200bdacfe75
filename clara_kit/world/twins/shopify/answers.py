"""The bodies around GraphQL: how a request is read, and the refusals, pages and errors that are no simple answer.

Used by `shopify.py`. Sources: shopify.dev (response codes, rate limits) and answers seen in public threads. Bodies
for which no document gives the words (402, 403, 423, 430) are stand-ins of the right shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from clara_kit.world.faults import Fault
from clara_kit.world.twins.base import json_of
from clara_kit.world.twins.shopify.cost import MAX_QUERY_COST

Json = dict[str, Any]
_DOC = "https://shopify.dev/docs/api/usage/limits"
_PLAIN = {
    401: "[API] Invalid API key or access token (unrecognized login or wrong password)",
    402: "Unavailable Shop", 403: "[API] This action requires merchant approval.", 404: "Not Found",
    405: "Method Not Allowed", 423: "Locked", 430: "Security Rejection",
    429: "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service.",
}  # fmt: skip
_PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_NEVER_NULL = ("shop", "currentAppInstallation", "customers", "products")  # of the query's root


async def body_of(request: web.Request) -> Any:
    """The request's JSON, or the query that is the body itself; None for anything else."""
    try:
        if request.content_type == "application/graphql":
            return {"query": (await request.read()).decode()}
        return await json_of(request) if request.content_type == "application/json" else None
    except (ValueError, web.RequestPayloadError):
        return None


def plain(status: int, headers: dict[str, str]) -> web.Response:
    """Below GraphQL an error is a plain text under `errors`."""
    return web.json_response({"errors": _PLAIN[status]}, status=status, headers=headers)


def no_query(headers: dict[str, str]) -> web.Response:
    """The body holds no query, or is no JSON, or does not say that it is."""
    body = {"errors": {"query": "Required parameter missing or invalid"}}
    return web.json_response(body, status=400, headers=headers)


def refused(fault: Fault, headers: dict[str, str]) -> web.Response:
    """A refusal on demand: JSON from the API, a page from the gateway in front of it."""
    if fault.status == 400:
        return no_query(headers)
    if fault.status == 429:
        asked = fault.retry_after or {"retry-after": "0.1"}  # Shopify says 2.0; nobody wants to wait for a twin
        headers = {**headers, **asked}
    if fault.status in _PLAIN:
        return plain(fault.status, headers)
    return html(fault.status, f"{fault.status} error", headers)


def html(status: int, title: str, headers: dict[str, str]) -> web.Response:
    """A page for people, where JSON was expected."""
    return web.Response(status=status, text=_PAGE.format(title), content_type="text/html", headers=headers)


def grant_refused(error: str) -> web.Response:
    """No token: `error` is a word of OAuth's, or of Shopify's own."""
    told = {
        "invalid_client": "The client secret does not belong to this client id.",
        "application_cannot_be_found": "The application cannot be found by client id.",
        "shop_not_permitted": "Client credentials cannot be performed on this shop.",
    }.get(error, "")
    return web.json_response({"error": error, **({"error_description": told} if told else {})}, status=400)


def whole_error(code: str, request_id: str, cost: Json) -> Json:
    """An answer that is an error, without data. `cost`: as in `extensions.cost`."""
    match code:
        case "MAX_COST_EXCEEDED":
            asked = cost["requestedQueryCost"]
            message = f"Query cost is {asked}, which exceeds the single query max cost limit ({MAX_QUERY_COST})."
            told: Json = {"code": code, "cost": asked, "maxCost": MAX_QUERY_COST, "documentation": _DOC}
            return {"errors": [{"message": message, "extensions": told}]}
        case "SHOP_INACTIVE":
            return {"errors": [{"message": "The shop is inactive.", "extensions": {"code": code}}]}
        case "INTERNAL_SERVER_ERROR":
            return {"errors": [_internal(request_id)]}
    throttled = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": _DOC}}
    return {"errors": [throttled], "extensions": {"cost": cost}}


def truncated(answer: Json, request_id: str) -> Json:
    """Part of the data is missing: every product of every order, or else a whole field; with an error for each."""
    data = answer["data"] or {}
    gone = [path for path in _paths(data) if path[-1] == "product" and len(path) > 1] or [[n] for n in data][-1:]
    for *above, last in gone:
        place = data
        for step in above:
            place = place[step]
        place[last] = None
    if any(len(path) == 1 and path[0] in _NEVER_NULL for path in gone):
        answer = {**answer, "data": None}
    errors = [{**_internal(request_id), "path": path} for path in gone]
    return {**answer, "errors": [*answer.get("errors", ()), *(errors or [_internal(request_id)])]}


def _paths(value: Any) -> Iterator[list[Any]]:
    """The way to everything inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in inside:
        yield [step]
        yield from ([step, *path] for path in _paths(below))


def _internal(request_id: str) -> Json:
    message = f"Internal error. Looks like something went wrong on our end.\nRequest ID: {request_id}"
    return {"message": message, "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}}
