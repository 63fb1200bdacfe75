"""The explorer's view in a real browser with its real model behind it: sliders by mouse and keyboard, widths, darkness."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import Page, expect

from clara_kit import Explorer
from clara_kit.widgets import explorer as module
from tests.browser.lab import DRAWN, SCREENSHOTS, _browser

pytestmark = [pytest.mark.timeout(120), pytest.mark.wall]

PAGE = """
<body style="margin: 0; background: {background}" data-jp-theme-light="{light}"><style>:root {{ {theme} }}</style><style>{css}</style><div id="here"></div></body>"""
DARK = "--jp-layout-color0: #111; --jp-ui-font-color0: #eee; --jp-ui-font-color2: #bbb; --jp-border-color1: #555;"
MODEL = """async ([code, state]) => {
  const heard = {};
  const model = {
    get: (name) => state[name], send: (what) => window.tell(what), off: () => {},
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
NAMES = (
    "words",
    "controls",
    "rules",
    "worlds",
    "world",
    "chosen",
    "curves",
    "marks",
    "rows",
    "dots",
    "answered",
    "problem",
)


async def shown(page: Page, explorer: Explorer, *, dark: bool = False) -> None:
    """The view in the page, and the model behind it."""
    state = {name: getattr(explorer, name) for name in NAMES}

    async def tell(what: Any) -> None:
        explorer._handle_custom_msg(what, [])
        changes = {name: getattr(explorer, name) for name in NAMES if getattr(explorer, name) != state[name]}
        state.update(json.loads(json.dumps(changes)))
        await page.evaluate("(changes) => window.told(changes)", changes)

    await page.expose_function("tell", tell)
    theme, background = (DARK, "#111") if dark else ("", "#fff")
    await page.set_content(
        PAGE.format(css=explorer._css, theme=theme, background=background, light=str(not dark).lower())
    )
    await page.evaluate(MODEL, [explorer._esm, json.loads(json.dumps(state))])


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    module._sample.cache_clear()
    monkeypatch.setattr(module, "CASES", 150)
    monkeypatch.setattr(module, "QUICK", 80)


async def test_a_slider_moves_the_mark_by_mouse_and_by_keyboard() -> None:
    async with _browser() as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        explorer = Explorer()
        await shown(page, explorer)
        await expect(page.locator(".ex-curve")).to_have_count(5, timeout=30_000)
        mark, slider = page.get_by_test_id("mark-yours"), page.get_by_test_id("ex_sustained_ms")
        before = await mark.get_attribute("cx")
        await slider.focus()
        for _ in range(4):
            await page.keyboard.press("ArrowLeft")
        await expect(mark).not_to_have_attribute("cx", before or "", timeout=10_000)
        await expect(page.locator("output").first).to_have_text("700 ms")
        await expect(page.get_by_test_id("ex_fig_penalty_s").locator("td").last).to_contain_text("(", timeout=10_000)
        assert explorer.settings.sustained_ms == 700
        box = await slider.bounding_box()
        assert box is not None
        await page.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
        await page.get_by_test_id("ex_duck").click()
        await expect(page.get_by_test_id("ex_fig_duck_ms").locator("td").last).to_have_text("–", timeout=10_000)
        assert explorer.settings.sustained_ms > 1000 and explorer.settings.duck is False
        await page.get_by_test_id("ex_take_plan").click()
        await expect(page.locator("output").first).to_have_text("0 ms", timeout=10_000)
        await expect(page.get_by_text("generated, never yet on customers").first).to_be_visible()
        assert not errors


@pytest.mark.parametrize("dark", [False, True])
async def test_it_has_room_at_every_width_in_light_and_dark(dark: bool) -> None:
    async with _browser(dark=dark) as page:
        await shown(page, Explorer(language="es" if dark else "en"), dark=dark)
        await expect(page.locator(".ex-curve")).to_have_count(5, timeout=30_000)
        for width in (800, 1280, 1440):
            await page.set_viewport_size({"width": width, "height": 950})
            await page.evaluate(DRAWN)
            sides = await page.evaluate(
                "() => [...document.querySelectorAll('.cd-explorer, .ex-body, .ex-side, .ex-sheet')].map((n) => n.scrollWidth - n.clientWidth)"
            )
            assert max(sides) <= 1, f"something is wider than its place at {width}"
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            await page.screenshot(path=SCREENSHOTS / f"explorer_{width}{'_dark' * dark}.png")
