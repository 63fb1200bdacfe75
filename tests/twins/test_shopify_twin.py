"""The shop's twin by a bare client: what Shopify answers, in the shape in which it answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.personas import Persona
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer
from clara_kit.world.twins.shopify.cost import Cost
from clara_kit.world.twins.shopify.graph import SCHEMA_FILE, Access, read, run
from clara_kit.world.twins.shopify.shop import Shop, page
from clara_kit.world.twins.shopify.twin import CLIENT_ID, CLIENT_SECRET, ShopifyTwin

HTTP = httpx.Client(verify=False, trust_env=False)  # one for all: making one takes longer than most of the tests
CAMILA = "gid://shopify/Customer/1001"
QUERY = """query Q($id: ID!) { customer(id: $id) { id firstName
  metafields(first: 5, namespace: "beta_skincare") { nodes { key type value jsonValue } }
  orders(first: 2, sortKey: PROCESSED_AT, reverse: true) { nodes { name processedAt lineItems(first: 5) { nodes {
    title quantity product { handle } } } } } } }"""


class Client:
    """Speaks HTTP to a twin and nothing else."""

    def __init__(self, **options: Any) -> None:
        self.faults = FaultBox()
        context = TwinContext(profile=LatencyProfile.load("fast"), faults=self.faults)
        self.twin = ShopifyTwin.of_personas(context, today=date(2026, 11, 2), **options)
        self.server = TwinServer([self.twin], faults=self.faults)

    def post(self, body: Any, *, token: str = "test-key", version: str = "2026-10") -> httpx.Response:
        base = self.server.addresses["shopify"]["base_url"]
        headers = {"X-Shopify-Access-Token": token}
        url = f"{base}/admin/api/{version}/graphql.json"
        content = body if isinstance(body, bytes) else None
        return HTTP.post(url, json=None if content else body, content=content, headers=headers, timeout=5)

    def ask(self, query: str = QUERY, **variables: Any) -> dict[str, Any]:
        answer = self.post({"query": query, "variables": variables or {"id": CAMILA}})
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    def moment(self) -> None:
        """Let the twin's loop come to what has happened."""
        self.server.run_on_loop(asyncio.sleep(0.02))

    def grant(self, **form: str) -> httpx.Response:
        base = self.server.addresses["shopify"]["base_url"]
        return HTTP.post(f"{base}/admin/oauth/access_token", data=form)


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    made = Client(**getattr(request, "param", {}))
    with made.server:
        yield made


def options(**given: Any) -> Any:
    return pytest.mark.parametrize("client", [given], indirect=True)


def test_a_customer_comes_with_metafields_as_text_and_newest_orders_first(client: Client) -> None:
    customer = client.ask()["data"]["customer"]
    assert customer["firstName"] == "Camila"
    fields = {m["key"]: m for m in customer["metafields"]["nodes"]}
    assert fields["skin_concerns"]["value"] == '["Manchas", "Brillo"]'
    assert fields["skin_concerns"]["jsonValue"] == ["Manchas", "Brillo"]
    assert [o["name"] for o in customer["orders"]["nodes"]] == ["#1042", "#1007"]
    assert customer["orders"]["nodes"][0]["processedAt"] == "2026-08-20T15:00:00Z"


def test_an_unknown_customer_is_null_and_no_error(client: Client) -> None:
    assert client.ask(id="gid://shopify/Customer/99")["data"] == {"customer": None}


def test_a_wrong_field_fails_here_as_it_would_there(client: Client) -> None:
    (error,) = client.ask('query Q { customer(id: "x") { frstName } }')["errors"]
    assert error["message"] == "Field 'frstName' doesn't exist on type 'Customer'"
    assert error["extensions"] == {"code": "undefinedField", "typeName": "Customer", "fieldName": "frstName"}


def test_a_connection_wants_first_or_last(client: Client) -> None:
    answer = client.ask('{ customer(id: "gid://shopify/Customer/1001") { metafields { nodes { key } } } }')
    assert answer["errors"][0]["message"] == "you must provide one of first or last"
    whole = client.ask("{ products { nodes { id } } }")
    assert whole["data"] is None and whole["errors"][0]["path"] == ["products"]


