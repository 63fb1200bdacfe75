"""The panel that breaks services, and the picture of what survives, in a real browser with their models behind them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from clara_kit import Desk, Settings
from clara_kit.conversation.talk import Health
from clara_kit.widgets import outages as module
from clara_kit.widgets.outages import Outages
from tests.browser.lab import DRAWN, SCREENSHOTS, _browser

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]

PAGE = """
<body style="margin: 0; background: {background}" data-jp-theme-light="{light}"><style>:root {{ {theme} }}</style><style>{css}</style><div id="here"></div></body>"""
DARK = "--jp-layout-color0: #111; --jp-ui-font-color0: #eee; --jp-ui-font-color2: #bbb; --jp-border-color1: #555;"
MODEL = """async ([code, state]) => {
  const heard = {};
  const model = {
    get: (name) => state[name], send: (what) => window.tell({ sent: what }), off: () => {},
    set: (name, value) => (state[name] = value), save_changes: () => window.tell({ state: JSON.parse(JSON.stringify(state)) }),
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
