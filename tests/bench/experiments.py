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
    peak_mib = 0.0
    for _ in range(rounds):
        for workers in took:
            found = _alone(scenarios, customers, workers)
            took[workers].append(found["s"])
            peak_mib = max(peak_mib, found["mib"])
        some = design.cells[:: max(1, len(design.cells) // 200)]
        began = perf_counter()
        for cell in some:
            play(design, cell)
        bare.append((perf_counter() - began) / len(some) * len(design.cells))
    return {
        "conversations": len(design.cells), "one_s": median(took[1]), "two_s": median(took[2]), "bare_s": median(bare),
        "two_x": median(one / two for one, two in zip(*took.values(), strict=True)),
        "times_bare": median(one / alone for one, alone in zip(took[1], bare, strict=True)),
        "peak_mib": peak_mib,
    }  # fmt: skip


def _alone(scenarios: int, customers: int, workers: int) -> dict[str, float]:
    """In a process that does nothing else and has read nothing yet, as its workers have not."""
    code = f"from tests.bench.experiments import alone; alone({scenarios}, {customers}, {workers})"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def alone(scenarios: int, customers: int, workers: int) -> None:
    """Run it, and print its seconds, and the peak in MiB of this process and as many like its largest worker."""
    tried, who = Scenario.all()[:scenarios], [persona.name for persona in Persona.all()][:customers]
    with TemporaryDirectory() as folder:
        began = perf_counter()
        done = run_experiment(PROMPTS, tried, who, workers=workers, folder=folder, ask=lambda plan: True)
        took = perf_counter() - began
        assert len(done.rows) == scenarios * len(who) * len(PROMPTS)
    own, worker = (resource.getrusage(of).ru_maxrss / 1024 for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"s": took, "mib": round(own + (workers * worker if workers > 1 else 0), 1)}))