def test_by_e_mail_exactly_and_by_search(client: Client) -> None:
    exact = "query Q($e: String!) { customerByIdentifier(identifier: {emailAddress: $e}) { id } }"
    assert client.ask(exact, e="CAMILA@example.com")["data"]["customerByIdentifier"]["id"] == CAMILA
    assert client.ask(exact, e="camila")["data"]["customerByIdentifier"] is None
    search = "query Q($q: String!) { customers(first: 50, query: $q) { nodes { id } } }"
    assert [c["id"] for c in client.ask(search, q='email:"camila@example.com"')["data"]["customers"]["nodes"]] == [
        CAMILA
    ]
    assert len(client.ask(search, q="email:camila@example.com")["data"]["customers"]["nodes"]) >= 1
    assert len(client.ask(search, q="example com")["data"]["customers"]["nodes"]) == len(Persona.all())


def test_pages_follow_each_other(client: Client) -> None:
    page = (
        "query Q($a: String) { products(first: 20, after: $a) { nodes { handle } pageInfo { hasNextPage endCursor } } }"
    )
    handles: list[str] = []
    after = None
    for _ in range(10):
        found = client.post({"query": page, "variables": {"a": after}}).json()["data"]["products"]
        handles += [p["handle"] for p in found["nodes"]]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
    assert len(handles) == len(set(handles)) >= 45


@pytest.mark.parametrize("token", ["", "wrong", "twin-made-up"])
def test_a_wrong_token_gets_401_with_a_plain_text(client: Client, token: str) -> None:
    answer = client.post({"query": QUERY}, token=token)
    assert answer.status_code == 401 and isinstance(answer.json()["errors"], str)


def test_client_credentials_give_a_token_that_ends(client: Client) -> None:
    good = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    granted = client.grant(**good).json()
    assert granted["expires_in"] == 86_399 and "read_customers" in granted["scope"]
    ask = {"query": QUERY, "variables": {"id": CAMILA}}
    assert client.post(ask, token=granted["access_token"]).status_code == 200
    client.twin.revoke()
    assert client.post(ask, token=granted["access_token"]).status_code == 401
    wrong = client.grant(**{**good, "client_secret": "no"})
    assert wrong.status_code == 400 and wrong.json()["error"] == "invalid_client"
    assert client.grant(**{**good, "client_id": "no"}).json()["error"] == "application_cannot_be_found"
    assert client.grant(**{**good, "grant_type": "password"}).json() == {"error": "unsupported_grant_type"}


@options(access=Access(scopes=frozenset({"read_products"})))
def test_a_missing_scope_denies_the_field_and_names_what_is_required(client: Client) -> None:
    answer = client.ask()
    (error,) = answer["errors"]
    assert answer["data"] == {"customer": None}
    assert error["extensions"]["code"] == "ACCESS_DENIED" and "read_customers" in error["extensions"]["requiredAccess"]
    assert error["path"] == ["customer"]


@options(access=Access(personal=False))
def test_a_small_plan_hides_the_name_and_leaves_the_rest(client: Client) -> None:
    answer = client.ask()
    assert answer["data"]["customer"]["firstName"] is None
    assert answer["data"]["customer"]["metafields"]["nodes"]
    (error,) = answer["errors"]
    assert "not approved to use the firstName field" in error["message"]
    assert "requiredAccess" not in error["extensions"] and error["path"] == ["customer", "firstName"]


def test_one_customer_may_be_hidden_by_the_plan(client: Client) -> None:
    blocked = Persona.load("plan_bajo")
    assert client.ask(id=blocked.gid)["data"]["customer"]["firstName"] is None
    assert client.ask()["data"]["customer"]["firstName"] == "Camila"


def test_a_version_that_is_not_served_falls_forward_to_the_oldest(client: Client) -> None:
    ask = {"query": QUERY, "variables": {"id": CAMILA}}
    assert client.post(ask).headers["X-Shopify-API-Version"] == "2026-10"
    assert client.post(ask, version="2025-01").headers["X-Shopify-API-Version"] == "2026-01"
    assert client.post(ask, version="latest").status_code == 404


