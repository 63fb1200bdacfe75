"""Shopify's Admin GraphQL, executed: queries run against a part of the published schema over plain data.

graphql-core validates and executes, so a query with a wrong field fails here as it would there. Scopes and the plan's
limits on personal fields are checked field by field. Sources: shopify.dev (access scopes, protected customer data,
API limits) and answers seen in public threads; the schema is `data/shopify/admin_2026-10.graphql`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    build_schema,
    execute_sync,
    parse,
    validate,
)
from graphql.language import DocumentNode
from graphql.validation import NoDeprecatedCustomRule

from clara_kit.core.paths import DATA

Json = dict[str, Any]
SCHEMA_FILE = DATA / "shopify" / "admin_2026-10.graphql"
SCOPES = ("read_customers", "read_orders", "read_products")

# Which scope a field needs (npm @shopify/dev-mcp 1.16.0, offline_scopes).
_NEEDS: dict[tuple[str, str], str] = {
    ("QueryRoot", "customer"): "read_customers", ("QueryRoot", "customerByIdentifier"): "read_customers",
    ("QueryRoot", "customers"): "read_customers", ("QueryRoot", "product"): "read_products",
    ("QueryRoot", "productByIdentifier"): "read_products", ("QueryRoot", "products"): "read_products",
    ("Customer", "orders"): "read_orders", ("LineItem", "product"): "read_products",
}  # fmt: skip
_PERSONAL = ("firstName", "lastName", "displayName", "email", "phone", "defaultEmailAddress")
_ACCESS_DOC = "https://shopify.dev/api/usage/access-scopes"
_PCD_DOC = "https://shopify.dev/docs/apps/launch/protected-customer-data"


@dataclass(frozen=True, kw_only=True)
class Shop:
    """What there is. `customers` by gid, as Customer objects; `hidden`: gids whose personal fields are refused."""

    customers: Mapping[str, Json]
    products: Sequence[Json] = ()
    hidden: frozenset[str] = frozenset()
    name: str = "Beta Skincare"
    domain: str = "beta-skincare.myshopify.com"

    def by_email(self, address: str) -> Json | None:
        """The customer of exactly this address."""
        wanted = address.strip().casefold()
        return next(
            (c for c in self.customers.values() if str(c.get("email", "")).casefold() == wanted), None
        )

    def search(self, query: str) -> list[Json]:
        """`customers(query:)`: every word must be found somewhere, unless a quoted field is asked for."""
        exact = re.fullmatch(r'\s*email:\s*"((?:[^"\\]|\\.)*)"\s*', query)
        if exact:
            found = self.by_email(re.sub(r"\\(.)", r"\1", exact.group(1)))
            return [found] if found else []
        words = [w for w in re.split(r"[^\w]+", query.casefold()) if w and w != "email"]
        text = {
            gid: f"{c.get('email', '')} {c.get('firstName', '')}".casefold()
            for gid, c in self.customers.items()
        }
        return [c for gid, c in self.customers.items() if all(w in text[gid] for w in words)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a token may see. `personal`: first names, addresses and the like (protected data, level 2)."""

    scopes: frozenset[str] = frozenset(SCOPES)
    personal: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer without its costs; `executed` is False where the query did not pass validation."""

    data: Json | None
    errors: tuple[Json, ...]
    executed: bool
    deprecated: bool = False


@cache
def schema() -> GraphQLSchema:
    """The published schema's part that the twin serves."""
    return build_schema(SCHEMA_FILE.read_text(encoding="utf-8"))


def read(query: str, operation: str | None) -> tuple[DocumentNode | None, tuple[Json, ...], bool]:
    """The parsed query, or what is wrong with it in Shopify's words; and whether it uses deprecated fields."""
    try:
        document = parse(query)
    except GraphQLError as exc:
        return None, ({"message": exc.message, "locations": _locations(exc)},), False
    errors = validate(schema(), document)
    if errors:
        return None, tuple(_validation_error(e, operation) for e in errors), False
    return document, (), bool(validate(schema(), document, [NoDeprecatedCustomRule]))


def run(
    shop: Shop, access: Access, document: DocumentNode, variables: Json, operation: str | None
) -> Outcome:
    """Execute a valid query."""
    result = execute_sync(
        schema(),
        document,
        root_value={},
        context_value=(shop, access),
        variable_values=variables,
        operation_name=operation,
        field_resolver=_resolve,
    )
    errors = tuple(_runtime_error(e) for e in result.errors or ())
    return Outcome(result.data, errors, executed=True)


def _resolve(source: Json, info: GraphQLResolveInfo[Any], **args: Any) -> Any:
    shop, access = info.context
    kind, name = info.parent_type.name, info.field_name
    _check_access(kind, name, source, shop, access)
    if kind == "QueryRoot":
        return _root(shop, access, name, args)
    value = source.get(name)
    if name == "metafield":
        return next(
            (m for m in _nodes(source.get("metafields")) if _is_meta(m, args.get("namespace"), args["key"])),
            None,
        )
    if info.return_type and str(info.return_type).rstrip("!").endswith("Connection"):
        nodes = _nodes(value)
        if name == "metafields":
            nodes = [m for m in nodes if _wanted_meta(m, args)]
        return _page(nodes, args)
    return value


