"""Invented customers of `data/customers/`: what a shop would hold of each, hard cases included.

Read by the shop's twin, the simulation and the notebooks. A persona is what the shop *holds*, raw and sometimes
hostile; what Clara is told of it is made by `prompts`, as for a real customer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from clara_kit import data_files
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.core.profile import CustomerProfile
from clara_kit.shop.parse import profile_of

FOLDER = DATA / "customers"
A_DAY = date(2026, 11, 2)  # any day: orders count back from it, so that a profile is the same on every day
_Text = Annotated[str, Meta(pattern=r"\S")]


class _Metafield(Struct, forbid_unknown_fields=True):
    key: str
    value: str  # Shopify's is a text, whatever its type
    type: str = "single_line_text_field"
    namespace: str = "beta_skincare"


class _Item(Struct, forbid_unknown_fields=True):
    title: str
    handle: str | None = None
    quantity: Annotated[int, Meta(ge=1, le=1000)] = 1
    left: Annotated[int, Meta(ge=0, le=1000)] | None = None  # of the quantity, after what was taken out or given back


class _Order(Struct, forbid_unknown_fields=True):
    days_ago: Annotated[int, Meta(ge=0, le=36_500)]
    items: list[_Item]
    name: str = ""
    test: bool = False
    cancelled: bool = False


class _File(Struct, forbid_unknown_fields=True):
    """What a file of `data/customers/` may hold."""

    id: int
    email: str
    about: _Text
    first_name: str | None = None
    locale: str = "es-CL"
    tags: list[str] | None = None
    note: str | None = None
    metafields: list[_Metafield] | None = None
    orders: list[_Order] | None = None
    blocked: str | None = None
    hard: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Persona:
    """One invented customer. `raw` is the file; `hard` names what makes the case a hard one."""

    name: str
    raw: Mapping[str, Any]

    @classmethod
    def load(cls, name: str | Path) -> Persona:
        """A persona by name, or any file by path; raises `ScriptError` with the names there are."""
        return data_files.made(data_files.find(name, FOLDER, "invented customer"), _read)

    @classmethod
    def all(cls) -> tuple[Persona, ...]:
        """Every persona of the folder, by name; one whose file has a mistake is left out, and logged."""
        return data_files.each(data_files.known(FOLDER), cls.load)[0]

    @property
    def gid(self) -> str:
        """The id that the shop knows the customer by."""
        return f"gid://shopify/Customer/{self.raw['id']}"

    @property
    def email(self) -> str:
        """An address at example.com."""
        return str(self.raw["email"])

    @property
    def about(self) -> str:
        """Who this is and what the persona is good for, in one sentence."""
        return str(self.raw["about"])

    @property
    def hard(self) -> tuple[str, ...]:
        """What makes this a hard case; empty for an easy one."""
        return tuple(self.raw.get("hard") or ())

    @property
    def blocked(self) -> bool:
        """The shop's plan does not let the app see this customer's personal fields."""
        return self.raw.get("blocked") == "plan"

    @cached_property
    def profile(self) -> CustomerProfile:
        """What the kit makes of the customer, on any day."""
        node = self.to_customer_node(A_DAY)
        return profile_of({**node, "firstName": None} if self.blocked else node, today=A_DAY)

    def to_customer_node(self, today: date) -> dict[str, Any]:
        """The Customer as the Admin API holds it, its orders counted back from `today`."""
        raw = self.raw
        return {
            "id": self.gid,
            "firstName": raw.get("first_name"),
            "displayName": raw.get("first_name") or self.email,
            "locale": raw.get("locale", "es-CL"),
            "tags": list(raw.get("tags") or ()),
            "note": raw.get("note"),
            "numberOfOrders": str(len(raw.get("orders") or ())),
            "defaultEmailAddress": {"emailAddress": self.email},
            "email": self.email,
            "metafields": {"nodes": [_metafield(m) for m in raw.get("metafields") or ()]},
            "orders": {"nodes": [_order(o, n, today) for n, o in enumerate(raw.get("orders") or (), start=1)]},
        }


_HINT = "see data/README.md."
_SAYS: tuple[tuple[str, str, Callable[[Any], object]], ...] = (
    ("email", "could be a real address: use example.com", lambda v: str(v).endswith(("@example.com", "@example.org"))),
    ("id", "is no id: an id is a whole number above 0", lambda v: type(v) is int and v > 0),
    ("blocked", "is wrong: blocked is null or plan", lambda v: v in (None, "plan")),
)


def _read(path: Path) -> Persona:
    def made(raw: Any) -> Persona:
        for field, says, fits in _SAYS:
            if isinstance(raw, dict) and field in raw and not fits(raw[field]):
                raise ScriptError(f"{raw[field]!r} {says}.", hint=_HINT, where=f"$.{field}")
        msgspec.convert(raw, _File)
        return Persona(name=path.stem, raw=MappingProxyType(raw))

    return data_files.built(path, made, _HINT)


def _metafield(entry: dict[str, Any]) -> dict[str, Any]:
    value = deepcopy(entry["value"])  # whoever changes what was handed out does not change the file's
    return {
        "namespace": entry.get("namespace", "beta_skincare"),
        "key": entry["key"],
        "type": entry.get("type", "single_line_text_field"),
        "value": value,
        "jsonValue": _json_value(entry.get("type", ""), value),
        "updatedAt": "2026-10-01T12:00:00Z",
    }


def _json_value(kind: str, value: Any) -> Any:
    """As Shopify parses a value: JSON where the type says so, else the text itself."""
    if isinstance(value, str) and (kind.startswith("list.") or kind in ("json", "json_string")):
        try:
            parsed = json.loads(value)
        except ValueError:
            return value
        return value if parsed is None else parsed
    return value


def _order(entry: dict[str, Any], n: int, today: date) -> dict[str, Any]:
    moment = datetime.combine(today - timedelta(days=int(entry["days_ago"])), time(15), UTC)
    name = str(entry.get("name", f"#{1000 + n}"))
    return {
        "id": f"gid://shopify/Order/{name.strip('#')}",
        "name": name,
        "processedAt": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cancelledAt": moment.strftime("%Y-%m-%dT%H:%M:%SZ") if entry.get("cancelled") else None,
        "test": entry.get("test", False),
        "lineItems": {"nodes": [_item(item) for item in entry["items"]]},
    }


def _item(entry: dict[str, Any]) -> dict[str, Any]:
    handle = entry.get("handle")
    product = {"id": f"gid://shopify/Product/{handle}", "handle": handle, "title": entry["title"],
               "productType": "", "tags": [], "vendor": "Beta Skincare"}  # fmt: skip
    quantity = entry.get("quantity", 1)
    left = entry.get("left")
    return {"title": entry["title"], "quantity": quantity, "currentQuantity": quantity if left is None else left,
            "product": product if handle else None}  # fmt: skip