def test_deprecated_fields_are_told_in_a_header(client: Client) -> None:
    old = client.post({"query": "query Q($id: ID!) { customer(id: $id) { email } }", "variables": {"id": CAMILA}})
    assert "X-Shopify-API-Deprecated-Reason" in old.headers
    assert "X-Shopify-API-Deprecated-Reason" not in client.post({"query": QUERY, "variables": {"id": CAMILA}}).headers


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"variables": {}}', b"\xff\xfe", b'{"query": 7}'])
def test_a_body_without_a_query_gets_400(client: Client, body: bytes) -> None:
    answer = client.post(body)
    assert answer.status_code == 400 and "query" in answer.json()["errors"]


def test_a_query_that_does_not_parse_gets_an_error_and_200(client: Client) -> None:
    assert "Syntax Error" in client.ask("query {")["errors"][0]["message"]


@options(bucket=(150.0, 50.0))
def test_the_bucket_runs_dry_and_fills_again(client: Client) -> None:
    wide = "query Q { products(first: 100) { nodes { variants(first: 1) { nodes { id } } } } }"
    first = client.ask(wide)
    assert first["errors"][0]["extensions"]["code"] == "THROTTLED" and "data" not in first
    status = first["extensions"]["cost"]["throttleStatus"]
    assert (
        status["restoreRate"] == 50 and status["currentlyAvailable"] < first["extensions"]["cost"]["requestedQueryCost"]
    )
    assert "errors" not in client.ask()


def test_a_query_of_more_than_a_thousand_points_is_refused(client: Client) -> None:
    wide = "query Q { products(first: 250) { nodes { variants(first: 10) { nodes { id } } } } }"
    (error,) = client.ask(wide)["errors"]
    assert error["extensions"]["code"] == "MAX_COST_EXCEEDED" and error["extensions"]["maxCost"] == 1000


def test_what_was_charged_beforehand_comes_back(client: Client) -> None:
    cost = client.ask()["extensions"]["cost"]
    assert 0 < cost["actualQueryCost"] < cost["requestedQueryCost"]
    assert 2000 - cost["actualQueryCost"] <= cost["throttleStatus"]["currentlyAvailable"] <= 2000  # it fills with time


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 423, 429, 430, 500, 502, 503, 504])
def test_every_refusal_comes_once_and_in_its_shape(client: Client, status: int) -> None:
    client.faults.inject(Fault(service="shop", kind="refuse", status=status))
    answer = client.post({"query": QUERY, "variables": {"id": CAMILA}})
    assert answer.status_code == status
    if status < 500:
        assert isinstance(answer.json()["errors"], dict if status == 400 else str)
    else:
        assert answer.headers["content-type"].startswith("text/html")
    assert ("Retry-After" in answer.headers) == (status == 429)
    assert client.ask()["data"]["customer"]["firstName"] == "Camila"


@pytest.mark.parametrize("code", ["THROTTLED", "SHOP_INACTIVE", "INTERNAL_SERVER_ERROR", "MAX_COST_EXCEEDED"])
def test_every_error_of_the_api_comes_with_200_and_without_data(client: Client, code: str) -> None:
    client.faults.inject(Fault(service="shop", kind="error", detail=code))
    answer = client.ask()
    assert answer["errors"][0]["extensions"]["code"] == code and "data" not in answer
    assert ("throttleStatus" in str(answer)) == (code == "THROTTLED")


def test_denied_access_on_demand(client: Client) -> None:
    client.faults.inject(Fault(service="shop", kind="error", detail="PROTECTED"))
    assert client.ask()["data"]["customer"]["firstName"] is None
    client.faults.inject(Fault(service="shop", kind="error", detail="ACCESS_DENIED"))
    assert client.ask()["data"]["customer"] is None


def test_html_instead_of_json(client: Client) -> None:
    client.faults.inject(Fault(service="shop", kind="garble"))
    answer = client.post({"query": QUERY, "variables": {"id": CAMILA}})
    assert answer.status_code == 200 and answer.text.startswith("<!DOCTYPE html>")


def test_part_of_the_data_and_errors_together(client: Client) -> None:
    client.faults.inject(Fault(service="shop", kind="truncate"))
    answer = client.ask()
    items = answer["data"]["customer"]["orders"]["nodes"][0]["lineItems"]["nodes"]
    assert items and all(i["product"] is None for i in items)
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert answer["errors"][0]["path"][:3] == ["customer", "orders", "nodes"]


