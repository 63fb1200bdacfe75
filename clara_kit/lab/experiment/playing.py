"""One cell played and scored, as a row and its turns; and a batch of them, wherever a worker is.

What comes of a cell depends on the design and the cell alone: not on who plays it, in which order, or beside whom.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from clara_kit.core.errors import SettingsError
from clara_kit.core.profile import fill
from clara_kit.lab.experiment.cells import Cell
from clara_kit.lab.experiment.design import Design, code_here
from clara_kit.lab.scores.checks import CHECKS
from clara_kit.lab.scores.metrics import METRICS
from clara_kit.lab.scores.scoring import score
from clara_kit.measure.run import Run
from clara_kit.world.brain import Brain
from clara_kit.world.personas import Persona
from clara_kit.world.sim import simulate

if TYPE_CHECKING:
    from clara_kit.core.settings import Keys

NOT_RECORDED = "not recorded"
Played = dict[str, Any]
"""`n`: the cell's number; `row` and `turns`, as the tables have them."""


def play(design: Design, cell: Cell, brain: Brain | None = None) -> Run:
    """The conversation of one cell. Equal designs, cells and answers give equal bytes."""
    variant = design.variants[cell.variant]
    return simulate(
        design.scenarios[cell.scenario], variant.settings, seed=cell.drawn_with(design.inputs["seed"]),
        latency=design.latency, customer=cell.customer or None, template=variant.template, brain=brain,
    )  # fmt: skip


def played(design: Design, cell: Cell, run: Run) -> Played:
    """What the tables keep of a conversation. Customers are invented: their words stand there, not placeholders."""
    scenario = design.scenarios[cell.scenario]
    found = score(run, scenario, Persona.load(cell.customer).profile if cell.customer else None)
    answers = answers_of(run)
    told = found.failed if answers != NOT_RECORDED else ()  # not tested: nothing is known of it
    failed = [(one.turn, one.rule if one.rule in CHECKS else f"{one.rule}: {one.why}") for one in told]
    where = {"variant": cell.variant, "scenario": cell.scenario, "customer": cell.customer, "seed": cell.seed}
    number, turns = 0, list[dict[str, Any]]()
    for turn in run.ledger:
        number += turn.kind != "greeting"
        words = {
            "said": turn.customer, "clara": turn.clara, "heard": turn.clara if turn.heard is None else turn.heard,
            "unheard": turn.unheard,
        }  # fmt: skip
        turns.append({
            **where, "turn": number if turn.kind != "greeting" else 0, **{k: fill(v, run.words) for k, v in words.items()},
            "total_ms": None if turn.total_ms is None else round(turn.total_ms, 3), "failed": [], "source": answers,
        })  # fmt: skip
    for at, rule in failed:
        for answer in turns:
            if answer["turn"] == at:
                answer["failed"].append(rule)
    known = found.values if answers != NOT_RECORDED else {}
    row = {**where, "topic": scenario.topic, **{name: known.get(name) for name in METRICS}}
    return {
        "n": cell.number,
        "row": {**row, "failed": [rule for _, rule in failed], "mix": run.mix, "answers": answers},
        "turns": turns,
    }


def answers_of(run: Run) -> str:
    """Who wrote Clara's answers: scripted, recorded, live or local; `NOT_RECORDED` where one of them is not kept."""
    mode = str(run.modes.get("llm", "sim"))
    if mode == "sim":
        return "scripted"
    from clara_kit.lab.calls.brains import not_recorded

    return NOT_RECORDED if not_recorded(run) else mode


def play_batch(job: str, code: str, calls: str, cells: Sequence[Cell]) -> list[Played]:
    """What a worker does: `job` is the design's inputs as JSON, `calls` where kept answers are.

    Raises `SettingsError` where its kit is another. Nobody is asked: a worker has no key.
    """
    if code != (here := code_here()):
        raise SettingsError(
            f"A worker has another kit: {here}, where the experiment was begun with {code}.",
            hint="install the same version of the kit on every machine, and start the workers anew.",
        )
    design, brains = _prepared(job, calls)
    return play_here(design, cells, brains)


def play_here(design: Design, cells: Sequence[Cell], brains: Mapping[str, Brain]) -> list[Played]:
    """Play cells with what is scripted, or kept."""
    return [played(design, cell, play(design, cell, brains.get(cell.variant))) for cell in cells]


_NOWHERE = "http://127.0.0.1:9"  # a twin's answers are found by whoever would ask one, and nobody listens there


def brains_of(design: Design, calls: str, keys: Keys | None = None, *, asking: bool = True) -> dict[str, Brain]:
    """What writes the answers of each variant; nothing where they are scripted. Without `asking`, what is kept alone."""
    if design.llm == "scripted":
        return {}
    from clara_kit.core.settings import Keys
    from clara_kit.lab.calls.brains import brain_for

    llm, found = design.llm, dict[str, Brain]()
    if not asking and llm != "local":  # whoever stands in here keeps nothing, and costs nothing
        llm, keys = "recorded", Keys(anthropic_base_url=_NOWHERE) if design.inputs.get("twin") else Keys()
    for name, variant in design.variants.items():
        assert variant.settings is not None
        brain = brain_for(llm, variant.settings, keys=keys, folder=calls or None)
        found |= {name: brain} if brain is not None else {}
    return found


@lru_cache(maxsize=2)  # loaded once a worker, not once a batch
def _prepared(job: str, calls: str) -> tuple[Design, dict[str, Brain]]:
    design = Design.kept(json.loads(job))
    return design, brains_of(design, calls, asking=False)
