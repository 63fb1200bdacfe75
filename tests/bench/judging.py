"""Overlaps judged a second by the explorer, beside the same sounds at the same moments played through `simulate`."""

from __future__ import annotations

from statistics import median
from time import process_time
from typing import Any

from clara_kit import Settings, simulate
from clara_kit.lab.explorer import RULES, VALUES
from clara_kit.lab.judging import ASKED, Judge
from clara_kit.lab.overlaps import Case, overlaps


def judging(count: int, rounds: int, played: int = 40) -> dict[str, Any]:
    """The sweep: every set of rules at each of its values (100 settings), cold; and `simulate`, once a case."""
    took, floors = [], []
    for seed in range(rounds):
        cases = overlaps(count, seed)
        began = process_time()
        judge = Judge(cases)
        for knob, changes in RULES.values():
            judge.swept(Settings.of(**changes), knob, VALUES[knob])
        took.append(process_time() - began)
        scripts = [_script(case) for case in cases if case.begins_ms < case.clara_ms][:: max(1, count // played)]
        began = process_time()
        for script in scripts:
            simulate(script, Settings.preset("tuned"), seed=seed)
        floors.append((process_time() - began) / len(scripts))
    settings = sum(len(VALUES[knob]) for knob, _ in RULES.values())
    per_s = count * settings / median(took)
    return {
        "sweep_s": median(took), "settings": settings, "cases": count, "judged_per_s": per_s, "simulated_per_s": 1 / median(floors),
        "times_simulate": per_s * median(floors),
    }  # fmt: skip


def _script(case: Case) -> list[Any]:
    said: dict[str, Any] = {"interrupt_after_ms": case.begins_ms}
    said |= {"text": case.text} if case.text else {"sound": "noise", "sound_ms": case.ends_ms - case.begins_ms}
    return [ASKED, said]
