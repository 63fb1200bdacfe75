"""The vendors' speed as a hand measures it, below the keys: here that of the twins, for there is no key."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.lab import lab
from tests.browser.test_keys_in_a_browser import RUN_LAST

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]


async def test_the_twins_are_measured_by_keyboard_and_nothing_is_taken_for_a_vendors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLARA_LANGUAGE", "es")
    async with lab(tmp_path, dark=True) as notebook:
        page = notebook.page
        await page.set_viewport_size({"width": 800, "height": 900})
        await notebook.open("notebooks/00_start_here.ipynb")
        await page.evaluate(RUN_LAST)
        await page.locator("span", has_text="¿Qué tan rápidos son desde aquí?").click()
        panel = page.locator(".clara-calibration")
        await expect(panel).to_contain_text("nunca calibrado")
        await panel.get_by_role("button", name="Probar con los gemelos").focus()
        await page.keyboard.press("Enter")
        await expect(panel.get_by_role("button", name="Detener")).to_be_enabled()
        await expect(panel).to_contain_text("Terminaron", timeout=120_000)
        await expect(panel).to_contain_text("no representa a ningún proveedor")
        await expect(panel.locator("table").first).to_contain_text("pregunta → primera palabra")
        width, room = await panel.evaluate("panel => [panel.scrollWidth, panel.clientWidth]")
        await panel.scroll_into_view_if_needed()
        await notebook.screenshot("00_calibration")
        assert width <= room + 1
        assert notebook.errors == []
