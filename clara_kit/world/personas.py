"""Invented customers of `data/customers/`: what a shop would hold of each, hard cases included.

Read by the shop's twin, the simulation and the notebooks. A persona is what the shop *holds*, raw and sometimes
hostile; what Clara is told of it is made by `prompts`, as for a real customer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from clara_kit import data_files
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.core.profile import CustomerProfile
from clara_kit.shop.parse import profile_of

FOLDER = DATA / "customers"
A_DAY = date(2026, 11, 2)  # any day: orders count back from it, so that a profile is the same on every day
_FIELDS = {*"id email first_name about locale tags note metafields orders blocked hard".split()}  # noqa: SIM905


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
        """Every persona of the folder, by name."""
        return tuple(cls.load(name) for name in data_files.known(FOLDER))

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


def _read(path: Path) -> Persona:
    raw = data_files.data(path)
    if not isinstance(raw, dict) or not {"id", "email", "about"} <= set(raw) or set(raw) - _FIELDS:
        raise ScriptError(
            f"The customer {path.name} is malformed.",
            hint=f"fields: {', '.join(sorted(_FIELDS))}; id, email and about must be there.",
        )
    if not str(raw["email"]).endswith(("@example.com", "@example.org")):
        raise ScriptError(f"{path.name}: {raw['email']} could be a real address.", hint="use example.com.")
    if not isinstance(raw["id"], int) or isinstance(raw["id"], bool) or raw["id"] <= 0:
        raise ScriptError(f"{path.name}: an id is a whole number above 0, not {raw['id']!r}.")
    if raw.get("blocked") not in (None, "plan"):
        raise ScriptError(f"{path.name}: blocked is null or plan, not {raw['blocked']!r}.")
    persona = Persona(name=path.stem, raw=MappingProxyType(raw))
    try:
        persona.to_customer_node(A_DAY)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as exc:
        raise ScriptError(
            f"The customer {path.name} is malformed: {type(exc).__name__} {exc}.", hint="see data/README.md."
        ) from exc
    return persona


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
        "cancelledAt": None,
        "lineItems": {"nodes": [_item(item) for item in entry["items"]]},
    }


def _item(entry: dict[str, Any]) -> dict[str, Any]:
    handle = entry.get("handle")
    product = {"id": f"gid://shopify/Product/{handle}", "handle": handle, "title": entry["title"],
               "productType": "", "tags": [], "vendor": "Beta Skincare"}  # fmt: skip
    return {"title": entry["title"], "quantity": int(entry.get("quantity", 1)), "product": product if handle else None}
