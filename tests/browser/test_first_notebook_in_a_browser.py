"""What a person meets who opens the first notebook in JupyterLab."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.lab import lab

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]


async def test_the_first_notebook_runs_and_shows_a_conversation_that_can_be_heard(tmp_path: Path) -> None:
    async with lab(tmp_path) as notebook:
        await notebook.open("notebooks/00_start_here.ipynb")
        await notebook.run_all()
        text = ""
        for number in range(1, 8):  # only what is near is in the page
            await notebook.show(number)
            text += " ".join(await notebook.outputs().all_inner_texts())
        assert "Use for this kernel" in text  # the panel for keys
        assert "¿Qué limpiador me recomiendas para la piel mixta?" in text
        assert "4 turns" in text and "offline twins" in text and "simulated" in text
        assert "The plan's design" in text and "from the customer's last word to the first sound at the ear" in text
        await notebook.show(1)
        await expect(notebook.page.get_by_test_id("clara-desk").get_by_test_id("call")).to_be_enabled()  # to talk to
        await notebook.show(3)
        player = notebook.page.locator(".jp-OutputArea-output audio").first
        assert (
            await player.evaluate(
                "a => new Promise(r => a.duration ? r(a.duration) : a.onloadedmetadata = () => r(a.duration))"
            )
            > 10
        )
        await notebook.show(2)
        struck = notebook.page.locator(".jp-OutputArea-output s")
        assert await struck.count() >= 1  # what the customer never heard
        await notebook.screenshot("00_start_here", whole=True)
        assert notebook.errors == []
