"""The checks that know the shop: only its products, at their prices, and an answer to what was asked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from clara_kit.audio.numbers import words
from clara_kit.core.placeholders import fold
from clara_kit.lab.scores.heard import Failure, Found, Heard, aloud, sentences
from clara_kit.lab.scores.products import amounts, named
from clara_kit.lab.scores.words import usual_words
from clara_kit.prompts.catalog import Catalog, Product

SHOP_CLP = frozenset((3990, 30000))  # what sending costs, and from what on it is free: data/prompts/parts/shop.md
_PROPER = r"(?P<name>(?:[A-ZÁÉÍÓÚÑ][\w'’-]*)(?: [A-ZÁÉÍÓÚÑ][\w'’-]*)*)"
_NO_NAME = frozenset(words("spf fps uv uva uvb aha bha pha beta skincare vitamina clara q10 si no el la usa para"))
_SHARES = (0.2, 0.8, 1.8)  # of the price: what is saved on the second of two, what it costs, and both together
_MANY = re.compile(r"\b(?:dos|segund[oa]|tres|cuatro|cinco|ambos|juntos|total|ahorr\w+|descuento|por ciento)\b")


@lru_cache(maxsize=2)
def _kind_and_name(kinds: frozenset[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    either = "|".join(sorted(kinds, key=len, reverse=True))
    return (
        re.compile(rf"(?<!\w)(?P<kind>(?i:{either}))(?: (?:solar|facial|corporal|labial|limpiadora?|hidratante|reparadora?|micelar|nocturn[oa]|(?:de|para) (?:noche|día|manos|ojos)))* {_PROPER}"),
        re.compile(rf"(?i:recomiendo|prueba|tenemos|usa|ofrezco|sugiero|combina(?:lo|la)? con)(?: (?:el|la|los|las|un|una|con))? {_PROPER}"),
    )  # fmt: skip


def catalogue_only(heard: Heard) -> Iterator[Failure]:
    """No product that the shop has not, and no other house, but to say that it is not there."""
    for one in heard.answers:
        yield from one.failures("catalogue_only", _not_ours(one.text, heard.catalog, fold(heard.name)))


@lru_cache(maxsize=8192)
def _not_ours(text: str, catalog: Catalog, name: str) -> Found:
    words, found = usual_words(), list[tuple[str, str]]()
    for sentence in sentences(text):
        plain = fold(sentence)
        if not words.not_ours.search(plain):
            houses = [sentence[m.start() : m.end()] for m in words.brands.finditer(plain)]
            found += [("another house", ", ".join(houses))] if houses else []
            found += [] if houses else [("not in the catalogue", one) for one in _unknown(sentence, catalog, name)]
    return tuple(found)


def _unknown(sentence: str, catalog: Catalog, name: str) -> Iterator[str]:
    """Proper names behind a kind of product, or behind «te recomiendo», that are none of the catalogue's."""
    ours = named(sentence, catalog)
    kinds, recommended = _kind_and_name(usual_words().kinds)
    plain = _accents(sentence)
    generic = {
        fold(word) for p in catalog for word in (p.product_type.split()[0], p.title.split()[0])
    } | usual_words().kinds
    for pattern in (kinds, recommended):
        for match in pattern.finditer(plain):
            proper = match["name"].split()
            while proper and fold(proper[-1]) in _NO_NAME:
                proper.pop()
            start = match.start("kind") if pattern is kinds else match.start("name")
            end = match.start("name") + len(" ".join(proper))
            if (
                not proper
                or fold(proper[0]) in _NO_NAME
                or fold(proper[0]) in name.split()
                or generic.issuperset(map(fold, proper))
            ):
                continue  # «Crema Hidratante» is a kind in capitals
            if not any(n.start <= start and end <= n.end for n in ours):
                yield sentence[start:end]
                return


def price_right(heard: Heard) -> Iterator[Failure]:
    """Every amount of pesos is the price of a product it is said of, one of the shop's, or one that the customer said.

    Two prices that are exchanged within a sentence go unnoticed: rules do not read so closely.
    """
    known = {p.price_clp for p in heard.catalog} | SHOP_CLP
    told: set[int] = set()
    about: tuple[Product, ...] = ()
    for one in heard.answers:
        told |= {amount.pesos for amount in amounts(one.question)}
        about = tuple(p for n in named(one.question, heard.catalog) for p in n.products) or about
        for sentence in sentences(one.text):
            about = tuple(p for n in named(sentence, heard.catalog) for p in n.products) or about
            for amount in amounts(sentence):
                vague = amount.about and "gratis" not in sentence  # from what amount on it is, is a fact of the shop's
                right = told | SHOP_CLP | (_prices(about, sentence) if about else known)
                if vague or amount.pesos in right:
                    continue
                if about and amount.pesos in known:
                    yield Failure(one.turn, "price_right", "the price of another product", amount.text)
                else:
                    yield Failure(one.turn, "price_right", "no price of the catalogue", amount.text)


def _prices(about: tuple[Product, ...], sentence: str) -> set[int]:
    prices = [p.price_clp for p in about]
    several = (
        {round(price * n) for price in prices for n in (*range(2, 6), *_SHARES)}
        if _MANY.search(aloud(sentence))
        else set()
    )
    return {*prices, sum(prices), *several}


def answers_question(heard: Heard) -> Iterator[Failure]:
    """What was asked is told, or that it is not known, or what was meant is asked. An answer that was cut is not judged."""
    words = usual_words()
    for one in heard.replies:
        if one.unheard or not one.text:
            continue
        question = fold(one.question)
        wanted = [(what, needs) for what, asks, needs in words.questions if asks.search(question)]
        plain = fold(one.text) if wanted else ""
        if not wanted or words.honest.search(plain) or any(words.asks_back.search(q) for q in _questions(plain)):
            continue
        for what, needs in wanted:
            if not needs.search(plain) and not needs.search(fold(aloud(one.text))):
                yield Failure(one.turn, "answers_question", f"it does not tell {what}", one.text)


def _questions(plain: str) -> list[str]:
    return [part.rsplit("¿", 1)[-1] for part in plain.split("?")[:-1]]


def _accents(text: str) -> str:
    """Without accents, in the case that it has: a pattern tells a proper name by its capital."""
    return "".join(plain if char.islower() else plain.upper() for char, plain in zip(text, fold(text), strict=True))
