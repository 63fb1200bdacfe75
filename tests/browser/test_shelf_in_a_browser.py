"""The shelf of runs by mouse and keyboard in JupyterLab: found, heard, set side by side, renamed and deleted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from clara_kit import simulate
from clara_kit.audio.pcm import silence
from clara_kit.audio.wav import wav_bytes
from clara_kit.runtime.run_log import RunLog
from tests.browser.lab import lab

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]
KERNEL = {"name": "python3", "display_name": "Python 3"}
LINES = ["¿Hacen despachos a regiones?", "¿Qué limpiador me recomiendas?"]


def record(root: Path, title: str, template: str) -> RunLog:
    run = simulate(LINES, customer="camila", template=template)
    log = RunLog({**run.inputs, "prompt": f"Eres Clara. Sé {template}."}, title=title, root=root)
    log.sound_path.write_bytes(wav_bytes(silence(60_000, 8000)))
    log.close(list(run.trace), words=run.words)
    return log


async def plays(page: Page) -> None:
    """The page of one conversation, by keyboard alone, without Jupyter's help."""
    rows, slider = page.locator("ol.talk li"), page.get_by_role("slider")
    await expect(rows.nth(1)).to_contain_text(LINES[0])
    await page.keyboard.press("l")
    await page.keyboard.press("l")
    await expect(page.locator("li[aria-current=true]")).to_contain_text(LINES[0])
    await page.keyboard.press("Space")
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    before = await slider.input_value()
    await expect(slider).not_to_have_value(before)
    await page.keyboard.press("Space")
    await page.get_by_role("button", name="Español").click()
    await expect(page.get_by_role("heading", name="Transcripción")).to_be_visible()
    await page.get_by_role("button", name="Oscuro").click()
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    await page.close()


async def test_runs_are_found_heard_compared_renamed_and_deleted_by_hand(tmp_path: Path) -> None:
    root = tmp_path / "data" / "runs"
    record(root, "one", "warm"), record(root, "two", "brief")
    async with lab(tmp_path) as notebook:
        page = notebook.page
        cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None}
        source = "from clara_kit import runs\nruns('../data/runs')"
        (tmp_path / "notebooks" / "shelf.ipynb").write_text(
            json.dumps(
                {
                    "cells": [{**cell, "source": source}],
                    "metadata": {"kernelspec": KERNEL},
                    "nbformat": 4,
                    "nbformat_minor": 5,
                }
            )
        )
        await notebook.open("notebooks/shelf.ipynb")
        await notebook.run_all()
        shelf = page.get_by_test_id("clara-shelf")
        rows, titles = shelf.locator(".cd-scroll tbody tr"), shelf.locator("td.title")
        await expect(titles).to_have_text(["two", "one"])
        record(root, "three", "expert")  # one more has ended: no cell is run
        await expect(titles).to_have_text(["three", "two", "one"], timeout=15_000)

        head = shelf.locator("th[data-column=title]")
        await head.get_by_role("button").focus()
        await page.keyboard.press("Enter")
        await expect(head).to_have_attribute("aria-sort", "ascending")
        await expect(titles).to_have_text(["one", "three", "two"])
        await page.keyboard.press("Space")
        await expect(titles).to_have_text(["two", "three", "one"])
        await shelf.get_by_role("textbox", name="Filter").fill("brief")
        await expect(titles).to_have_text(["two"])
        await shelf.get_by_role("textbox", name="Filter").fill("")

        listen = rows.nth(0).get_by_role("button", name="Listen")
        await listen.click()
        await expect(listen).to_have_text("■")
        await listen.click()
        await expect(listen).to_have_text("▶")

        await expect(shelf.get_by_test_id("differ")).to_be_disabled()
        await rows.nth(0).get_by_role("checkbox").check()
        await rows.nth(2).get_by_role("checkbox").check()
        await shelf.get_by_test_id("differ").click()
        apart = shelf.get_by_test_id("differences")
        await expect(apart.get_by_test_id("part-prompt").locator("mark")).to_have_text(["brief.", "warm."])
        await expect(apart.get_by_test_id("part-talk")).to_contain_text(LINES[1])
        await expect(apart.get_by_test_id("part-settings").locator("> table")).to_have_count(0)  # equal: folded away
        await apart.get_by_role("button", name="Close").click()
        await expect(apart).to_be_empty()

        await shelf.get_by_role("button", name="Open: one").click()
        await expect(page.get_by_test_id("clara-window")).to_be_visible(timeout=15_000)
        await shelf.get_by_test_id("title").fill("one, once more")
        await page.keyboard.press("Enter")
        await expect(titles).to_have_text(["two", "three", "one, once more"])
        await shelf.get_by_test_id("tags").fill("buena lenta")
        await page.keyboard.press("Enter")
        await expect(titles.nth(2).locator(".cd-tag")).to_have_text(["#buena", "#lenta"])
        await shelf.get_by_test_id("comment").fill("se demora")
        await page.keyboard.press("Enter")
        await expect(titles.nth(2)).to_contain_text("✎ 1")
        await shelf.get_by_role("button", name="Star: one, once more").press("Enter")
        await shelf.get_by_role("button", name="Only those with a star").click()
        await expect(titles).to_have_count(1)
        await shelf.get_by_role("button", name="Only those with a star").click()
        await shelf.get_by_test_id("replay").press("Space")
        await expect(shelf.get_by_test_id("proof")).to_contain_text("its numbers are the same")
        await shelf.get_by_test_id("share").click()
        async with page.expect_popup() as opened:
            await shelf.get_by_role("link", name="Open it").click()
        await plays(await opened.value)
        await shelf.get_by_test_id("bundle").click()
        saved = re.compile(r"\.clara\.zip$")  # until then it is the link of what was shared
        await expect(shelf.get_by_role("link", name="Save it here")).to_have_attribute("download", saved)
        async with page.expect_download() as handed:
            await shelf.get_by_role("link", name="Save it here").click()
        assert (await handed.value).suggested_filename.endswith(".clara.zip")
        await shelf.get_by_role("link", name="Its folder").click()
        await expect(page.locator(".jp-DirListing").get_by_text("manifest.json")).to_be_visible()
        await shelf.get_by_test_id("delete").click()
        await shelf.get_by_role("button", name="Keep it").click()
        assert len(list(root.iterdir())) == 4  # with what was shared
        await shelf.get_by_test_id("delete").click()
        await shelf.get_by_test_id("delete").click()
        await expect(titles).to_have_text(["two", "three"])
        await expect(page.get_by_test_id("clara-window")).to_have_count(0)
        assert len(list(root.iterdir())) == 3 and notebook.errors == []
