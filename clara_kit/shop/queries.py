"""What is asked of Shopify's Admin API, word for word, and one hash that stands for all of it.

Read by `fetcher.py`, which sends these, and by the cache, whose entries end their life when a query changes.
Nothing is asked that Clara does not use: no e-mail, telephone, surname, address, tags or note. The first name is
the only personal field (protected data of level 2), so there are variants without it; orders need a scope of
their own and would take the whole customer with them where it is lacking (`Customer.orders` may not be null), so
there are variants without them too.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

API_VERSION = "2026-10"  # stable since 2026-10-01, served for at least a year (shopify.dev, API versioning)
NAMESPACE = "beta_skincare"  # of the shop's metafields
ORDERS = 5  # orders times line items are most of a query's cost: about 5 x 10 points of a bucket of 1000 or more
LINE_ITEMS = 10
MOST_ORDERS = 20  # older ones tell nothing of what someone uses today; more pages would cost time before a greeting
MOST_ITEMS = 50  # of one order, asked for by itself
METAFIELDS = ("skin_type", "skin_concerns")  # by their keys: other apps' could push them out of any first so many

_ROOTS = {
    "CustomerProfile": ("$id: ID!", "customer(id: $id)"),
    "CustomerByEmail": ("$identifier: CustomerIdentifierInput!", "customerByIdentifier(identifier: $identifier)"),
}
"""The query by id and the same by e-mail; the answer's root is `customer` in both."""
_NAME = "\n    firstName"
_PAGE = "pageInfo { hasNextPage endCursor }"
_ITEMS = f"{{ {_PAGE} nodes {{ id title quantity currentQuantity product {{ id handle title }} }} }}"
_SOME_ORDERS = f"""orders(first: $orders, %ssortKey: PROCESSED_AT, reverse: true) {{
      {_PAGE}
      nodes {{ id processedAt cancelledAt test lineItems(first: {LINE_ITEMS}) {_ITEMS} }}
    }}"""
_ORDERS = "\n    numberOfOrders\n    " + _SOME_ORDERS % ""


@dataclass(frozen=True, slots=True)
class Variant:
    """Which parts of a profile are asked for."""

    with_name: bool = True
    with_orders: bool = True

    @property
    def suffix(self) -> str:
        """What the operation's name ends with, e.g. `WithoutName`."""
        return ("" if self.with_name else "WithoutName") + ("" if self.with_orders else "WithoutOrders")


FULL = Variant()
VARIANTS = (FULL, Variant(with_name=False), Variant(with_orders=False), Variant(False, False))


def _text(operation: str, variant: Variant) -> str:
    variables, root = _ROOTS[operation]
    count = ", $orders: Int!" if variant.with_orders else ""
    return f"""query {operation}{variant.suffix}({variables}, $keys: [String!]!{count}) {{
  shop {{ ianaTimezone timezoneOffsetMinutes }}
  customer: {root} {{
    id{_NAME if variant.with_name else ""}
    metafields(first: {len(METAFIELDS)}, keys: $keys) {{
      nodes {{ namespace key type value jsonValue }}
    }}{_ORDERS if variant.with_orders else ""}
  }}
}}
"""


_MORE_ORDERS, _MORE_ITEMS = "MoreOrdersWithoutName", "MoreItemsWithoutNameWithoutOrders"
_MORE = {
    _MORE_ORDERS: f"""query {_MORE_ORDERS}($id: ID!, $orders: Int!, $after: String!) {{
  customer(id: $id) {{
    {_SOME_ORDERS % "after: $after, "}
  }}
}}
""",
    _MORE_ITEMS: f"""query {_MORE_ITEMS}($id: ID!, $after: String!) {{
  order(id: $id) {{ lineItems(first: {MOST_ITEMS}, after: $after) {_ITEMS} }}
}}
""",
}
"""Further pages; like the others they are named by what they leave out."""

SCOPES = """query Scopes {
  currentAppInstallation { accessScopes { handle } }
  shop { name myshopifyDomain }
}
"""

QUERIES: dict[str, str] = {op + v.suffix: _text(op, v) for v in VARIANTS for op in _ROOTS} | _MORE
QUERY_VERSION = hashlib.sha256("\n".join(QUERIES.values()).encode()).hexdigest()[:12]
QUERIES["Scopes"] = SCOPES  # operation name -> text: everything the kit ever sends

_NUMBER = re.compile(r"(?:gid://shopify/Customer/)?([0-9]{1,20})")
_EMAIL = re.compile(r"[^\s@\x00-\x1f]{1,120}@[^\s@\x00-\x1f]{1,120}")


def customer_ref(customer: int | str) -> str | None:
    """A customer's number, gid or e-mail as it is asked for: gid, or address in lower case. None: it is none."""
    text = str(customer).strip()
    if number := _NUMBER.fullmatch(text):
        return f"gid://shopify/Customer/{int(number[1])}"
    return text.lower() if _EMAIL.fullmatch(text) else None


def request_body(customer: str, variant: Variant = FULL) -> dict[str, Any]:
    """The body of a profile request. `customer`: a gid, or an e-mail address (whatever has an @)."""
    by_email = "@" in customer
    operation = ("CustomerByEmail" if by_email else "CustomerProfile") + variant.suffix
    who = {"identifier": {"emailAddress": customer}} if by_email else {"id": customer}
    keys = [f"{NAMESPACE}.{key}" for key in METAFIELDS]
    variables = {"keys": keys, **({"orders": ORDERS} if variant.with_orders else {}), **who}
    return {"query": QUERIES[operation], "variables": variables, "operationName": operation}


def more_orders(customer_gid: str, after: str) -> dict[str, Any]:
    """The body that asks for the orders after this cursor."""
    variables = {"id": customer_gid, "orders": ORDERS, "after": after}
    return {"query": QUERIES[_MORE_ORDERS], "variables": variables, "operationName": _MORE_ORDERS}


def more_items(order_gid: str, after: str) -> dict[str, Any]:
    """The body that asks for an order's items after this cursor."""
    variables = {"id": order_gid, "after": after}
    return {"query": QUERIES[_MORE_ITEMS], "variables": variables, "operationName": _MORE_ITEMS}
