"""The notebook of one conversation, and its window, in JupyterLab."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.lab import SCREENSHOTS, lab

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]


async def test_one_conversation_is_talked_to_interrupted_and_walked_through(tmp_path: Path) -> None:
    async with lab(tmp_path) as notebook:
        page = notebook.page
        await notebook.open("notebooks/01_one_conversation.ipynb")
        await notebook.run_all()
        await notebook.show(1)
        await expect(page.get_by_test_id("clara-desk").get_by_test_id("call")).to_be_enabled()  # to talk to
        await notebook.show(3)
        window = page.get_by_test_id("clara-window").first
        why, count = window.get_by_test_id("why"), window.get_by_test_id("count")
        assert "no number here is a vendor’s" in str(await window.text_content())
        assert await window.locator('[data-kind="unheard"]').count() >= 1
        await window.get_by_test_id("last").click()
        await expect(why).to_contain_text("hung up")
        await window.get_by_test_id("first").click()
        await expect(why).to_contain_text("The conversation began")
        height = (await window.bounding_box() or {})["height"]
        await window.get_by_test_id("next").click()
        await expect(count).to_contain_text("event 2 of")
        await window.get_by_test_id("back").click()
        await expect(count).to_contain_text("event 1 of")
        await window.locator('[data-kind="unheard"]').first.click()
        await expect(why).to_contain_text("and never heard «")
        engineers, tip = window.get_by_test_id("engineers"), window.get_by_test_id("tip")
        await expect(engineers).not_to_contain_text("HeardEstimated")
        await engineers.locator("summary").click()
        await expect(engineers.get_by_text("unheard «")).to_be_visible()
        for _ in range(3):  # the words came in between
            if await engineers.get_by_text("InterruptAvatar").count() == 0:
                before = await count.inner_text()
                await window.get_by_test_id("back-decision").click()
                await expect(count).not_to_have_text(before)
        await expect(engineers.get_by_text("InterruptAvatar")).to_be_visible()  # the fold stayed open
        assert await window.get_by_test_id("waits").locator("button").count() == 2
        await expect(window.get_by_test_id("waits")).to_contain_text(" ms")
        await window.locator('[data-kind="unheard"]').first.hover()
        await expect(tip).to_contain_text("the customer does not know them")
        await window.get_by_test_id("legend-button").click()
        await expect(window.get_by_test_id("legend")).to_contain_text("Clara was interrupted")
        await page.keyboard.press("Escape")
        await expect(window.get_by_test_id("legend")).to_be_hidden()
        await window.get_by_test_id("zoom-all").focus()
        await page.keyboard.press("Tab")
        for key in ("ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"):
            await page.keyboard.press(key)
            named = str(await page.evaluate("document.activeElement.getAttribute('aria-label')"))
            await expect(tip).to_contain_text(named.partition(". ")[0])
        await page.keyboard.press("Enter")
        await expect(why).to_contain_text("Why? At")
        assert (await window.bounding_box() or {})["height"] == height
        await window.focus()
        await page.keyboard.press("End")
        await expect(why).to_contain_text("hung up")
        for name in ("zoom-in", "zoom-in", "zoom-out", "zoom-all", "last"):
            button = window.get_by_test_id(name)
            if await button.is_enabled():
                await button.click()
        at_once = (
            "(window) => { for (const id of ['first', 'play']) window.querySelector(`[data-testid=${id}]`).click(); }"
        )
        await window.evaluate(
            at_once
        )  # before the kernel can have answered: the sound begins where the cursor will stand
        await expect(window.get_by_test_id("play")).to_contain_text("Pause", timeout=10_000)
        await expect(why).to_contain_text("Clara began to speak", timeout=20_000)  # the why follows the sound
        assert (await window.bounding_box() or {})["height"] == height
        await window.screenshot(path=str(SCREENSHOTS / "01_window.png"))
        await window.get_by_test_id("play").click()
        await expect(window.get_by_test_id("play")).to_contain_text("Play")
        await notebook.show(4)
        simulated = page.get_by_test_id("clara-window").nth(1)
        await expect(simulated.get_by_test_id("play")).to_be_disabled()
        await notebook.screenshot("01_one_conversation")
        assert notebook.errors == []
