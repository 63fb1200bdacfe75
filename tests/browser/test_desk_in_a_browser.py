"""The desk by mouse and keyboard in JupyterLab, and Clara's voice in the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from clara_kit.world.answers import AnswerBook
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer
from tests.browser.lab import lab

pytestmark = [pytest.mark.timeout(400), pytest.mark.wall]

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
PLAYING = (
    """() => { const one = window.laid.at(-1); return one && one.node.context.currentTime < one.at + one.seconds; }"""
)
CUSTOMER = (
    "() => window.laid.some((one) => one.loud && one.node.buffer.sampleRate === 22050)"  # the offline voice's own
)
CLICK = """(id) => { document.querySelector(`[data-testid=${id}]`).click(); return window.laid.some((one) => one.stopped); }"""


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server of this machine stands where Anthropic's would, for every kernel; there is no key yet."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    twin = AnthropicTwin(TwinContext(profile=LatencyProfile.load("fast")), AnswerBook.load())
    with TwinServer([twin]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.addresses["anthropic"]["base_url"])
        yield


@pytest.mark.usefixtures("vendor")
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
        await page.wait_for_function("() => window.laid.some((one) => one.loud)", timeout=60_000)
        await page.wait_for_function("() => +document.querySelector('.cd-mouth').getAttribute('ry') > 3")  # it moves
        await expect(state).to_have_text("Clara waits", timeout=30_000)
        laid = await page.evaluate(LAID)
        assert not any(one["stopped"] for one in laid)
        assert all(b["at"] >= a["at"] + a["seconds"] - 1e-6 for a, b in zip(laid, laid[1:], strict=False))
        await line.fill("¿Hacen <b>despachos</b> a regiones?")
        await line.press("Enter")
        await expect(state).to_have_text("Clara speaks", timeout=30_000)
        await expect(talk).to_contain_text("¿Hacen <b>despachos</b> a regiones?")
        await desk.get_by_text("Cut in while she speaks").click()
        await desk.get_by_test_id("cut-backchannel").click()
        await page.wait_for_function(CUSTOMER)  # heard in the page,
        await expect(talk).to_contain_text("customer: Ajá.", timeout=30_000)  # and by Clara's ears
        await expect(desk.get_by_test_id("did")).to_have_text("«Ajá»: she spoke on.")
        await page.wait_for_function(PLAYING)
        assert await page.evaluate(CLICK, "interrupt")  # silent at the click, before the kernel has heard of it
        await page.wait_for_function("() => +document.querySelector('.cd-mouth').getAttribute('ry') === 2")
        await expect(talk.locator("s")).not_to_have_count(0)
        await expect(desk.get_by_test_id("interrupt")).to_be_disabled()
        await line.fill("Muchas gracias.")
        await desk.get_by_test_id("say").click()
        await expect(talk.get_by_text("Muchas gracias.")).to_be_in_viewport(timeout=30_000)  # the newest is in sight
        opened = desk.get_by_test_id("open")
        await expect(opened).to_contain_text("camila, prompt warm")
        await desk.locator(".cd-live summary").click()
        await desk.get_by_test_id("live-llm").check()  # the panel of keys opens
        field = page.locator("input[type=password]:visible").nth(1)
        await field.fill("test-key")
        await field.press("Tab")
        await page.get_by_role("button", name="Use for this kernel").click()
        badge = desk.locator(".cd-badge")
        await expect(badge).to_contain_text("LIVE", timeout=30_000)
        await expect(desk.get_by_test_id("live-tts")).to_be_disabled()
        await line.fill("¿Hacen despachos a regiones?")
        await line.press("Enter")
        await expect(desk.get_by_test_id("turns")).to_contain_text("(real)", timeout=30_000)
        await expect(badge).to_contain_text("spent 0.000")
        await desk.get_by_role("combobox", name="Language").select_option("es")
        await expect(desk.get_by_test_id("hang_up")).to_have_text("Colgar")
        await expect(opened).to_contain_text("pensamiento: gemelo sin conexión → en vivo")
        for width in (800, 1440, 1280):
            await page.set_viewport_size({"width": width, "height": 900})
            await notebook.screenshot(f"00_desk_dark_{width}")
        await opened.get_by_role("button").click()
        await expect(opened).to_be_hidden(timeout=30_000)
        await expect(page.get_by_test_id("clara-window")).to_be_visible(timeout=30_000)
        await expect(desk.get_by_test_id("call")).to_have_text("Llamar a Clara")
        await expect(page.get_by_test_id("clara-window").get_by_test_id("play")).to_be_enabled()
        await notebook.screenshot("00_desk_over_dark")
        assert notebook.errors == []
