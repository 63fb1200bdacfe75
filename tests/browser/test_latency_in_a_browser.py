"""The live latency panel in a real browser, with its model behind it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from clara_kit import LatencyMonitor, Settings, simulate
from clara_kit.widgets.latency_live import LatencyLive
from clara_kit.world.faults import Fault
from tests.browser.lab import DRAWN, ROOT, SCREENSHOTS, _browser, lab
from tests.browser.test_outages_in_a_browser import WIDER, shown

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]
ASKED = [f"¿Cuánto cuesta el producto número {n}?" for n in range(14)]


def slowed() -> list[Any]:
    """A customer whose seventh to tenth questions find a slow model."""
    slow = [Fault(service="llm", kind="slow", for_ms=2500, on=on) for on in range(7, 11)]
    return list(simulate(ASKED, Settings.preset("tuned"), faults=slow, seed=3).trace)


def read(panel: LatencyLive, records: list[Any]) -> None:
    panel.watching.look(lambda monitor: [monitor.read(record) for record in records])
    panel.draw(now=True)


async def test_an_alert_is_seen_as_it_comes_and_goes_and_budgets_are_set_by_keyboard() -> None:
    panel, records = LatencyLive(language="en"), slowed()
    monitor = LatencyMonitor()
    alert = next(n for n, r in enumerate(records) for one in monitor.read(r) if getattr(one, "stage", "") == "think")
    async with _browser() as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        hand_on = await shown(page, panel)
        says, think = page.get_by_test_id("la-says"), page.get_by_test_id("la-think")
        await expect(says).to_have_text("Nothing yet: call Clara and talk to her.")
        read(panel, records[: alert + 1])
        await hand_on()
        await expect(think).to_have_attribute("data-alert", "true")
        await expect(says).to_contain_text("think: first word: over its budget")
        await expect(page.get_by_test_id("la-told").locator("li").first).to_contain_text("Over its budget of 1615 ms")
        limit = page.get_by_test_id("budget-think")
        await limit.focus()
        await page.keyboard.press("Control+a")
        await page.keyboard.type("9000")
        await page.keyboard.press("Enter")
        await expect(think).to_have_attribute("data-alert", "false")
        await expect(limit).to_be_focused()  # whoever types is not disturbed by what is drawn
        assert panel.watching.look(lambda monitor: monitor.budgets)["think"] == 9000
        read(panel, records[alert + 1 :])
        await hand_on()
        numbers = think.locator(".la-number")
        one = next(row for row in panel.rows if row["stage"] == "think")
        assert [int(text) for text in await numbers.all_inner_texts()] == [
            one[k] for k in ("last", "p50", "p95", "p99")
        ]
        assert "few" in (await numbers.nth(2).get_attribute("class") or "")  # of 15 turns a p95 is mostly chance
        await page.get_by_test_id("la-anew").press("Enter")
        await expect(says).to_have_text("Nothing yet: call Clara and talk to her.")
        await expect(limit).to_have_value("9000")
        panel.speak("es")
        await hand_on()
        await expect(says).to_have_text("Todavía nada: llama a Clara y habla con ella.")
        assert not errors


@pytest.mark.parametrize("dark", [False, True])
async def test_the_panel_has_room_at_every_width_in_light_and_dark(dark: bool) -> None:
    panel = LatencyLive(language="es" if dark else "en")
    read(panel, slowed()[:-40] if dark else slowed())
    async with _browser(dark=dark) as page:
        await shown(page, panel, dark=dark)
        for width in (370, 800, 1280, 1440):  # beside JupyterLab's file browser 800 pixels leave 370
            await page.set_viewport_size({"width": width, "height": 950})
            await page.evaluate(DRAWN)
            assert not await page.evaluate(WIDER), f"something is wider than its place at {width}"
            box = await page.locator(".la-track").first.bounding_box()
            assert box is not None and box["width"] >= 70, f"no room for a bar at {width}"
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            await page.screenshot(path=SCREENSHOTS / f"latency_{width}{'_dark' * dark}.png")


CELL = """from clara_kit import Desk, Settings

desk = Desk(latency=True, settings=Settings.of(greeting=""))
desk.choose(speed="fast")
desk"""


async def test_it_keeps_up_with_a_conversation_in_jupyterlab(tmp_path: Path) -> None:
    async with lab(tmp_path, pace=10) as notebook:
        page, nb = notebook.page, json.loads((ROOT / "notebooks" / "06_fallback.ipynb").read_text(encoding="utf-8"))
        code = next(cell for cell in nb["cells"] if cell["cell_type"] == "code")
        nb["cells"] = [{**code, "source": CELL.splitlines(keepends=True), "metadata": {}, "outputs": []}]
        (tmp_path / "notebooks" / "live.ipynb").write_text(json.dumps(nb), encoding="utf-8")
        await notebook.open("notebooks/live.ipynb")
        await notebook.run_all()
        desk, panel = page.get_by_test_id("clara-desk"), page.get_by_test_id("clara-latency")
        await expect(panel.get_by_test_id("la-says")).to_contain_text("Nothing yet")
        await desk.get_by_test_id("call").click()
        line = desk.get_by_test_id("line")
        await expect(line).to_be_enabled(timeout=60_000)
        drawn: list[int] = []
        await page.expose_function("drawn", lambda at_ms: drawn.append(at_ms))
        await page.evaluate("""() => new MutationObserver(() => window.drawn(performance.now()))
            .observe(document.querySelector(".la-table tbody"), { subtree: true, childList: true, characterData: true })""")
        for n in (1, 2, 3):
            await line.fill("¿Hacen despachos a regiones?")
            await line.press("Enter")
            await expect(panel.get_by_test_id("la-total").locator(".la-number").first).not_to_have_text(
                "–", timeout=60_000
            )
            await expect(panel.get_by_test_id("la-sums")).to_contain_text(f"Turns: {n};", timeout=60_000)
        gaps = [later - one for one, later in pairwise(drawn) if later - one > 20]  # what is drawn in one go is one
        assert gaps and min(gaps) > 200
        await expect(panel.get_by_test_id("la-mark")).to_contain_text("never")
        for width in (800, 1440, 1280):
            await page.set_viewport_size({"width": width, "height": 1300})
            await page.evaluate(DRAWN)
            assert not await page.evaluate(WIDER.replace("'.cd, .cd *'", "'.cd-latency, .cd-latency *'"))
            await notebook.screenshot(f"latency_desk_{width}")
        await desk.get_by_test_id("hang_up").click()
        await expect(desk.get_by_test_id("call")).to_be_visible(timeout=60_000)
        await expect(panel.get_by_test_id("la-sums")).to_contain_text("Turns: 3;")
        assert notebook.errors == []
