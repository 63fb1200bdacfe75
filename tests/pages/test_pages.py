"""The pages for a meeting, made of tiny notebooks, read as files and looked at in a browser from the file system."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.async_api import Page, async_playwright, expect

from clara_kit import Run, simulate
from clara_kit.audio.pcm import silence
from clara_kit.audio.wav import wav_bytes
from clara_kit.world.personas import Persona
from tests.browser.lab import ROOT, SCREENSHOTS, chromium

sys.path.insert(0, str(ROOT / ".ci"))

import walkthrough
from pages.figures import FIGURES
from pages.index import plan

pytestmark = pytest.mark.timeout(240)
WHOLE = (
    "# A tiny notebook\n\nIt leads to [the broken one](01_broken.ipynb) and names [a file](../data/README.md).",
    "# Two controls and a key\nimport ipywidgets as w\n"
    "w.VBox([w.Dropdown(options=['uno', 'dos'], value='dos', description='number'), w.HTML('<b>as it stands</b>'),\n"
    "        w.Password(value='a-secret-key', description='key'), w.Button(description='Go')])",
    "from dataclasses import replace\nfrom pathlib import Path\nfrom clara_kit import ConversationWindow, simulate\n"
    "from clara_kit.audio.pcm import silence\nfrom clara_kit.audio.wav import wav_bytes\n"
    "folder = Path('sound'); folder.mkdir()\n"
    "sound = wav_bytes(silence(6000, 16000)); (folder / 'conversation.wav').write_bytes(sound)\n"
    "run = replace(simulate(['¿Hacen <b>despachos</b>?'], seed=3), folder=folder)\nConversationWindow(run)",
    "import plotly.graph_objects as go\ngo.Figure(go.Bar(x=[1, 2], y=[3, 4]))",
    "from IPython.display import Audio\nAudio(data=sound)",
    "from clara_kit import Comparison\napart = Comparison('camila', 'warm', 'brief')\n"
    "apart.compare('¿Cuánto cuesta el despacho?')\napart",
)
NO_NOTEBOOK = "{ this is no notebook"
BROKEN = ("# A broken notebook", "print('before')", "raise ValueError('the shop is closed')", "print('after')")


@dataclass(frozen=True)
class Made:
    """The pages, what came of the notebooks, and what was said meanwhile."""

    out: Path
    ran: list[Any]
    printed: str

    def text(self, name: str) -> str:
        return (self.out / f"{name}.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("notebooks")
    for name, (title, *cells) in (("00_whole", WHOLE), ("01_broken", BROKEN)):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(title)])  # type: ignore[no-untyped-call]
        book.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
        nbformat.write(book, folder / f"{name}.ipynb")  # type: ignore[no-untyped-call]

    (folder / "02_torn.ipynb").write_text(NO_NOTEBOOK, encoding="utf-8")

    async def talk(where: Path, _tell: Callable[[str], None]) -> Run:
        (where / "conversation.wav").write_bytes(wav_bytes(silence(5000, 16000)))
        return replace(simulate("demo", seed=1, customer="camila"), folder=where)

    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *text, **_: said.append(" ".join(map(str, text))))
        few = {"seeds": range(1), "customers": tuple(map(Persona.load, ("camila", "sin_datos", "solo_emoji")))}
        ran = asyncio.run(walkthrough.made(sorted(folder.glob("*.ipynb")), folder / "out", talk=talk, **few))
    return Made(out=folder / "out", ran=ran, printed="\n".join(said))


def test_every_criterion_of_the_plan_has_an_answer_and_every_answer_a_criterion(made: Made) -> None:
    criteria = [one for phase in plan()["phases"] for one in phase["criteria"]]
    asked = {one["figure"] for one in criteria if "figure" in one}
    assert asked == set(FIGURES) and all("figure" in one or "needs" in one for one in criteria)
    index = made.text("index")
    assert "could not be measured" not in index
    for one in criteria:
        row = re.search(f"<tr id='{one['id']}'>.*?</tr>", index, re.DOTALL)
        assert row and re.search("✓ reached|✗ not reached|○ open|○ not built", row[0]), one
    for row in re.findall("<tr id='(?:latency|barge_in|chunked|greeting)'>.*?</tr>", index, re.DOTALL):
        assert re.search(r"<b>[\d,]+ (ms|of)", row) and "not measured live" in row
    assert "not built" in index and re.search(r"the plan wants <b>0.6 s</b>", index)


def test_a_broken_notebook_costs_its_own_page_only(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    whole, broken, torn = made.ran
    assert torn.broke_at == 0 and "Its file is no notebook" in made.text("02_torn")
    assert "<h1>02_torn</h1>" in made.text("02_torn")
    assert whole.broke_at is None and broken.broke_at == 2
    text = made.text("01_broken")
    assert "before" in text and "Here this notebook stopped" in text and "the shop is closed (ValueError)" in text
    assert "The step after it was not run" in text and ">after" not in text
    assert "Stopped on the way: the shop is closed" in made.text("index")
    assert "00_whole: cell 5 of 5" in made.printed and "01_broken: stopped." in made.printed
    assert walkthrough.ended(made.ran, made.out) == 1 and walkthrough.ended([whole], made.out) == 0
    assert "✗ 01_broken stopped: the shop is closed" in capsys.readouterr().out


def test_widgets_plots_and_sounds_are_shown_as_what_they_are(made: Made) -> None:
    text = made.text("00_whole")
    assert "<output>dos</output>" in text and "as it stands" in text and ">Go</button>" in text
    assert text.count("data-clara=") == 2 and text.count("<audio") == 1 and text.count("class='plot'") == 1
    assert "Console(" not in text and "FigureWidget" not in text and "children=" not in text
    assert "Two controls and a key</summary>" in text and "simulated: no number here is a vendor’s" in text
    everything = "".join(path.read_text("utf-8") for path in made.out.rglob("*") if path.suffix in (".html", ".js"))
    assert "a-secret-key" not in re.sub(r"<details class='code'>.*?</details>", "", everything, flags=re.DOTALL)


def test_pages_are_small_need_nothing_from_outside_and_every_link_of_them_leads_somewhere(made: Made) -> None:
    for page in made.out.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert page.stat().st_size < 2_000_000 and "<time" in text and "class='mix'" in text
        for address in re.findall(r"(?:src|href)='([^']+)'", text):
            if not address.startswith(("data:", "#")):
                assert (made.out / address.partition("#")[0]).is_file(), (page.name, address)
        assert not re.search(r"""<(?:script|link|img|audio)[^>]+(?:src|href)=["']https?:""", text)
    assert "href='01_broken.html'" in made.text("00_whole") and "README.md" not in made.text("00_whole")
    assert (made.out / "assets" / "plotly.js").is_file()
    sounds = list((made.out / "assets").glob("sound_*.mp3"))
    assert sounds and all(sound.stat().st_size < 6 * 32_000 / 4 for sound in sounds)  # six seconds, of 32 kB each


