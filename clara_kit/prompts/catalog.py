"""What the shop sells: `data/catalog/products.json`, in the shape of Shopify's Product, read once and checked.

Comes before the recommender, the prompt's static part and the recogniser's keyterms. Customers' words play no part
here: a catalogue is the shop's own text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from clara_kit import data_files
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.core.profile import SKIN_CONCERNS, SKIN_TYPES, SkinType
from clara_kit.core.text import whole
from clara_kit.prompts.spanish import clp

FILE = DATA / "catalog" / "products.json"
NAMESPACE = "beta_skincare"
# Deepgram takes 100 keyterms and 500 tokens together (developers.deepgram.com/docs/keyterm, 2026); with about 3.3
# characters of Spanish a token, 1,400 characters leave a margin.
MAX_KEYTERMS = 100
MAX_KEYTERM_CHARS = 1_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One product. `skin_types` are those it is made for; `stock` counts pieces, 0 where none is left."""

    handle: str
    title: str
    product_type: str
    price_clp: int
    skin_types: tuple[SkinType, ...]
    concerns: tuple[str, ...]
    ingredients: tuple[str, ...]
    how_to_use: str
    description: str
    stock: int
    tags: tuple[str, ...] = ()

    @property
    def price_text(self) -> str:
        """The price as it is written and spoken: $12.990."""
        return clp(self.price_clp)

    @property
    def for_every_skin(self) -> bool:
        """Made for no skin type in particular."""
        return len(self.skin_types) == len(SKIN_TYPES)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every product on sale, in the file's order (active ones only). `hash`: 12 hex digits of the file's SHA-256."""

    products: tuple[Product, ...] = field(hash=False)  # `hash` tells two apart well enough, and at once
    hash: str = ""

    @classmethod
    def load(cls, path: str | Path | None = None) -> Catalog:
        """The shop's catalogue, or another file of the same shape; raises `ScriptError` naming the product."""
        return data_files.made(FILE if path is None else Path(path), _read)

    def get(self, handle: str) -> Product | None:
        """The product of this handle."""
        return next((p for p in self.products if p.handle == handle), None)

    @property
    def in_stock(self) -> tuple[Product, ...]:
        """What can be bought today."""
        return tuple(p for p in self.products if p.stock > 0)

    def keyterms(self, limit: int = MAX_KEYTERMS) -> tuple[str, ...]:
        """Names that the recogniser should know, the shop's own inventions first, then ingredients.

        At most `limit` terms and 1,400 characters, the recogniser's limits.
        """
        names = (p.title for p in self.products)
        ingredients = (i for p in self.products for i in p.ingredients)
        kept: dict[str, None] = {}
        chars = 0
        for term in (*names, *ingredients):
            if term not in kept and len(kept) < limit and chars + len(term) <= MAX_KEYTERM_CHARS:
                kept[term] = None
                chars += len(term)
        return tuple(kept)

    def __len__(self) -> int:
        return len(self.products)

    def __iter__(self) -> Iterator[Product]:
        return iter(self.products)


def _read(path: Path) -> Catalog:
    try:
        raw = data_files.raw(path)
        nodes = list(whole(json.loads(raw))["products"]["nodes"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        shape = 'it is JSON: {"products": {"nodes": [product, ...]}}.'
        why = f"{type(exc).__name__} {exc}"
        raise ScriptError(f"The catalogue {path.name} cannot be read: {why}.", hint=shape) from exc
    products = tuple(_product(node, f"{path.name}, product {n}") for n, node in enumerate(nodes, start=1))
    handles = [p.handle for p in products]
    twice = sorted({h for h in handles if handles.count(h) > 1})
    if twice:
        raise ScriptError(f"{path.name}: {', '.join(twice)} stands there twice.", hint="handles are unique.")
    active = tuple(p for p, node in zip(products, nodes, strict=True) if node.get("status") == "ACTIVE")
    return Catalog(active, sha256(raw).hexdigest()[:12])


def _product(node: Any, where: str) -> Product:
    try:
        fields = {m["key"]: m["value"] for m in node["metafields"]["nodes"] if m["namespace"] == NAMESPACE}
        product = Product(
            handle=str(node["handle"]),
            title=str(node["title"]),
            product_type=str(node["productType"]),
            price_clp=round(float(node["variants"]["nodes"][0]["price"])),
            skin_types=_words(fields, "skin_types"),  # type: ignore[arg-type]  # checked below
            concerns=_words(fields, "concerns"),
            ingredients=_words(fields, "ingredients"),
            how_to_use=str(fields.get("how_to_use", "")),
            description=str(node.get("description", "")),
            stock=max(0, int(node["totalInventory"])),
            tags=tuple(map(str, node.get("tags", ()))),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as exc:
        why, hint = f"{type(exc).__name__} {exc}", "the shape is described in data/README.md."
        raise ScriptError(f"{where} is malformed: {why}.", hint=hint) from exc
    _check(product, where)
    return product


def _check(product: Product, where: str) -> None:
    """Raises `ScriptError` for what would make a wrong recommendation or a wrong price."""
    unknown: list[str] = [s for s in product.skin_types if s not in SKIN_TYPES]
    unknown += [c for c in product.concerns if c not in SKIN_CONCERNS]
    known = f"skin types: {', '.join(SKIN_TYPES)}; concerns: {', '.join(SKIN_CONCERNS)}."
    for wrong, says, hint in (
        (not product.handle.strip() or not product.title.strip(), " has no handle or no title.", ""),
        (product.price_clp <= 0, f": a price of {product.price_text} makes no sense.", "write pesos: 9990.00."),
        (not product.skin_types, " is made for no skin type.", "name all five where it suits everybody."),
        (unknown, f": nobody knows {', '.join(unknown)}.", known),
    ):
        if wrong:
            raise ScriptError(f"{where} ({product.handle}){says}", hint=hint)


def _words(fields: dict[str, str], key: str) -> tuple[str, ...]:
    words = json.loads(fields.get(key, "[]"))
    if not isinstance(words, list):
        raise TypeError(f"{key} is no list")
    return tuple(map(str, words))
