"""Orders and items that the first answer did not hold: what to ask for next, and how the pages become one.

Between `fetcher.py`, which asks, and `queries.py`. Pure. What is still missing when the fetcher has asked enough stays
marked by its `pageInfo`, so that the parser and the cache know that purchases are cut.
"""

from __future__ import annotations

from typing import Any

from clara_kit.shop.queries import MOST_ORDERS, more_items, more_orders

Json = dict[str, Any]


def next_request(node: Json) -> tuple[Json, str] | None:
    """The body that asks for the rest of the newest order, or for older orders, and its root; None: that is all."""
    orders = nodes(node.get("orders"))
    if (at := _unfinished(orders)) is not None:
        return more_items(orders[at]["id"], _cursor(orders[at]["lineItems"])), "order"
    if (cursor := _cursor(node.get("orders"))) and isinstance(node.get("id"), str) and len(orders) < MOST_ORDERS:
        return more_orders(node["id"], cursor), "customer"
    return None


def joined(node: Json, root: str, page: Any) -> Json | None:
    """The node with a further page of its orders, or of an order's items; None where the page holds nothing new."""
    if not isinstance(page, dict):
        return None
    if root == "customer":
        more = _joined(node["orders"], page.get("orders"))
        return more and {**node, "orders": more}
    orders = nodes(node["orders"])
    at = _unfinished(orders)
    if at is None or (more := _joined(orders[at]["lineItems"], page.get("lineItems"))) is None:
        return None
    orders[at] = {**orders[at], "lineItems": more}
    held = node["orders"] if isinstance(node["orders"], dict) else {}
    return {**node, "orders": {**held, "nodes": orders}}


def _unfinished(orders: list[Json]) -> int | None:
    """The first order of which more items can be asked for."""
    asked = (n for n, o in enumerate(orders) if isinstance(o.get("id"), str) and _cursor(o.get("lineItems")))
    return next(asked, None)


def goes_on(connection: object) -> bool:
    """The shop has more of these than stand here."""
    page = connection.get("pageInfo") if isinstance(connection, dict) else None
    return isinstance(page, dict) and page.get("hasNextPage") is True


def nodes(connection: object) -> list[Json]:
    """The objects of a connection (`nodes`, or a plain list); empty for any other shape."""
    found = connection.get("nodes") if isinstance(connection, dict) else connection
    return [n for n in found if isinstance(n, dict)] if isinstance(found, list) else []


def _cursor(connection: Any) -> str:
    cursor = connection["pageInfo"].get("endCursor") if goes_on(connection) else None
    return cursor if isinstance(cursor, str) else ""


def _joined(before: Json, page: object) -> Json | None:
    """One connection of two pages. An order that came meanwhile pushes another onto the next page: once is enough."""
    known = [node["id"] for node in nodes(before) if node.get("id") is not None]
    fresh = [node for node in nodes(page) if node.get("id") not in known]
    if not fresh or not isinstance(page, dict):
        return None
    return {"nodes": [*nodes(before), *fresh], "pageInfo": page.get("pageInfo")}
