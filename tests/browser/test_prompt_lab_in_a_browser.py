"""The prompt lab in JupyterLab: a designer's whole path from a sentence of a prompt to a saved winner, by mouse and keyboard."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.async_api import Page, expect

from clara_kit.prompts.template import PromptTemplate
from clara_kit.world.scenario import Scenario
from tests.browser.lab import DARK, DRAWN, Lab, lab

pytestmark = [pytest.mark.timeout(300), pytest.mark.wall]

CODE = """from pathlib import Path
from clara_kit import PromptLab
lab = PromptLab(folder="saved", root="experiments", scenarios=Path("mine"))
lab"""
WIDER = """() => {
  const own = document.querySelector('.cd-lab'), edge = own.getBoundingClientRect().right + 1, seen = [own, ...own.querySelectorAll('*')];
  return seen.filter((n) => n.getBoundingClientRect().right > edge || (n.matches('div, figure, section, fieldset') && n.scrollWidth > n.clientWidth + 1)).map((n) => n.outerHTML.slice(0, 120));
}"""
PLAYS = """() => { const made = window.Audio; window.played = []; window.Audio = function (src) { const a = new made(src); window.played.push(a); return a; }; }"""


async def has_room(notebook: Lab, step: str) -> None:
    """Nothing is wider than its place, at three widths; a picture of the narrowest."""
    page = notebook.page
    for width in (1440, 1280, 800):
        await page.set_viewport_size({"width": width, "height": 950})
        await page.evaluate(DRAWN)
        assert await page.evaluate(WIDER) == [], f"{step} at {width}"
    await page.get_by_test_id("clara-prompt-lab").evaluate("(node) => node.scrollIntoView()")
    await notebook.screenshot(f"07_{step}")
    await page.set_viewport_size({"width": 1280, "height": 950})


async def onward(page: Page, part: str) -> None:
    """The green button."""
    await page.get_by_test_id("pl_next").click()
    await expect(page.get_by_test_id(f"pl-part-{part}")).to_be_visible(timeout=20_000)


async def test_a_designer_walks_from_a_sentence_to_a_saved_winner(tmp_path: Path) -> None:
    async with lab(tmp_path) as notebook:
        page, by = notebook.page, notebook.page.get_by_test_id
        kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        cells = [new_code_cell(CODE), new_code_cell("print('another cell')")]
        nbformat.write(new_notebook(cells=cells, metadata=kernel), tmp_path / "notebooks" / "lab.ipynb")
        await notebook.open("notebooks/lab.ipynb")
        await page.evaluate(PLAYS)
        await notebook.run_all()
        await notebook.show(1)

        # 1: prompt B as a draft; what is wrong is said at its line
        studio = by("clara-studio")
        greeting = studio.get_by_label("Greeting: what she says first, always", exact=True)
        await expect(by("studio-told").locator("mark").first).to_have_text("Camila", timeout=30_000)
        await greeting.fill("¡Hola[, {nombre}]!")
        await expect(studio.locator(".ps-wrong").first).to_contain_text("Nothing is called {nombre}")
        await expect(by("pl-says")).to_contain_text("B has a mistake")
        await greeting.fill("¡Hola[, {first name}]! Te habla Clara.")
        await expect(by("studio-told")).to_contain_text("Te habla Clara.")
        await expect(page.locator(".pl-sides")).to_contain_text("with changes not saved")
        await expect(by("pl-says")).to_be_empty()
        await has_room(notebook, "prompts")

        # 2: by keyboard: none, then one topic
        await onward(page, "try")
        await expect(studio).to_have_count(0)
        await by("pl-scenarios-none").focus()
        await page.keyboard.press("Enter")
        await expect(by("pl-plan")).to_contain_text("Nothing is chosen")
        for topic in ("routine", "allergy", "budget"):
            await by(f"pl-topic-{topic}").focus()
            await page.keyboard.press("Space")
        await expect(by("pl-plan")).to_contain_text("no model is asked", timeout=20_000)
        await by("pl-customers-none").click()
        for customer in ("camila", "rosario"):
            await by(f"pl-customers-{customer}").check()
        few = len([one for one in Scenario.all(mine=False) if one.topic in ("routine", "allergy", "budget")])
        await expect(by("pl-plan")).to_contain_text(f"{2 * 2 * few} conversations", timeout=20_000)
        await expect(by("pl-badge")).to_have_text("scripted answers: a rehearsal")
        await has_room(notebook, "try")

        # 3: it runs, and other cells too; stopped, it goes on
        await onward(page, "run")
        await by("pl_start").click()
        await by("pl_stop").click()
        await expect(by("pl-progress")).to_contain_text(re.compile("Stopped|Done"), timeout=60_000)
        if "Stopped" in await by("pl-progress").inner_text():
            await expect(by("pl_start")).to_have_text("Go on")
            await by("pl_start").click()
        await expect(by("pl-progress")).to_contain_text(f"Done: {2 * 2 * few} conversations", timeout=60_000)
        await has_room(notebook, "run")

        # 4: read what differs, with the arrow keys; hear; make a scenario of a bad answer
        await onward(page, "read")
        await by("pl_only_different").check()
        await expect(by("pl-pair").first).to_contain_text("different:")
        await by("pl-pair").first.click()
        await expect(by("pl-sheet").locator("mark").first).to_be_visible()
        before = await by("pl-sheet").inner_text()
        await page.keyboard.press("ArrowDown")
        await expect(by("pl-pair").nth(1)).to_have_attribute("aria-selected", "true")
        await expect(by("pl-pair").nth(1)).to_be_focused()
        await expect(by("pl-sheet")).not_to_have_text(before)
        await by("pl-hear-b-1").click()
        await page.wait_for_function("() => window.played.length === 1 && window.played[0].duration > 1")
        await by("pl-hear-b-1").click()
        assert await page.evaluate("() => window.played[0].paused")
        await by("pl-make-b-1").click()
        await expect(by("pl-made")).to_contain_text("It is a scenario now")
        await by("pl_only_failed").check()
        await expect(by("pl-part-read").locator(".pl-count").first).to_contain_text("pairs")
        await by("pl_only_failed").uncheck()
        await has_room(notebook, "read")

        # 5: rate blind, by keys alone
        await onward(page, "rate")
        await expect(by("pl-answer-left")).not_to_be_empty(timeout=20_000)
        await expect(by("pl-rate-box")).to_be_focused()
        for n, key in enumerate(("ArrowLeft", "ArrowRight", "ArrowDown", "ArrowUp"), 1):
            await page.keyboard.press(key)
            await expect(by("pl-rated")).to_contain_text(f"{n} of")
        await page.keyboard.press("u")
        await expect(by("pl-rated")).to_contain_text("3 of")
        await page.keyboard.press("1")
        await page.wait_for_function("() => window.played.length === 2")
        assert "warm" not in await by("pl-rate-box").inner_text()
        await by("pl_rate_show").click()
        await expect(by("pl-rate-result")).to_contain_text("both bad 0")
        await has_room(notebook, "rate")

        # 6: the verdict says that it is none
        await onward(page, "verdict")
        await expect(by("pl-heading")).to_have_text(
            "A rehearsal of the method, no verdict on the prompts", timeout=30_000
        )
        await expect(by("pl-sentence")).to_contain_text("In this rehearsal")
        await expect(page.locator(".pl-interval").first).to_be_attached()
        assert await page.locator(".pl-effects tr").count() > 10
        await by("pl-by").select_option("seconds")
        await by("pl_check").click()
        await expect(by("pl-checked")).to_contain_text("equal by construction", timeout=60_000)
        await has_room(notebook, "verdict")

        # 7: the winner is a new version
        await onward(page, "save")
        await by("pl_save_note").fill("más directa")
        await by("pl_save_use").click()
        await expect(by("pl-saved")).to_contain_text("Saved as brief v2. The next conversation takes brief v2.")
        await expect(by("pl-saved").locator("a")).to_have_text("notebooks/saved/brief.v2.md")
        await has_room(notebook, "save")
        await page.evaluate(DARK)
        await page.locator("#jupyterlab-splash").wait_for(state="detached")
        await by("pl-step-verdict").click()
        await notebook.screenshot("07_verdict_dark")
        assert notebook.errors == []
    saved = PromptTemplate.load(tmp_path / "notebooks" / "saved" / "brief.v2.md")
    assert saved.note == "más directa" and "Te habla Clara." in saved.source
    assert len([*(tmp_path / "notebooks" / "mine").glob("*.yaml")]) == 1
    assert (tmp_path / "notebooks" / "experiments").is_dir()
