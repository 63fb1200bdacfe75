"""«Go on from here» in JupyterLab: another line at a recorded moment, by mouse and by keyboard."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from playwright.async_api import expect

from tests.browser.lab import SCREENSHOTS, lab

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]

CELL = """
from clara_kit import ConversationWindow, Settings, simulate
lines = ["¿Qué limpiador me recomiendas para la piel mixta?", "Muchas gracias, Clara."]
run = simulate({"title": "recorded", "lines": lines}, Settings.preset("tuned"), seed=7, customer="camila", template="warm")
ConversationWindow(run, language="%s")
"""


async def test_a_moment_is_gone_on_from_and_the_tree_is_walked_by_mouse_and_keyboard(tmp_path: Path) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    async with lab(tmp_path) as notebook:
        page = notebook.page
        cells = [nbformat.v4.new_code_cell(CELL % language) for language in ("en", "es")]
        nbformat.write(
            nbformat.v4.new_notebook(metadata={"kernelspec": kernel}, cells=cells),
            tmp_path / "notebooks" / "again.ipynb",
        )
        await notebook.open("notebooks/again.ipynb")
        await notebook.run_all()
        window = page.get_by_test_id("clara-window").first
        of = window.get_by_test_id
        tree, answer, line = of("branch-tree"), of("branch-answer"), of("branch-line")
        await window.locator('[data-kind="speaking"]').nth(1).click()
        await of("branch-open").click()
        await expect(line).to_be_focused()
        at = float(await of("branch-at").input_value())
        await of("branch-at").fill(f"{at + 1.5:.2f}")
        await line.fill("¿Tienen algo para las manchas?")
        await page.keyboard.press("Enter")
        await expect(answer).to_contain_text("el sérum Aurora")
        await expect(answer).to_contain_text("Clara was speaking: the line cuts in")
        await expect(answer).to_contain_text("no number here is a vendor’s")
        await of("branch-customer").select_option("antonia")
        await of("branch-way").select_option("after")
        await of("branch-ask").click()
        await expect(tree.locator("li")).to_have_count(3)
        await expect(answer).to_contain_text("Antonia")
        await of("branch-other").select_option("1")
        await expect(of("branch-apart").locator("mark").first).to_have_text("Antonia,")
        await window.screenshot(path=str(SCREENSHOTS / "branches.png"))
        await of("branch-hear").click()
        await expect(of("branch-hear")).to_contain_text("Stop", timeout=15_000)
        await of("branch-hear").click()
        await expect(of("branch-hear")).to_contain_text("Hear")
        await tree.locator('[aria-selected="true"]').focus()  # from here on without the mouse
        await page.keyboard.press("ArrowUp")
        await expect(tree.locator("li").nth(1)).to_be_focused()
        await page.keyboard.press("F2")
        await page.keyboard.type("spots")
        await page.keyboard.press("Enter")
        await expect(tree.locator("li").nth(1)).to_contain_text("spots")
        count = await of("count").inner_text()
        await page.keyboard.press("Enter")
        await expect(of("count")).not_to_have_text(count)  # its own events are shown
        await expect(tree.locator("li").nth(1)).to_have_attribute("aria-current", "true")
        await of("last").click()
        await line.fill("¿Y cuánto cuesta?")
        await line.press("Enter")
        await expect(tree.locator("li").nth(2)).to_have_attribute("aria-level", "3")  # below the one that is shown
        await tree.locator("li").nth(1).focus()
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("End")
        await page.keyboard.press("Delete")
        await expect(tree.locator("li")).to_have_count(3)
        await page.keyboard.press("Escape")
        await expect(of("branch-open")).to_be_focused()
        await expect(tree).to_be_hidden()
        spanish = page.get_by_test_id("clara-window").nth(1)
        await spanish.get_by_test_id("branch-open").click()
        await spanish.get_by_test_id("branch-ask").click()
        await expect(spanish.get_by_test_id("branch-problem")).to_contain_text("No hay ninguna línea")
        for width in (1440, 800):
            await page.set_viewport_size({"width": width, "height": 1000})
            wide, there = await spanish.evaluate("(node) => [node.scrollWidth, node.clientWidth]")
            assert wide <= there
        assert notebook.errors == []
