"""What a notebook shows of a text is the text."""

from __future__ import annotations

from clara_kit import simulate
from clara_kit.core.page import escape
from clara_kit.lab.briefings import replies, told


def test_markup_is_shown_and_a_dollar_sign_is_never_the_beginning_of_mathematics() -> None:
    assert escape("'\u202e\x00") == "&#x27;\ufffd\ufffd"
    assert escape("<b> $3.990 y $30.000") == "&lt;b&gt; <span>$</span>3.990 y <span>$</span>30.000"


def test_prices_stay_prices_wherever_a_conversation_or_a_prompt_is_shown() -> None:
    run = simulate(["¿Cuánto cuesta el despacho?"])
    pages = [run._repr_html_(), told("camila", whole=True)._repr_html_(),
             replies(["¿Cuánto cuesta el despacho?"], "camila", "warm")._repr_html_(),
             told("camila").briefing.recommended._repr_html_()]  # fmt: skip
    for page in pages:
        assert "$" in page and "$" not in page.replace("<span>$</span>", "")
