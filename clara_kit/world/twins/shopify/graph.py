"""Shopify's Admin GraphQL, executed: queries run against a part of the published schema over plain data.

graphql-core validates and executes, so a query with a wrong field fails here as it would there. Scopes and the plan's
limits on personal data are checked field by field. Sources: shopify.dev (access scopes, protected customer data,
API limits) and answers seen in public threads; the schema is `data/shopify/admin_2026-10.graphql`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    build_schema,
    execute_sync,
    get_named_type,
    get_operation_ast,
    parse,
    validate,
)
from graphql.language import DocumentNode
from graphql.validation import NoDeprecatedCustomRule

from clara_kit.core.paths import DATA
from clara_kit.world.twins.shopify.shop import Shop, nodes_of, page, value_of, wanted_metafields
from clara_kit.world.twins.shopify.variables import id_errors, variable_errors
from clara_kit.world.twins.shopify.words import locations, validation_error

Json = dict[str, Any]
Read = tuple[DocumentNode | None, tuple[Json, ...], bool]
SCHEMA_FILE = DATA / "shopify" / "admin_2026-10.graphql"
SCOPES = ("read_customers", "read_orders", "read_products")

# Any one of its scopes opens a field (npm @shopify/dev-mcp 1.16.0, offline_scopes: the scopes of the field's type).
_NEEDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("QueryRoot", "customer"): ("read_customers",), ("QueryRoot", "customerByIdentifier"): ("read_customers",),
    ("QueryRoot", "customers"): ("read_customers",), ("QueryRoot", "product"): ("read_products",),
    ("QueryRoot", "productByIdentifier"): ("read_products",), ("QueryRoot", "products"): ("read_products",),
    ("Customer", "orders"): ("read_orders", "read_marketplace_orders", "read_quick_sale"),
    ("QueryRoot", "order"): ("read_orders", "read_marketplace_orders", "read_quick_sale"),
    ("LineItem", "product"): ("read_products",),
}  # fmt: skip
_CUSTOMER_ROOTS = ("customer", "customerByIdentifier", "customers")
_PERSONAL = ("firstName", "lastName", "displayName", "email", "phone", "defaultEmailAddress",
             "defaultPhoneNumber")  # fmt: skip
_ACCESS_DOC = "https://shopify.dev/api/usage/access-scopes"
_PCD_DOC = "https://shopify.dev/docs/apps/launch/protected-customer-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a token may see, beyond its scopes by what the plan and the app's approval allow.

    customers: customers at all (protected data, level 1). personal: first names, addresses and the like (level 2).
    """

    scopes: frozenset[str] = frozenset(SCOPES)
    customers: bool = True
    personal: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer without its costs. `searches`: warnings about `query:` arguments, for `extensions.search`."""

    data: Json | None
    errors: tuple[Json, ...]
    searches: tuple[Json, ...] = ()


@dataclass(slots=True)
class _Call:
    shop: Shop
    access: Access
    searches: list[Json] = field(default_factory=list)


@cache
def schema() -> GraphQLSchema:
    """The published schema's part that the twin serves."""
    return build_schema(SCHEMA_FILE.read_text(encoding="utf-8"))


def read(query: str, operation: str | None, variables: Json) -> Read:
    """The parsed query, or what is wrong with it in Shopify's words; and whether it uses deprecated fields."""
    try:
        return _read(query, operation, variables)
    except GraphQLError as exc:
        return None, ({"message": exc.message, "locations": locations(exc)},), False
    except RecursionError:
        return None, ({"message": "Query has depth that exceeds max depth.", "locations": []},), False


def _read(query: str, operation: str | None, variables: Json) -> Read:
    document = parse(query)
    errors = [validation_error(e, document) for e in validate(schema(), document)]
    errors = errors or id_errors(schema(), document)
    if not errors:
        chosen = get_operation_ast(document, operation)
        if chosen is None:
            told = f'No operation named "{operation}"' if operation else "An operation name is required"
            errors = [{"message": told}]
        else:
            errors = variable_errors(schema(), chosen, variables)
    if errors:
        return None, tuple(errors), False
    return document, (), bool(validate(schema(), document, [NoDeprecatedCustomRule]))


