"""Every shape of customer and catalogue that a template has to bear: what it is tried with when it is loaded.

Between `language.py`, which says what a block reads, and `compile.py`, which fills it. 0 to 3 of each list, and as many
as the template's own numbers speak of; with and without a name; only what the block reads is varied, so that it is cheap.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import product
from typing import Any

from clara_kit.core.profile import SKIN_TYPES
from clara_kit.prompts.values import FENCE_CLOSE, FENCE_OPEN, Bought, Item

_WORDS = tuple(f"preocupación {letter}" for letter in "abcdefghijkl")  # as many as a list is tried with
_ABOUT_THE_CUSTOMER = ("first_name", "skin_type", "concerns", "purchases")


def shapes(used: Collection[str], constants: Collection[object]) -> Iterator[dict[str, Any]]:
    """A value for each variable that a block uses, in every combination; the smallest first.

    constants: the numbers and texts of the template, so that «if skin_type == 'seca'» is true once, and `.reasons` where
    it reads such a list of a product.
    """
    numbers = [n for n in constants if isinstance(n, int) and 3 < n < len(_WORDS)]
    lengths = sorted({0, 1, 2, 3, *numbers, *(n + 1 for n in numbers)})
    skins = [s.lower() for s in SKIN_TYPES if s.lower() in constants or s == "Mixta"]
    ages = (40, 900) if any(isinstance(n, int) and n >= len(_WORDS) for n in constants) else (40,)
    firsts = range(4) if any(isinstance(n, str) and n.startswith(".") for n in constants) else (1,)
    values: dict[str, list[Any]] = {
        "first_name": ["", "Ana"],
        "skin_type": ["", *skins],
        "concerns": [_WORDS[:n] for n in lengths],
        "purchases": [(), *(_bought(n, oldest) for n in lengths[1:] for oldest in ages)],
        "recommended": [(), *(_items(n, first) for n in lengths[1:] for first in firsts)],
        "catalog": [(), *(_items(n, first) for n in lengths[1:] for first in firsts)],
    }
    names = [name for name in values if name in used]
    for held in product(*(values[name] for name in names)):
        shape: dict[str, Any] = dict(zip(names, held, strict=True))
        if "customer_data" not in used:
            yield shape
            continue
        known = any(shape.get(name) for name in _ABOUT_THE_CUSTOMER)
        for fenced in [True] if known else [False, True]:
            yield {**shape, "customer_data": f"{FENCE_OPEN}\nnombre: x\n{FENCE_CLOSE}" if fenced else ""}


def told(held: Mapping[str, Any], used: Collection[str]) -> str:
    """A shape in words and numbers, without a word of the customer's: «a customer with no first_name, 1 concerns»."""
    said = ", ".join(_told(name, held[name]) for name in sorted(used) if name in held)
    return f"a customer with {said}" if said else "any customer"


def _told(name: str, value: Any) -> str:
    if not isinstance(value, tuple):
        return f"{'a' if value else 'no'} {name}"
    inside = [str(len(item.concerns)) for item in value if isinstance(item, Item)]
    return f"{len(value)} {name}" + (f" (with {', '.join(inside[:3])} concerns)" if inside else "")


def _bought(n: int, oldest: int) -> tuple[Bought, ...]:
    return tuple(Bought(title="Crema A", days_ago=oldest * i // n, quantity=1 + i % 2) for i in range(1, n + 1))


def _items(n: int, first: int) -> tuple[Item, ...]:
    """Products whose lists hold `first` entries, one more, two more … and none again after three."""
    return tuple(_item(_WORDS[: (first + i) % 4]) for i in range(n))


def _item(words: tuple[str, ...]) -> Item:
    how = "De noche." if words else ""
    return Item(title="Crema A", kind="crema", price_clp=9990, skin_types=words, concerns=words, ingredients=words,
                how_to_use=how, reasons=words)  # fmt: skip
