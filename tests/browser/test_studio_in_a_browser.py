"""The studio of prompts in a real browser: write sentences, be told of a mistake, hear her, save, use, come back."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.async_api import Locator, Page, expect

from clara_kit.prompts.template import PromptTemplate
from tests.browser.lab import DARK, Lab, lab

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]

CODE = """from clara_kit.widgets.prompt_studio import PromptStudio
studio = PromptStudio("camila", "warm", folder="saved")
studio"""
DESK = """from clara_kit.widgets.desk import Desk
Desk(log_root="runs")"""
PLAYS = "() => { const a = document.querySelector('[data-testid=clara-studio] audio'); return a.duration > 5 && !a.paused; }"


def field(page: Page, label: str) -> Locator:
    return page.get_by_test_id("clara-studio").get_by_label(label, exact=True)


async def shown(notebook: Lab, name: str) -> None:
    """Pictures at three widths, and one in the dark."""
    page = notebook.page
    for width in (800, 1280, 1440):
        await page.set_viewport_size({"width": width, "height": 950})
        await page.get_by_test_id("clara-studio").evaluate("(node) => node.scrollIntoView()")
        sides = await page.evaluate(
            "() => [...document.querySelectorAll('.cd-studio, .ps-left, .ps-side')].map((n) => n.scrollWidth - n.clientWidth)"
        )
        assert max(sides) <= 1, f"something is wider than its place at {width}"
        await notebook.screenshot(f"{name}_{width}")
    await page.evaluate(DARK)
    await page.locator("#jupyterlab-splash").wait_for(state="detached")
    await notebook.screenshot(f"{name}_dark")


async def test_a_designer_writes_sentences_hears_them_saves_and_uses_them(tmp_path: Path) -> None:
    async with lab(tmp_path) as notebook:
        page = notebook.page
        kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        cells = [new_code_cell(DESK), new_code_cell(CODE)]
        nbformat.write(new_notebook(cells=cells, metadata=kernel), tmp_path / "notebooks" / "studio.ipynb")
        await notebook.open("notebooks/studio.ipynb")
        await notebook.run_all()
        await notebook.show(2)
        told, problem = page.get_by_test_id("studio-told"), page.locator(".cd-studio > .cd-problem")
        greeting = field(page, "Greeting: what she says first, always")
        await expect(told.locator("mark").first).to_have_text("Camila", timeout=30_000)

        await told.locator("summary").click()  # a fold stays open while the text changes
        await greeting.fill("¡Hola[, {first name}]! Qué alegría verte.")
        await expect(told).to_contain_text("Qué alegría verte")
        await expect(told.locator("details")).to_have_attribute("open", "")
        await greeting.fill("¡Hola, {nombre}!")
        await expect(problem).to_contain_text("Nothing is called {nombre}")
        await expect(page.get_by_test_id("studio_save")).to_be_disabled()
        await greeting.fill("¡Hola[, {first name}]! Qué alegría verte.")
        await expect(problem).to_be_empty()
        tone = field(page, "Who she is, and her tone, always").nth(1)
        await tone.fill("Contesta en no más de dos líneas. Nunca digas el precio.")
        notes = page.locator(".ps-notes li")
        await expect(notes).to_have_count(2)
        await page.keyboard.press("Tab")  # by keyboard to «Take it»
        await page.keyboard.press("Enter")
        await expect(tone).to_have_value("Contesta en no más de dos oraciones. Nunca digas el precio.")
        await expect(notes.first).to_contain_text("cuts the reply to so many sentences")

        text = page.get_by_test_id("studio-text")  # the whole template and its sentences: two views of one text
        await page.locator("summary").filter(has_text="The whole template").click()
        source = await text.input_value()
        assert "¡Hola{% if first_name %}, {{ first_name }}{% endif %}! Qué alegría verte.\n" in source
        await text.fill(source.replace("Qué alegría verte.", "{# aparte #} Qué alegría."))
        await expect(greeting).to_have_attribute("readonly", "")
        await text.fill(source.replace("{% endif %}", "", 1))
        await expect(page.locator(".ps-left > .ps-hint")).to_contain_text("do not fit together")
        await text.fill(source)
        await expect(greeting).to_have_value("¡Hola[, {first name}]! Qué alegría verte.")
        await page.get_by_role("button", name="{skin type}").click()
        put = "{% if skin_type %} {{ skin_type|skin }}{% endif %}"
        await expect(text).to_have_value(source.replace("alegría verte.", f"alegría verte.{put}"))
        for _ in "[ {skin type}]":
            await page.keyboard.press("Backspace")
        await page.locator("summary").filter(has_text="Guard rails").click()
        rule = field(page, "Guard rails, and facts of the shop, always").first
        assert (await rule.input_value()).startswith("Cómo hablas:\n- Trata a la persona de tú.")
        await rule.press("ControlOrMeta+End")
        await rule.press_sequentially("\n- Nunca hables de política.")
        await expect(text).to_have_value(re.compile(r"\n- Nunca hables de política\.\n\nQué puedes decir:"))
        await expect(rule.locator("xpath=ancestor::details")).to_have_attribute("open", "")

        await page.get_by_test_id("studio_question").fill("¿Hacen despachos a regiones?")
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("studio-heard")).to_contain_text("despach")
        await expect(page.get_by_test_id("studio-heard")).to_contain_text("Qué alegría verte")
        await page.wait_for_function(PLAYS)
        await shown(notebook, "02_studio")

        await notebook.show(2)
        await notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-cell')")
        await expect(page.get_by_test_id("studio-kept")).to_be_visible(timeout=30_000)
        await expect(greeting).to_have_value("¡Hola[, {first name}]! Qué alegría verte.")
        await page.get_by_test_id("studio_note").fill("más corta")
        await page.get_by_test_id("studio_use").click()
        await expect(page.locator(".ps-status")).to_contain_text("Saved as version 2")
        await expect(page.get_by_test_id("prompt").last.locator("option:checked")).to_have_text("warm v2 · más corta")
        await page.locator(".ps-status a").click()
        await expect(page.locator(".jp-FileEditor")).to_contain_text("Qué alegría verte")
        assert notebook.errors == []
        await notebook.page.evaluate("() => window.jupyterapp.commands.execute('application:activate-previous-tab')")
        await notebook.show(1)
        await expect(page.get_by_test_id("clara-desk").get_by_test_id("prompt")).to_have_value("saved/warm.v2.md")
    saved = PromptTemplate.load(tmp_path / "notebooks" / "saved" / "warm.v2.md")
    assert saved.note == "más corta" and "Contesta en no más de dos oraciones." in saved.source
