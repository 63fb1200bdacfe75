"""What the fetcher hands out, and how an answer of Shopify's is read: what came, what was kept back, what next.

Between `fetcher.py` (which asks) and `parse.py` (which parses). Pure. A profile never stands in a
`repr` here, for these objects pass through tasks and logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from clara_kit.core.profile import CustomerProfile
from clara_kit.shop.errors import Problem
from clara_kit.shop.parse import is_cut
from clara_kit.shop.queries import FULL, QUERIES, Variant

REQUIRED_SCOPES = ("read_customers", "read_orders", "read_products")
_ORDER_SCOPES = {"read_orders", "read_all_orders", "read_marketplace_orders", "read_products"}
_ORDER_FIELDS = {"orders", "numberOfOrders", "lineItems", "product"}
_ACCESS = ("missing_scope", "protected_data")
_VERSION = re.compile(r"20\d\d-\d\d|unstable", re.ASCII)
_OUR_FIELDS = frozenset(re.findall(r"[A-Za-z]+", " ".join(QUERIES.values())))  # others are the server's words
_MAX_WARNINGS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopAnswer:
    """A profile and where it comes from. `age_s`: how long ago the shop said it. `cost`: the query's points."""

    profile: CustomerProfile = field(repr=False)
    source: Literal["shop", "cache"]
    age_s: float = 0.0
    warnings: tuple[str, ...] = ()
    took_ms: float = 0.0
    cost: float | None = None
    served_version: str = ""  # of the API; empty where the answer did not say, or comes from the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopCheck:
    """What a token opens. `missing`: the scopes a full profile needs and the app lacks."""

    shop_name: str
    domain: str
    scopes: tuple[str, ...]
    missing: tuple[str, ...]
    served_version: str = ""
    warnings: tuple[str, ...] = ()
    took_ms: float = 0.0

    @property
    def ok(self) -> bool:
        """Everything that a full profile needs is there."""
        return not self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer to a GraphQL request that held something of use."""

    data: dict[str, Any] = field(repr=False)
    problems: tuple[Problem, ...] = ()
    cost: float | None = None
    served_version: str = ""
    deprecated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A customer, and what was kept back on the way to it."""

    node: dict[str, Any] = field(repr=False)
    reply: Reply
    variant: Variant = FULL
    refused: tuple[Problem, ...] = ()

    @property
    def complete(self) -> bool:
        """Everything that was first asked for has come."""
        return self.variant == FULL and not self.reply.problems and not is_cut(self.node)

    @property
    def lasting(self) -> bool:
        """What is missing will be missing in a minute too: rights and plans, not the weather."""
        return all(p.kind in _ACCESS for p in self.reply.problems)


def access_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Those that asking for less may get round."""
    return tuple(p for p in problems if p.kind in _ACCESS)


def narrower(variant: Variant, refused: tuple[Problem, ...]) -> Variant | None:
    """What to ask for next, after these refusals took the whole customer away; None where nothing is left."""
    if variant.with_orders and any(map(_is_of_orders, refused)):
        return Variant(variant.with_name, False)
    protected = [p for p in refused if p.kind == "protected_data"]
    if variant.with_name and protected:
        return Variant(False, variant.with_orders)
    return Variant(False, False) if variant.with_orders and protected else None


def version_of(header: str) -> str:
    """The served version as the header says it; empty for anything that is no version."""
    return header if _VERSION.fullmatch(header) else ""


def warnings_of(reply: Reply, requested: str, refused: Iterable[Problem] = ()) -> tuple[str, ...]:
    """What the operator should know of an answer that is used all the same."""
    told = [_warning(p) for p in (*refused, *reply.problems)]
    if reply.served_version and reply.served_version != requested:
        told.append(
            f"Shopify served API version {reply.served_version} instead of {requested}: "
            "the requested one is not, or no longer, there. Set SHOPIFY_API_VERSION."
        )
    if reply.deprecated:
        told.append(f"Shopify calls something in the query deprecated in version {requested}.")
    return tuple(dict.fromkeys(told))[:_MAX_WARNINGS]


def _is_of_orders(problem: Problem) -> bool:
    return bool(_ORDER_FIELDS & set(problem.fields) or _ORDER_SCOPES & set(problem.scopes))


def _warning(problem: Problem) -> str:
    named = [f for f in problem.fields if f in _OUR_FIELDS and f != "nodes"]
    what = named[-1] if len(named) > 1 else "customer"
    if problem.kind == "missing_scope":
        lacking = " or ".join(problem.scopes) or "a right"  # any one of them will do
        return f"The app lacks {lacking}: the profile comes without it ({what})."
    if problem.kind == "protected_data":
        part = "the customer's data" if what == "customer" else what
        return f"Shopify keeps {part} back (plan, or the app's approval): the profile comes without it."
    return f"Part of Shopify's answer is missing ({what}: {problem.facts})."
