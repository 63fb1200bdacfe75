"""What a template's variables hold: plain values without methods, so that a template can read and do nothing else.

Made anew for each customer from the profile, the catalogue and the recommendations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from clara_kit.core.profile import CustomerProfile, Purchase
from clara_kit.prompts.catalog import Product
from clara_kit.prompts.spanish import days_ago, one_line


class Shelf(Protocol):
    """A catalogue: anything with products, or with what looks like them."""

    @property
    def products(self) -> Sequence[Product]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A product of the catalogue as a template sees it; skin types and concerns in lower case."""

    title: str
    kind: str
    price_clp: int
    skin_types: tuple[str, ...] = ()
    concerns: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    how_to_use: str = ""
    reasons: tuple[str, ...] = ()  # in Spanish; only where it is recommended

    def __str__(self) -> str:
        return self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """A past purchase as a template sees it."""

    title: str
    days_ago: int
    quantity: int

    def __str__(self) -> str:
        return self.title


FIELDS = {
    "product": tuple(f.name for f in fields(Item)),
    "purchase": tuple(f.name for f in fields(Bought)),
    "loop": ("first", "last", "index", "length"),
}
"""The attributes that templates may read, by what has them."""


def values(profile: CustomerProfile, recommended: Iterable[Any]) -> dict[str, Any]:
    """A value for each variable but `catalog`. `recommended`: products, or what `recommend()` gives."""
    bought = ((one_line(p.title), p) for p in profile.purchases)
    return {
        "first_name": one_line(profile.first_name),
        "skin_type": (profile.skin_type or "").lower(),
        "concerns": tuple(filter(None, (one_line(c.lower()) for c in profile.skin_concerns))),
        "purchases": tuple(Bought(title=t, days_ago=p.days_ago, quantity=p.quantity) for t, p in bought if t),
        "recommended": tuple(_item(getattr(r, "product", r), getattr(r, "reasons", ())) for r in recommended),
        "customer_data": customer_data(profile),
    }


def on_the_shelf(products: Iterable[Product]) -> tuple[Item, ...]:
    """The value of the variable `catalog`: what can be bought."""
    return tuple(_item(p) for p in products if p.stock > 0)


def _item(product: Product, reasons: Iterable[Any] = ()) -> Item:
    return Item(
        title=one_line(product.title), kind=product.product_type.lower(), price_clp=product.price_clp,
        skin_types=tuple(s.lower() for s in product.skin_types), concerns=tuple(c.lower() for c in product.concerns),
        ingredients=tuple(product.ingredients), how_to_use=one_line(product.how_to_use),
        reasons=tuple(one_line(str(getattr(r, "in_spanish", r))) for r in reasons),
    )  # fmt: skip


FENCE_OPEN = "<datos_del_cliente>"
FENCE_CLOSE = "</datos_del_cliente>"
NAME, SKIN, CONCERNS, PURCHASES = "nombre", "tipo de piel", "preocupaciones", "compras recientes"
OLDER = "compras anteriores"
MOST_PURCHASES = 5  # the newest; older ones tell little of what someone uses today


def customer_data(profile: CustomerProfile) -> str:
    """The fenced lines of what is known; empty where nothing is."""
    known = {
        NAME: one_line(profile.first_name),
        SKIN: (profile.skin_type or "").lower(),
        CONCERNS: ", ".join(filter(None, (one_line(c.lower()) for c in profile.skin_concerns))),
        PURCHASES: ", ".join(filter(None, map(_bought, profile.purchases[:MOST_PURCHASES]))),
        OLDER: "hay más" if profile.purchases_cut or len(profile.purchases) > MOST_PURCHASES else "",
    }
    lines = [f"{field}: {value}" for field, value in known.items() if value]
    return "\n".join((FENCE_OPEN, *lines, FENCE_CLOSE)) if lines else ""


def _bought(purchase: Purchase) -> str:
    title, when = one_line(purchase.title), days_ago(purchase.days_ago)
    many = f", {purchase.quantity} unidades" if purchase.quantity > 1 else ""
    return f"{title} ({when}{many})" if title else ""
