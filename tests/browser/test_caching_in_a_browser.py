"""The explorer of the response cache in a real browser with its model behind it, and its notebook."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from clara_kit.widgets.caching import CacheExplorer
from tests.browser.lab import DRAWN, SCREENSHOTS, _browser, lab
from tests.browser.test_outages_in_a_browser import WIDER, shown

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]


async def test_a_question_is_asked_by_keyboard_and_what_is_true_is_changed_by_mouse(tmp_path: Path) -> None:
    explorer = CacheExplorer(drafts=tmp_path / "asked.yml")
    async with _browser() as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await shown(page, explorer)
        verdict, answer = page.get_by_test_id("ca-verdict"), page.get_by_test_id("ca-answer")
        await expect(verdict).to_contain_text("Ready")
        question = page.get_by_test_id("ca_question")
        await question.fill("y cuanto cuesta el despacho a argentina")
        await question.press("Enter")
        await expect(verdict).to_contain_text("Nothing is ready")
        await expect(page.locator(".ca-near tr")).to_have_count(4)
        await page.get_by_test_id("ca_pick").select_option("price_nube")
        await expect(answer).to_contain_text("$13.990")
        await page.get_by_test_id("ca_product").select_option("crema-nube")
        price = page.get_by_test_id("ca_price")
        await expect(price).to_have_value("13990")
        await price.fill("9990")
        await price.press("Tab")
        await expect(verdict).to_contain_text("Nothing is ready")
        await expect(page.get_by_test_id("ca-fallen")).to_contain_text("¿Cuánto cuesta la crema Nube?")
        await page.get_by_test_id("ca_reset").click()
        await expect(verdict).to_contain_text("Ready")
        way = page.get_by_test_id("ca_way")
        await way.fill("en cuánto está la cremita Nube esa")
        await way.press("Enter")
        await expect(page.get_by_test_id("ca-asked").locator(".ca-mine")).to_have_count(1)
        await expect(page.get_by_test_id("ca-status")).to_contain_text("draft")
        await page.get_by_test_id("ca-asked").locator(".ca-mine button").press("Enter")
        await expect(page.get_by_test_id("ca-asked").locator(".ca-mine")).to_have_count(0)
        assert not errors
    assert not explorer._drafts.asked


@pytest.mark.parametrize("dark", [False, True])
async def test_the_explorer_has_room_at_every_width_in_light_and_dark(dark: bool, tmp_path: Path) -> None:
    explorer = CacheExplorer("puedo usar retinol", drafts=tmp_path / "asked.yml", language="es" if dark else "en")
    explorer.situate(customer="camila", reworded=True)
    explorer.measure()
    async with _browser(dark=dark) as page:
        await shown(page, explorer, dark=dark)
        await page.locator(".ca-part details summary").first.click()
        await expect(page.get_by_test_id("ca-told")).to_contain_text("0.0 %")
        whole = await page.get_by_test_id("ca-fallen").inner_text()
        assert whole.count("¿Qué limpiador me recomiendas?") == 1 and "(×" in whole  # an answer a skin, one question
        for width in (800, 1280, 1440):
            await page.set_viewport_size({"width": width, "height": 1700})
            await page.evaluate(DRAWN)
            assert not await page.evaluate(WIDER), f"something is wider than its place at {width}"
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            await page.screenshot(path=SCREENSHOTS / f"caching_{width}{'_dark' * dark}.png")


async def test_the_notebook_on_caching_by_mouse_and_keyboard_alone(tmp_path: Path) -> None:
    async with lab(tmp_path, pace=10) as notebook:
        page = notebook.page
        await notebook.open("notebooks/05_caching.ipynb")
        await notebook.run_all()
        await notebook.show(1)
        question = page.get_by_test_id("ca_question")
        await question.fill("hasta que hora atienden los sabados")
        await question.press("Enter")
        await expect(page.get_by_test_id("ca-answer")).to_contain_text("dos de la tarde")
        await page.get_by_test_id("ca_measure").click()
        await expect(page.get_by_test_id("ca-told")).to_contain_text("wrong", timeout=120_000)
        await page.get_by_test_id("ca_hear").click()
        await expect(page.get_by_test_id("ca-waits")).to_contain_text("with it", timeout=60_000)
        await notebook.screenshot("05_caching")
        await notebook.show(3)
        await expect(notebook.outputs().last).to_contain_text("an answer was ready")
        assert not notebook.errors
