"""The console of a running conversation, by its buttons, in JupyterLab."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.lab import lab

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]


async def test_the_console_types_speaks_and_interrupts_by_its_buttons(tmp_path: Path) -> None:
    async with lab(tmp_path, dark=True, pace=3) as notebook:
        page = notebook.page
        await notebook.open("notebooks/01_one_conversation.ipynb")
        await notebook.run_first_code_cells(2)
        line = page.locator(".clara-console-line input")
        view = page.locator(".clara-console-view").first
        await expect(view).to_contain_text("¡Hola!", timeout=15_000)
        await line.fill("¿Hacen despachos a regiones?")
        await line.press("Enter")
        await expect(view).to_contain_text("AVATAR_SPEAKING", timeout=15_000)
        await page.locator(".clara-console-interrupt").click()
        await expect(view).to_contain_text("IDLE", timeout=15_000)
        await line.fill("Hola, buenas.")
        await page.locator(".clara-console-say").click()
        await expect(view.locator("div", has_text="Hola, buenas.").first).to_be_visible(timeout=15_000)
        await page.set_viewport_size({"width": 800, "height": 900})  # narrow: more lines than there is room for
        overflows = "(e) => e.parentElement.scrollHeight > e.parentElement.clientHeight"
        lines = view.locator("div > div > div > div").first.locator("..")
        for n in range(20):
            await line.fill(f"{n}. ¿Hacen despachos a regiones, y cuánto demoran en llegar hasta Punta Arenas?")
            await line.press("Enter")
            await expect(view).to_contain_text(f"{n}. ¿Hacen", timeout=15_000)
            if full := await lines.evaluate(overflows):
                break
        assert full
        await line.fill("Muchas gracias.")
        await line.press("Enter")
        await expect(view.get_by_text("Muchas gracias.")).to_be_in_viewport(timeout=15_000)  # the newest is in sight
        await notebook.screenshot("01_console_dark")
        assert notebook.errors == []
