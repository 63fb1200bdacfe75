"""Which products of the catalogue a text names, and which amounts of pesos it says. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import NamedTuple

from clara_kit.audio import numbers
from clara_kit.core.placeholders import fold
from clara_kit.lab.scores.heard import aloud
from clara_kit.prompts.catalog import Catalog, Product

AROUND = 60  # letters around a name within which its kind and the rest of it stand
_CAPITAL = re.compile(r"(?<!\w)[A-ZÁÉÍÓÚÑ][\wáéíóúñ]*")
_SAME_KIND = {"bloqueador": "protector", "suero": "serum", "tonico": "locion", "hidratante": "crema"}


class Named(NamedTuple):
    """Where a text names a product; several where the words fit more than one."""

    start: int
    end: int
    products: tuple[Product, ...]


@lru_cache(maxsize=8192)
def named(text: str, catalog: Catalog) -> tuple[Named, ...]:
    """The products that are named, in order: by kind and name («el gel Brisa»), or by the name alone («Sol Ligero»)."""
    plain, ways = fold(text), _ways(catalog)
    found = defaultdict[tuple[int, int], list[Product]](list)
    for word in _CAPITAL.finditer(text):
        for pattern, product in ways.get(plain[word.start() : word.end()], ()):
            for match in pattern.finditer(plain, max(0, word.start() - AROUND), word.end() + AROUND):
                if match.start("name") == word.start():
                    found[match.start(), match.end()].append(product)
    best: list[tuple[int, int]] = []
    for span in sorted(found, key=lambda span: (span[0], -span[1])):
        if not best or span[1] > best[-1][1]:  # else it is part of one that says more
            best.append(span)
    return tuple(Named(*span, _closest(found[span], plain[slice(*span)])) for span in best)


@lru_cache(maxsize=8192)
def masked(text: str, catalog: Catalog) -> str:
    """The text, as long as it is, without the names of products: they are no words of a language, and none of people's."""
    parts, at = [], 0
    for start, end, _ in named(text, catalog):
        parts += [text[at:start], "·" * (end - max(at, start))]
        at = end
    return "".join((*parts, text[at:]))


def _closest(fits: list[Product], said: str) -> tuple[Product, ...]:
    """Those whose title has all words that were said; all of them where none has."""
    exact = [p for p in fits if set(said.split()) <= set(fold(p.title).split())]
    titled = [p for p in exact if fold(p.title) == said]
    return tuple(dict.fromkeys(titled or exact or fits))


@lru_cache(maxsize=8)
def _ways(catalog: Catalog) -> dict[str, list[tuple[re.Pattern[str], Product]]]:
    """The ways to name each product, by the first word of its name proper: «brisa», «sol»."""
    ways = defaultdict[str, list[tuple[re.Pattern[str], Product]]](list)
    for product in catalog:
        kinds, short, whole = _parts(product)
        name = f"(?P<name>{'|'.join(map(re.escape, (whole, short)))})(?!\\w)"
        kind = "|".join(sorted(map(re.escape, kinds), key=len, reverse=True))
        alone = (
            r"(?<!\w)" if " " in short else r"(?<=\bel )|(?<=\bla )|(?<=\bdel )|(?<=\bal )"
        )  # «Calma la piel» names none
        for before in (rf"(?<!\w)(?:{kind})(?: [a-z]+){{0,2}} ", f"(?:{alone})"):
            ways[short.split()[0]].append((re.compile(before + name), product))
    return dict(ways)


def _parts(product: Product) -> tuple[set[str], str, str]:
    """The kinds it goes by, its name without what follows in small letters, and with it."""
    first, *rest = product.title.split()
    while len(rest) > 1 and rest[0][0].islower():
        rest = rest[1:]
    short = []
    for word in rest:
        if word[0].islower():
            break
        short.append(word)
    kinds = {fold(first), *fold(product.product_type).split()[:1]}
    kinds |= {other for other, same in _SAME_KIND.items() if same in kinds}
    kinds |= {"limpiador", "limpiadora"} if product.product_type == "Limpiador" else set()
    return kinds, fold(" ".join(short or rest)), fold(" ".join(rest))


# --- amounts -------------------------------------------------------------------------------------------------


class Amount(NamedTuple):
    """Pesos that are said, as words of the said text."""

    pesos: int
    text: str
    about: bool
    """«menos de», «casi», «entre»: no price is meant to the peso."""


_VALUE: dict[str, int] = {numbers.cardinal(n): n for n in (*range(1, 30), *range(30, 100, 10), *range(100, 1000, 100))}
_VALUE |= {fold(word): n for word, n in _VALUE.items()}
_VALUE |= {"un": 1, "una": 1, "veintiun": 21, "cien": 100, "y": 0, "mil": 1000, "millon": 10**6, "millones": 10**6}
_NUMBER = "|".join(sorted(_VALUE, key=len, reverse=True))
_AMOUNT = re.compile(
    rf"(?P<about>(?:menos|mas|cerca|alrededor) de |bajo |hasta |sobre |desde |entre |casi |unos |los |las )?"
    rf"(?<!\w)(?P<n>(?!y )(?:{_NUMBER})(?: (?:{_NUMBER}))*)(?P<unit> (?:de )?pesos| lucas?)?(?!\w)"
)


@lru_cache(maxsize=8192)
def amounts(text: str) -> tuple[Amount, ...]:
    """The amounts of pesos in a text, written in figures or in words; a number counts from 1,000 on, or before «pesos»."""
    found, end = list[Amount](), 0
    said = aloud(text)
    for match in _AMOUNT.finditer(plain := fold(said)):
        pesos, unit = _number(match["n"].split()), (match["unit"] or "").strip()
        pesos = pesos * 1000 if unit.startswith("luca") and pesos < 1000 else pesos
        if unit or (pesos >= 1000 and not re.match(r" (?:por|de|veces|anos|personas|client)", plain[match.end() :])):
            about = match["about"] not in (None, "los ", "las ")
            about |= (
                bool(found) and found[-1].about and plain[end : match.start()] == " y "
            )  # «entre doce y veinte mil»
            found.append(Amount(pesos, said[match.start("n") : match.end()], about))
            end = match.end()
    return tuple(found)


def _number(words: list[str]) -> int:
    total = part = 0
    for word in words:
        value = _VALUE[word]
        if value >= 1000:
            total, part = total + max(part, 1) * value, 0
        else:
            part += value
    return total + part
