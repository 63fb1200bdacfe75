"""The studio of prompts in a real browser: choose, type, be told of a mistake, save."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.async_api import expect

from clara_kit.prompts.template import PromptTemplate
from clara_kit.world.personas import Persona
from tests.browser.lab import lab

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]

CODE = """from clara_kit.widgets.prompt_studio import PromptStudio
studio = PromptStudio("camila", "warm", folder="saved")
studio"""
DARK = "() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"


async def test_a_designer_chooses_a_customer_edits_the_template_and_saves_it(tmp_path: Path) -> None:
    async with lab(tmp_path) as notebook:
        page = notebook.page
        kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        studio = new_notebook(cells=[new_code_cell(CODE)], metadata=kernel)
        nbformat.write(studio, tmp_path / "notebooks" / "studio.ipynb")
        await notebook.open("notebooks/studio.ipynb")
        await notebook.run_all()
        shown, says = page.locator(".clara-studio-shown"), page.locator(".clara-studio-says")
        text = page.locator(".clara-studio-text textarea")
        await expect(shown.locator("mark").first).to_have_text("Camila", timeout=30_000)
        await page.locator(".clara-studio-customer select").select_option(label_of("rosario"))
        await expect(shown.locator("mark").first).to_have_text("Rosario")
        source = await text.input_value()
        await text.fill(source.replace("Qué gusto saludarte", "Qué alegría verte"))
        await expect(shown).to_contain_text("Qué alegría verte")
        await text.fill(source.replace("{{ first_name }}", "{{ nombre }}"))
        await expect(says).to_contain_text("line 36")
        await expect(says).to_contain_text("Nothing gives the variable nombre")
        await expect(page.locator(".clara-studio-save")).to_be_disabled()
        await notebook.screenshot("02_studio_light")
        await page.evaluate(DARK)
        await page.locator("#jupyterlab-splash").wait_for(state="detached")
        await notebook.screenshot("02_studio_dark")
        await page.locator(".clara-studio-undo").click()
        await expect(shown).to_contain_text("Qué gusto saludarte")
        await text.fill(source.replace("Qué gusto saludarte", "Qué alegría verte"))
        await page.locator(".clara-studio-question input").fill("¿Hacen despachos a regiones?")
        await page.locator(".clara-studio-hear").click()
        await expect(page.locator(".clara-studio-heard")).to_contain_text("despach")
        await expect(page.locator(".clara-studio-heard")).to_contain_text("Qué alegría verte")
        await page.wait_for_function("() => document.querySelector('audio')?.duration > 5")
        await notebook.screenshot("02_studio_heard")
        await page.locator(".clara-studio-save").click()
        await expect(says).to_contain_text("Saved")
        await page.locator(".clara-studio-template select").select_option("brief v1")
        await expect(shown).to_contain_text("¡Hola, Rosario! Soy Clara.")
        assert notebook.errors == []
    assert "Qué alegría verte" in PromptTemplate.load(tmp_path / "notebooks" / "saved" / "warm.v2.md").source


def label_of(name: str) -> str:
    return f"{name}: {Persona.load(name).about}"
