"""Whether a kept experiment gives the same numbers on this machine today, and what it depends on that is no longer as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clara_kit.core.errors import ClaraError, RunLogError, ScriptError
from clara_kit.core.page import table
from clara_kit.data_files import fingerprint
from clara_kit.lab.again import NOTHING, Change, apart, changes
from clara_kit.lab.experiment.design import code_here
from clara_kit.lab.experiment.experiment import Experiment
from clara_kit.measure.run import Run
from clara_kit.prompts.briefing import brief
from clara_kit.prompts.template import PromptTemplate
from clara_kit.world.personas import Persona
from clara_kit.world.scenario import Scenario

Where = tuple[str, str, str, int]


@dataclass(frozen=True)
class Replayed:
    """`played`: how many conversations were played again. `otherwise`: which of them came out otherwise (variant, scenario,

    customer, seed). `changes`: what has changed since, by name. `refused`: why none could be played; empty where they could.
    """

    experiment: Experiment
    played: int
    otherwise: tuple[Where, ...]
    changes: tuple[Change, ...]
    refused: str = ""

    @property
    def same(self) -> bool:
        """Whether all that were played came out as they are kept."""
        return self.played > 0 and not self.otherwise

    def _repr_html_(self) -> str:
        rows = [(c.kind, c.name, c.then, c.now) for c in self.changes]
        return table(rows, ("what", "which", "then", "now"), repr(self)[1:-1])

    def __repr__(self) -> str:
        kept = self.experiment.conversations
        told = self.refused or (
            f"{self.played - len(self.otherwise):,} of {self.played:,} conversations come out as they are kept"
            + (f" ({kept:,} there are)" if self.played < kept else "")
        )
        names = "; ".join(f"{one.kind} {one.name}" for one in self.changes)
        return f"<Replayed {self.experiment.id}: {told}; {f'changed since: {names}' if names else 'nothing has changed since'}>"


def replay_experiment(what: Experiment | Path | str, *, most: int | None = 100) -> Replayed:
    """Play conversations of an experiment again from its own prompts and scenarios, and name what has changed since.

    most: how many (they are in random order); None: all. Recorded answers are played, nobody is asked. Raises `RunLogError`.
    """
    one = what if isinstance(what, Experiment) else Experiment.load(what)
    found = tuple(dict.fromkeys(_changes(one)))
    try:
        cells = one.design.cells[:most]
    except RunLogError as exc:
        return Replayed(one, 0, (), found, refused=exc.message)
    otherwise = tuple((c.variant, *c.occasion) for c in cells if one.run(c.variant, *c.occasion).problems)
    return Replayed(one, len(cells), otherwise, found)


def _changes(one: Experiment) -> Iterator[Change]:
    inputs = one.inputs
    data = inputs["data"]
    common = {k: data.get(k) for k in ("answers", "catalog", "pronunciation", "policies")} | {
        "latency": inputs["latency"]
    }
    for variant in inputs["variants"]:
        kept: dict[str, Any] = variant["template"]
        told = {"template": kept, "settings": variant["settings"], "prompt": _text(kept["source"])}
        found = changes(Run(inputs={**common, **told}, trace=(), facts={"versions": one.facts.get("versions")}))
        yield from found
        if any(c.kind == "prompt" for c in found):
            yield from _source(variant["name"], kept)
    for kept in inputs["scenarios"]:
        yield from _scenario(kept)
    for name, was in zip(inputs["customers"], data["customers"], strict=True):
        try:
            now = fingerprint(Persona.load(name).profile) if name else ""
        except ClaraError:
            now = NOTHING
        if was != now:
            yield Change("data", f"data/customers/{name}.yaml", str(was), now)
    if (code := one.facts.get("code")) != code_here():
        yield Change("code", "clara_kit", str(code or NOTHING), code_here())


def _text(source: str) -> str | None:
    try:
        return brief(PromptTemplate.from_source(source)).prompt.text
    except ClaraError:  # of a version that had other words for it
        return None


def _source(variant: str, kept: dict[str, Any]) -> Iterator[Change]:
    """The first line of the template's file that is another one today."""
    try:
        now = PromptTemplate.load(str(kept["id"])).source.splitlines()
    except ClaraError:
        return
    then = str(kept["source"]).splitlines()
    at = next((n for n in range(max(len(then), len(now))) if then[n : n + 1] != now[n : n + 1]), None)
    if at is not None:
        yield Change(
            "prompt",
            f"data/prompts/{kept['id']}.md for «{variant}», line {at + 1}",
            *apart("".join(then[at : at + 1]), "".join(now[at : at + 1])),
        )


def _scenario(kept: dict[str, Any]) -> Iterator[Change]:
    name = str(kept.get("name"))
    try:
        now = Scenario.load(name).model_dump(mode="json")
    except ScriptError:
        return  # one that was made by hand, and is in no file
    for field in dict.fromkeys((*kept, *now)):
        if kept.get(field) != now.get(field):
            yield Change(
                "data", f"data/scenarios/{name}.yaml, {field}", *apart(str(kept.get(field)), str(now.get(field)))
            )
