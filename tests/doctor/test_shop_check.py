"""What the doctor says of the shop's keys, the cache and one's own templates."""

from __future__ import annotations

from pathlib import Path

import pytest

from clara_kit.core.settings import Keys
from clara_kit.doctor.shop import check_cache, check_own_templates, shop_address, shop_keys
from clara_kit.prompts.template import PromptTemplate
from clara_kit.shop.cache import ProfileCache

SHOP, TOKEN = {"SHOPIFY_SHOP": "x.myshopify.com"}, {"SHOPIFY_ADMIN_TOKEN": "secret-1"}
CLIENT = {"SHOPIFY_CLIENT_ID": "id-1", "SHOPIFY_CLIENT_SECRET": "secret-2"}


@pytest.mark.parametrize(
    ("environ", "state", "lacking"),
    [
        ({}, "absent", ""),
        ({**SHOP, **TOKEN}, "ok", ""),
        ({**SHOP, **CLIENT}, "ok", ""),
        (SHOP, "note", "SHOPIFY_ADMIN_TOKEN (or SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET) is missing"),
        (TOKEN, "note", "SHOPIFY_SHOP is missing"),
        ({**SHOP, "SHOPIFY_CLIENT_ID": "id-1"}, "note", "SHOPIFY_CLIENT_SECRET is missing"),
    ],
)
def test_half_a_pair_is_named_and_no_value_is_shown(environ: dict[str, str], state: str, lacking: str) -> None:
    found = shop_keys(environ, {})
    assert found.state == state and lacking in found.text
    assert "secret" not in found.text + found.todo and bool(found.todo) == (state != "ok")


def test_an_empty_variable_hides_the_one_in_the_file() -> None:
    assert ".env" in shop_keys({}, {**SHOP, **TOKEN}).text
    assert "SHOPIFY_ADMIN_TOKEN" in shop_keys({"SHOPIFY_ADMIN_TOKEN": ""}, {**SHOP, **TOKEN}).todo


def test_only_a_shop_has_an_address() -> None:
    assert shop_address(Keys()) == {}
    assert shop_address(Keys(shopify_shop="x")) == {"shopify": "https://x.myshopify.com"}
    assert shop_address(Keys(shopify_shop="evil.example/")) == {}


def test_a_template_with_a_mistake_is_a_note_with_file_and_line(tmp_path: Path) -> None:
    assert check_own_templates(tmp_path) == ()
    saved = PromptTemplate.load("warm").save(tmp_path)
    (fine,) = check_own_templates(tmp_path)
    assert fine.state == "ok"
    assert saved.path is not None
    saved.path.write_text(saved.source.replace("{{ first_name }}", "{{ nombre }}"), encoding="utf-8")
    (found,) = check_own_templates(tmp_path)
    assert found.state == "note" and "warm.v2.md, line " in found.text and found.todo


def test_the_cache_is_only_spoken_of_where_there_is_one(tmp_path: Path) -> None:
    assert check_cache(ProfileCache(tmp_path / "none.sqlite3")) == ()
    damaged = tmp_path / "damaged.sqlite3"
    damaged.write_bytes(b"no database" * 100)
    cache = ProfileCache(damaged)
    cache.get_now("x.myshopify.com", 1)
    (found,) = check_cache(cache)
    assert found.state == "note" and "clear()" in found.todo