def test_a_cut_connection_and_a_slow_answer(client: Client) -> None:
    client.faults.inject(Fault(service="shop", kind="cut"))
    with pytest.raises(httpx.RemoteProtocolError):
        client.post({"query": QUERY})
    client.faults.inject(Fault(service="shop", kind="stall"))
    with pytest.raises(httpx.ReadTimeout):
        base = client.server.addresses["shopify"]["base_url"]
        url = f"{base}/admin/api/2026-10/graphql.json"
        HTTP.post(url, json={"query": QUERY}, headers={"X-Shopify-Access-Token": "test-key"}, timeout=0.2)
    assert client.ask()["data"]["customer"]["firstName"] == "Camila"


def test_only_post_is_answered(client: Client) -> None:
    base = client.server.addresses["shopify"]["base_url"]
    refused = HTTP.get(f"{base}/admin/api/2026-10/graphql.json")
    assert refused.status_code == 405 and refused.headers["Allow"] == "POST"


@pytest.mark.parametrize("path", ["/", "/admin", "/admin/api/2026-10/customers.json", "/admin/api/x/graphql.json"])
def test_what_is_not_there_gets_404_in_shopifys_shape(client: Client, path: str) -> None:
    answer = HTTP.post(client.server.addresses["shopify"]["base_url"] + path, json={})
    assert answer.status_code == 404 and answer.json() == {"errors": "Not Found"}


def test_a_body_that_does_not_say_it_is_json_is_not_read(client: Client) -> None:
    base = client.server.addresses["shopify"]["base_url"]
    headers = {"X-Shopify-Access-Token": "test-key", "Content-Type": "text/plain"}
    url = f"{base}/admin/api/2026-10/graphql.json"
    assert HTTP.post(url, content=b'{"query": "{ shop { name } }"}', headers=headers).status_code == 400
    headers["Content-Type"] = "application/graphql"
    found = HTTP.post(url, content=b"{ shop { name } }", headers=headers).json()
    assert found["data"] == {"shop": {"name": "Beta Skincare"}}


@pytest.mark.parametrize("persona", Persona.all(), ids=lambda p: p.name)
def test_every_invented_customer_is_served(client: Client, persona: Persona) -> None:
    answer = client.ask(id=persona.gid)
    assert answer["data"]["customer"]["id"] == persona.gid
    assert bool(answer.get("errors")) == persona.blocked


# --- mistakes, in Shopify's words ----------------------------------------------------------------------------

MISTAKES = {
    "{ customer { id } }": ("missingRequiredArguments", "Field 'customer' is missing required arguments: id"),
    "{ shop(x: 1) { id } }": ("argumentNotAccepted", "Field 'shop' doesn't accept argument 'x'"),
    "query Q($x: ID!) { shop { id } }": ("variableNotUsed", "Variable $x is declared by Q but not used"),
    "{ customer(id: $x) { id } }": (
        "variableNotDefined", "Variable $x is used by anonymous query but not declared",
    ),
    '{ customer(id: "77") { id } }': ("argumentLiteralsIncompatible", "Invalid global id '77'"),
    "{ shop }": (
        "selectionMismatch",
        "Field must have selections (field 'shop' returns Shop but has no selections. Did you mean 'shop { ... }'?)",
    ),
    "query Q($x: Foo) { customer(id: $x) { id } }": (
        "variableRequiresValidType", "Foo isn't a defined input type",
    ),
}  # fmt: skip


@pytest.mark.parametrize("query", MISTAKES)
def test_a_mistake_in_a_query_is_told_in_shopifys_words(client: Client, query: str) -> None:
    answer = client.ask(query, none=1)
    code, message = MISTAKES[query]
    assert answer["errors"][0]["message"] == message and answer["errors"][0]["extensions"]["code"] == code
    assert "data" not in answer and answer["errors"][0]["path"][0].startswith("query")


