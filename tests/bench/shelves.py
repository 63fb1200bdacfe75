"""A thousand conversations asked about twenty settings at once, beside asking `WhatIfs` of each, from the same files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from clara_kit import Settings, simulate, what_if_shelf
from clara_kit.lab.what_if import WhatIfs
from clara_kit.runtime.run_log import RunLog

TUNED = Settings.preset("tuned")
CHOICES = {
    **{f"sustained {ms}": TUNED.with_changes(sustained_ms=ms) for ms in (300, 500, 700, 900, 1200)},
    **{f"{n} words": TUNED.with_changes(min_words=n) for n in (2, 3)},
    **{f"protected {ms}": TUNED.with_changes(protected_opening_ms=ms) for ms in (0, 400, 1500)},
    **{f"hold {ms}": TUNED.with_changes(turn_hold_ms=ms) for ms in (200, 500)},
    **{f"slow from {ms}": TUNED.with_changes(slow_response_ms=ms) for ms in (1500, 2000)},
    "loud": TUNED.with_changes(duck=False),
    "backchannels count": TUNED.with_changes(ignore_backchannels=False),
    "no hold": TUNED.with_changes(unfinished_hold_ms=0),
    "nothing taken back": TUNED.with_changes(taken_back_ms=0),
    "end": TUNED.with_changes(after_false_interruption="end"),
    "plan": Settings.preset("plan"),
}  # fmt: skip
LINES: tuple[Sequence[Any], ...] = (
    ["¿Qué limpiador me recomiendas?", "¿Y cuánto cuesta?", "gracias"],
    ["¿Hacen despachos a regiones?", {"text": "ajá", "interrupt_after_ms": 1200}, "no, gracias"],
    ["¿Puedo usar retinol embarazada?", {"text": "espera, ¿y vitamina C?", "interrupt_after_ms": 1500}],
    [
        "¿Qué protector solar me recomiendas?",
        {"sound": "cough", "interrupt_after_ms": 900},
        "¿cuánto vale?",
        "ya, gracias",
    ],
)


def shelves(conversations: int, alone: int = 10) -> dict[str, Any]:
    """Seconds of one core, reading the files included."""
    with TemporaryDirectory() as root:
        for seed in range(conversations):
            run = simulate(LINES[seed % len(LINES)], TUNED, seed=seed)
            RunLog(run.inputs, title="bench", root=root).close([*run.trace])
        began = process_time()
        found = what_if_shelf(root, CHOICES)
        took = process_time() - began
        some = [*Path(root).iterdir()][:alone]
        began = process_time()
        for folder in some:
            ghosts = WhatIfs(folder)
            for settings in CHOICES.values():
                ghosts.of(settings)
        each = (process_time() - began) / len(some) / len(CHOICES)
    assert found.asked == conversations
    asked = conversations * len(CHOICES)
    return {
        "shelf_s": took, "conversations": conversations, "settings": len(CHOICES), "otherwise": len(found.otherwise),
        "times_each_alone": each * asked / took,
    }  # fmt: skip
