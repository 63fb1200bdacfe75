"""The notebooks invite to change a line and run it again: with other values than the shipped ones nothing fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from clara_kit import Settings
from clara_kit.lab.sweep import sweep

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CHOSEN = 'CUSTOMER, TEMPLATE = "camila", "warm"'
ASKED = 'ask("¿Qué limpiador me recomiendas para la piel mixta?")'
TALKED = """await clara.ask("Hola")
await desk.type("¿Hacen despachos?")
await clara.until(ConversationState.AVATAR_SPEAKING)
await clara.until(ConversationState.IDLE)
await desk.type("¿Qué protector solar me recomiendas?")"""
CHANGES = {
    "another question": ("00_start_here", {ASKED: 'ask("Hola, buenas. ¿Tienen algo para las manchas?")'}),
    "a talk before, other settings": (
        "01_one_conversation",
        {
            'await desk.type("¿Qué protector solar me recomiendas?")': TALKED,
            "stt_endpointing_ms=600": "stt_endpointing_ms=100",
            "enable_chunked_heygen=False": "enable_chunked_heygen=True",
            "turn_hold_ms=400": "turn_hold_ms=0",
        },
    ),
    "a customer without a name": ("02_personalisation", {CHOSEN: 'CUSTOMER, TEMPLATE = "solo_emoji", "baseline"'}),
    "another customer": ("02_personalisation", {CHOSEN: 'CUSTOMER, TEMPLATE = "rosario", "expert"'}),
}


@pytest.mark.wall
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CHANGES)
def test_a_notebook_runs_with_other_values(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARA_PACE", "50")
    stem, changes = CHANGES[name]
    notebook: Any = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4)
    for before, after in changes.items():
        (cell,) = [c for c in notebook.cells if c.cell_type == "code" and before in c.source]
        cell.source = cell.source.replace(before, after)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()


def test_each_of_the_three_settings_of_the_second_notebook_makes_the_customer_wait_longer() -> None:
    script = ["¿Qué limpiador me recomiendas para la piel mixta?", "¿Y cuánto cuesta el despacho?", "Muchas gracias."]
    choices = {
        "as shipped": Settings(),
        "endpointing": Settings.of(stt_endpointing_ms=600),
        "whole": Settings.of(enable_chunked_heygen=False),
        "hold": Settings.of(turn_hold_ms=400),
    }
    usual, *others = sweep(script, choices, seed=7).table()["mean"].to_list()
    assert all(usual < mean for mean in others)
