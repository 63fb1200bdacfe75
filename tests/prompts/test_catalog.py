"""The catalogue is whole, agrees with what Clara says, and a damaged one is refused with its place."""

from __future__ import annotations

import copy
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.core.profile import SKIN_CONCERNS, SKIN_TYPES
from clara_kit.prompts.catalog import MAX_KEYTERM_CHARS, Catalog, Product

CATALOG = Catalog.load()
RAW = json.loads((DATA / "catalog" / "products.json").read_text(encoding="utf-8"))
NODES = RAW["products"]["nodes"]
ANSWERS = yaml.safe_load((DATA / "answers" / "skincare_es.yaml").read_text(encoding="utf-8"))["entries"]
SPOKEN = [
    *(entry["a"] for entry in ANSWERS),
    *(line for path in sorted((DATA / "prompts").rglob("*.md")) for line in path.read_text("utf-8").splitlines()),
]
SHOP_FACTS = {"$30.000", "$3.990"}  # free shipping from; shipping
FOR_A_DOCTOR = {"Rosácea", "Cicatrices"}  # a shop that sells something «for» these would make a medical claim
AVOID_MEDICAL = (
    r"\b(cura|curan|curar|elimina|trata|tratamiento|sana|medicinal|clínic|garantiz|rosácea|eccema|psoriasis)"
)


def fold(text: str) -> str:
    flat = unicodedata.normalize("NFD", text.casefold())
    return "".join(c for c in flat if not unicodedata.combining(c))


def own_words(product: Product) -> set[str]:
    """The words that tell a product from its kind: «Gel limpiador Brisa» is {brisa}."""
    words = re.findall(r"\w+", product.title)
    return {fold(w) for w in words[1:] if w[0].isupper() and w not in {"SPF"}}


def test_there_are_products_enough_and_no_two_alike() -> None:
    assert len(CATALOG) >= 45
    assert len({p.handle for p in CATALOG}) == len({p.title for p in CATALOG}) == len(CATALOG)
    assert len({n["id"] for n in NODES}) == len(NODES)
    assert len({v["sku"] for n in NODES for v in n["variants"]["nodes"]}) == len(NODES)


def test_every_node_has_the_shape_of_the_shops() -> None:
    for node in NODES:
        assert re.fullmatch(r"gid://shopify/Product/\d+", node["id"])
        assert re.fullmatch(r"[a-z0-9-]+", node["handle"])
        assert node["vendor"] == "Beta Skincare" and node["status"] in {"ACTIVE", "ARCHIVED", "DRAFT"}
        (variant,) = node["variants"]["nodes"]
        assert re.fullmatch(r"\d+\.00", variant["price"])  # as Shopify writes a price
        assert variant["inventoryQuantity"] == node["totalInventory"]
        fields = {m["key"]: m for m in node["metafields"]["nodes"]}
        assert set(fields) == {"skin_types", "concerns", "ingredients", "how_to_use"}
        assert all(isinstance(m["value"], str) for m in fields.values())


def test_what_is_no_longer_sold_is_not_in_the_catalogue_and_some_things_are_sold_out() -> None:
    gone = [n["handle"] for n in NODES if n["status"] != "ACTIVE"]
    assert gone and all(CATALOG.get(handle) is None for handle in gone)
    assert 2 <= len(CATALOG) - len(CATALOG.in_stock) <= 6


@pytest.mark.parametrize("concern", [c for c in SKIN_CONCERNS if c not in FOR_A_DOCTOR])
@pytest.mark.parametrize("skin", SKIN_TYPES)
def test_every_skin_finds_something_for_every_concern(skin: str, concern: str) -> None:
    assert [p for p in CATALOG.in_stock if skin in p.skin_types and concern in p.concerns]


@pytest.mark.parametrize("skin", SKIN_TYPES)
@pytest.mark.parametrize("kind", ["Limpiador", "Hidratante", "Sérum", "Protector solar", "Tónico", "Mascarilla"])
def test_every_skin_finds_a_whole_routine(skin: str, kind: str) -> None:
    assert [p for p in CATALOG.in_stock if skin in p.skin_types and p.product_type == kind]


def test_nothing_claims_to_heal() -> None:
    for product in CATALOG:
        text = f"{product.title}. {product.description} {product.how_to_use}"
        assert not re.search(AVOID_MEDICAL, text, re.IGNORECASE), text
        assert not FOR_A_DOCTOR & set(product.concerns)
        assert product.ingredients and product.how_to_use and product.description


@pytest.mark.parametrize(
    ("title", "price"),
    [
        ("Gel limpiador Brisa", "$9.990"),
        ("Gel Brisa con ácido salicílico", "$11.990"),
        ("Crema limpiadora Alba", "$10.990"),
        ("Protector Sol Ligero", "$12.990"),
        ("Protector Sol Mineral", "$14.990"),
        ("Sérum Aurora", "$18.990"),
        ("Sérum Calma", "$15.990"),
        ("Crema Nube", "$13.990"),
        ("Crema Noche Serena", "$17.990"),
        ("Bálsamo labial Miel", "$4.990"),
        ("Crema de manos Nube", "$5.990"),
        ("Kit Primeros Pasos", "$29.990"),
    ],
)
def test_what_clara_has_always_sold_costs_what_it_always_cost(title: str, price: str) -> None:
    assert [p.price_text for p in CATALOG.in_stock if p.title == title] == [price]


