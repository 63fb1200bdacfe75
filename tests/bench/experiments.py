"""An experiment in one process and in two, beside its conversations alone; and what memory it needs at the most."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from clara_kit import Scenario, run_experiment
from clara_kit.lab.experiment.design import Design
from clara_kit.lab.experiment.playing import play
from clara_kit.world.personas import Persona

PROMPTS = ("warm", "expert")


def experiments(*, scenarios: int = 40, customers: int = 25, rounds: int = 1) -> dict[str, Any]:
    """2 prompts × scenarios × customers with scripted answers; seconds, and ratios of one round each."""
    tried = Scenario.all()[:scenarios]
    who = [persona.name for persona in Persona.all()][:customers]
    design = Design.of(PROMPTS, tried, who)
    took: dict[int, list[float]] = {1: [], 2: []}
    bare = []
    for _ in range(rounds):
        for workers in took:
            with TemporaryDirectory() as folder:
                began = perf_counter()
                done = run_experiment(PROMPTS, tried, who, workers=workers, folder=folder, ask=lambda plan: True)
                took[workers].append(perf_counter() - began)
                assert len(done.rows) == len(design.cells)
        some = design.cells[:: max(1, len(design.cells) // 200)]
        began = perf_counter()
        for cell in some:
            play(design, cell)
        bare.append((perf_counter() - began) / len(some) * len(design.cells))
    return {
        "conversations": len(design.cells), "one_s": median(took[1]), "two_s": median(took[2]), "bare_s": median(bare),
        "two_x": median(one / two for one, two in zip(*took.values(), strict=True)),
        "times_bare": median(one / alone for one, alone in zip(took[1], bare, strict=True)),
        "peak_mib": _peak_mib(scenarios, customers),
    }  # fmt: skip


def _peak_mib(scenarios: int, customers: int) -> float:
    """Of a process that does nothing else, the largest of its own and its worker's."""
    code = f"from tests.bench.experiments import in_memory; in_memory({scenarios}, {customers})"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def in_memory(scenarios: int, customers: int) -> None:
    """Run it in two processes, and print the peak in MiB of this one and two like the larger worker."""
    tried, who = Scenario.all()[:scenarios], [persona.name for persona in Persona.all()][:customers]
    with TemporaryDirectory() as folder:
        run_experiment(PROMPTS, tried, who, workers=2, folder=folder, ask=lambda plan: True)
    own, worker = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(round(own + 2 * worker, 1))
