"""The stored comparison of ten moments: Clara's lanes are computed anew, the others' are measurements that were kept."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.async_api import async_playwright, expect

from tests.bench import peers
from tests.bench.peers import moments
from tests.bench.peers.judged import seen, worse
from tests.bench.peers.page import LANES, MINE, NAMES, OTHERS, judged, page
from tests.browser.lab import chromium

FOUND: dict[str, Any] = json.loads(moments.STORED.read_text(encoding="utf-8"))
RENEW = "python -m tests.bench.peers.moments clara"


@pytest.mark.parametrize("moment", moments.moments(), ids=lambda moment: moment.name)
@pytest.mark.parametrize("lane", moments.PRESETS)
def test_clara_s_lane_is_what_she_does_today(moment: moments.Moment, lane: str) -> None:
    stored = FOUND["lanes"][lane]["moments"][moment.name]
    assert moments.clara(moment, moments.PRESETS[lane]) == stored, f"she decides otherwise now: {RENEW}"


def test_moments_and_settings_are_those_that_were_measured() -> None:
    assert json.loads(json.dumps(moments.about())) == FOUND["moments"], (
        "measure anew: python -m tests.bench.peers.moments"
    )
    assert FOUND["figures"] == moments.FIGURES and FOUND["answer"] == moments.answer()
    for lane, preset in moments.PRESETS.items():
        assert FOUND["lanes"][lane]["config"] == moments.changed(preset), RENEW


def test_the_page_is_drawn_from_what_is_stored_and_says_when_and_with_what() -> None:
    text = page(FOUND)
    assert moments.PAGE.read_text(encoding="utf-8") == text, "python -m tests.bench.peers.moments page"
    for package, _ in peers.PEERS.values():
        name, version = package.split("==")
        assert any(lane.get("version") == version for lane in FOUND["lanes"].values()) and version in text, name
    assert FOUND["measured_on"] in text and "Not run:" in text and "real time" in text and "simulated" in text
    assert re.search(r"each moment twice: between the two runs silence came up to \d\.\d\d s apart", text)
    assert len(re.findall("<article", text)) == len(moments.moments()) == 10
    assert text.count("class='track' role='img'") == 10 * (1 + sum(map(len, LANES.values())))
    assert not re.search(r"""(?:src|href)=["']https?:|<script""", text)  # one file, nothing loaded


def test_the_page_says_in_words_where_clara_is_worse() -> None:
    said = re.search("<h2 id='worse'>Where Clara is worse</h2>.*?</div>", page(FOUND), re.DOTALL)
    verdicts = judged(FOUND)
    assert said
    for moment in FOUND["moments"]:
        by = verdicts[moment["name"]]
        others = {NAMES[name]: by[name] for name in OTHERS}
        worst = worse(moment, by[MINE], others)
        assert (f"href='#{moment['name']}'" in said[0]) == bool(worst or by[MINE].problems), moment["name"]


def test_what_is_wrong_in_a_lane_is_told() -> None:
    length, says = {0: 5000.0, 1: 12_000.0}, {0: "Hola.", 1: "Te va bien este."}
    asked = [[-3850, "¿Cuál?"], [600, "ajá"]]
    cut = {
        "played": [[-3000, 500, 1], [1400, 4000, 2]],
        "requests": asked,
        "history": [["assistant", "Te va"]],
        "ducked": [],
    }
    quiet = {
        "played": [[-3000, 9000, 1]],
        "requests": asked[:1],
        "history": [["assistant", "Te va bien este."]],
        "ducked": [],
    }
    moment = {"stops": False, "whole": True, "answers": [], "kept": False, "ends_ms": 300}
    broken, right = (seen(moment, lane, length, says) for lane in (cut, quiet))
    assert broken.problems == ("stops after 0.50 s", "the rest of her words is never heard", "answers «ajá»")
    assert (
        right.problems == () and worse(moment, broken, {"Other": right}) and not worse(moment, right, {"Other": broken})
    )
    paused = {**quiet, "played": [[-3000, 500, 1], [2500, 11_000, 1]]}
    assert seen(moment, paused, length, says).problems == ("stops after 0.50 s, silent for 2.00 s",)
    restated = {**quiet, "played": [[-3000, 500, 1], [2500, 14_500, 1]]}
    assert seen(moment, restated, length, says).repeated_ms == 3500
    stopping = {"stops": True, "whole": False, "answers": ["espera"], "kept": True, "ends_ms": 300}
    assert seen(stopping, quiet, length, says).problems == ("does not stop", "does not answer «espera»")


@pytest.mark.wall
async def test_the_page_is_read_with_the_keyboard_in_light_and_dark_at_any_width() -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), headless=True, args=["--no-sandbox"])
        shown = await browser.new_page()
        wrong: list[str] = []
        shown.on("pageerror", lambda error: wrong.append(str(error)))
        shown.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else wrong.append(r.url))
        await shown.goto(moments.PAGE.as_uri())
        grounds = set()
        for scheme in ("light", "dark"):
            await shown.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            grounds.add(await shown.evaluate("getComputedStyle(document.body).backgroundColor"))
            for width in (800, 1280, 1440):
                await shown.set_viewport_size({"width": width, "height": 900})
                assert await shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert len(grounds) == 2
        await shown.locator("article summary").first.focus()
        await shown.keyboard.press("Enter")
        await expect(shown.locator("article dd").first).to_be_visible()
        assert wrong == []
        await browser.close()