VARIABLES = [
    ("ID!", "customer(id: $v) { id }", None, "Expected value to not be null"),
    ("ID!", "customer(id: $v) { id }", "1001", "Invalid global id '1001'"),
    ("Int", "products(first: $v) { nodes { id } }", "x", 'Could not coerce value "x" to Int'),
    ("CustomerIdentifierInput!", "customerByIdentifier(identifier: $v) { id }", {"foo": "x"},
     "Field is not defined on CustomerIdentifierInput"),
    ("CustomerIdentifierInput!", "customerByIdentifier(identifier: $v) { id }", {},
     "'CustomerIdentifierInput' requires exactly one argument, but 0 were provided."),
    ("ProductSortKeys", "products(first: 1, sortKey: $v) { nodes { id } }", "NEWEST",
     'Expected "NEWEST" to be one of: CREATED_AT, ID, INVENTORY_TOTAL, PRODUCT_TYPE, PUBLISHED_AT, RELEVANCE, '
     "TITLE, UPDATED_AT, VENDOR"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "field", "value", "explanation"), VARIABLES)
def test_a_wrong_variable_is_explained(client: Client, kind: str, field: str, value: Any, explanation: str) -> None:
    answer = client.ask(f"query Q($v: {kind}) {{ {field} }}", v=value)
    (error,) = answer["errors"]
    assert error["message"].startswith(f"Variable $v of type {kind} was provided invalid value")
    assert error["extensions"]["code"] == "INVALID_VARIABLE" and error["extensions"]["value"] == value
    assert error["extensions"]["problems"][0]["explanation"] == explanation and "data" not in answer


def test_the_id_of_something_else_is_an_error_at_its_field(client: Client) -> None:
    answer = client.ask(id="gid://shopify/Product/9001")
    assert answer["data"] == {"customer": None}
    assert answer["errors"][0]["extensions"]["code"] == "RESOURCE_NOT_FOUND"


def test_of_several_operations_one_is_named(client: Client) -> None:
    both = "query A { shop { name } } query B { shop { id } }"
    assert client.ask(both)["errors"][0]["message"] == "An operation name is required"
    chosen = client.post({"query": both, "operationName": "B"}).json()
    assert chosen["data"] == {"shop": {"id": "gid://shopify/Shop/1"}}
    assert chosen["extensions"]["cost"]["requestedQueryCost"] == 1  # of that operation alone


@pytest.mark.parametrize("depth", [60, 150, 240, 400, 5000])
def test_a_query_of_great_depth_is_refused_and_not_a_crash(client: Client, depth: int) -> None:
    one = "customers(first: 1) { nodes { "
    answer = client.ask("{ " + one * depth + "id" + " } }" * depth + " }")
    assert answer["errors"] and "data" not in answer
    deep = client.ask("{ shop { " + "... on Shop { " * depth + "id" + " }" * depth + " } }")
    assert "data" in deep or deep["errors"]


# --- rights --------------------------------------------------------------------------------------------------


@options(access=Access(scopes=frozenset({"read_customers", "read_products"})))
def test_without_the_scope_for_orders_the_whole_customer_goes_with_them(client: Client) -> None:
    answer = client.ask()
    (error,) = answer["errors"]
    assert answer["data"] == {"customer": None} and error["path"] == ["customer", "orders"]
    assert error["extensions"]["requiredAccess"] == (
        "`read_orders` access scope, `read_marketplace_orders` access scope or `read_quick_sale` access scope."
    )


@options(access=Access(scopes=frozenset({"read_customers", "read_orders"})))
def test_without_the_scope_for_products_the_rest_of_an_order_comes(client: Client) -> None:
    answer = client.ask()
    items = answer["data"]["customer"]["orders"]["nodes"][0]["lineItems"]["nodes"]
    assert items[0]["title"] and items[0]["product"] is None
    assert {e["extensions"]["requiredAccess"] for e in answer["errors"]} == {"`read_products` access scope."}


@options(access=Access(customers=False))
def test_an_app_may_not_be_approved_for_customers_at_all(client: Client) -> None:
    answer = client.ask()
    (error,) = answer["errors"]
    assert answer["data"] == {"customer": None} and error["path"] == ["customer"]
    assert error["message"].startswith("This app is not approved to access the Customer object.")
    assert error["extensions"]["code"] == "ACCESS_DENIED" and "requiredAccess" not in error["extensions"]


