"""What `make lab` opens in a fresh clone: the desk by the printed address, folded code, and no file of git's changed."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.lab import STARTS_WITHIN_S, kit

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]
SAVE = "() => window.jupyterapp.commands.execute('docmanager:save')"
FIRST = "notebooks/00_start_here.ipynb"


async def test_the_printed_address_opens_the_course_which_is_folded_and_kept_in_copies(tmp_path: Path) -> None:
    async with kit(tmp_path) as (notebook, address, clone):
        page = notebook.page
        # before any page has asked for a kernel
        async with asyncio.timeout(STARTS_WITHIN_S), httpx.AsyncClient() as client:
            while not (sessions := (await client.get(address.replace(f"lab/tree/{FIRST}", "api/sessions"))).json()):
                await asyncio.sleep(0.2)
        await page.goto(address)
        await expect(page.locator(".jp-NotebookPanel")).to_contain_text("Call Clara", timeout=STARTS_WITHIN_S * 1000)
        await expect(page.locator(".jp-BreadCrumbs")).to_contain_text("notebooks")
        await page.locator(".jp-BreadCrumbs-home").click()  # the files begin at the kit
        await expect(page.locator(".jp-DirListing-content")).to_contain_text("data")
        await notebook.open(FIRST)
        bar = page.get_by_text("# Shows the desk: choose, call, talk, hang up.")
        await expect(bar).to_be_visible()
        await expect(page.get_by_text("desk = Desk()")).to_be_hidden()
        await bar.click()  # one click opens it
        await expect(page.get_by_text("desk = Desk()")).to_be_visible()
        await notebook.show(6)  # where *Run All* takes the page
        await notebook.run_first_code_cells(1)
        desk = page.get_by_test_id("clara-desk")
        await expect(desk.get_by_test_id("call")).to_be_enabled(timeout=30_000)
        await expect(desk).to_be_in_viewport()
        (still,) = await (await page.request.get(address.replace(f"lab/tree/{FIRST}", "api/sessions"))).json()
        assert [one["kernel"]["id"] for one in sessions] == [still["kernel"]["id"]]
        await page.evaluate(SAVE)
        (copy,) = (clone / "notebooks" / "mine" / "course").glob("00_start_here.*.ipynb")
        assert '"execution_count": 1' in copy.read_text(encoding="utf-8")
        changed = subprocess.run(["git", "status", "--short"], cwd=clone, capture_output=True, text=True, check=True)
        assert changed.stdout == ""
        await page.evaluate(f"() => window.jupyterapp.serviceManager.contents.delete('{FIRST}')")
        shown = await page.evaluate(f"() => window.jupyterapp.serviceManager.contents.get('{FIRST}')")
        assert '"execution_count": 1' not in str(shown).replace("'", '"')  # there again as it was shipped
        assert (clone / FIRST).is_file()
        assert notebook.errors == []
