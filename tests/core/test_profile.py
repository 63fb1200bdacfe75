"""What is known of a customer, as a person and as a log see it."""

from __future__ import annotations

from clara_kit.core.profile import ANONYMOUS, CustomerProfile, LeftOut, Purchase, fill


def test_only_fields_that_hold_something_are_known() -> None:
    assert ANONYMOUS.is_anonymous and ANONYMOUS.known_fields == ()
    assert CustomerProfile(skin_type="Seca", orders_count=0).known_fields == ("skin_type",)


def test_a_profile_shows_itself_with_what_was_left_out_and_escapes_it() -> None:
    profile = CustomerProfile(
        first_name="A<b>",
        purchases=(Purchase(handle="x", title="Gel", days_ago=3),),
        left_out=(LeftOut(field="skin_type", why="it is not a known skin type"),),
    )
    page = profile._repr_html_()
    assert "A&lt;b&gt;" in page and "Gel (3 days ago)" in page and "skin_type: it is not a known skin type" in page


def test_unknown_placeholders_stay() -> None:
    assert fill("Hola {first_name}, {x} {skin_type}", {"{first_name}": "Ana"}) == "Hola Ana, {x} {skin_type}"
