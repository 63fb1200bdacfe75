"""The notebooks invite to change a line and run it again, in any order, and to stop: nothing of it ends red."""

from __future__ import annotations

import asyncio
import json

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output

from clara_kit import Fault, Settings, simulate
from clara_kit.lab.briefings import across, noticed, replies, told
from clara_kit.lab.sheet import Sheet
from clara_kit.lab.sweep import sweep
from tests.ground.notebooks import COURSE, NOTEBOOKS, WIDGET, raw, reading

pytestmark = [pytest.mark.wall, pytest.mark.timeout(300)]
ASKED = (
    "¿Qué limpiador me recomiendas para la piel mixta?", "¿Hacen despachos a regiones?",
    "Espera, ¿cuánto cuesta el protector solar?",
)  # fmt: skip
SCRIPT = ["¿Qué limpiador me recomiendas para la piel mixta?", "¿Y cuánto cuesta el despacho?", "Muchas gracias."]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARA_PACE", "50")


async def test_the_first_notebook_takes_other_questions_no_question_and_any_order() -> None:
    async with reading("00_start_here") as reader:
        other = {"¿Qué limpiador me recomiendas para la piel mixta?": "Hola, buenas. ¿Tienen algo para las manchas?"}
        assert "3 turns" in await reader.run("one", {**other, "Espera, ¿cuánto cuesta el protector solar?": "  "})
        for name in reversed(reader.ids):
            if name != "one":
                await reader.run(name)
        await reader.run("desk")
        nothing = {f'= "{line}"': '= ""' for line in ASKED}
        assert "1 turn in" in await reader.run("one", nothing)
        for name in ("five", "four", "sim", "sim"):
            await reader.run(name)


async def test_an_interrupted_kernel_leaves_what_there_is_and_the_notebook_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLARA_PACE", "4")
    async with reading("00_start_here") as reader:
        running = asyncio.create_task(reader.run("one"))
        while "Clara: «" not in str(reader.cell("one").outputs):
            assert not running.done()
            await asyncio.sleep(0.05)
        assert reader.client.km is not None
        await reader.client.km.interrupt_kernel()
        assert "Stopped by hand" in await running
        for name in ("four", "five", "sim"):
            await reader.run(name)


async def test_the_second_notebook_takes_other_settings_wrong_settings_and_any_order() -> None:
    async with reading("01_one_conversation") as reader:
        for name in ("one-22", "one-18", "one-10"):  # a section can be begun with
            await reader.run(name)
        for name in reader.ids:
            await reader.run(name, {"¿Qué protector solar me recomiendas?": "Hola"} if name == "one-05" else None)
        others = {"as shipped": "mine", '_ms": 600': '_ms": 100', "False": "True", '_ms": 400': '_ms": 0'}
        told = await reader.run("one-22", others)
        assert "mine" in told and "stt_endpointing_ms" not in told
        assert "✗" in await reader.run("one-22", {'_ms": 600': '_ms": -5'}) + await reader.run("one-25")
        three = '["¿Qué limpiador me recomiendas para la piel mixta?", "¿Y cuánto cuesta el despacho?", "Muchas gracias, Clara."]'
        for script in ("[]", '["", " "]', '"¿Y cuánto cuesta el despacho?"'):
            await reader.run("one-10", {three: script})
        await reader.run("one-22", {'    "as shipped": {},\n': ""})
        assert "«endpointing 600 ms»" in await reader.run("one-25")
        for name in reversed(reader.ids):
            if name != "one-05":
                await reader.run(name)


async def test_the_third_notebook_takes_other_customers_templates_and_questions_and_names_that_nobody_has() -> None:
    async with reading("02_personalisation") as reader:
        chosen, quick = 'pick("camila", "warm")', [name for name in reader.ids if name not in ("two-10", "two-30")]
        for name in reader.ids:  # a customer without a name, and nothing is asked
            await reader.run(
                name, {chosen: 'pick("solo_emoji", "baseline")', '["': '["", "'} if name == "two-02" else None
            )
        assert "There is no customer «»" in await reader.run("two-02", {chosen: 'pick("", "Warm")'})
        for name in reversed(quick[1:]):
            await reader.run(name)
        await reader.run("two-02", {chosen: 'pick("rosario", "expert")'})
        for name in quick[1:]:
            await reader.run(name)
        none = dict.fromkeys(
            ('"¿Qué hidratante me recomiendas?", ', "¿Qué limpiador uso?", "¿Cuánto cuesta el despacho?"), ""
        )
        await reader.run("two-02", none)
        assert "1 turn in" in await reader.run("two-10")
        await reader.run("two-20")


