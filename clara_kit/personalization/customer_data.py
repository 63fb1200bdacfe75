"""The fence: the only place in a prompt where words of a customer stand, one field a line.

What stands inside is data for the model, and for the offline twin (`world/instructions.py`) nothing but these
fields. Texts come cleaned (`clean.py`); here they once more lose whatever could end a line or the fence.
"""

from __future__ import annotations

from collections.abc import Iterator

from clara_kit.core.profile import CustomerProfile, Purchase
from clara_kit.personalization.spanish import days_ago, one_line

FENCE_OPEN = "<datos_del_cliente>"
FENCE_CLOSE = "</datos_del_cliente>"
NAME, SKIN, CONCERNS, PURCHASES = "nombre", "tipo de piel", "preocupaciones", "compras recientes"
MOST_PURCHASES = 5  # the newest; older ones tell little of what someone uses today


def customer_data(profile: CustomerProfile) -> str:
    """The fenced lines of what is known; empty where nothing is."""
    lines = [f"{field}: {value}" for field, value in _fields(profile) if value]
    return "\n".join((FENCE_OPEN, *lines, FENCE_CLOSE)) if lines else ""


def _fields(profile: CustomerProfile) -> Iterator[tuple[str, str]]:
    yield NAME, one_line(profile.first_name)
    yield SKIN, (profile.skin_type or "").lower()
    yield CONCERNS, ", ".join(filter(None, (one_line(c.lower()) for c in profile.skin_concerns)))
    bought = (_bought(p) for p in profile.purchases[:MOST_PURCHASES])
    yield PURCHASES, ", ".join(filter(None, bought))


def _bought(purchase: Purchase) -> str:
    title, when = one_line(purchase.title), days_ago(purchase.days_ago)
    many = f", {purchase.quantity} unidades" if purchase.quantity > 1 else ""
    return f"{title} ({when}{many})" if title else ""
