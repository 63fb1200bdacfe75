"""What the kit knows of a customer: plain words, already cleaned, for prompts, recommendations and greetings.

Made by `shop/parse.py` from what the shop answers; an empty profile is a customer of whom
nothing is known. Values here are data and never instructions; none of them enters a trace or a log (there they
are placeholders, see `core/placeholders.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from clara_kit.core.page import plain, table
from clara_kit.core.text import whole

SkinType = Literal["Seca", "Grasa", "Mixta", "Sensible", "Normal"]
SKIN_TYPES: tuple[SkinType, ...] = get_args(SkinType)

# The concerns that may stand in a prompt: a closed list, for whatever else a metafield holds would be free text
# there. The names are those of the shop's filters; spelling, case and accents are forgiven when they are read.
SKIN_CONCERNS: tuple[str, ...] = (
    "Acné",
    "Arrugas",
    "Barrera dañada",
    "Brillo",
    "Cicatrices",
    "Deshidratación",
    "Flacidez",
    "Irritación",
    "Líneas de expresión",
    "Manchas",
    "Marcas de acné",
    "Ojeras",
    "Opacidad",
    "Poros",
    "Puntos negros",
    "Resequedad",
    "Rojeces",
    "Rosácea",
    "Sensibilidad",
    "Textura irregular",
    "Tono desigual",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One product of a past order. `days_ago`: whole days between the order and the day of the question."""

    handle: str  # empty where the product is no longer in the shop
    title: str
    days_ago: int
    quantity: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", whole(self.title))


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something the shop answered that the profile does not use, and why. Never holds the value itself."""

    field: str  # e.g. "skin_type", "first_name", "skin_concerns[2]", "orders"
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerProfile:
    """A customer. Every field may be unknown; `left_out` says what came but could not be used."""

    customer_id: str = ""  # gid://shopify/Customer/<number>
    first_name: str = ""
    skin_type: SkinType | None = None
    skin_concerns: tuple[str, ...] = ()
    purchases: tuple[Purchase, ...] = ()  # newest first
    orders_count: int | None = None
    left_out: tuple[LeftOut, ...] = ()
    # True: the shop holds more than `purchases`. Outside the repr, by which runs of before know their customer.
    purchases_cut: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "first_name", whole(self.first_name))
        object.__setattr__(self, "skin_concerns", whole(self.skin_concerns))

    @property
    def known_fields(self) -> tuple[str, ...]:
        """The names of the fields that hold something Clara can use: all that a log may say of a profile."""
        names = ("first_name", "skin_type", "skin_concerns", "purchases")
        return tuple(name for name in names if getattr(self, name) not in ("", None, ()))

    def _repr_html_(self) -> str:
        return table(self._rows())

    def _repr_pretty_(self, page: Any, _cycle: bool) -> None:
        page.text(plain(self._rows()))

    def _rows(self) -> list[tuple[str, str]]:
        rows = {
            "first name": self.first_name,
            "skin type": self.skin_type,
            "concerns": ", ".join(self.skin_concerns),
            "bought": "; ".join(f"{p.title} ({p.days_ago} days ago)" for p in self.purchases)
            + ("; and more before" if self.purchases_cut else ""),
            "left out": "; ".join(f"{x.field}: {x.why}" for x in self.left_out),
        }
        return [(name, value or "—") for name, value in rows.items()]

    @property
    def is_anonymous(self) -> bool:
        """Nothing is known that Clara could use."""
        return not self.known_fields


ANONYMOUS = CustomerProfile()

_PLACEHOLDER = re.compile(r"\{[a-z]+(?:_[a-z0-9]+)*(?:~\d+)?\}")


def fill(text: str, words: Mapping[str, str]) -> str:
    """The text with words in place of their placeholders (`{first_name}`); unknown placeholders stay."""
    return _PLACEHOLDER.sub(lambda m: words.get(m.group(), m.group()), text) if "{" in text else text


def placeholders_in(text: str) -> list[re.Match[str]]:
    """The placeholders of a text, in order."""
    return list(_PLACEHOLDER.finditer(text))
