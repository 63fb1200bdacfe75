"""The fetcher against a server that is not the kit's: every refusal, every delay, and no word too much."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clara_kit.core.errors import SettingsError
from clara_kit.core.settings import Keys, Settings
from clara_kit.shop.cache import ProfileCache
from clara_kit.shop.errors import KINDS, ShopError
from clara_kit.shop.fetcher import ShopifyCustomerFetcher, shop_domain
from tests.shop.shop_server import CAMILA, SECRET, TOKEN, ShopServer, answer, denied, throttled

GID = "gid://shopify/Customer/1001"
EMAIL = "camila@example.com"
SECRETS = (TOKEN, SECRET, EMAIL, "Camila", "camila")


@pytest.fixture
async def server() -> AsyncIterator[ShopServer]:
    server = ShopServer()
    runner = await server.start()
    yield server
    await runner.cleanup()


class Time:
    """Sleeps at once, and remembers how long it would have been."""

    def __init__(self) -> None:
        self.now_s, self.slept_s = 100.0, list[float]()

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, wait_s: float) -> None:
        self.slept_s.append(round(wait_s, 3))
        self.now_s += wait_s


def fetcher(server: ShopServer, time: Time | None = None, **more: Any) -> ShopifyCustomerFetcher:
    time = time or Time()
    usual: dict[str, Any] = {"token": TOKEN, "base_url": server.base_url, "today": lambda: date(2026, 11, 25)}
    return ShopifyCustomerFetcher("beta", **{**usual, "clock": time, "sleep": time.sleep, **more})


async def failure(server: ShopServer, *args: Any, **more: Any) -> ShopError:
    with pytest.raises(ShopError) as caught:
        async with fetcher(server, *args, **more) as shop:
            await shop.fetch(EMAIL)
    error = caught.value
    said: list[str] = []
    link: BaseException | None = error
    while link is not None:  # nothing in the whole chain holds a request, a body or a secret
        said += [str(link), repr(link), repr(vars(link)), repr(link.args)]
        link = link.__cause__ or link.__context__
    assert not [s for s in SECRETS if any(s in text for text in said)]
    assert error.hint and error.reason in KINDS
    return error


# --- what comes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("customer", [1001, "1001", GID])
async def test_a_customer_is_found_by_number_or_gid(server: ShopServer, customer: int | str) -> None:
    async with fetcher(server) as shop:
        found = await shop.fetch(customer)
    assert (found.profile.first_name, found.profile.skin_type) == ("Camila", "Mixta")
    assert found.profile.skin_concerns == ("Manchas", "Acné")
    assert [(p.handle, p.days_ago) for p in found.profile.purchases] == [("gel", 12)]
    assert (found.source, found.age_s, found.cost, found.served_version) == ("shop", 0, 31, "2026-10")
    assert found.warnings == () and "Camila" not in repr(found)
    assert server.asked[0]["variables"]["id"] == GID


async def test_a_customer_is_found_by_e_mail_exactly(server: ShopServer) -> None:
    async with fetcher(server) as shop:
        found = await shop.fetch(" Camila@Example.com ")
    assert found.profile.customer_id == GID
    assert server.asked[0]["variables"]["identifier"] == {"emailAddress": EMAIL}
    assert server.operations == ["CustomerByEmail"]


@pytest.mark.parametrize("customer", ["", "Camila", "gid://shopify/Order/1", "a@b@c", "-1"])
async def test_what_is_no_customer_is_not_asked_for(server: ShopServer, customer: str) -> None:
    async with fetcher(server) as shop:
        with pytest.raises(ShopError, match="neither a number") as caught:
            await shop.fetch(customer)
    assert caught.value.reason == "not_found" and not server.asked


# --- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "retries"),
    [
        (400, "bad_request", 0),
        (402, "frozen", 0),
        (403, "forbidden", 0),
        (404, "not_found", 0),
        (406, "bad_request", 0),
        (422, "bad_request", 0),
        (423, "locked", 0),
        (429, "throttled", 3),
        (430, "security", 0),
        (500, "server", 3),
        (502, "server", 3),
        (503, "server", 3),
        (504, "server", 3),
        (302, "not_found", 0),
    ],
)
@pytest.mark.parametrize("html", [True, False])
async def test_each_status_is_its_own_kind_and_only_some_are_tried_again(
    server: ShopServer, status: int, kind: str, retries: int, html: bool
) -> None:
    body = f"<html>{EMAIL} {TOKEN}</html>" if html else {"errors": f"about {EMAIL} {TOKEN}"}
    server.answers = [(status, body, {"X-Request-Id": "0a1b2c3d-0000-4000-8000-00000000000a"})]
    error = await failure(server)
    assert (error.reason, len(server.asked)) == (kind, 1 + retries)
    assert f"HTTP {status}" in error.message and "0a1b2c3d-0000-4000-8000-00000000000a" in error.message
    assert error.retryable is (retries > 0)


async def test_a_wrong_token_says_so_and_is_not_tried_again(server: ShopServer) -> None:
    error = await failure(server, token="another")
    assert error.reason == "bad_token" and "SHOPIFY_ADMIN_TOKEN" in error.hint and len(server.asked) == 1


async def test_a_missing_scope_is_named(server: ShopServer) -> None:
    server.answers = [answer(None, denied("customer", scope="read_customers"))]
    error = await failure(server)
    assert (error.reason, error.scopes, len(server.asked)) == ("missing_scope", ("read_customers",), 1)
    assert "read_customers" in error.message and "read_orders" in error.hint


async def test_a_403_that_names_a_scope_is_a_missing_scope(server: ShopServer) -> None:
    words = "[API] This action requires merchant approval for read_customers scope."
    server.answers = [(403, {"errors": words}, {})]
    assert (await failure(server)).scopes == ("read_customers",)


async def test_without_the_scope_for_orders_the_rest_still_comes(server: ShopServer) -> None:
    rest = {k: v for k, v in CAMILA.items() if k not in ("orders", "numberOfOrders")}
    server.answers = [answer(None, denied("customer", "orders", scope="read_orders")), answer(rest)]
    async with fetcher(server) as shop:
        found = await shop.fetch(1001)
    assert server.operations == ["CustomerProfile", "CustomerProfileWithoutOrders"]
    assert found.profile.first_name == "Camila" and not found.profile.purchases
    assert len(found.warnings) == 1 and "read_orders" in found.warnings[0]


async def test_a_protected_name_that_comes_as_null_costs_no_second_request(server: ShopServer) -> None:
    server.answers = [answer({**CAMILA, "firstName": None}, denied("customer", "firstName"))]
    async with fetcher(server) as shop:
        found = await shop.fetch(1001)
    assert len(server.asked) == 1 and found.profile.skin_type == "Mixta" and not found.profile.first_name
    assert len(found.warnings) == 1 and "keeps firstName back" in found.warnings[0]


async def test_a_protected_customer_is_asked_for_again_without_personal_fields(server: ShopServer) -> None:
    rest = {k: v for k, v in CAMILA.items() if k != "firstName"}
    server.answers = [answer(None, denied("customer")), answer(rest)]
    async with fetcher(server) as shop:
        found = await shop.fetch(EMAIL)
    assert server.operations == ["CustomerByEmail", "CustomerByEmailWithoutName"]
    assert "firstName" not in server.asked[1]["query"]
    assert found.profile.skin_type == "Mixta" and "keeps" in found.warnings[0]


async def test_a_shop_that_keeps_everything_back_is_asked_three_times_at_most(server: ShopServer) -> None:
    server.answers = [answer(None, denied("customer"))]
    error = await failure(server)
    assert error.reason == "protected_data" and "ask for «Protected" in error.hint
    assert server.operations[-1] == "CustomerByEmailWithoutNameWithoutOrders" and len(server.asked) == 3


async def test_products_without_their_scope_leave_their_titles(server: ShopServer) -> None:
    path = ("customer", "orders", "nodes", 0, "lineItems", "nodes", 0, "product")
    item = {"title": "Gel limpiador Brisa", "quantity": 1, "product": None}
    order = {**CAMILA["orders"]["nodes"][0], "lineItems": {"nodes": [item]}}
    server.answers = [answer({**CAMILA, "orders": {"nodes": [order]}}, *[denied(*path, scope="read_products")] * 3)]
    async with fetcher(server) as shop:
        found = await shop.fetch(1001)
    assert [(p.handle, p.title) for p in found.profile.purchases] == [("", "Gel limpiador Brisa")]
    assert len(found.warnings) == 1 and "read_products" in found.warnings[0]


async def test_an_unknown_customer_is_not_found(server: ShopServer) -> None:
    server.answers = [answer(None)]
    error = await failure(server)
    assert error.reason == "not_found" and "no such customer" in error.message


# --- answers that make no sense ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("<html>Enter using password</html>", "not_json"),
        ("", "not_json"),
        ([], "not_json"),
        ("[" * 100_000, "not_json"),
        ({}, "bad_answer"),
        ({"data": None}, "bad_answer"),
        ({"data": {"customer": []}}, "bad_answer"),
        ({"data": {}, "errors": "something about " + EMAIL}, "bad_answer"),
        ({"errors": [3, None, {"extensions": [], "path": 3}]}, "bad_answer"),
        ({"errors": [{"message": "Field 'x' doesn't exist", "extensions": {"code": "undefinedField"}}]}, "bad_request"),
        (
            {"errors": [{"message": "x", "extensions": {"code": "MAX_COST_EXCEEDED", "cost": 1, "maxCost": 1}}]},
            "bad_request",
        ),
        ({"errors": [{"message": "x", "extensions": {"code": "SHOP_INACTIVE"}}]}, "frozen"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_told_as_such(server: ShopServer, body: Any, kind: str) -> None:
    server.answers = [(200, body, {})]
    assert (await failure(server)).reason == kind and len(server.asked) == 1


async def test_an_internal_error_in_an_answer_is_tried_again(server: ShopServer) -> None:
    extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": "0a1b2c3d-0000-4000-8000-00000000000a"}
    broken = {"errors": [{"message": "Internal error", "extensions": extensions}]}
    time = Time()
    server.answers = [(200, broken, {}), answer(CAMILA)]
    async with fetcher(server, time) as shop:
        assert (await shop.fetch(1001)).profile.first_name == "Camila"
    assert time.slept_s == [0.2]
    server.answers = [(200, broken, {})]
    assert "0a1b2c3d-0000-4000-8000-00000000000a" in (await failure(server)).message


async def test_part_of_an_answer_is_kept_with_a_warning_and_not_cached(server: ShopServer, tmp_path: Path) -> None:
    error = {"message": "Timeout", "path": ["customer", "orders"], "extensions": {"code": "INTERNAL_SERVER_ERROR"}}
    server.answers = [answer({**CAMILA, "orders": {"nodes": []}}, error)]
    async with fetcher(server, cache=ProfileCache(tmp_path / "p")) as shop:
        for _ in range(2):
            found = await shop.fetch(1001)
            assert found.source == "shop" and found.profile.skin_type == "Mixta"
            assert len(found.warnings) == 1 and "orders" in found.warnings[0]
    assert len(server.asked) == 2


async def test_another_served_version_and_deprecations_are_told(server: ShopServer) -> None:
    headers = {"X_Shopify_API_Version": "2026-01", "X_Shopify_Api_Deprecated_Reason": "https://shopify.dev/x"}
    server.answers = [answer(CAMILA, **headers)]
    async with fetcher(server) as shop:
        found = await shop.fetch(1001)
    assert found.served_version == "2026-01" and len(found.warnings) == 2
    assert "2026-01 instead of 2026-10" in found.warnings[0] and "deprecated" in found.warnings[1]


# --- waiting -------------------------------------------------------------------------------------------


async def test_a_throttled_query_waits_as_long_as_its_cost_needs(server: ShopServer) -> None:
    time = Time()
    server.answers = [throttled(150, 50, 50.0), throttled(150, 140, 50.0), answer(CAMILA)]
    async with fetcher(server, time) as shop:
        assert (await shop.fetch(1001)).source == "shop"
    assert time.slept_s == [2.05, 0.25]


async def test_a_429_waits_as_it_asks(server: ShopServer) -> None:
    time = Time()
    server.answers = [(429, "", {"Retry-After": "2.0"}), (429, "", {"Retry-After": "soon"}), answer(CAMILA)]
    async with fetcher(server, time) as shop:
        assert (await shop.fetch(1001)).source == "shop"
    assert time.slept_s == [2.05, 0.4]


async def test_a_wait_beyond_the_timeout_is_not_begun(server: ShopServer) -> None:
    time = Time()
    server.answers = [throttled(900, 0, 50.0)]
    error = await failure(server, time)
    assert (error.reason, time.slept_s) == ("throttled", []) and error.wait_ms == 18_000


async def test_a_query_that_costs_more_than_the_bucket_holds_is_not_waited_for(server: ShopServer) -> None:
    server.answers = [throttled(1200, 1000, 50.0)]
    assert (await failure(server)).reason == "bad_request"


async def test_a_throttle_that_never_ends_gives_up(server: ShopServer) -> None:
    server.answers = [throttled(10, 10, 50.0)]
    error = await failure(server, timeout_ms=100_000)
    assert error.reason == "throttled" and len(server.asked) == 21


async def test_a_cut_connection_is_tried_again(server: ShopServer) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    server.answers = [cut, answer(CAMILA)]
    async with fetcher(server) as shop:
        assert (await shop.fetch(1001)).source == "shop"
    server.answers = [cut]
    assert (await failure(server)).reason == "unreachable"


async def test_nobody_at_the_address_is_unreachable(server: ShopServer) -> None:
    assert (await failure(server, base_url="http://127.0.0.1:1")).reason == "unreachable"
    for nonsense in ("http://[nonsense", "nonsense", "http://a:b", "ftp://127.0.0.1", "http://exa mple\n"):
        assert (await failure(server, base_url=nonsense)).reason == "unreachable"


async def test_a_shop_that_says_nothing_is_a_timeout(server: ShopServer) -> None:
    server.delay_s = 5
    assert (await failure(server, timeout_ms=60)).reason == "timeout"


# --- the token of a day --------------------------------------------------------------------------------


def by_client(server: ShopServer, time: Time, **more: Any) -> ShopifyCustomerFetcher:
    return fetcher(server, time, token=None, client_id="id-1", client_secret=SECRET, **more)


async def test_concurrent_fetches_share_one_token_and_it_is_renewed_before_its_end(server: ShopServer) -> None:
    time = Time()
    server.delay_s = 0.01
    async with by_client(server, time) as shop:
        await asyncio.gather(*(shop.fetch(n) for n in range(1, 6)))
        assert server.token_asked == [
            {"grant_type": "client_credentials", "client_id": "id-1", "client_secret": SECRET}
        ]
        time.now_s += 86_399 - 301
        await shop.fetch(1)
        assert len(server.token_asked) == 1
        time.now_s += 2
        await shop.fetch(1)
        assert len(server.token_asked) == 2
        assert not [s for s in SECRETS if s in f"{shop!r}{vars(shop)!r}{shop._api._token!r}"]


async def test_a_token_that_was_revoked_is_renewed_once_for_all(server: ShopServer) -> None:
    async with by_client(server, Time()) as shop:
        await shop.fetch(1)
        server.tokens_taken, server.delay_s = set(), 0.01
        await asyncio.gather(*(shop.fetch(n) for n in range(1, 6)))
    assert len(server.token_asked) == 2


async def test_a_new_token_that_is_refused_too_is_not_asked_for_again(server: ShopServer) -> None:
    taken = {"access_token": "never-taken", "expires_in": 86399}
    server.token_answers = [(200, taken, {}), (200, taken, {})]
    async with by_client(server, Time()) as shop:
        with pytest.raises(ShopError) as caught:
            await shop.fetch(1)
    assert caught.value.reason == "bad_token" and (len(server.token_asked), len(server.asked)) == (2, 2)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_request", "error_description": SECRET}, "bad_token"),
        (400, f"<html>Oauth error shop_not_permitted {SECRET}</html>", "bad_token"),
        (401, {"error": "invalid_client"}, "bad_token"),
        (404, "", "not_found"),
        (402, "", "frozen"),
        (200, {"access_token": ""}, "bad_answer"),
        (200, {"access_token": "a\nb"}, "bad_answer"),
        (200, "<html>", "not_json"),
    ],
)
async def test_refusals_of_the_token_are_told_without_the_secret(
    server: ShopServer, status: int, body: Any, kind: str
) -> None:
    server.token_answers = [(status, body, {})]
    error = await failure(server, token=None, client_id="id-1", client_secret=SECRET)
    assert error.reason == kind and not server.asked and len(server.token_asked) == 1


async def test_a_token_that_is_late_for_once_is_tried_again(server: ShopServer) -> None:
    server.token_answers = [(503, "", {})]
    async with by_client(server, Time()) as shop:
        assert (await shop.fetch(1)).source == "shop"
    assert len(server.token_asked) == 2


# --- the cache -----------------------------------------------------------------------------------------


async def test_the_second_time_the_shop_is_not_asked(server: ShopServer, tmp_path: Path) -> None:
    for n in range(2):  # a restart in between
        async with fetcher(server, cache=ProfileCache(tmp_path / "p")) as shop:
            found = await shop.fetch(EMAIL)
            assert (found.source, found.profile.first_name) == (("shop", "cache")[n], "Camila")
            if n:
                assert (await shop.fetch(EMAIL, fresh=True)).source == "shop"
                assert await shop.forget(1001) == 1
                assert (await shop.fetch(EMAIL)).source == "shop"
    assert len(server.asked) == 3


async def test_what_a_plan_keeps_back_is_cached_with_its_warning(server: ShopServer, tmp_path: Path) -> None:
    server.answers = [answer({**CAMILA, "firstName": None}, denied("customer", "firstName"))]
    async with fetcher(server, cache=ProfileCache(tmp_path / "p")) as shop:
        first, second = await shop.fetch(1001), await shop.fetch(1001)
    assert second.source == "cache" and second.warnings == first.warnings != ()


async def test_a_cache_that_cannot_be_written_is_done_without(server: ShopServer) -> None:
    cache = ProfileCache("/proc/nowhere/p.sqlite3")
    async with fetcher(server, cache=cache) as shop:
        assert [(await shop.fetch(1001)).source for _ in range(2)] == ["shop", "shop"]
    assert len(cache.warnings) == 1


async def test_a_disk_that_hangs_does_not_keep_the_shop_from_being_asked(
    server: ShopServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def hang(*args: Any, **more: Any) -> Any:
        await asyncio.Event().wait()

    cache = ProfileCache(tmp_path / "p")
    monkeypatch.setattr(cache, "get", hang)
    monkeypatch.setattr(cache, "put", hang)
    monkeypatch.setattr("clara_kit.shop.fetcher._DISK_MS", 10)
    async with fetcher(server, cache=cache) as shop:
        assert (await shop.fetch(1001)).source == "shop"


# --- names, keys, scopes, silence ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["beta", "Beta.myshopify.com", "https://beta.myshopify.com/"])
def test_a_shop_is_named_in_any_usual_way(name: str) -> None:
    assert shop_domain(name) == "beta.myshopify.com"


@pytest.mark.parametrize(
    "name", ["", "beta.cl", "evil.example/beta.myshopify.com", "beta.myshopify.com.evil.example", "a b", "beta@x", "-a"]
)
def test_the_token_goes_nowhere_but_to_a_shop(name: str) -> None:
    with pytest.raises(ShopError) as caught:
        ShopifyCustomerFetcher(name, token=TOKEN)
    assert caught.value.reason == "bad_shop_name"


def test_a_way_in_is_needed_and_must_fit_into_a_request() -> None:
    for more in ({}, {"client_id": "x"}, {"client_secret": SECRET}):
        with pytest.raises(SettingsError, match="client id"):
            ShopifyCustomerFetcher("beta", **more)
    for bad in (f"{TOKEN}\n", f"{TOKEN} x", f"{TOKEN}ñ"):
        with pytest.raises(ShopError) as caught:
            ShopifyCustomerFetcher("beta", token=bad)
        assert caught.value.reason == "bad_token" and TOKEN not in str(caught.value)
    with pytest.raises(SettingsError, match="version"):
        ShopifyCustomerFetcher("beta", token=TOKEN, api_version="../x")


async def test_keys_and_settings_make_a_fetcher(server: ShopServer) -> None:
    with pytest.raises(SettingsError, match="SHOPIFY_SHOP"):
        ShopifyCustomerFetcher.from_keys(Keys(), Settings())
    with pytest.raises(SettingsError, match=r"SHOPIFY_ADMIN_TOKEN .* SHOPIFY_CLIENT_ID"):
        ShopifyCustomerFetcher.from_keys(Keys.from_env({"SHOPIFY_SHOP": "b"}), Settings())
    with pytest.raises(SettingsError, match="SHOPIFY_CLIENT_SECRET"):
        ShopifyCustomerFetcher.from_keys(Keys.from_env({"SHOPIFY_SHOP": "b", "SHOPIFY_CLIENT_ID": "x"}), Settings())
    env = {"SHOPIFY_SHOP": "beta", "SHOPIFY_ADMIN_TOKEN": TOKEN, "SHOPIFY_BASE_URL": server.base_url}
    async with ShopifyCustomerFetcher.from_keys(Keys.from_env(env), Settings()) as shop:
        assert (await shop.fetch(1001)).profile.first_name == "Camila"


async def test_the_check_names_the_scopes_that_are_missing(server: ShopServer) -> None:
    data: dict[str, Any] = {
        "currentAppInstallation": {"accessScopes": [{"handle": "write_customers"}, {"handle": "read_products"}]},
        "shop": {"name": "Beta Skincare", "myshopifyDomain": "beta.myshopify.com"},
    }
    server.answers = [(200, {"data": data, "extensions": {}}, {"X-Shopify-API-Version": "2026-07"})]
    async with fetcher(server) as shop:
        found = await shop.check()
    assert (found.shop_name, found.missing, found.ok) == ("Beta Skincare", ("read_orders",), False)
    assert "2026-07 instead" in found.warnings[0]
    server.answers = [(200, {"data": {"shop": {}, "currentAppInstallation": None}}, {})]
    async with fetcher(server) as shop:
        with pytest.raises(ShopError, match="makes no sense"):
            await shop.check()


async def test_no_log_line_holds_a_secret(server: ShopServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers = [answer(CAMILA), (500, TOKEN + EMAIL, {}), answer(None, denied("customer")), answer(CAMILA)]
    async with by_client(server, Time(), cache=ProfileCache(tmp_path / "p")) as shop:
        for customer in (EMAIL, 1001, 1002):
            await shop.fetch(customer)
    ours = "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith(("aiohttp", "asyncio")))
    assert not [s for s in SECRETS if s in ours] and re.search("graphql.json", ours)


async def test_a_fetcher_used_in_a_second_event_loop_answers_there_too(server: ShopServer) -> None:
    async with fetcher(server) as shop:
        for _ in range(2):
            assert (await shop.fetch(1001)).profile.first_name == "Camila"
            assert (await asyncio.to_thread(asyncio.run, shop.fetch(1001))).profile.first_name == "Camila"


async def test_a_fetcher_that_was_not_entered_says_so(server: ShopServer) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await fetcher(server).fetch(1001)
