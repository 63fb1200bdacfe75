"""Recommendations fit the skin, help a concern, are in stock, are not what was just bought, and say why."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit.core.profile import ANONYMOUS, SKIN_CONCERNS, SKIN_TYPES, CustomerProfile, Purchase
from clara_kit.prompts.catalog import Catalog
from clara_kit.prompts.recommend import LATELY_DAYS, Recommendations, recommend

CATALOG = Catalog.load()
PRODUCTS = CATALOG.products

purchases = st.builds(
    lambda p, days, known: Purchase(handle=p.handle if known else "", title=p.title, days_ago=days),
    st.sampled_from(PRODUCTS),
    st.integers(0, 90),
    st.booleans(),
)
profiles = st.builds(
    CustomerProfile,
    first_name=st.just("Camila"),
    skin_type=st.sampled_from((None, *SKIN_TYPES)),
    skin_concerns=st.lists(st.sampled_from(SKIN_CONCERNS), unique=True, max_size=6).map(tuple),
    purchases=st.lists(purchases, max_size=8).map(tuple),
)
examples = settings(max_examples=150, deadline=None)


def handles(found: Recommendations) -> list[str]:
    return [r.product.handle for r in found]


@examples
@given(profile=profiles, n=st.integers(0, 8))
def test_what_is_recommended_fits_and_whatever_does_not_is_explained(profile: CustomerProfile, n: int) -> None:
    found = recommend(profile, CATALOG, n)
    assert len(found) <= n
    for r in found:
        assert r.product.stock > 0
        assert profile.skin_type is None or profile.skin_type in r.product.skin_types
        for p in profile.purchases:
            if p.days_ago <= LATELY_DAYS:
                assert r.product.handle != p.handle and r.product.title != p.title
    others = [p.handle for p, _ in found.rejected]
    assert sorted(handles(found) + others) == sorted(p.handle for p in CATALOG)
    assert all(why for _, why in found.rejected)


@examples
@given(profile=profiles)
def test_every_reason_is_true_and_said_in_both_languages(profile: CustomerProfile) -> None:
    for r in recommend(profile, CATALOG, 8):
        assert r.score > 0 and r.reasons
        for reason in r.reasons:
            english = str(reason)
            if concern := re.fullmatch(r"helps with (.+)", english):
                assert concern[1] in profile.skin_concerns and concern[1] in r.product.concerns
                assert reason.in_spanish == f"ayuda con {concern[1].lower()}"
            elif english == "fits every skin":
                assert set(r.product.skin_types) == set(SKIN_TYPES)
            else:
                assert english == f"made for {profile.skin_type} skin"
                assert profile.skin_type in r.product.skin_types and str(profile.skin_type).lower() in reason.in_spanish


@examples
@given(profile=profiles)
def test_every_refusal_is_true(profile: CustomerProfile) -> None:
    lately = {t for p in profile.purchases if p.days_ago <= LATELY_DAYS for t in (p.handle, p.title)}
    for product, why in recommend(profile, CATALOG).rejected:
        if why == "out of stock":
            assert product.stock == 0
        elif why.startswith("bought"):
            assert product.handle in lately or product.title in lately
        elif why.startswith("not made"):
            assert profile.skin_type is not None and profile.skin_type not in product.skin_types
        elif why.startswith(("nothing known", "helps with none")):
            assert not set(profile.skin_concerns) & set(product.concerns)
        else:
            assert re.fullmatch(r"it fits \(\d+ points\), others come first", why)


@examples
@given(profile=profiles, random=st.randoms(use_true_random=False))
def test_the_order_of_catalogue_concerns_and_purchases_changes_nothing(profile: CustomerProfile, random) -> None:  # type: ignore[no-untyped-def]
    def shuffled(things: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(random.sample(things, len(things)))

    other = replace(profile, skin_concerns=shuffled(profile.skin_concerns), purchases=shuffled(profile.purchases))
    mixed = replace(CATALOG, products=shuffled(PRODUCTS))
    found, again = recommend(profile, CATALOG, 6), recommend(other, mixed, 6)
    assert handles(found) == handles(again) and [r.score for r in found] == [r.score for r in again]
    assert {(p.handle, why) for p, why in found.rejected} == {(p.handle, why) for p, why in again.rejected}
    assert recommend(profile, CATALOG, 6) == found


@examples
@given(profile=profiles, n=st.integers(1, 5))
def test_more_recommendations_begin_with_the_same_ones(profile: CustomerProfile, n: int) -> None:
    assert handles(recommend(profile, CATALOG, n + 2))[:n] == handles(recommend(profile, CATALOG, n))


@pytest.mark.parametrize("skin", SKIN_TYPES)
def test_who_tells_skin_and_concern_hears_three_kinds_of_products_that_differ_by_skin(skin: str) -> None:
    found = recommend(CustomerProfile(skin_type=skin, skin_concerns=("Deshidratación", "Manchas")), CATALOG)  # type: ignore[arg-type]
    assert len({r.product.product_type for r in found}) == 3
    others = [recommend(CustomerProfile(skin_type=s, skin_concerns=("Manchas",)), CATALOG) for s in SKIN_TYPES]
    assert len({tuple(handles(o)) for o in others}) >= 4


@examples
@given(profile=profiles)
def test_while_something_helps_with_a_concern_nothing_is_recommended_that_helps_with_none(
    profile: CustomerProfile,
) -> None:
    helps = [bool(set(profile.skin_concerns) & set(r.product.concerns)) for r in recommend(profile, CATALOG, 8)]
    assert all(helps) or not any(helps)


@pytest.mark.parametrize("concern", ["Rosácea", "Cicatrices"])
def test_what_is_a_doctors_business_gets_what_suits_the_skin_and_no_promise(concern: str) -> None:
    found = recommend(CustomerProfile(skin_type="Sensible", skin_concerns=(concern,)), CATALOG)
    assert found and {str(reason) for r in found for reason in r.reasons} == {"made for Sensible skin"}


@pytest.mark.parametrize(("days", "again"), [(0, False), (30, False), (31, True), (400, True)])
def test_what_was_bought_in_the_last_thirty_days_waits(days: int, again: bool) -> None:
    profile = CustomerProfile(skin_type="Mixta", skin_concerns=("Manchas", "Brillo"))
    best = recommend(profile, CATALOG)[0].product
    for handle in (best.handle, ""):  # a deleted product still has its title
        bought = replace(profile, purchases=(Purchase(handle=handle, title=best.title, days_ago=days),))
        assert (best.handle in handles(recommend(bought, CATALOG))) is again


def test_of_an_unknown_customer_nothing_is_recommended_and_the_table_says_so() -> None:
    found = recommend(ANONYMOUS, CATALOG)
    assert len(found) == 0 and len(found.rejected) == len(CATALOG)
    assert "too little is known" in found._repr_html_()


def test_the_table_shows_product_price_reasons_and_what_was_left_out() -> None:
    found = recommend(CustomerProfile(skin_type="Grasa", skin_concerns=("Acné",)), CATALOG)
    html = found._repr_html_()
    for r in found:
        assert r.product.title in html and r.product.price_text.lstrip("$") in html
        assert all(str(reason) in html for reason in r.reasons) and r.in_spanish in html
    assert "out of stock" in html and "not made for Grasa skin" in html
    assert "color" not in html and "background" not in html  # the notebook's own colours, light or dark
    assert found[0].product.title in repr(found)
    assert len(found[:2]) == 2
