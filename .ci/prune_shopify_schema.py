"""Makes data/shopify/admin_<version>.graphql: the part of Shopify's published Admin schema that the kit's twin serves.

Usage: python .ci/prune_shopify_schema.py admin_2026-10.json.gz > data/shopify/admin_2026-10.graphql
The input is the introspection in npm's @shopify/dev-mcp 1.16.0 (dist/data/, ISC licence, see data/shopify/LICENSE).
"""

import gzip
import json
import sys
from typing import Any

from graphql import build_client_schema, print_schema

PAGE = ["nodes", "edges", "pageInfo"]
KEEP: dict[str, list[str]] = {
    "QueryRoot": ["customer", "customerByIdentifier", "customers", "currentAppInstallation", "shop", "product",
                  "productByIdentifier", "products", "order"],
    "Customer": ["id", "firstName", "lastName", "displayName", "email", "phone", "defaultEmailAddress",
                 "defaultPhoneNumber", "legacyResourceId", "locale", "tags", "note",
                 "numberOfOrders", "state", "createdAt", "updatedAt", "metafield", "metafields", "orders"],
    "CustomerEmailAddress": ["emailAddress"], "CustomerPhoneNumber": ["phoneNumber"],
    "CustomerConnection": PAGE, "CustomerEdge": ["cursor", "node"],
    "MetafieldConnection": PAGE, "MetafieldEdge": ["cursor", "node"],
    "Metafield": ["id", "namespace", "key", "type", "value", "jsonValue", "createdAt", "updatedAt"],
    "OrderConnection": PAGE, "OrderEdge": ["cursor", "node"],
    "Order": ["id", "name", "processedAt", "createdAt", "cancelledAt", "test", "lineItems"],
    "LineItemConnection": PAGE, "LineItemEdge": ["cursor", "node"],
    "LineItem": ["id", "title", "quantity", "currentQuantity", "product"],
    "ProductConnection": PAGE, "ProductEdge": ["cursor", "node"],
    "Product": ["id", "handle", "title", "productType", "vendor", "tags", "status", "description", "descriptionHtml",
                "totalInventory", "createdAt", "updatedAt", "metafield", "metafields", "variants"],
    "ProductVariantConnection": PAGE, "ProductVariantEdge": ["cursor", "node"],
    "ProductVariant": ["id", "title", "sku", "price", "inventoryQuantity"],
    "PageInfo": ["hasNextPage", "hasPreviousPage", "startCursor", "endCursor"],
    "AppInstallation": ["id", "accessScopes"], "AccessScope": ["handle", "description"],
    "Shop": ["id", "name", "myshopifyDomain", "ianaTimezone", "timezoneOffsetMinutes"],
}  # fmt: skip
Json = dict[str, Any]


def named(ref: Json) -> str:
    """The name of the type inside lists and non-nulls."""
    while ref.get("ofType"):
        ref = ref["ofType"]
    return str(ref["name"])


def prune(schema: Json) -> Json:
    """The kept objects with their kept fields, and every scalar, enum and input that these need."""
    types = {t["name"]: t for t in schema["types"]}
    wanted: list[str] = ["String", "Boolean", "Int", "Float", "ID"]
    out: dict[str, Json] = {}
    for name, fields in KEEP.items():
        kept = [f for f in types[name]["fields"] if f["name"] in fields]
        missing = set(fields) - {f["name"] for f in kept}
        assert not missing, f"{name} has no {missing}"
        for f in kept:
            inner = named(f["type"])
            assert inner in KEEP or types[inner]["kind"] in ("SCALAR", "ENUM"), f"{name}.{f['name']}: {inner}"
            wanted += [inner, *(named(a["type"]) for a in f["args"])]
        out[name] = {**types[name], "fields": kept, "interfaces": []}
    while wanted:
        name = wanted.pop()
        if name in out:
            continue
        out[name] = types[name]
        wanted += [named(f["type"]) for f in types[name].get("inputFields") or []]
    return {
        **schema,
        "types": [bare(t) for _, t in sorted(out.items())],
        "directives": [d for d in schema["directives"] if d["name"] in ("skip", "include", "deprecated")],
        "mutationType": None,
        "subscriptionType": None,
    }


def bare(value: Any) -> Any:
    """Without the descriptions, which are Shopify's prose."""
    if isinstance(value, dict):
        return {k: (None if k == "description" and isinstance(v, str) else bare(v)) for k, v in value.items()}
    return [bare(v) for v in value] if isinstance(value, list) else value


with gzip.open(sys.argv[1], "rt", encoding="utf-8") as file:
    whole = json.load(file)["data"]["__schema"]
print("# Part of Shopify's Admin API schema, see LICENSE and ../README.md. Made by .ci/prune_shopify_schema.py.")
print(print_schema(build_client_schema({"__schema": prune(whole)}, assume_valid=True)))