async def test_the_fourth_notebook_takes_other_rules_no_conversation_and_any_order() -> None:
    async with reading("03_barge_in") as reader:
        await reader.run("three-12")  # a section can be begun with
        for name in reader.ids:
            await reader.run(name)
        mine = '"mine": Settings.preset("tuned").with_changes(sustained_ms=0, ignore_backchannels=False),\n}'
        told = await reader.run("three-12", {"\n}": f"\n    {mine}"})
        assert "mine (simulated): stopped after 0.1" in told and "spoke on" in told
        for name in reversed(reader.ids[1:]):
            await reader.run(name)


async def test_the_notebook_of_outages_takes_no_conversation_and_any_order() -> None:
    async with reading("06_fallback") as reader:
        for name in reader.ids:
            told = await reader.run(name)
            assert name != "six-04" or "Claude overloaded" in told
        for name in reversed(reader.ids[1:]):
            await reader.run(name)


@pytest.mark.parametrize("stem", COURSE)
def test_the_course_is_folded_behind_sentences_and_stores_nothing_raw(stem: str) -> None:
    cells = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4).cells
    assert "widgets" not in json.loads((NOTEBOOKS / f"{stem}.ipynb").read_text(encoding="utf-8"))["metadata"]
    for cell in cells:
        if cell.cell_type == "code":
            first = cell.source.splitlines()[0]
            assert cell.metadata["jupyter"] == {"source_hidden": True}, cell.id
            assert first.startswith("# ") and first.endswith(".") and len(first) < 100, cell.id
            assert "assert" not in cell.source, cell.id
            assert raw(cell) == []
            assert not any(WIDGET in output.get("data", {}) for output in cell.outputs)  # another id each time
            assert bool(cell.outputs) <= (cell.execution_count is not None)


def test_a_cell_says_what_it_found_where_a_raw_dump_would_be() -> None:
    turns = simulate(SCRIPT, seed=7).turns
    assert raw(new_code_cell(id="a", outputs=[shows(repr(turns.select("turn", "total_ms")))]))
    assert not raw(new_code_cell(id="a", outputs=[shows(repr(Sheet(turns))), shows(Sheet(turns)._repr_html_())]))
    assert "Not shown: " in repr(Sheet(turns)) and f" {turns['total_ms'][1]:,.0f} " in repr(Sheet(turns))


def shows(text: str) -> NotebookNode:
    return new_output("display_data", {"text/plain": text})


def test_each_of_the_three_settings_of_the_second_notebook_makes_the_customer_wait_longer() -> None:
    choices = {
        "as shipped": Settings(),
        "endpointing": Settings.of(stt_endpointing_ms=600),
        "whole": Settings.of(enable_chunked_heygen=False),
        "hold": Settings.of(turn_hold_ms=400),
    }
    usual, *others = sweep(SCRIPT, choices, seed=7).table()["mean"].to_list()
    assert all(usual < mean for mean in others)


def test_what_the_third_notebook_says_of_the_shipped_templates_is_so() -> None:
    answers = replies(["¿Qué hidratante me recomiendas?", "¿Qué limpiador uso?"], "camila", "warm", "brief").frame
    assert all(warm.startswith(brief) for _, warm, brief in answers.iter_rows())  # two sentences at most
    assert not any(
        across(name).frame["greeting"].str.contains("  |None|¡Hola, !|✗").any() for name in ("warm", "baseline")
    )
    assert told("camila").briefing.prompt.static == told("rosario").briefing.prompt.static
    assert "Camila" in told("camila").briefing.prompt.personal
    waited = noticed([Fault(service="shop", kind="stall"), Fault(service="shop", kind="slow", for_ms=3000)]).frame
    assert waited["first sound (ms)"].max() <= waited["first sound (ms)"][0] + Settings().profile_deadline_ms
