"""The invented customers are invented, cover every case, and become the profiles that were meant."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from clara_kit.core.errors import ScriptError
from clara_kit.core.profile import SKIN_CONCERNS, SKIN_TYPES, CustomerProfile
from clara_kit.prompts.catalog import Catalog
from clara_kit.prompts.recommend import recommend
from clara_kit.world.personas import FOLDER, Persona

ALL = Persona.all()
TODAY = date(2026, 11, 25)
HARD = {
    "no_metafields", "no_orders", "no_name", "long_name", "emoji", "injection", "unknown_skin", "spelling",
    "malformed_list", "legacy_shape", "null", "many_concerns", "unknown_concern", "blocked", "bought_the_best",
    "deleted_product", "many_orders", "doctor",
}  # fmt: skip


def profile(name: str) -> CustomerProfile:
    return Persona.load(name).profile


def left(name: str) -> set[str]:
    return {entry.field for entry in profile(name).left_out}


def test_there_are_customers_enough_sorted_and_no_two_alike() -> None:
    assert len(ALL) >= 18
    assert [p.name for p in ALL] == sorted(p.name for p in ALL)
    assert len({p.gid for p in ALL}) == len({p.email for p in ALL}) == len(ALL)


@pytest.mark.parametrize("persona", ALL, ids=lambda p: p.name)
def test_every_customer_is_plainly_invented_and_has_the_shops_shape(persona: Persona) -> None:
    node = persona.to_customer_node(TODAY)
    assert persona.email.endswith(("@example.com", "@example.org")) and persona.about.endswith((".", "!"))
    assert set(persona.hard) <= HARD
    assert re.fullmatch(r"gid://shopify/Customer/\d+", node["id"]) and node["id"] == persona.gid
    assert node["numberOfOrders"] == str(len(node["orders"]["nodes"]))
    assert all(isinstance(m["value"], str) for m in node["metafields"]["nodes"])  # Shopify's is String!
    moments = [o["processedAt"] for o in node["orders"]["nodes"]]
    assert moments == sorted(moments, reverse=True)
    json.dumps(node)


@pytest.mark.parametrize("persona", ALL, ids=lambda p: p.name)
def test_a_product_that_a_customer_bought_is_in_the_catalogue_or_gone(persona: Persona) -> None:
    file = json.loads((FOLDER.parent / "catalog" / "products.json").read_text(encoding="utf-8"))
    known = {n["handle"]: n["title"] for n in file["products"]["nodes"]}
    for order in persona.to_customer_node(TODAY)["orders"]["nodes"]:
        for item in order["lineItems"]["nodes"]:
            if item["product"] is not None:
                assert item["product"]["handle"] in known
                if "injection" not in persona.hard:
                    assert item["title"] == known[item["product"]["handle"]]


def test_every_skin_every_hard_case_and_most_concerns_have_a_customer() -> None:
    assert {p.profile.skin_type for p in ALL} == {*SKIN_TYPES, None}
    assert {h for p in ALL for h in p.hard} == HARD
    assert len({c for p in ALL for c in p.profile.skin_concerns}) >= len(SKIN_CONCERNS) * 3 // 4


@pytest.mark.parametrize("persona", ALL, ids=lambda p: p.name)
def test_the_profile_is_the_same_on_every_day(persona: Persona) -> None:
    from clara_kit.shop.parse import profile_of

    days = (date(2026, 3, 1), date(2028, 2, 29))
    one, other = (profile_of(persona.to_customer_node(day), today=day) for day in days)
    assert one == other


def test_hostile_text_leaves_no_markup_no_invisible_character_and_no_line_break() -> None:
    for persona in ALL:
        p = persona.profile
        for text in (p.first_name, *p.skin_concerns, *(b.title for b in p.purchases)):
            assert text == text.strip() and text.isprintable() and not re.search(r"[<>{}`\n\u202e\u200b]", text)
            assert len(text) <= 80


def test_hard_cases_become_what_was_meant() -> None:
    assert profile("piel_desconocida").skin_type is None and "skin_type" in left("piel_desconocida")
    assert profile("mal_escrita").skin_type is None and "skin_type" in left("mal_escrita")
    assert "skin_concerns[1]" in left("mal_escrita")
    assert profile("minusculas").skin_type == "Grasa"
    assert profile("lista_con_comas").skin_concerns == ("Rojeces", "Sensibilidad")
    assert profile("emoji").first_name == "Flor"
    assert profile("solo_emoji").first_name == "" == profile("nulos").first_name
    assert profile("plan_bajo").first_name == "" and profile("plan_bajo").skin_type is not None
    assert profile("recien_llegada").purchases == () and profile("recien_llegada").skin_type is None
    assert len(profile("nombre_largo").first_name) <= 40
    assert len(profile("doce_preocupaciones").skin_concerns) == 6
    assert profile("producto_borrado").purchases[0].handle == ""
    assert profile("orden").skin_type == "Mixta"
    hostile = profile("hostil")
    assert hostile.skin_type is None and set(hostile.skin_concerns) <= {"Manchas", "Acné"}


def test_who_bought_the_best_last_month_is_recommended_something_else() -> None:
    catalog = Catalog.load()
    (persona,) = [p for p in ALL if "bought_the_best" in p.hard]
    known = persona.profile
    naive = recommend(CustomerProfile(skin_type=known.skin_type, skin_concerns=known.skin_concerns), catalog)
    best = {r.product.handle for r in naive}
    lately = {p.handle for p in known.purchases if p.days_ago <= 30}
    assert best <= lately
    again = recommend(known, catalog)
    assert again and not {r.product.handle for r in again} & lately


GOOD = {"id": 1, "email": "a@example.com", "about": "Somebody."}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"email": "somebody@gmail.com"}, "real address"),
        ({"id": "x"}, "id is a whole number"),
        ({"id": True}, "id is a whole number"),
        ({"blocked": "yes"}, "blocked is null or plan"),
        ({"surname": "Pérez"}, "malformed"),
        ({"metafields": 5}, "malformed"),
        ({"metafields": [{"key": "skin_type"}]}, "malformed"),
        ({"orders": [{"items": []}]}, "malformed"),
        ({"orders": [{"days_ago": "soon", "items": []}]}, "malformed"),
        ({"orders": [{"days_ago": 10**12, "items": []}]}, "malformed"),
        ({"orders": [{"days_ago": 3, "items": [{"handle": "x"}]}]}, "malformed"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    path = tmp_path / "someone.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **changes}), encoding="utf-8")
    with pytest.raises(ScriptError, match=says) as caught:
        Persona.load(path)
    assert "someone.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "\x00", "about: x"])
def test_a_file_that_is_no_customer_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScriptError, match=r"broken\.yaml"):
        Persona.load(path)


def test_an_unknown_name_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(ScriptError, match="camila"):
        Persona.load("nadie")