def _check_access(kind: str, name: str, source: Json, shop: Shop, access: Access) -> None:
    scope = _NEEDS.get((kind, name))
    if scope is not None and scope not in access.scopes:
        needed = f"`{scope}` access scope."
        raise GraphQLError(
            f"Access denied for {name} field. Required access: {needed}",
            extensions={"code": "ACCESS_DENIED", "documentation": _ACCESS_DOC, "requiredAccess": needed},
        )
    if kind == "Customer" and name in _PERSONAL and (not access.personal or source.get("id") in shop.hidden):
        raise GraphQLError(
            f"This app is not approved to use the {name} field. See {_PCD_DOC} for more details.",
            extensions={"code": "ACCESS_DENIED", "documentation": _PCD_DOC},
        )


def _root(shop: Shop, access: Access, name: str, args: Json) -> Any:
    match name:
        case "customer":
            return shop.customers.get(_gid(args["id"], "Customer"))
        case "customerByIdentifier":
            wanted = args["identifier"]
            if "id" in wanted:
                return shop.customers.get(_gid(wanted["id"], "Customer"))
            return shop.by_email(wanted["emailAddress"]) if "emailAddress" in wanted else None
        case "customers":
            query = args.get("query")
            return _page(shop.search(query) if query else list(shop.customers.values()), args)
        case "product":
            gid = _gid(args["id"], "Product")
            return next((p for p in shop.products if p["id"] == gid), None)
        case "productByIdentifier":
            wanted = args["identifier"]
            return next(
                (p for p in shop.products if wanted in ({"id": p["id"]}, {"handle": p["handle"]})), None
            )
        case "products":
            return _page(list(shop.products), args)
        case "shop":
            return {"id": "gid://shopify/Shop/1", "name": shop.name, "myshopifyDomain": shop.domain}
    scopes = [{"handle": scope, "description": scope} for scope in sorted(access.scopes)]
    return {"id": "gid://shopify/AppInstallation/1", "accessScopes": scopes}


def _gid(value: str, kind: str) -> str:
    if not re.fullmatch(rf"gid://shopify/{kind}/\d+", value):
        raise GraphQLError(
            f"Invalid global id '{value}'", extensions={"code": "argumentLiteralsIncompatible"}
        )
    return value


def _page(nodes: list[Json], args: Json) -> Json:
    """A connection's page. Cursors are places in the whole list."""
    first, last = args.get("first"), args.get("last")
    if first is None and last is None:
        raise GraphQLError("you must provide one of first or last", extensions={"code": "BAD_REQUEST"})
    if not 0 <= (first if first is not None else last or 0) <= 250:
        raise GraphQLError("first and last must be between 0 and 250", extensions={"code": "BAD_REQUEST"})
    if args.get("reverse"):
        nodes = nodes[::-1]
    if args.get("sortKey") in ("PROCESSED_AT", "CREATED_AT"):
        nodes = sorted(nodes, key=lambda n: str(n.get("processedAt", "")), reverse=bool(args.get("reverse")))
    start = int(args["after"]) + 1 if str(args.get("after") or "").isdigit() else 0
    rest = nodes[start:]
    shown = rest[:first] if first is not None else rest[-(last or 0) :] if last else []
    edges = [{"cursor": str(start + n), "node": node} for n, node in enumerate(shown)]
    return {
        "nodes": shown,
        "edges": edges,
        "pageInfo": {
            "hasNextPage": first is not None and len(rest) > first,
            "hasPreviousPage": start > 0,
            "startCursor": edges[0]["cursor"] if edges else None,
            "endCursor": edges[-1]["cursor"] if edges else None,
        },
    }


def _nodes(value: Any) -> list[Json]:
    return list(value["nodes"]) if isinstance(value, dict) else list(value or ())


def _is_meta(entry: Json, namespace: str | None, key: str) -> bool:
    return bool(entry["key"] == key and entry["namespace"] == (namespace or "custom"))


def _wanted_meta(entry: Json, args: Json) -> bool:
    keys, namespace = args.get("keys"), args.get("namespace")
    if keys:
        return f"{entry['namespace']}.{entry['key']}" in keys or entry["key"] in keys
    return namespace is None or entry["namespace"] == namespace


def _locations(exc: GraphQLError) -> list[Json]:
    return [{"line": at.line, "column": at.column} for at in exc.locations or ()]


def _validation_error(exc: GraphQLError, operation: str | None) -> Json:
    """An unknown field in Shopify's words; other mistakes in graphql-core's, which are the specification's."""
    found = re.match(r"Cannot query field '(\w+)' on type '(\w+)'", exc.message)
    if not found:
        return {
            "message": exc.message,
            "locations": _locations(exc),
            "path": [f"query {operation or ''}".strip()],
        }
    name, kind = found.groups()
    return {
        "message": f"Field '{name}' doesn't exist on type '{kind}'",
        "locations": _locations(exc),
        "path": [f"query {operation or ''}".strip(), name],
        "extensions": {"code": "undefinedField", "typeName": kind, "fieldName": name},
    }


def _runtime_error(exc: GraphQLError) -> Json:
    error: Json = {"message": exc.message, "locations": _locations(exc), "path": list(exc.path or ())}
    return {**error, "extensions": dict(exc.extensions)} if exc.extensions else error
