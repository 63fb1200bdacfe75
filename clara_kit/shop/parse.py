"""A Customer of Shopify's Admin API becomes a `CustomerProfile`: whatever its shape, and without believing it.

Comes after `fetcher.py` (or a twin, or the cache), before prompt, greeting and recommender. Pure: the day of the
question is passed in. Nothing here raises for what the shop holds; what cannot be used is named in
`left_out`, never quoted there.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from clara_kit.core.profile import SKIN_CONCERNS, SKIN_TYPES, CustomerProfile, LeftOut, Purchase, SkinType
from clara_kit.shop.clean import TITLE_CHARS, clean_name, clean_text
from clara_kit.shop.pages import goes_on, nodes
from clara_kit.shop.queries import LINE_ITEMS, MOST_ITEMS, MOST_ORDERS, NAMESPACE

MAX_CONCERNS = 6  # more would be read out as a list, and nobody has more that matter at once
_READ_ENTRIES = 40  # of a list of concerns; whoever has more has written something else into it
_READ_CHARS = 10_000  # of a metafield's value
_MAX_LEFT_OUT = 30
_READ_ITEMS = LINE_ITEMS + MOST_ITEMS  # of one order: its first page, and one more

_GID = re.compile(r"gid://shopify/Customer/[0-9]{1,20}")
_HANDLE = re.compile(r"[\w-]{1,120}")
_BETWEEN = re.compile(r"[,;/|\n]+")
T = TypeVar("T")
_JSON_TYPES = ("json", "json_string")  # the second is the legacy word (before 2021-07)


def profile_of(node: object, *, today: date, concerns: Sequence[str] = SKIN_CONCERNS) -> CustomerProfile:
    """The profile in a Customer node. `concerns`: the words that may enter it. Never raises."""
    if not isinstance(node, dict):
        why = LeftOut(field="customer", why="it is not an object")
        return CustomerProfile(left_out=() if node is None else (why,))
    left: list[LeftOut] = []
    for part in ("metafields", "orders"):
        if node.get(part) is not None and not _is_connection(node[part]):
            _leave(left, part, "it is not a list")
    gid, name, orders = (node.get(field) for field in ("id", "firstName", "numberOfOrders"))
    return CustomerProfile(
        customer_id=_told(_gid(gid), gid, left, "id", "it is not the id of a customer"),
        first_name=_told(
            clean_name(name), None if name == "" else name, left, "first_name", "nothing of it can be said aloud"
        ),
        skin_type=_skin_type(node, left),
        skin_concerns=_concerns(node, concerns, left),
        purchases=_purchases(node, today, left),
        purchases_cut=is_cut(node),
        orders_count=_told(_count(orders), orders, left, "orders_count", "it is not a number of orders"),
        left_out=tuple(left[:_MAX_LEFT_OUT]),
    )


def _leave(left: list[LeftOut], field: str, why: str) -> None:
    left.append(LeftOut(field=field, why=why))


# --- single fields -------------------------------------------------------------------------------------


def _told(value: T, raw: object, left: list[LeftOut], field: str, why: str) -> T:
    """What was read of `raw`; where something came and nothing could be read, that is named."""
    if raw is not None and value in ("", None):
        _leave(left, field, why)
    return value


def _gid(raw: object) -> str:
    return raw if isinstance(raw, str) and _GID.fullmatch(raw) else ""


def _count(raw: object) -> int | None:
    """`numberOfOrders` is an UnsignedInt64, which travels as a string."""
    text = str(raw) if isinstance(raw, str | int) and not isinstance(raw, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


# --- metafields ----------------------------------------------------------------------------------------


def _skin_type(node: dict[str, Any], left: list[LeftOut]) -> SkinType | None:
    words = _metafield(node, "skin_type")
    if words is None:
        return None
    known = {fold(t): t for t in SKIN_TYPES}
    if len(words) == 1 and isinstance(words[0], str) and fold(words[0]) in known:
        return known[fold(words[0])]
    why = {0: "it is empty", 1: "it is not a known skin type"}.get(len(words), "it holds several")
    _leave(left, "skin_type", why)
    return None


def _concerns(node: dict[str, Any], allowed: Sequence[str], left: list[LeftOut]) -> tuple[str, ...]:
    words = _metafield(node, "skin_concerns")
    if words is None:
        return ()
    known = {fold(c): c for c in allowed}
    found: list[str] = []
    for n, word in enumerate(words[:_READ_ENTRIES]):
        concern = known.get(fold(word)) if isinstance(word, str) else None
        if concern is None:
            _leave(left, f"skin_concerns[{n}]", "it is not a known concern")
        elif concern not in found and len(found) == MAX_CONCERNS:
            _leave(left, f"skin_concerns[{n}]", f"there are {MAX_CONCERNS} already")
        elif concern not in found:
            found.append(concern)
    if len(words) > _READ_ENTRIES:
        _leave(left, "skin_concerns", f"the list goes on after {_READ_ENTRIES} entries")
    return tuple(found)


def _metafield(node: dict[str, Any], key: str) -> list[Any] | None:
    """The entries of the first metafield of this key, None where there is none."""
    for field in nodes(node.get("metafields")):
        named = field.get("key") in (key, f"{NAMESPACE}.{key}")  # what was asked for by keys may come in their form
        if named and (field.get("namespace") or NAMESPACE) == NAMESPACE:
            return _entries(field)
    return None


def _entries(field: dict[str, Any]) -> list[Any]:
    """What a metafield holds, as a list: by its `type`, else by its looks, else cut at commas."""
    raw, kind = field.get("value"), field.get("type")
    value: Any = field.get("jsonValue") if raw is None else raw
    if isinstance(value, str):
        text = value[:_READ_CHARS].strip()
        as_json = (isinstance(kind, str) and kind.startswith("list.")) or kind in _JSON_TYPES
        value = _from_json(text) if as_json or text[:1] in {"[", '"'} else None
        if value is None and isinstance(field.get("jsonValue"), list):
            value = field["jsonValue"]
        if value is None and text != "null":
            value = _BETWEEN.split(text.strip("[]"))  # a list that is not JSON was typed by hand
        if isinstance(value, str):
            value = _BETWEEN.split(value)
    if isinstance(value, list):
        return [v for v in value if v is not None and v != "" and not (isinstance(v, str) and not v.strip(' "'))]
    return [] if value is None else [value]


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def fold(text: str) -> str:
    """The text as it is compared: no case, no accents, one space between words."""
    flat = "".join(c for c in unicodedata.normalize("NFKD", text[:200]) if not unicodedata.combining(c))
    return " ".join(flat.casefold().strip("\"'«».").split())


# --- orders --------------------------------------------------------------------------------------------


def _purchases(node: dict[str, Any], today: date, left: list[LeftOut]) -> tuple[Purchase, ...]:
    found: list[Purchase] = []
    zone, orders = zone_of(node), nodes(node.get("orders"))
    for n, order in enumerate(orders[:MOST_ORDERS]):
        where = f"orders[{n}]"
        days_ago = _days_ago(order.get("processedAt"), today, zone)
        if order.get("cancelledAt"):
            _leave(left, where, "it was cancelled")
        elif order.get("test") is True:
            _leave(left, where, "it was a test")
        elif days_ago is None:
            _leave(left, where, "its date makes no sense")
        else:
            found += _items(order, where, days_ago, left)
    if is_cut(node):
        _leave(left, "purchases", "there are more than these, which are the newest")
    return tuple(sorted(found, key=lambda p: p.days_ago))


def is_cut(node: dict[str, Any]) -> bool:
    """The shop holds more orders of this customer, or more items of one, than are read."""
    orders = nodes(node.get("orders"))
    items = [order.get("lineItems") for order in orders[:MOST_ORDERS]]
    more = len(orders) > MOST_ORDERS or any(len(nodes(each)) > _READ_ITEMS for each in items)
    return more or any(map(goes_on, [node.get("orders"), *items]))


def _items(order: dict[str, Any], where: str, days_ago: int, left: list[LeftOut]) -> Iterable[Purchase]:
    for n, item in enumerate(nodes(order.get("lineItems"))[:_READ_ITEMS]):
        product = item.get("product")
        product = product if isinstance(product, dict) else {}
        title = clean_text(item.get("title"), TITLE_CHARS) or clean_text(product.get("title"), TITLE_CHARS)
        quantity, handle = item.get("currentQuantity"), product.get("handle")
        quantity = item.get("quantity") if quantity is None else quantity
        if not title:
            _leave(left, f"{where}.items[{n}]", "it has no title")
        elif type(quantity) is int and quantity == 0:
            _leave(left, f"{where}.items[{n}]", "it was taken out of the order, or given back")
        elif not isinstance(quantity, int) or isinstance(quantity, bool) or not 0 < quantity < 1_000_000:
            _leave(left, f"{where}.items[{n}]", "its quantity makes no sense")
        else:
            known = isinstance(handle, str) and _HANDLE.fullmatch(handle)
            yield Purchase(handle=str(handle) if known else "", title=title, days_ago=days_ago, quantity=quantity)


def zone_of(node: dict[str, Any]) -> tzinfo | None:
    """The shop's time zone, as it came beside the customer: by its name, else by its offset of that moment."""
    shop = node.get("shop")
    name, minutes = (shop.get(f) if isinstance(shop, dict) else None for f in ("ianaTimezone", "timezoneOffsetMinutes"))
    with suppress(KeyError, ValueError, OSError):  # no such zone, or none that this machine knows
        if isinstance(name, str) and name:
            return ZoneInfo(name)
    return timezone(timedelta(minutes=minutes)) if type(minutes) is int and abs(minutes) < 24 * 60 else None


def _days_ago(moment: object, today: date, zone: tzinfo | None) -> int | None:
    """Whole days of the shop's calendar since a DateTime. Tomorrow counts as today, for a clock may be wrong."""
    if not isinstance(moment, str):
        return None
    try:
        then = datetime.fromisoformat(moment[:40])
        if zone is not None:
            then = (then if then.tzinfo else then.replace(tzinfo=UTC)).astimezone(zone)
    except (ValueError, OverflowError):
        return None
    days = (today - then.date()).days
    return max(days, 0) if days >= -1 else None


def _is_connection(value: object) -> bool:
    return isinstance(value.get("nodes") if isinstance(value, dict) else value, list)