@pytest.mark.parametrize("text", [t for t in SPOKEN if set(re.findall(r"\$[\d.]*\d", t)) - SHOP_FACTS])
def test_a_price_that_clara_says_is_that_of_a_product_she_names(text: str) -> None:
    if "por ejemplo" in text:  # how to say a price, not whose it is
        return
    words = set(re.findall(r"\w+", fold(text)))
    for price in set(re.findall(r"\$[\d.]*\d", text)) - SHOP_FACTS:
        assert [p for p in CATALOG if p.price_text == price and own_words(p) and own_words(p) <= words], price


@pytest.mark.parametrize("entry", ANSWERS, ids=lambda e: e["id"])
def test_a_product_that_an_answer_names_is_on_sale(entry: dict[str, Any]) -> None:
    sold = set().union(*map(own_words, CATALOG.in_stock))
    known = sold | {"clara", "beta", "skincare", "chile", "spf"}
    assert {fold(w) for w in re.findall(r"(?<=[\w,;] )([A-ZÁÉÍÓÚÑ]\w+)", entry["a"])} <= known


BY_SKIN = {"dry": "Seca", "oily": "Grasa", "mixed": "Mixta", "sensitive": "Sensible", "normal": "Normal"}
FOR_A_SKIN = [
    e for e in ANSWERS if e["id"].split("_")[0] in {"cleanser", "moisturizer", "serum", "sunscreen"}
    and e["id"].split("_")[-1] in BY_SKIN
]  # fmt: skip


@pytest.mark.parametrize("entry", FOR_A_SKIN, ids=lambda e: e["id"])
def test_an_answer_for_one_skin_names_a_product_made_for_it(entry: dict[str, Any]) -> None:
    words = set(re.findall(r"\w+", fold(entry["a"])))
    (price,) = re.findall(r"\$[\d.]*\d", entry["a"])
    named = [p for p in CATALOG.in_stock if p.price_text == price and own_words(p) and own_words(p) <= words]
    assert [p for p in named if BY_SKIN[entry["id"].split("_")[-1]] in p.skin_types], entry["a"]


def test_keyterms_are_few_short_and_begin_with_what_the_shop_invented() -> None:
    terms = CATALOG.keyterms()
    assert len(terms) <= 100 and sum(map(len, terms)) <= MAX_KEYTERM_CHARS
    assert len({t.casefold() for t in terms}) == len(terms)
    assert set(terms[: len(CATALOG)]) == {p.title for p in CATALOG}
    assert {"niacinamida", "ácido hialurónico"} <= set(terms)
    assert CATALOG.keyterms(5) == terms[:5] and CATALOG.keyterms(0) == ()


def test_the_hash_follows_the_file(tmp_path: Path) -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", CATALOG.hash)
    other = write(tmp_path, {"products": {"nodes": NODES[:3]}})
    assert Catalog.load(other).hash not in {CATALOG.hash, ""}


def write(folder: Path, data: Any, name: str = "products.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '{"products": null}', '{"products": {"nodes": 5}}'])
def test_a_file_that_is_no_catalogue_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScriptError, match=r"broken\.json"):
        Catalog.load(path)
    with pytest.raises(ScriptError, match=r"none\.json"):
        Catalog.load(tmp_path / "none.json")


def _set(*where: str | int, to: Any) -> Any:
    def change(node: Any) -> None:
        for step in where[:-1]:
            node = node[step]
        node[where[-1]] = to

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("handle", to=""),
        _set("title", to=" "),
        _set("totalInventory", to="many"),
        _set("totalInventory", to=None),
        _set("variants", "nodes", to=[]),
        _set("variants", "nodes", 0, "price", to="free"),
        _set("variants", "nodes", 0, "price", to="nan"),
        _set("variants", "nodes", 0, "price", to="inf"),
        _set("variants", "nodes", 0, "price", to="-9990.00"),
        _set("metafields", to=None),
        _set("metafields", "nodes", 0, "value", to="[]"),
        _set("metafields", "nodes", 0, "value", to='["Atópica"]'),
        _set("metafields", "nodes", 0, "value", to="Seca, Grasa"),
        _set("metafields", "nodes", 1, "value", to='["Celos"]'),
        _set("metafields", "nodes", 1, "value", to="{}"),
    ],
)
def test_a_damaged_product_is_named_with_its_place(tmp_path: Path, change: Any) -> None:
    nodes = copy.deepcopy(NODES[:3])
    change(nodes[1])
    with pytest.raises(ScriptError, match=r"products\.json, product 2"):
        Catalog.load(write(tmp_path, {"products": {"nodes": nodes}}))


def test_a_handle_that_stands_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="gel-limpiador-brisa"):
        Catalog.load(write(tmp_path, {"products": {"nodes": [NODES[0], NODES[0]]}}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from(sorted(NODES[0])), value=JSON, number=st.integers(0, 10**9))
def test_whatever_stands_in_a_product_it_loads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any, number: int
) -> None:
    path = write(tmp_path_factory.mktemp("c"), {"products": {"nodes": [{**NODES[0], key: value}]}}, f"{number}.json")
    refused = ""
    try:
        assert len(Catalog.load(path)) <= 1
    except ScriptError as exc:
        refused = str(exc)
    assert not refused or path.name in refused