@options(no_grants="shop_not_permitted")
def test_a_shop_of_another_organisation_gives_no_token(client: Client) -> None:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    refused = client.grant(**form)
    assert refused.status_code == 400 and refused.json()["error"] == "shop_not_permitted"
    assert client.twin.grants == 0


def test_a_token_ends_by_itself() -> None:
    now_s = [0.0]
    client = Client(clock=lambda: now_s[0], token_life_s=60)
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    with client.server:
        granted = client.grant(**form).json()
        assert granted["expires_in"] == 60
        ask = {"query": "{ shop { name } }"}
        now_s[0] = 59.9
        assert client.post(ask, token=granted["access_token"]).status_code == 200
        now_s[0] = 60.0
        assert client.post(ask, token=granted["access_token"]).status_code == 401


# --- what is searched, and what is held ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("title:gel vendor:beta", True),
        ("title:'gel limpiador brisa'", True),
        ("title:'limpiador gel'", False),  # a phrase keeps its order
        ("limpiador gel", True),
        ("limp*", True),
        ("limp", False),  # words are whole unless a star follows
        ("NOT title:limpiador", False),
        ("-title:limpiador", False),
        ("title:crema OR title:brisa", True),
        ("(title:crema OR title:brisa) AND status:archived", False),
        ("sku:BETA-001", True),
        ("(title:brisa", True),
        ("title:brisa) OR (", True),
    ],
)
def test_products_are_searched_by_shopifys_syntax(client: Client, query: str, found: bool) -> None:
    text = "query Q($q: String) { products(first: 250, query: $q) { nodes { handle } } }"
    handles = [p["handle"] for p in client.ask(text, q=query)["data"]["products"]["nodes"]]
    assert ("gel-limpiador-brisa" in handles) == found


def test_a_field_that_cannot_be_searched_filters_nothing_and_is_warned_about(client: Client) -> None:
    text = "query Q($q: String) { customers(first: 250, query: $q) { nodes { id } } }"
    answer = client.ask(text, q="skin:mixta")
    assert len(answer["data"]["customers"]["nodes"]) == len(Persona.all())
    (search,) = answer["extensions"]["search"]
    assert search["path"] == ["customers"] and search["warnings"][0]["code"] == "invalid_field"


EVERYTHING = """query Q($id: ID!) { customer(id: $id) { legacyResourceId lastName locale tags note numberOfOrders state
  createdAt updatedAt defaultPhoneNumber { phoneNumber } metafield(namespace: "beta_skincare", key: "skin_type") { id }
  metafields(first: 50) { nodes { id namespace key type value jsonValue createdAt updatedAt } }
  orders(first: 10) { edges { cursor node { id name processedAt createdAt cancelledAt lineItems(first: 8) { nodes { id
    title quantity product { id title productType vendor tags status descriptionHtml totalInventory updatedAt
      variants(first: 1) { nodes { id title sku price inventoryQuantity } } } } } } } } } }"""


@pytest.mark.parametrize("persona", Persona.all(), ids=lambda p: p.name)
def test_every_field_of_every_invented_customer_keeps_the_schemas_promises(client: Client, persona: Persona) -> None:
    answer = client.ask(EVERYTHING, id=persona.gid)
    refused = {e["path"][-1] for e in answer.get("errors", ())}
    assert refused == ({"lastName", "defaultPhoneNumber"} if persona.blocked else set())
    assert answer["data"]["customer"]["legacyResourceId"] == str(persona.raw["id"])


def test_what_was_bought_is_the_catalogues_product(client: Client) -> None:
    order = client.ask(EVERYTHING, id=CAMILA)["data"]["customer"]["orders"]["edges"][0]["node"]
    product = order["lineItems"]["nodes"][0]["product"]
    assert product["id"].rpartition("/")[2].isdigit() and product["productType"]
    assert product["variants"]["nodes"][0]["price"].endswith(".00")


def test_any_customers_can_be_served() -> None:
    gid = "gid://shopify/Customer/7"
    shop = Shop(customers={gid: {"id": gid, "firstName": "Ana"}}, emails={"ana@example.org": gid})
    query = '{ customerByIdentifier(identifier: {emailAddress: "ANA@example.org"}) { displayName } }'
    document, _, _ = read(query, None, {})
    assert document is not None
    assert run(shop, Access(), document, {}, None).data == {"customerByIdentifier": {"displayName": "Ana"}}


