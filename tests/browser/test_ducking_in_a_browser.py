"""The desk's player in a real browser: what its loudspeaker gets while Clara's sound is lowered."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.widgets.desk_view import DeskView, Voice
from clara_kit.widgets.view import view
from tests.browser.lab import _browser

pytestmark = [pytest.mark.timeout(120), pytest.mark.wall]

# A model of the desk as far as its player needs one; and what goes to the loudspeaker is kept, from the first sample on.
PAGE = """
window.taps = [];
const TAP = `registerProcessor("tap", class extends AudioWorkletProcessor {
  process([[samples]]) {
    this.port.postMessage([currentFrame, samples ? Array.from(samples) : []]);
    return true;
  }
});`;
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...more) {
  if (to === this.context.destination)
    this.context.audioWorklet.addModule(URL.createObjectURL(new Blob([TAP], { type: "text/javascript" }))).then(() => {
      window.tap = new AudioWorkletNode(this.context, "tap", { numberOfOutputs: 0 });
      tap.port.onmessage = ({ data }) => window.taps.push(data);
      connect.call(this, tap);
    });
  return connect.call(this, to, ...more);
};
window.hands = {};
const values = { words: {}, offers: {}, chosen: {}, phase: "talking", state: "AVATAR_SPEAKING", said: [], turns: [], running: [],
  unpriced: [], rate: {}, spent_usd: 0, gives_sound: true, did: {}, armed: [], language: "en", mix: "", problem: "", here: "", is_new: false };
const model = { get: (name) => values[name], set() {}, save_changes() {}, send() {}, off() {},
  on: (names, hand) => names.split(" ").forEach((name) => (window.hands[name] = hand)) };
const tell = (content, pcm) => window.hands["msg:custom"](content, pcm ? [new DataView(pcm.buffer)] : []);
const tone = () => Int16Array.from({ length: 24000 * 4 }, (_, n) => 10000 * Math.sin((2 * Math.PI * 200 * n) / 24000));
"""
START = """async () => {
  document.body.append(document.createElement("div"));
  widget.render({ model, el: document.body.lastChild });
  document.querySelector("[data-testid=clara-desk]").click(); // browsers demand it before any sound
  for (const utterance of [1, 2]) tell({ kind: "sound", utterance, rate_hz: 24000 }, tone());
  while (!window.taps.length) await new Promise((done) => setTimeout(done, 20));
}"""


def messages(*records: Any) -> list[dict[str, Any]]:
    """What the page is told of these."""
    told: list[dict[str, Any]] = []
    page, saw = DeskView(), []
    page.send = lambda content, buffers=None: told.append(content)  # type: ignore[method-assign]

    async def tell() -> None:
        Voice(page, SimpleNamespace(subscribe=saw.append, subscribe_sound=saw.append))  # type: ignore[arg-type]
        for record in records:
            saw[0](record)
        await asyncio.sleep(0)

    asyncio.run(tell())
    return told


def begins(utterance_id: int) -> ev.SpeakingStarted:
    return ev.SpeakingStarted(at_ms=0, utterance_id=utterance_id)


def duck(on: bool) -> do.Duck:
    return do.Duck(at_ms=0, reason="by hand", on=on)


def loudness(sound: Any, from_s: float, to_s: float) -> float:
    """Its peak there, as a share of the tone's."""
    return float(np.abs(sound[int(from_s * 24_000) : int(to_s * 24_000)]).max()) / (10_000 / 32_768)


async def test_her_sound_is_lowered_brought_back_and_reset_without_a_click() -> None:
    stop = do.InterruptAvatar(at_ms=0, reason="by hand", utterance_id=1)
    orders = await asyncio.to_thread(
        messages, begins(1), duck(True), duck(False), duck(True), stop, duck(False), duck(True), begins(2)
    )
    script = view("desk").replace("export default", "window.widget =")
    async with _browser() as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.route("**", lambda route: route.fulfill(body="<body>", content_type="text/html"))
        await page.goto("https://desk.test/")  # which is nowhere; but only such a page may listen to its own sound
        await page.add_script_tag(content=f"{{{script}}}")
        await page.add_script_tag(content=PAGE)
        await page.evaluate(START)
        times = []
        for content, wait_s in zip(orders, (0.4, 0.3, 0.4, 0.3, 0.01, 0.15, 0.15, 0.4), strict=True):
            times.append(await page.evaluate("(content) => (tell(content), tap.context.currentTime)", content))
            await page.wait_for_function("(until) => tap.context.currentTime >= until", arg=times[-1] + wait_s)
        taps = await page.evaluate("() => window.taps")
    assert errors == []
    sound = np.zeros(taps[-1][0] + 128)
    for at, samples in taps:
        sound[at : at + len(samples)] = samples
    began, down, up, again, stopped, _, late, other = times
    lag = 0.05  # sound is laid a little ahead
    assert loudness(sound, began + lag, down) > 0.97
    assert 0.22 < loudness(sound, down + 0.06, up) < 0.28
    assert loudness(sound, up + 0.12, again) > 0.95
    assert 0.22 < loudness(sound, again + 0.06, stopped) < 0.28
    assert loudness(sound, stopped + lag, other) < 0.01 and late < other  # the late order too is forgotten
    assert loudness(sound, other + lag, other + 0.3) > 0.97
    spoken = sound[int((began + lag) * 24_000) : int(stopped * 24_000)]
    steepest = np.abs(np.diff(spoken)).max()
    assert steepest <= 10_000 / 32_768 * 2 * np.pi * 200 / 24_000 * 1.05  # no steeper than the tone itself