@pytest.mark.wall
async def test_the_pages_can_be_read_walked_through_and_heard_from_the_file_system(made: Made) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(),
            headless=True,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else wrong.append(r.url))
        await _read(page, made)
        assert wrong == []
        await browser.close()


async def _read(page: Page, made: Made) -> None:
    ready = page.locator("body[data-ready=yes]")
    await page.goto((made.out / "index.html").as_uri())
    await expect(ready).to_be_attached(timeout=60_000)
    await page.locator("a[rel=next]").first.click()
    await expect(page).to_have_title("A tiny notebook · Clara kit")
    await expect(ready).to_be_attached(timeout=60_000)
    window = page.get_by_test_id("clara-window")
    why, play = window.get_by_test_id("why"), window.get_by_test_id("play")
    await window.get_by_test_id("last").click()
    await expect(window.get_by_test_id("said")).to_contain_text("<b>despachos</b>")
    last = await why.inner_text()
    await window.get_by_test_id("back").click()
    assert await why.inner_text() != last
    await window.locator("[data-kind=words]").first.click()
    assert await why.inner_text() != last
    await window.get_by_test_id("first").click()
    await play.click()
    await expect(play).to_contain_text("Pause", timeout=60_000)
    await expect(page.locator(".plot svg").first).to_be_visible()
    await page.evaluate("HTMLMediaElement.prototype.play = async function () { window.heard = this.src; }")
    await page.get_by_test_id("hear-left-0").click()
    await page.wait_for_function("window.heard")
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for width in (800, 1280, 1440):
            await page.set_viewport_size({"width": width, "height": 900})
            assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        await page.screenshot(path=SCREENSHOTS / f"page_{scheme}.png", full_page=True)
    await page.locator("a[rel=next]").first.click()
    await expect(page.get_by_role("alert")).to_contain_text("the shop is closed")
