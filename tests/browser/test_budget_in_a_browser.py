"""The latency budget's view in a real browser with its real model behind it: levers by mouse and keyboard, widths, darkness."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import Page, expect

from clara_kit.lab.budget.levers import PLAN
from clara_kit.widgets.budget import LatencyBudget
from tests.browser.lab import DRAWN, SCREENSHOTS, _browser
from tests.browser.test_explorer_in_a_browser import DARK, MODEL, PAGE

pytestmark = [pytest.mark.timeout(120), pytest.mark.wall]

NAMES = (
    "words", "controls", "chosen", "given", "heard", "bars", "curves", "rows", "buys", "mark", "sentence", "asked", "waits", "answered", "problem",
)  # fmt: skip


async def shown(page: Page, budget: LatencyBudget, *, dark: bool = False) -> None:
    """The view in the page, and the model behind it."""
    state = {name: getattr(budget, name) for name in NAMES}

    async def tell(what: Any) -> None:
        budget._handle_custom_msg(what, [])
        changes = {name: getattr(budget, name) for name in NAMES if getattr(budget, name) != state[name]}
        state.update(json.loads(json.dumps(changes)))
        await page.evaluate("(changes) => window.told(changes)", changes)

    await page.expose_function("tell", tell)
    theme, background = (DARK, "#111") if dark else ("", "#fff")
    await page.set_content(
        PAGE.format(css=budget._css, theme=theme, background=background, light=str(not dark).lower())
    )
    await page.evaluate(MODEL, [budget._esm, json.loads(json.dumps(state))])


async def test_a_lever_moves_the_bar_the_curve_and_the_figures_by_mouse_and_by_keyboard() -> None:
    async with _browser() as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        budget = LatencyBudget(PLAN)
        await shown(page, budget)
        median, curve = (
            page.get_by_test_id("lb_row_first_p50").locator("td").last,
            page.get_by_test_id("lb_curve_yours"),
        )
        before, line = await median.inner_text(), await curve.get_attribute("points")
        assert "ms (" in before  # with its interval
        await page.get_by_test_id("lb_openers").focus()
        await page.keyboard.press("Space")
        await expect(median).not_to_have_text(before, timeout=10_000)
        await expect(curve).not_to_have_attribute("points", line or "")
        assert {*budget.levers} == {"openers"}
        await page.get_by_test_id("lb_flux").click()
        await expect(page.get_by_test_id("lb_row_cut_off").locator("td").last).to_have_text(
            "unknown: nobody has published it"
        )
        slider = page.get_by_test_id("lb_reply_tokens")
        await slider.focus()
        await page.keyboard.press("ArrowRight")
        await expect(page.locator("output").first).to_have_text("65", timeout=10_000)
        await page.get_by_test_id("lb_take_plan").click()
        await expect(page.get_by_test_id("lb_openers")).not_to_be_checked(timeout=10_000)
        await page.get_by_test_id("lb_to").select_option("avatar")
        await expect(page.get_by_test_id("lb_bar_plan_playout")).to_have_count(0, timeout=10_000)
        await expect(page.get_by_test_id("lb_sentence")).to_contain_text("No, not yet")
        assert not errors


async def test_a_target_is_asked_backwards_from_the_keyboard() -> None:
    async with _browser() as page:
        budget = LatencyBudget()
        await shown(page, budget)
        target = page.get_by_test_id("lb_ask_target")
        await target.fill("900")
        await page.keyboard.press("Enter")
        told = page.get_by_test_id("lb_told")
        await expect(told).to_contain_text("below 900 ms", timeout=10_000)
        await expect(told).to_contain_text("the avatar would have to start within")
        assert await told.inner_text() == budget.asked["told"]
        await page.get_by_test_id("lb_profile").select_option("classic")
        await expect(told).to_contain_text("about 3000 (n = 2)", timeout=10_000)


async def test_both_designs_are_heard_one_after_the_other_at_a_press() -> None:
    pytest.importorskip("espeakng_loader")
    async with _browser() as page:
        budget = LatencyBudget()
        await shown(page, budget)
        await page.get_by_test_id("lb_question").fill("¿Hacen despachos a regiones?")
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("lb_waits")).to_contain_text("s in the plan and", timeout=30_000)
        assert budget.sound[:4] == b"RIFF"
        await page.get_by_test_id("lb_slow_starts").click()
        await expect(page.get_by_test_id("lb_row_over_3000").locator("td").last).not_to_contain_text(
            "23", timeout=10_000
        )
        assert budget.given["slow_share"] == 0


@pytest.mark.parametrize("dark", [False, True])
async def test_it_has_room_at_every_width_in_light_and_dark(dark: bool) -> None:
    async with _browser(dark=dark) as page:
        budget = LatencyBudget(language="es" if dark else "en")
        budget.choose(openers=True)
        budget.ask(800, 0.5)
        await shown(page, budget, dark=dark)
        for width in (800, 1280, 1440):
            await page.set_viewport_size({"width": width, "height": 1250})
            await page.evaluate(DRAWN)
            sides = await page.evaluate(
                "() => [...document.querySelectorAll('.cd-budget, .lb-body, .lb-side, .lb-sheet')].map((n) => n.scrollWidth - n.clientWidth)"
            )
            assert max(sides) <= 1, f"something is wider than its place at {width}"
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            await page.screenshot(path=SCREENSHOTS / f"budget_{width}{'_dark' * dark}.png")
