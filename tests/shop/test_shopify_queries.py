"""What is asked of the shop: well-formed, no more than is needed, and one hash that notices a change."""

from __future__ import annotations

import re

import graphql
import pytest

from clara_kit.shop.queries import QUERIES, QUERY_VERSION, VARIANTS, Variant, customer_ref, request_body

_PERSONAL = r"\bemail\b|phone|displayName|lastName|address|note|tags|image|defaultEmail"


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_is_well_formed_and_asks_for_no_personal_field_but_the_first_name(name: str) -> None:
    document = graphql.parse(QUERIES[name])
    (operation,) = document.definitions
    assert isinstance(operation, graphql.OperationDefinitionNode) and operation.name is not None
    assert operation.name.value == name
    assert not re.search(_PERSONAL, QUERIES[name], re.IGNORECASE)
    assert ("firstName" in QUERIES[name]) == (name != "Scopes" and "WithoutName" not in name)
    assert ("orders" in QUERIES[name]) == (name != "Scopes" and "WithoutOrders" not in name)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("customer", ["gid://shopify/Customer/1", "a@example.com"])
def test_a_request_gives_just_the_variables_that_its_query_declares(customer: str, variant: Variant) -> None:
    body = request_body(customer, variant)
    assert body["query"] == QUERIES[body["operationName"]]
    (operation,) = graphql.parse(body["query"]).definitions
    assert isinstance(operation, graphql.OperationDefinitionNode)
    assert {v.variable.name.value for v in operation.variable_definitions or ()} == set(body["variables"])


def test_the_versions_hash_is_short_and_stable() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", QUERY_VERSION)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (7, "gid://shopify/Customer/7"),
        (" 007 ", "gid://shopify/Customer/7"),
        ("gid://shopify/Customer/7", "gid://shopify/Customer/7"),
        ("Ana@Example.com", "ana@example.com"),
        ("gid://shopify/Order/7", None),
        ("ana", None),
        ("a b@example.com", None),
        ("٣", None),
        ("", None),
    ],
)
def test_a_customer_is_a_number_a_gid_or_an_address(given: int | str, asked: str | None) -> None:
    assert customer_ref(given) == asked