def test_the_schemas_notice_is_kept_beside_it() -> None:
    assert (SCHEMA_FILE.parent / "LICENSE").read_text(encoding="utf-8").startswith("ISC License")


# --- invariants ----------------------------------------------------------------------------------------------


@given(size=st.integers(0, 30), step=st.integers(1, 9), backwards=st.booleans())
def test_pages_hold_everything_once_in_order_whichever_way(size: int, step: int, backwards: bool) -> None:
    nodes = [{"id": n} for n in range(size)]
    seen: list[int] = []
    cursor = None
    for _ in range(size + 1):
        args = {"last": step, "before": cursor} if backwards else {"first": step, "after": cursor}
        found = page(nodes, args)
        ids = [n["id"] for n in found["nodes"]]
        seen = ids + seen if backwards else seen + ids
        cursor = found["pageInfo"]["startCursor" if backwards else "endCursor"]
        if not found["pageInfo"]["hasPreviousPage" if backwards else "hasNextPage"]:
            break
    assert seen == list(range(size))


@given(orders=st.integers(1, 20), items=st.integers(1, 20), meta=st.integers(1, 20))
def test_no_answer_costs_more_than_was_asked_for(orders: int, items: int, meta: int) -> None:
    personas = Persona.all()
    shop = Shop(customers={p.gid: p.to_customer_node(date(2026, 11, 2)) for p in personas})
    query = """query Q($id: ID!, $o: Int = 5, $i: Int!, $m: Int!) { c: customer(id: $id) { ...F
      orders(first: $o) { nodes { id lineItems(first: $i) { edges { node { title product { id } } } } } } } }
      fragment F on Customer { metafields(first: $m) { nodes { json: jsonValue } } defaultEmailAddress { emailAddress } }"""
    variables = {"id": personas[0].gid, "o": orders, "i": items, "m": meta}
    document, errors, _ = read(query, None, variables)
    assert document is not None, errors
    cost = Cost(document, None, variables)
    assert cost.requested == 2 + meta + orders * (1 + 2 * items)
    assert 0 < cost.actual(run(shop, Access(), document, variables, None).data) <= cost.requested
    assert Cost(document, None, {"i": items, "m": meta}).requested == 2 + meta + 5 * (1 + 2 * items)


@settings(max_examples=60, deadline=None)
@given(
    query=st.text(max_size=40) | st.text(alphabet='{}()$:!"[]@. \nqueryshopcustmid', max_size=60),
    variables=st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(max_size=5), max_size=2),
)
def test_nothing_that_is_asked_breaks_it(query: str, variables: dict[str, Any]) -> None:
    document, errors, _ = read(query, None, variables)
    assert (document is None) == bool(errors)


def test_a_client_that_hung_up_takes_no_faults(client: Client) -> None:
    client.faults.inject(Fault(service="shop", kind="stall"))
    base = client.server.addresses["shopify"]["base_url"]
    url, headers = f"{base}/admin/api/2026-10/graphql.json", {"X-Shopify-Access-Token": "test-key"}
    with pytest.raises(httpx.ReadTimeout):
        HTTP.post(url, json={"query": QUERY}, headers=headers, timeout=0.1)
    client.moment()
    assert client.faults.inject(Fault(service="shop", kind="cut")) == "next"
    with pytest.raises(httpx.RemoteProtocolError):
        client.post({"query": QUERY})


def test_a_fault_can_strike_a_request_that_is_being_answered(client: Client) -> None:
    client.faults.inject(Fault(service="shop", kind="stall"))
    address = client.server.addresses["shopify"]["base_url"].removesuffix("/shopify")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.post, {"query": QUERY, "variables": {"id": CAMILA}})
        while client.faults.waiting:
            client.moment()
        client.moment()
        strikes = HTTP.post(f"{address}/faults", json={"service": "shop", "kind": "cut"}).json()
        assert strikes == {"strikes": "now"}
        with pytest.raises(httpx.RemoteProtocolError):
            asked.result(5)
