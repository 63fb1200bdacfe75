"""Asking the whole shelf, and a rollout by percentage, in JupyterLab: by keyboard, in Spanish, in the dark, narrow and wide."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.async_api import expect

from tests.browser.lab import DRAWN, lab

pytestmark = [pytest.mark.timeout(180), pytest.mark.wall]

ASKING = """import os
os.environ["CLARA_LANGUAGE"] = "es"
from clara_kit import Rollout, ShelfWhatIfs, practice_shelf
ShelfWhatIfs(practice_shelf("practice"))"""
WIDER = """(name) => {
  const own = document.querySelector(`[data-testid=${name}]`), edge = own.getBoundingClientRect().right + 1;
  return [...own.querySelectorAll('*')].filter((n) => n.getBoundingClientRect().right > edge).map((n) => n.outerHTML.slice(0, 120));
}"""


async def test_the_whole_shelf_is_asked_and_a_prompt_goes_to_a_few_first(tmp_path: Path) -> None:
    async with lab(tmp_path, dark=True) as notebook:
        page = notebook.page
        kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        cells = [new_code_cell(ASKING), new_code_cell("Rollout('expert', 'warm', share=0.05)")]
        nbformat.write(new_notebook(cells=cells, metadata=kernel), tmp_path / "notebooks" / "log.ipynb")
        await page.set_viewport_size({"width": 1280, "height": 1500})
        await notebook.open("notebooks/log.ipynb")
        await notebook.run_all()

        asking = page.get_by_test_id("clara-asks")
        said, ask, value = (asking.get_by_test_id(name) for name in ("said", "ask", "value"))
        await asking.get_by_test_id("knob").select_option("sustained_ms")
        await value.fill("999999")
        await page.keyboard.press("Enter")
        await expect(said).to_contain_text("Da un número entre")
        await value.fill("400")
        await page.keyboard.press("Enter")
        await expect(said).to_contain_text("«un sonido la detiene tras» = 400 ms: De 40 conversaciones", timeout=30_000)
        before = await said.inner_text()
        await ask.focus()
        for _ in range(2):  # as often as one likes; who goes by keys keeps their place
            await page.keyboard.press("Enter")
            await expect(ask).to_have_attribute("aria-disabled", "false", timeout=30_000)
            await expect(said).to_have_text(before)
            await expect(ask).to_be_focused()
        first = asking.get_by_test_id("open").first
        await first.focus()
        await page.keyboard.press("Enter")
        await expect(first).to_have_attribute("aria-pressed", "true", timeout=15_000)
        await expect(page.get_by_test_id("clara-ghost")).to_be_visible(timeout=15_000)

        rollout = page.get_by_test_id("clara-rollout")
        told, ratio, people = (rollout.get_by_test_id(name) for name in ("told", "ratio", "people"))
        await expect(told).to_contain_text("«expert»")
        reached = await people.locator("li.new").all_inner_texts()
        await rollout.get_by_test_id("share").focus()
        await page.keyboard.press("PageUp")  # a tenth of its length
        await expect(told).not_to_contain_text("5.0%")
        assert set(reached) <= set(await people.locator("li.new").all_inner_texts())
        await expect(rollout.get_by_test_id("share")).to_be_focused()
        for seen, means in (("160", "como debían"), ("500", "Algo perdió clientes")):
            await rollout.get_by_test_id("met-0").fill(seen)
            await rollout.get_by_test_id("met-1").fill("840")
            await page.keyboard.press("Tab")
            await expect(ratio).to_contain_text(f"expert {seen}")
            await expect(ratio).to_contain_text(means)
        await rollout.get_by_test_id("new").select_option("warm")
        await expect(told).to_contain_text("el mismo prompt")
        await expect(people.locator("li")).to_have_count(0)
        await rollout.get_by_test_id("new").select_option("brief")
        await expect(rollout.locator("code")).to_contain_text("brief or warm")

        for width in (1440, 800):
            await page.set_viewport_size({"width": width, "height": 1500})
            await page.evaluate(DRAWN)
            assert [await page.evaluate(WIDER, name) for name in ("clara-asks", "clara-rollout")] == [[], []]
        await notebook.screenshot("08_asking_and_rollout")
        assert notebook.errors == []
