"""The shop's twin by a bare client: what Shopify answers, in the shape in which it answers it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest

from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.personas import Persona
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer
from clara_kit.world.twins.shopify import CLIENT_ID, CLIENT_SECRET, ShopifyTwin
from clara_kit.world.twins.shopify_graph import Access

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
        return httpx.post(url, json=None if content else body, content=content, headers=headers, timeout=5)

    def ask(self, query: str = QUERY, **variables: Any) -> dict[str, Any]:
        answer = self.post({"query": query, "variables": variables or {"id": CAMILA}})
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    def grant(self, **form: str) -> httpx.Response:
        base = self.server.addresses["shopify"]["base_url"]
        return httpx.post(f"{base}/admin/oauth/access_token", data=form)


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


def test_by_e_mail_exactly_and_by_search(client: Client) -> None:
    exact = "query Q($e: String!) { customerByIdentifier(identifier: {emailAddress: $e}) { id } }"
    assert client.ask(exact, e="CAMILA@example.com")["data"]["customerByIdentifier"]["id"] == CAMILA
    assert client.ask(exact, e="camila")["data"]["customerByIdentifier"] is None
    search = "query Q($q: String!) { customers(first: 50, query: $q) { nodes { id } } }"
    assert [
        c["id"] for c in client.ask(search, q='email:"camila@example.com"')["data"]["customers"]["nodes"]
    ] == [CAMILA]
    assert len(client.ask(search, q="email:camila@example.com")["data"]["customers"]["nodes"]) >= 1
    assert len(client.ask(search, q="example com")["data"]["customers"]["nodes"]) == len(Persona.all())


def test_pages_follow_each_other(client: Client) -> None:
    page = "query Q($a: String) { products(first: 20, after: $a) { nodes { handle } pageInfo { hasNextPage endCursor } } }"
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
    assert client.grant(**{**good, "client_secret": "no"}).status_code == 400
    assert client.grant(**{**good, "grant_type": "password"}).json() == {"error": "unsupported_grant_type"}


@options(access=Access(scopes=frozenset({"read_products"})))
def test_a_missing_scope_denies_the_field_and_names_what_is_required(client: Client) -> None:
    answer = client.ask()
    (error,) = answer["errors"]
    assert answer["data"] == {"customer": None}
    assert (
        error["extensions"]["code"] == "ACCESS_DENIED"
        and "read_customers" in error["extensions"]["requiredAccess"]
    )
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
    old = client.post(
        {"query": "query Q($id: ID!) { customer(id: $id) { email } }", "variables": {"id": CAMILA}}
    )
    assert "X-Shopify-API-Deprecated-Reason" in old.headers
    assert (
        "X-Shopify-API-Deprecated-Reason"
        not in client.post({"query": QUERY, "variables": {"id": CAMILA}}).headers
    )


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
        status["restoreRate"] == 50
        and status["currentlyAvailable"] < first["extensions"]["cost"]["requestedQueryCost"]
    )
    assert "errors" not in client.ask()


def test_a_query_of_more_than_a_thousand_points_is_refused(client: Client) -> None:
    wide = "query Q { products(first: 250) { nodes { variants(first: 10) { nodes { id } } } } }"
    (error,) = client.ask(wide)["errors"]
    assert error["extensions"]["code"] == "MAX_COST_EXCEEDED" and error["extensions"]["maxCost"] == 1000


def test_what_was_charged_beforehand_comes_back(client: Client) -> None:
    cost = client.ask()["extensions"]["cost"]
    assert 0 < cost["actualQueryCost"] < cost["requestedQueryCost"]
    assert cost["throttleStatus"]["currentlyAvailable"] == 2000 - cost["actualQueryCost"]


@pytest.mark.parametrize("status", [401, 402, 403, 404, 423, 429, 430, 500, 502, 503, 504])
def test_every_refusal_comes_once_and_in_its_shape(client: Client, status: int) -> None:
    client.faults.inject(Fault(service="shop", kind="refuse", status=status))
    answer = client.post({"query": QUERY, "variables": {"id": CAMILA}})
    assert answer.status_code == status
    if status < 500:
        assert isinstance(answer.json()["errors"], str)
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
        httpx.post(url, json={"query": QUERY}, headers={"X-Shopify-Access-Token": "test-key"}, timeout=0.2)
    assert client.ask()["data"]["customer"]["firstName"] == "Camila"


def test_only_post_is_answered(client: Client) -> None:
    base = client.server.addresses["shopify"]["base_url"]
    assert httpx.get(f"{base}/admin/api/2026-10/graphql.json").status_code == 405


@pytest.mark.parametrize("persona", Persona.all(), ids=lambda p: p.name)
def test_every_invented_customer_is_served(client: Client, persona: Persona) -> None:
    answer = client.ask(id=persona.gid)
    assert answer["data"]["customer"]["id"] == persona.gid
    assert bool(answer.get("errors")) == persona.blocked
