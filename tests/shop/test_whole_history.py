"""What a customer bought: all of it or said to be cut, counted in the shop's days, without what was given back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from clara_kit.core.profile import CustomerProfile, Purchase
from clara_kit.prompts.briefing import brief
from clara_kit.shop.answer import ShopAnswer
from clara_kit.shop.cache import ProfileCache
from clara_kit.shop.fetcher import MOST_PAGES, ShopifyCustomerFetcher
from clara_kit.shop.pages import joined, next_request
from clara_kit.shop.parse import profile_of
from clara_kit.shop.queries import LINE_ITEMS, MOST_ORDERS, ORDERS
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.personas import Persona
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer
from clara_kit.world.twins.shopify.shop import Shop
from clara_kit.world.twins.shopify.twin import ShopifyTwin

GID = "gid://shopify/Customer/1"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TODAY = NOW.date()


def item(title: str = "Gel", **more: Any) -> dict[str, Any]:
    return {"title": title, "quantity": 1, "product": None, **more}


def order(number: int, days_ago: float = 1, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    moment = (NOW - timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    held = {"nodes": list(items) or [item(f"Gel {number}")]}
    return {"id": f"gid://shopify/Order/{number}", "processedAt": moment, "lineItems": held, **more}


def field(namespace: str, key: str, value: str) -> dict[str, str]:
    return {"namespace": namespace, "key": key, "type": "single_line_text_field", "value": value}


@contextmanager
def shop(*orders: dict[str, Any], faults: tuple[Fault, ...] = (), **customer: Any) -> Iterator[ShopifyTwin]:
    """A twin with one customer, in a zone that is hours behind UTC."""
    node = {"id": GID, "firstName": "Ana", "orders": {"nodes": list(orders)}, **customer}
    box = FaultBox(faults)
    twin = ShopifyTwin(TwinContext(profile=LatencyProfile.load("fast"), faults=box), Shop(customers={GID: node}))
    with TwinServer([twin], faults=box) as server:
        twin.base_url = server.addresses["shopify"]["base_url"]  # type: ignore[attr-defined]
        yield twin


async def ask(twin: ShopifyTwin, **more: Any) -> ShopAnswer:
    options = {"today": lambda: TODAY, "base_url": twin.base_url, **more}  # type: ignore[attr-defined]
    async with ShopifyCustomerFetcher("beta", "test-key", **options) as fetcher:
        return await fetcher.fetch(GID)


def left(profile: CustomerProfile) -> dict[str, str]:
    return {entry.field: entry.why for entry in profile.left_out}


# --- metafields -----------------------------------------------------------------------------------------------------


async def test_metafields_of_other_apps_push_none_of_ours_out() -> None:
    others = [field(f"app_{n}", "skin_type", "Seca") for n in range(60)]
    others += [field("beta_skincare", f"other_{n}", "x") for n in range(60)]
    ours = [field("beta_skincare", "skin_type", "Grasa"), field("beta_skincare", "skin_concerns", "Acné")]
    with shop(metafields={"nodes": others + ours}) as twin:
        profile = (await ask(twin)).profile
    assert (profile.skin_type, profile.skin_concerns) == ("Grasa", ("Acné",))


def test_a_key_may_come_back_in_the_form_in_which_it_was_asked_for() -> None:
    node = {"id": GID, "metafields": {"nodes": [field("beta_skincare", "beta_skincare.skin_type", "Grasa")]}}
    assert profile_of(node, today=TODAY).skin_type == "Grasa"


# --- pages ----------------------------------------------------------------------------------------------------------


async def test_orders_beyond_the_first_page_are_asked_for() -> None:
    with shop(*(order(n, n) for n in range(1, 13))) as twin:
        answer = await ask(twin)
    assert [p.title for p in answer.profile.purchases] == [f"Gel {n}" for n in range(1, 13)]
    assert not answer.profile.purchases_cut and not answer.profile.left_out
    assert len(twin.requests) == 3 and answer.cost is not None and answer.cost > 20


async def test_items_beyond_the_first_page_are_asked_for() -> None:
    many = [item(f"Crema {n}") for n in range(LINE_ITEMS + 25)]
    with shop(order(1, 1, *many), order(2, 30)) as twin:
        profile = (await ask(twin)).profile
    assert [p.title for p in profile.purchases] == [*(f"Crema {n}" for n in range(LINE_ITEMS + 25)), "Gel 2"]
    assert not profile.purchases_cut


async def test_an_answer_that_holds_everything_costs_one_request() -> None:
    with shop(*(order(n, n) for n in range(1, ORDERS + 1))) as twin:
        assert not (await ask(twin)).profile.purchases_cut
    assert len(twin.requests) == 1


async def test_more_than_is_asked_for_is_said_to_be_cut_and_not_kept_for_a_day(tmp_path: Path) -> None:
    seconds = [0.0]
    cache = ProfileCache(tmp_path / "profiles.sqlite3", clock=lambda: seconds[0])
    with shop(*(order(n, n) for n in range(1, MOST_ORDERS + 2))) as twin:
        answer = await ask(twin, cache=cache)
        assert answer.profile.purchases_cut and "purchases" in left(answer.profile)
        assert len(answer.profile.purchases) == MOST_ORDERS and len(twin.requests) == MOST_ORDERS / ORDERS
        again = await ask(twin, cache=cache)
        assert again.source == "cache" and again.profile == answer.profile and again.profile.purchases_cut
        seconds[0] += 3601
        assert (await ask(twin, cache=cache)).source == "shop"


@pytest.mark.parametrize(
    "fault",
    [Fault(service="shop", kind="stall", on=2), Fault(service="shop", kind="refuse", on=2, status=403),
     Fault(service="shop", kind="garble", on=2)],
    ids=str,
)  # fmt: skip
async def test_a_second_page_that_does_not_come_costs_neither_the_first_nor_the_greeting(fault: Fault) -> None:
    with shop(*(order(n, n) for n in range(1, 8)), faults=(fault,)) as twin:
        answer = await ask(twin)
    assert [p.title for p in answer.profile.purchases] == [f"Gel {n}" for n in range(1, ORDERS + 1)]
    assert answer.profile.purchases_cut and answer.profile.first_name == "Ana"


async def test_an_order_that_comes_between_two_pages_is_not_counted_twice() -> None:
    from clara_kit.shop.pages import joined, next_request

    def page(numbers: range, more: bool) -> dict[str, Any]:
        return {"nodes": [order(n, n) for n in numbers], "pageInfo": {"hasNextPage": more, "endCursor": "c"}}

    node = {"id": GID, "orders": page(range(1, 6), True)}
    assert next_request(node) is not None
    whole = joined(node, "customer", {"orders": page(range(5, 8), False)})
    assert whole is not None and [o["id"][-1] for o in whole["orders"]["nodes"]] == list("1234567")
    assert next_request(whole) is None
    for nothing_new in ({"orders": page(range(1, 3), True)}, {"orders": None}, {}, None, "x"):
        assert joined(node, "customer", nothing_new) is None


def test_the_pages_asked_for_are_few() -> None:
    assert ORDERS * MOST_PAGES == MOST_ORDERS  # with one to spare for an order's items


def test_a_prompt_says_that_there_was_more() -> None:
    bought = tuple(Purchase(handle="", title=f"Gel {n}", days_ago=n) for n in range(7))
    for profile in (CustomerProfile(purchases=bought), CustomerProfile(purchases=bought[:2], purchases_cut=True)):
        assert "\ncompras anteriores: hay más\n" in brief("warm", profile).prompt.personal
        assert "purchases_cut" not in repr(profile)
    assert "compras anteriores" not in brief("warm", CustomerProfile(purchases=bought[:5])).prompt.personal


def test_an_invented_customer_with_many_orders_is_cut_as_the_shops_answer_is() -> None:
    profile = Persona.load("muchas_compras").profile
    assert len(profile.purchases) == MOST_ORDERS and profile.purchases_cut


# --- days -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "zone", "days"),
    [
        ("2026-11-25T02:30:00Z", {"ianaTimezone": "America/Santiago"}, 1),  # half past eleven, the evening before
        ("2026-11-25T03:00:00Z", {"ianaTimezone": "America/Santiago"}, 0),
        ("2026-06-25T03:30:00Z", {"ianaTimezone": "America/Santiago"}, 154),  # winter: four hours behind
        ("2026-11-24T14:59:00Z", {"ianaTimezone": "Asia/Tokyo"}, 1),
        ("2026-11-24T15:00:00Z", {"ianaTimezone": "Asia/Tokyo"}, 0),
        ("2026-11-25T02:30:00Z", {"ianaTimezone": "Nowhere/Town", "timezoneOffsetMinutes": -180}, 1),
        ("2026-11-25T02:30:00Z", {"ianaTimezone": 5, "timezoneOffsetMinutes": "x"}, 0),
        ("2026-11-25T02:30:00Z", {"ianaTimezone": "../etc", "timezoneOffsetMinutes": 10**9}, 0),
        ("2026-11-25T02:30:00Z", None, 0),
        ("2026-11-24T23:30:00-03:00", {"ianaTimezone": "America/Santiago"}, 1),
        ("2026-11-25T02:30:00", {"ianaTimezone": "America/Santiago"}, 1),  # Shopify's are of UTC
    ],
)
def test_days_are_those_of_the_shops_calendar(moment: str, zone: Any, days: int) -> None:
    node = {"id": GID, "orders": [{"processedAt": moment, "lineItems": [item()]}], "shop": zone}
    assert [p.days_ago for p in profile_of(node, today=TODAY).purchases] == [days]


async def test_today_is_the_shops_and_stays_so_from_the_cache(tmp_path: Path) -> None:
    cache = ProfileCache(tmp_path / "profiles.sqlite3")
    there = datetime.now(ZoneInfo("America/Santiago"))
    evening = there.replace(hour=23, minute=30) - timedelta(days=3)  # in UTC it is the day after
    bought = order(1, processedAt=evening.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    with shop(bought) as twin:
        for source in ("shop", "cache"):
            answer = await ask(twin, cache=cache, today=None)
            assert (answer.source, answer.profile.purchases[0].days_ago) == (source, 3)


# --- what was not bought --------------------------------------------------------------------------------------------


async def test_what_was_taken_out_or_given_back_was_not_bought() -> None:
    changed = order(1, 1, item("Fuera", currentQuantity=0), item("Una de tres", quantity=3, currentQuantity=1))
    cancelled = order(2, 2, cancelledAt="2026-11-24T00:00:00Z")
    with shop(changed, cancelled, order(3, 3, test=True), order(4, 4)) as twin:
        profile = (await ask(twin)).profile
    assert [(p.title, p.quantity) for p in profile.purchases] == [("Una de tres", 1), ("Gel 4", 1)]
    assert left(profile) == {
        "orders[0].items[0]": "it was taken out of the order, or given back",
        "orders[1]": "it was cancelled",
        "orders[2]": "it was a test",
    }


@pytest.mark.parametrize("now", [-1, 1.0, "1", True, [], 10**9])
def test_a_quantity_that_makes_no_sense_is_left_out(now: Any) -> None:
    node = {"id": GID, "orders": [order(1, 1, item(currentQuantity=now))]}
    profile = profile_of(node, today=TODAY)
    assert not profile.purchases and "orders[0].items[0]" in left(profile)


def test_an_invented_customer_can_have_sent_something_back(tmp_path: Path) -> None:
    path = tmp_path / "vuelta.yaml"
    path.write_text(
        "id: 5\nemail: a@example.com\nabout: x.\norders:\n"
        "- {days_ago: 3, items: [{title: A, quantity: 2, left: 1}, {title: B, left: 0}]}\n"
        "- {days_ago: 4, cancelled: true, items: [{title: C}]}\n- {days_ago: 5, test: true, items: [{title: D}]}\n",
        encoding="utf-8",
    )
    profile = Persona.load(path).profile
    assert [(p.title, p.quantity) for p in profile.purchases] == [("A", 1)] and len(profile.left_out) == 3


@pytest.mark.parametrize("shape", [None, [], {}, "x", {"nodes": "x"}, {"nodes": [], "pageInfo": "x"}, {"pageInfo": {}}])
def test_orders_of_any_shape_are_borne(shape: Any) -> None:
    profile = profile_of({"id": GID, "orders": shape, "shop": shape}, today=date(2026, 11, 25))
    assert not profile.purchases and not profile.purchases_cut


def paged(title: str, cursor: str = "") -> dict[str, Any]:
    info = {"hasNextPage": bool(cursor), "endCursor": cursor or None}
    return {"nodes": [item(title, id=title)], "pageInfo": info}


def test_a_further_page_joins_the_order_it_was_asked_for_in_whatever_shape_that_came() -> None:
    nameless, named = {"lineItems": paged("a", "x")}, {"id": "2", "lineItems": paged("c", "y")}
    for orders in ({"nodes": [nameless, named]}, [nameless, named]):
        node = {"id": GID, "orders": orders}
        asked = next_request(node)
        assert asked is not None and asked[0]["variables"] == {"id": "2", "after": "y"}
        page = paged("d")
        page["nodes"][0]["id"] = ["no", "id"]
        more = joined(node, "order", {"lineItems": page})
        assert more is not None and next_request(more) is None
        titles = [[n["title"] for n in order["lineItems"]["nodes"]] for order in more["orders"]["nodes"]]
        assert titles == [["a"], ["c", "d"]]


async def test_an_error_on_a_further_page_is_told_and_the_answer_is_not_kept(tmp_path: Path) -> None:
    first = {"id": GID, "orders": {"nodes": [{**order(1), "lineItems": paged("a", "x")}]}}
    second = {
        "data": {"order": {"lineItems": {**paged("b"), "nodes": [None, item("b")]}}},
        "errors": [{"message": "x"}],
    }
    answers = iter(({"data": {"customer": first}}, second))
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=next(answers)))
    cache = ProfileCache(tmp_path / "profiles.sqlite3")
    async with ShopifyCustomerFetcher("beta", "test-key", transport=transport, cache=cache) as fetcher:
        answer = await fetcher.fetch(GID)
    assert [p.title for p in answer.profile.purchases] == ["a", "b"]
    assert "is missing" in answer.warnings[0] and (await cache.stats()).answers == 0
