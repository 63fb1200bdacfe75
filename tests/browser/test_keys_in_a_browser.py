"""Keys as a hand enters them: masked, tried, gone from the page, and never in the saved notebook."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from clara_kit.world.answers import AnswerBook
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer
from tests.browser.lab import lab

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]

SECRET = "abcdefgh-0123456789"
RUN_LAST = """async () => {
    const app = window.jupyterapp, notebook = app.shell.currentWidget.content;
    notebook.activeCellIndex = notebook.widgets.length - 1;
    await app.commands.execute("notebook:run-cell");
    await notebook.scrollToCell(notebook.widgets[notebook.widgets.length - 1], "start");
}"""
SAVE_WITH_WIDGETS = """async () => {
    const app = window.jupyterapp;
    await app.commands.execute("@jupyter-widgets/jupyterlab-manager:saveWidgetState");
    await app.commands.execute("docmanager:save");
}"""


async def test_a_key_is_masked_tried_and_kept_out_of_the_saved_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = AnthropicTwin(TwinContext(profile=LatencyProfile.load("fast")), AnswerBook.load())
    with TwinServer([twin]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.addresses["anthropic"]["base_url"])
        async with lab(tmp_path) as notebook:
            page = notebook.page
            await notebook.open("notebooks/00_start_here.ipynb")
            await page.evaluate(RUN_LAST)
            row = page.locator(".clara-key-anthropic")
            field, button = row.locator("input"), row.get_by_role("button", name="Test")
            assert await field.get_attribute("type") == "password"
            await field.fill(SECRET)
            await button.click()
            await expect(row).to_contain_text("Anthropic refuses the key")
            await expect(field).to_have_value("")
            await field.fill("test-key")
            await field.press("Enter")
            await expect(row).to_contain_text("entered; test it")
            await button.click()
            await expect(row).to_contain_text("Anthropic takes the key")
            await page.get_by_role("button", name="Use for this kernel").click()
            await expect(row).to_contain_text("set for this kernel")
            fold = page.get_by_text("What it costs, who hears what, and what is kept")
            await fold.click()
            await expect(page.get_by_text("As long as nothing is live, nothing costs anything")).to_be_visible()
            await notebook.screenshot("00_key_panel")
            await fold.click()
            await page.evaluate(SAVE_WITH_WIDGETS)
            saved = (tmp_path / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf-8")
            assert "PasswordModel" in saved  # the widgets' state was really kept,
            assert SECRET not in saved and "test-key" not in saved
            assert notebook.errors == []