def run(shop: Shop, access: Access, document: DocumentNode, variables: Json, operation: str | None) -> Outcome:
    """Execute a valid query."""
    call = _Call(shop, access)
    result = execute_sync(
        schema(),
        document,
        root_value={},
        context_value=call,
        variable_values=variables,
        operation_name=operation,
        field_resolver=_resolve,
    )
    return Outcome(result.data, tuple(map(_runtime_error, result.errors or ())), tuple(call.searches))


def _resolve(source: Json, info: GraphQLResolveInfo[Any], **args: Any) -> Any:
    call: _Call = info.context
    kind, name = info.parent_type.name, info.field_name
    _check_access(kind, name, source, call)
    if kind == "QueryRoot":
        return _root(call, info, args)
    if (kind, name) == ("LineItem", "product"):
        return call.shop.ordered(source)
    if name == "metafield":  # without a namespace Shopify looks into the app's own, which holds none of the shop's
        asked = (args.get("namespace"), args["key"])
        nodes = nodes_of("metafields", source)
        return next((m for m in nodes if (m["namespace"], m["key"]) == asked), None)
    if get_named_type(info.return_type).name.endswith("Connection"):
        nodes = nodes_of(name, source)
        return page(wanted_metafields(nodes, args) if name == "metafields" else nodes, args)
    return value_of(kind, name, source)


def _check_access(kind: str, name: str, source: Json, call: _Call) -> None:
    access, scopes = call.access, _NEEDS.get((kind, name), ())
    if scopes and access.scopes.isdisjoint(scopes):
        needed = f"{_either([f'`{scope}` access scope' for scope in scopes])}."
        raise GraphQLError(
            f"Access denied for {name} field. Required access: {needed}",
            extensions={"code": "ACCESS_DENIED", "documentation": _ACCESS_DOC, "requiredAccess": needed},
        )
    if kind == "QueryRoot" and name in _CUSTOMER_ROOTS and not access.customers:
        raise _unapproved("access the Customer object")
    hidden = not access.personal or source.get("id") in call.shop.hidden
    if kind == "Customer" and name in _PERSONAL and hidden:
        raise _unapproved(f"use the {name} field")


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _unapproved(to_do_what: str) -> GraphQLError:
    """No `requiredAccess` here: by this a client can tell plans and approvals from scopes."""
    return GraphQLError(
        f"This app is not approved to {to_do_what}. See {_PCD_DOC} for more details.",
        extensions={"code": "ACCESS_DENIED", "documentation": _PCD_DOC},
    )


def _root(call: _Call, info: GraphQLResolveInfo[Any], args: Json) -> Any:
    shop = call.shop
    match info.field_name:
        case "customer":
            return shop.customers.get(_id_of("Customer", args["id"]))
        case "customerByIdentifier":
            wanted = args["identifier"]
            if "id" in wanted:
                return shop.customers.get(_id_of("Customer", wanted["id"]))
            return shop.by_email(wanted["emailAddress"]) if "emailAddress" in wanted else None
        case "product":
            return shop.product("id", _id_of("Product", args["id"]))
        case "productByIdentifier":
            ((key, value),) = args["identifier"].items()
            return shop.product(key, value) if key in ("id", "handle") else None
        case "customers" | "products" as name:
            find = shop.find_customers if name == "customers" else shop.find_products
            nodes, warnings = find(args.get("query"))
            if warnings:
                found = {"path": info.path.as_list(), "query": args["query"], "warnings": warnings}
                call.searches.append(found)
            return page(nodes, args)
        case "shop":
            return shop.about
        case "order":
            return shop.order(_id_of("Order", args["id"]))
    scopes = [{"handle": scope, "description": scope} for scope in sorted(call.access.scopes)]
    return {"id": "gid://shopify/AppInstallation/1", "accessScopes": scopes}


def _id_of(kind: str, gid: str) -> str:
    """The id itself; a global id of another kind of object leads nowhere."""
    if not gid.startswith(f"gid://shopify/{kind}/"):
        raise GraphQLError(f"Invalid id: {gid}", extensions={"code": "RESOURCE_NOT_FOUND"})
    return gid.partition("?")[0]


def _runtime_error(exc: GraphQLError) -> Json:
    error: Json = {"message": exc.message, "locations": locations(exc), "path": list(exc.path or ())}
    return {**error, "extensions": dict(exc.extensions)} if exc.extensions else error
