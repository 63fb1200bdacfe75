"""The panel that breaks services, and the picture of what survives, in a real browser with their models behind them."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from clara_kit import Desk, Settings
from clara_kit.conversation.talk import Health
from clara_kit.lab.survival.month import month
from clara_kit.widgets import outages as module
from clara_kit.widgets import survival
from clara_kit.widgets.outages import Outages
from clara_kit.widgets.survival import SurvivalView
from clara_kit.widgets.window import ConversationWindow
from tests.browser.lab import DRAWN, SCREENSHOTS, _browser, lab

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]

PAGE = """
<body style="margin: 0; background: {background}" data-jp-theme-light="{light}"><style>:root {{ {theme} }}</style><style>{css}</style><div id="here"></div></body>"""
DARK = "--jp-layout-color0: #111; --jp-ui-font-color0: #eee; --jp-ui-font-color2: #bbb; --jp-border-color1: #555;"
MODEL = """async ([code, state]) => {
  const heard = {};
  const model = {
    get: (name) => state[name], send: (what) => window.tell({ sent: what }), off: () => {},
    set: (name, value) => window.told({ [name]: value }), save_changes: () => window.tell({ state: JSON.parse(JSON.stringify(state)) }),
    on: (names, then) => names.split(" ").forEach((name) => (heard[name] ??= new Set()).add(then)),
  };
  window.told = (changes) => {
    Object.assign(state, changes);
    const all = new Set(Object.keys(changes).flatMap((name) => [...(heard[`change:${name}`] ?? [])]));
    all.forEach((then) => then());
  };
  const view = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  view.default.render({ model, el: document.getElementById("here") });
}"""
WIDER = "() => [...document.querySelectorAll('.cd, .cd *')].filter((n) => n.scrollWidth - n.clientWidth > 1 && !['auto', 'scroll', 'hidden'].includes(getComputedStyle(n).overflowX) && getComputedStyle(n).display !== 'inline' && n.clientWidth).map((n) => n.className || n.tagName)"


async def shown(page: Page, widget: Any, *, dark: bool = False) -> Any:
    """The view in the page, and the model behind it; returns what hands its changes on."""
    names = [name for name in widget.traits(sync=True) if not name.startswith("_")]
    state = {
        name: json.loads(json.dumps(getattr(widget, name)))
        for name in names
        if name not in ("layout", "tabbable", "tooltip")
    }

    async def hand_on() -> None:
        changes = {
            name: value for name in state if (value := json.loads(json.dumps(getattr(widget, name)))) != state[name]
        }
        state.update(changes)
        await page.evaluate("(changes) => window.told(changes)", changes)

    async def tell(what: Any) -> None:
        for name, value in what.get("state", {}).items():
            if value != state[name]:
                state[name] = value
                setattr(widget, name, value)
        if "sent" in what:
            widget._handle_custom_msg(what["sent"], [])
        await hand_on()

    await page.expose_function("tell", tell)
    theme, background = (DARK, "#111") if dark else ("", "#fff")
    await page.set_content(
        PAGE.format(css=widget._css, theme=theme, background=background, light=str(not dark).lower())
    )
    await page.evaluate(MODEL, [widget._esm, state])
    return hand_on


async def test_a_service_is_broken_and_mended_by_keyboard_while_clara_speaks(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path, outages=True, settings=Settings.of(greeting=""))
    assert desk.outages is not None
    desk.choose(speed="fast", customer="camila")
    async with _browser() as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        hand_on = await shown(page, desk.outages)
        says, first = page.get_by_test_id("ou-says"), page.get_by_test_id("break-stt-down")
        await first.press("Enter")
        await expect(says).to_contain_text("call Clara first")
        clara = await desk.call()
        await hand_on()
        await expect(page.get_by_test_id("ou-llm")).to_contain_text("works")
        await first.focus()
        for key in ("ArrowDown", "ArrowRight", "ArrowLeft", "Enter"):
            await page.keyboard.press(key)
        await expect(says).to_have_text("Thinking (Claude): «down», the next time it is used.")
        await expect(page.get_by_test_id("ou-llm")).to_contain_text("faults still to come: 3")
        await page.get_by_test_id("mend-llm").click()
        await expect(page.get_by_test_id("mend-llm")).to_be_hidden()
        await page.get_by_test_id("ou-times").select_option("once")
        await page.get_by_test_id("break-llm-down").click()
        await desk.type("¿Hacen despachos a regiones?")
        await clara.wait(1.5)
        desk._draw(clara)
        await hand_on()
        await expect(page.get_by_test_id("ou-told")).to_contain_text("529")
        await page.get_by_text("also rare ways to fail").click()
        await page.get_by_test_id("break-llm-truncate").click()
        await expect(says).to_contain_text("half of it")
        assert not errors
    await desk.hang_up()
    assert desk.run is not None and len(desk.run.ledger) == 1


@pytest.mark.parametrize("dark", [False, True])
async def test_the_panel_has_room_at_every_width_in_light_and_dark(dark: bool) -> None:
    panel = Outages(language="es" if dark else "en")
    fares = {
        "stt": Health(failures=2),
        "llm": Health(circuit="open", target="backup", failures=3),
        "tts": Health(circuit="half_open"),
    }
    panel.rows = [
        {**row, "mode": "twin", "lamp": module.lamp(health), "target": health.target, "failures": health.failures,
         "to_come": 1000 if health.target else 0, "again_s": 12.3 if health.target else None}
        for row in panel.rows for health in [fares.get(row["service"], Health())]
    ]  # fmt: skip
    panel.told = [[12.34, "Something failed: the model. " * 4], [9.8, "A fault was played on purpose."]]
    async with _browser(dark=dark) as page:
        await shown(page, panel, dark=dark)
        for width in (800, 1280, 1440):
            await page.set_viewport_size({"width": width, "height": 950})
            await page.evaluate(DRAWN)
            assert not await page.evaluate(WIDER), f"something is wider than its place at {width}"
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            await page.screenshot(path=SCREENSHOTS / f"outages_{width}{'_dark' * dark}.png")


async def test_each_cell_of_the_picture_opens_its_conversation_by_mouse_and_by_keyboard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = SurvivalView()
    some = [cell for cell in whole._cells.values() if cell.service == "llm" and cell.trouble in ("cut", "down")]
    view = SurvivalView(some)
    async with _browser() as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        hand_on = await shown(page, view.picture)
        await expect(page.get_by_test_id("sv-sums")).to_contain_text(f"of {len(some)}")  # it came into sight
        await view.play("on")
        await hand_on()
        await expect(page.get_by_test_id("sv-sums")).to_contain_text("turns lost")
        cells = page.locator(".sv-scroll button")
        await expect(cells).to_have_count(len(some))
        await cells.first.click()
        await expect(cells.first).to_have_attribute("aria-pressed", "true")
        assert isinstance(view.children[1], ConversationWindow) and view.children[1].has_sound
        first = view.picture.chosen
        for key in ("ArrowDown", "ArrowRight", "Enter"):
            await page.keyboard.press(key)
        await expect(cells.first).to_have_attribute("aria-pressed", "false")
        assert view.picture.chosen != first and view.picture.detail
        await page.get_by_test_id("sv-off").click()
        await expect(page.get_by_test_id("sv-off")).to_have_attribute("aria-pressed", "true")
        await view.play("off")
        assert len(view.found["off"]) == len(some)
        monkeypatch.setattr(survival, "month", partial(month, conversations=200))
        await page.get_by_test_id("sv-month").click()
        async with asyncio.timeout(60):
            while not view.picture.month.get("rows"):
                await asyncio.sleep(0.05)
        await hand_on()
        await expect(page.get_by_test_id("month-survived").locator("td").first).not_to_be_empty()
        await page.get_by_text("Where the rates of incidents come from").click()
        await expect(page.locator(".sv-sources li").first).to_contain_text("a month")
        assert not errors


@pytest.mark.parametrize("dark", [False, True])
async def test_the_picture_has_room_at_every_width_in_light_and_dark(dark: bool) -> None:
    view = SurvivalView(language="es" if dark else "en")
    await view.play("on")
    async with _browser(dark=dark) as page:
        hand_on = await shown(page, view.picture, dark=dark)
        view.open_cell(next(iter(view._cells)))
        await hand_on()
        for width in (800, 1280, 1440):
            await page.set_viewport_size({"width": width, "height": 950})
            await page.evaluate(DRAWN)
            assert not await page.evaluate(WIDER), f"something is wider than its place at {width}"
            await page.screenshot(path=SCREENSHOTS / f"survival_{width}{'_dark' * dark}.png")


async def test_the_sixth_notebook_by_mouse_and_keyboard_alone(tmp_path: Path) -> None:
    async with lab(tmp_path, pace=10) as notebook:
        page = notebook.page
        await notebook.open("notebooks/06_fallback.ipynb")
        await notebook.run_all()
        await notebook.show(1)
        desk, panel = page.get_by_test_id("clara-desk"), page.get_by_test_id("clara-outages")
        await expect(desk.get_by_test_id("fallback")).to_be_checked()
        await desk.get_by_test_id("call").click()
        await expect(desk.get_by_role("status").first).to_have_text("Clara speaks", timeout=60_000)
        await expect(page.get_by_test_id("clara-window").first).to_be_visible(timeout=30_000)  # it grows
        await panel.get_by_test_id("ou-times").select_option("lasting")
        await panel.get_by_test_id("break-llm-down").click()
        await expect(panel.get_by_test_id("ou-llm")).to_contain_text("broken until it is mended")
        await desk.get_by_test_id("line").fill("¿Hacen despachos a regiones?")
        await desk.get_by_test_id("line").press("Enter")
        await expect(panel.get_by_test_id("ou-llm")).to_contain_text(
            "the avatar vendor’s own assistant", timeout=60_000
        )
        await expect(desk.get_by_test_id("notice")).to_contain_text("fallback mode")
        for width in (800, 1440, 1280):
            await page.set_viewport_size({"width": width, "height": 1000})
            await notebook.screenshot(f"06_fallback_{width}")
        await panel.get_by_test_id("mend-llm").click()
        await desk.get_by_test_id("hang_up").click()
        await expect(desk.get_by_test_id("call")).to_be_visible(timeout=60_000)
        await notebook.show(5)
        again = page.get_by_test_id("clara-outage-again")
        await again.get_by_test_id("oa-on").click()
        await expect(again.get_by_test_id("oa-on")).to_have_attribute("aria-pressed", "true")
        await notebook.screenshot("06_fallback_again")
        await notebook.show(6)
        picture = page.get_by_test_id("clara-survival")
        await expect(picture.get_by_test_id("sv-sums")).to_contain_text("turns lost", timeout=90_000)
        await picture.locator('[data-cell="llm / down / asked"]').click()
        await expect(picture.get_by_test_id("sv-detail")).to_contain_text("down from then on", timeout=30_000)
        play = page.get_by_test_id("clara-window").last.get_by_test_id("play")
        await expect(play).to_be_enabled(timeout=30_000)
        await notebook.screenshot("06_fallback_survival")
        assert notebook.errors == []
