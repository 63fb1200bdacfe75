"""What the shop's twin holds: customers and products as plain data, found and completed as the Admin API does.

Between the data (personas and catalogue, or any dicts of that shape) and `shopify_graph.py`, which executes queries.
What the data leaves out and the schema promises (ids of metafields and line items, dates) is made up here, the same
every time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from graphql import GraphQLError

from clara_kit.world.twins.shopify.search import Search

Json = dict[str, Any]
MAX_PAGE = 250
_LONG_AGO = "2025-01-01T12:00:00Z"
_CUSTOMER_FIELDS = frozenset(("email", "first_name", "last_name", "tag", "id", "state"))
_PRODUCT_FIELDS = frozenset(("title", "handle", "tag", "vendor", "product_type", "status", "sku", "id"))
_SORTS = {"PROCESSED_AT": "processedAt", "CREATED_AT": "processedAt", "TITLE": "title", "NAME": "firstName",
          "VENDOR": "vendor", "PRODUCT_TYPE": "productType"}  # fmt: skip
"""Sort keys and what they sort by; by any other key objects stay as the data has them."""
_DEFAULTS: dict[str, Json] = {
    "Customer": {"locale": "es-CL", "tags": [], "numberOfOrders": "0", "state": "DISABLED",
                 "createdAt": _LONG_AGO, "updatedAt": _LONG_AGO},
    "Product": {"productType": "", "vendor": "", "tags": [], "status": "ACTIVE", "description": "",
                "descriptionHtml": "", "totalInventory": 0, "createdAt": _LONG_AGO, "updatedAt": _LONG_AGO},
    "ProductVariant": {"title": "Default Title", "price": "0.00"},
    "Metafield": {"createdAt": _LONG_AGO, "updatedAt": _LONG_AGO},
    "LineItem": {"quantity": 1}, "Order": {"test": False},
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Shop:
    """What there is. `customers` by gid, as Customer objects; `hidden`: gids whose personal fields are refused.

    emails: address -> gid, for customers whose object does not hold its address.
    """

    customers: Mapping[str, Json]
    products: Sequence[Json] = ()
    emails: Mapping[str, str] | None = None
    hidden: frozenset[str] = frozenset()
    name: str = "Beta Skincare"
    domain: str = "beta-skincare.myshopify.com"
    timezone: str = "America/Santiago"

    def by_email(self, address: str) -> Json | None:
        """The customer of exactly this address."""
        wanted = address.strip().casefold()
        for known, gid in (self.emails or {}).items():
            if known.casefold() == wanted:
                return self.customers.get(gid)
        return next((c for c in self.customers.values() if _email(c).casefold() == wanted), None)

    def product(self, key: str, value: Any) -> Json | None:
        """The product whose `key` is `value`."""
        return next((p for p in self.products if p.get(key) == value), None)

    def order(self, gid: str) -> Json | None:
        """The order of this id, whoever's it is."""
        orders = (order for customer in self.customers.values() for order in nodes_of("orders", customer))
        return next((order for order in orders if order.get("id") == gid), None)

    @property
    def about(self) -> Json:
        """The Shop object, at this moment."""
        offset = datetime.now(ZoneInfo(self.timezone)).utcoffset() or timedelta()
        return {"id": "gid://shopify/Shop/1", "name": self.name, "myshopifyDomain": self.domain,
                "ianaTimezone": self.timezone, "timezoneOffsetMinutes": int(offset.total_seconds() // 60)}  # fmt: skip

    def find_customers(self, query: str | None) -> tuple[list[Json], list[Json]]:
        """`customers(query:)`, and warnings about it."""
        return _found(list(self.customers.values()), query, _CUSTOMER_FIELDS, _customer_texts)

    def find_products(self, query: str | None) -> tuple[list[Json], list[Json]]:
        """`products(query:)`, and warnings about it."""
        return _found(list(self.products), query, _PRODUCT_FIELDS, _product_texts)

    def ordered(self, item: Json) -> Json | None:
        """The product of a line item, as the catalogue has it; None: it was deleted."""
        product: Json | None = item.get("product")
        return product and {**product, **(self.product("handle", product.get("handle")) or {})}


def value_of(kind: str, name: str, source: Json) -> Any:
    """A field of an object, or what stands for it where the data has none."""
    value = source.get(name)
    if value is not None:
        return value
    match kind, name:
        case ("Customer", "displayName"):
            return source.get("firstName") or _email(source)
        case ("Customer", "email"):
            return _email(source) or None
        case ("Customer" | "Product", "legacyResourceId"):
            return str(source["id"]).rpartition("/")[2]
        case ("Product", "descriptionHtml"):
            return f"<p>{source['description']}</p>" if source.get("description") else ""
        case ("Order", "createdAt"):
            return source.get("processedAt")
        case ("LineItem", "currentQuantity"):  # nothing was taken out
            return source.get("quantity", 1)
        case ("Metafield", "jsonValue"):
            return json_value(source["type"], source.get("value"))
    return _DEFAULTS.get(kind, {}).get(name)


def nodes_of(name: str, source: Json) -> list[Json]:
    """The objects of a connection, each with an id."""
    value = source.get(name)
    nodes = list(value["nodes"]) if isinstance(value, dict) else list(value or ())
    singular = {"metafields": "Metafield", "lineItems": "LineItem"}.get(name)
    if singular is None:
        return nodes
    owner = str(source.get("id", "")).rpartition("/")[2]
    return [{"id": f"gid://shopify/{singular}/{owner}{n:02d}", **node} for n, node in enumerate(nodes, 1)]


def json_value(kind: str, text: Any) -> Any:
    """A metafield's value as Shopify parses it: JSON where the type says so, else the text itself."""
    parsed = kind.startswith("list.") or kind in ("json", "boolean", "number_integer", "rating", "money")
    if not parsed or not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def wanted_metafields(nodes: list[Json], args: Json) -> list[Json]:
    """`metafields(keys:, namespace:)`."""
    keys, namespace = args.get("keys"), args.get("namespace")
    if keys:
        return [m for m in nodes if f"{m['namespace']}.{m['key']}" in keys]
    return [m for m in nodes if namespace is None or m["namespace"] == namespace]


def page(nodes: list[Json], args: Json) -> Json:
    """A part of a connection by `first` and `after`, or `last` and `before`, with Shopify's complaints."""
    first, last = args.get("first"), args.get("last")
    if first is None and last is None:
        raise _bad("you must provide one of first or last")
    if first is not None and last is not None:
        raise _bad("providing both first and last is not supported")
    for name, value in (("first", first), ("last", last)):
        if value is not None and not 0 <= value <= MAX_PAGE:
            raise _bad(f"{name} must be between 0 and {MAX_PAGE}")
    nodes = _sorted(nodes, str(args.get("sortKey")), bool(args.get("reverse")))
    low = _place(args["after"]) + 1 if args.get("after") is not None else 0
    high = _place(args["before"]) if args.get("before") is not None else len(nodes)
    high = max(low, min(high, len(nodes)))
    start, end = (low, min(high, low + first)) if first is not None else (max(low, high - (last or 0)), high)
    edges = [{"cursor": _cursor(n), "node": nodes[n]} for n in range(start, end)]
    return {
        "nodes": nodes[start:end],
        "edges": edges,
        "pageInfo": {
            "hasNextPage": end < len(nodes),
            "hasPreviousPage": start > 0,
            "startCursor": edges[0]["cursor"] if edges else None,
            "endCursor": edges[-1]["cursor"] if edges else None,
        },
    }


def _sorted(nodes: list[Json], key: str, reverse: bool) -> list[Json]:
    if key in _SORTS:
        return sorted(nodes, key=lambda n: str(n.get(_SORTS[key]) or ""), reverse=reverse)
    return nodes[::-1] if reverse else nodes


def _cursor(place: int) -> str:
    return base64.b64encode(json.dumps({"last_id": place}).encode()).decode()


def _place(cursor: str) -> int:
    try:
        return int(json.loads(base64.b64decode(cursor, validate=True))["last_id"])
    except (ValueError, KeyError, TypeError):
        raise _bad("Invalid cursor for current pagination sort.") from None


def _bad(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "BAD_REQUEST"})


def _found(nodes: list[Json], query: str | None, fields: frozenset[str], texts: Any) -> tuple[list[Json], list[Json]]:
    if not query or not query.strip():
        return nodes, []
    search = Search(query, fields)
    return [n for n in nodes if search.matches(texts(n))], search.warnings


def _email(customer: Json) -> str:
    address = customer.get("defaultEmailAddress")
    return str(customer.get("email") or (address or {}).get("emailAddress") or "")


def _customer_texts(customer: Json) -> dict[str, str]:
    return {
        "email": _email(customer),
        "first_name": str(customer.get("firstName") or ""),
        "last_name": str(customer.get("lastName") or ""),
        "tag": " ".join(map(str, customer.get("tags") or ())),
        "id": str(customer["id"]).rpartition("/")[2],
        "state": str(value_of("Customer", "state", customer)),
    }


def _product_texts(product: Json) -> dict[str, str]:
    return {
        **{name: str(product.get(name) or "") for name in ("title", "handle", "vendor", "status")},
        "product_type": str(product.get("productType") or ""),
        "tag": " ".join(map(str, product.get("tags") or ())),
        "sku": " ".join(str(v.get("sku") or "") for v in nodes_of("variants", product)),
        "id": str(product["id"]).rpartition("/")[2],
    }
