"""What vendors charge is told at several places, and all of them say the same."""

from __future__ import annotations

import re

import pytest

from clara_kit.core.events import ConversationStarted
from clara_kit.lab.spending import spent
from clara_kit.providers.prices import LITE_CREDIT_USD, conversation, figures
from clara_kit.providers.vendors import STT_USD_A_MINUTE, TABLE
from clara_kit.widgets.money import PAGES, MoneyAndPrivacy, price
from clara_kit.widgets.words import Language

LANGUAGES: tuple[Language, ...] = ("en", "es")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_has_the_figures_of_the_code_and_no_others(language: Language) -> None:
    page = PAGES[language].read_text("utf-8")
    told = re.findall(r"(\d+(?:\.\d+)?) (?:USD|credits?|créditos?)\b", page)
    assert set(told) == set(figures().values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_panels_lines_name_only_figures_of_the_code(language: Language) -> None:
    for of in (*TABLE, "five"):
        assert set(re.findall(r"\d+\.\d+", price(of, language))) <= set(figures().values())


def test_both_pages_say_the_same_in_two_languages() -> None:
    english, spanish = (PAGES[language].read_text("utf-8") for language in LANGUAGES)
    for sign in ("\n## ", "\n| ", "\n- ", "](https://"):
        assert english.count(sign) == spanish.count(sign)


def test_every_vendor_is_on_the_page() -> None:
    page = PAGES["en"].read_text("utf-8")
    assert [vendor.name for vendor in TABLE.values() if vendor.name not in page] == []


def test_five_minutes_cost_what_the_desk_would_count_and_the_avatars_credits() -> None:
    parts = dict(conversation())
    heard = spent([ConversationStarted(at_ms=0), ConversationStarted(at_ms=300_000)], {"stt": "live"})
    assert heard.usd == pytest.approx(5 * STT_USD_A_MINUTE) and heard.usd < parts["deepgram"]
    assert parts["liveavatar"] == pytest.approx(5 * LITE_CREDIT_USD)


def test_the_fold_shows_the_page_in_either_language() -> None:
    fold = MoneyAndPrivacy("es")
    assert fold.titles == ("Cuánto cuesta, quién oye qué y qué se guarda",) and fold.selected_index is None
    (shown,) = fold._page.outputs
    assert "Ley 21.719".lower() in shown["data"]["text/markdown"].lower()
    fold.speak("en")
    (shown,) = fold._page.outputs
    assert shown["data"]["text/markdown"].startswith("**As long as nothing is live")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_who_gets_what_in_fallback_and_each_link_within_it_leads_somewhere(language: Language) -> None:
    page = PAGES[language].read_text("utf-8")
    heads = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", page, re.M)}
    links = re.findall(r"\]\(#([^)]+)\)", page)
    assert len(links) > 2 and set(links) <= heads
    fallback = page.partition("ENABLE_AUTO_FALLBACK")[2]
    assert all(name in fallback for name in ("LiveAvatar", "ElevenLabs", "HeyGen", "Claude", "Deepgram"))
