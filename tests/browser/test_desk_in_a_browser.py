"""The desk by mouse and keyboard in JupyterLab, and Clara's voice in the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.lab import lab

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]

# What the page's sound card is given, and what is taken back: the page itself is left as it is.
LISTENER = """
window.laid = [];
const begin = AudioBufferSourceNode.prototype.start, stop = AudioBufferSourceNode.prototype.stop;
AudioBufferSourceNode.prototype.start = function (at) {
  const samples = this.buffer.getChannelData(0);
  window.laid.push({ node: this, seconds: this.buffer.duration, at, loud: samples.some((s) => Math.abs(s) > 0.05), stopped: false });
  return begin.call(this, at);
};
AudioBufferSourceNode.prototype.stop = function (...when) {
  window.laid.filter((one) => one.node === this).forEach((one) => (one.stopped = this.context.currentTime < one.at + one.seconds));
  return stop.call(this, ...when);
};
"""
LAID = "() => window.laid.map(({ seconds, at, loud, stopped }) => ({ seconds, at, loud, stopped }))"


async def test_clara_is_called_heard_interrupted_and_hung_up_by_hand(tmp_path: Path) -> None:
    async with lab(tmp_path, dark=True, pace=1) as notebook:  # sound cannot be played faster
        page = notebook.page
        await page.add_init_script(LISTENER)
        await notebook.open("notebooks/00_start_here.ipynb")
        await notebook.run_first_code_cells(1)
        desk = page.get_by_test_id("clara-desk")
        talk, state, line = desk.get_by_test_id("talk"), desk.get_by_role("status"), desk.get_by_test_id("line")
        await expect(line).to_be_disabled()
        await desk.get_by_test_id("customer").select_option("camila")
        await desk.get_by_test_id("prompt").select_option("warm")
        await desk.get_by_test_id("speed").select_option("fast")
        await desk.get_by_test_id("call").click()
        await expect(state).to_have_text("Connecting…")
        await expect(state).to_have_text("Clara speaks", timeout=30_000)
        await expect(talk).to_contain_text("Camila")
        await page.wait_for_function("() => window.laid.some((one) => one.loud)", timeout=10_000)
        await page.wait_for_function("() => +document.querySelector('.cd-mouth').getAttribute('ry') > 3")  # it moves
        await expect(state).to_have_text("Clara waits", timeout=30_000)
        laid = await page.evaluate(LAID)
        assert not any(one["stopped"] for one in laid)
        assert all(b["at"] >= a["at"] + a["seconds"] - 1e-6 for a, b in zip(laid, laid[1:], strict=False))
        await line.fill("¿Hacen <b>despachos</b> a regiones?")
        await line.press("Enter")
        await expect(state).to_have_text("Clara speaks", timeout=30_000)
        await expect(talk).to_contain_text("¿Hacen <b>despachos</b> a regiones?")
        await desk.get_by_test_id("interrupt").click()
        await page.wait_for_function("() => window.laid.some((one) => one.stopped)")
        await page.wait_for_function("() => +document.querySelector('.cd-mouth').getAttribute('ry') === 2")
        await expect(talk.locator("s")).not_to_have_count(0)
        await line.fill("Muchas gracias.")
        await desk.get_by_test_id("say").click()
        await expect(talk.get_by_text("Muchas gracias.")).to_be_in_viewport(timeout=30_000)  # the newest is in sight
        await desk.get_by_role("combobox", name="Language").select_option("es")
        await expect(desk.get_by_test_id("hang_up")).to_have_text("Colgar")
        for width in (800, 1440, 1280):
            await page.set_viewport_size({"width": width, "height": 900})
            await notebook.screenshot(f"00_desk_dark_{width}")
        await desk.get_by_test_id("hang_up").click()
        await expect(page.get_by_test_id("clara-window")).to_be_visible(timeout=30_000)
        await expect(desk.get_by_test_id("call")).to_have_text("Llamar a Clara")
        await expect(page.get_by_test_id("clara-window").get_by_test_id("play")).to_be_enabled()
        await notebook.screenshot("00_desk_over_dark")
        assert notebook.errors == []
