"""One cell played and scored, as a row and its turns; and a batch of them, wherever a worker is.

What comes of a cell depends on the design and the cell alone: not on who plays it, in which order, or beside whom.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from clara_kit.core.errors import SettingsError
from clara_kit.core.profile import fill
from clara_kit.lab.experiment.cells import Cell
from clara_kit.lab.experiment.design import Design, code_here
from clara_kit.lab.scores.metrics import METRICS
from clara_kit.measure.run import Run
from clara_kit.world.personas import Persona
from clara_kit.world.sim import simulate

Played = dict[str, Any]
"""`n`: the cell's number; `row` and `turns`, as the tables have them."""


def play(design: Design, cell: Cell) -> Run:
    """The conversation of one cell. Equal designs and cells give equal bytes."""
    variant = design.variants[cell.variant]
    return simulate(
        design.scenarios[cell.scenario], variant.settings, seed=cell.drawn_with(design.inputs["seed"]),
        latency=design.latency, customer=cell.customer or None, template=variant.template,
    )  # fmt: skip


def played(design: Design, cell: Cell, run: Run) -> Played:
    """What the tables keep of a conversation. Customers are invented: their words stand there, not placeholders."""
    scenario = design.scenarios[cell.scenario]
    profile = Persona.load(cell.customer).profile if cell.customer else None
    values, failed = _score(run, scenario, profile)
    told = [turn for turn in run.ledger if turn.kind != "greeting" or turn.clara]
    where = {"variant": cell.variant, "scenario": cell.scenario, "customer": cell.customer, "seed": cell.seed}
    answers = answers_of(run)
    turns = [
        {
            **where,
            "turn": turn.turn_id,
            "said": fill(turn.customer, run.words),
            "clara": fill(turn.clara, run.words),
            "heard": fill(turn.clara if turn.heard is None else turn.heard, run.words),
            "unheard": fill(turn.unheard, run.words),
            "total_ms": None if turn.total_ms is None else round(turn.total_ms, 3),
            "failed": [rule for number, rule in failed if number == turn.turn_id],
            "source": answers,
        }
        for turn in told
    ]
    row = {
        **where,
        "topic": scenario.topic,
        **values,
        "failed": [rule for _, rule in failed],
        "mix": run.mix,
        "answers": answers,
    }
    return {"n": cell.number, "row": row, "turns": turns}


def answers_of(run: Run) -> str:
    """Who wrote Clara's answers: scripted, recorded, live or local."""
    mode = str(run.modes.get("llm", "sim"))
    return "scripted" if mode == "sim" else mode


def play_batch(job: str, code: str, cells: Sequence[Cell]) -> list[Played]:
    """What a worker does: `job` is the design's inputs as JSON. Raises `SettingsError` where its kit is another."""
    if code != (here := code_here()):
        raise SettingsError(
            f"A worker has another kit: {here}, where the experiment was begun with {code}.",
            hint="install the same version of the kit on every machine, and start the workers anew.",
        )
    design = _design(job)
    return [played(design, cell, play(design, cell)) for cell in cells]


@lru_cache(maxsize=2)  # loaded once a worker, not once a batch
def _design(job: str) -> Design:
    return Design.kept(json.loads(job))


def _score(run: Run, scenario: Any, customer: Any) -> tuple[dict[str, Any], list[tuple[int, str]]]:
    turns = [turn for turn in run.ledger if turn.kind != "greeting"]
    waits = run.figures
    spoken = sum(len(turn.clara) for turn in run.ledger)
    unheard = sum(len(turn.unheard) for turn in run.ledger)
    found = {
        "turns": len(turns),
        "seconds": round(run.trace[-1].at_ms / 1000, 3) if run.trace else None,
        "first_sound_ms": waits["first_sound_ms"],
        "interruptions": waits["interruptions"],
        "heard_share": round(1 - unheard / spoken, 6) if spoken else None,
    }
    return {name: found.get(name) for name in METRICS}, []


Batch = Callable[[Sequence[Cell]], list[Played]]
