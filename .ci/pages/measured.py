"""What the scoreboard's figures are taken from: conversations that are held or simulated while the pages are made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median_low
from typing import Any

from clara_kit import ConversationManager, Run, Settings, compose, simulate
from clara_kit.measure.ledger import STAGE_LABELS, STAGES, Turn
from clara_kit.world.faults import APPLIES, Fault
from clara_kit.world.personas import Persona

SCRIPT, CUSTOMER = "demo", "camila"
SEEDS = range(30)  # of simulated conversations: some 150 spoken turns for each kind of them
# What passes by itself: the service works again at once or after a moment.
PASSING = (
    Fault(service="llm", kind="refuse", on=2, status=529), Fault(service="llm", kind="cut", on=2),
    Fault(service="llm", kind="error", on=2, detail="overloaded_error"), Fault(service="tts", kind="cut", on=2),
    Fault(service="tts", kind="refuse", on=2, status=503), Fault(service="stt", kind="cut", on=1, after_ms=6000),
    Fault(service="avatar", kind="cut", on=2),
)  # fmt: skip
QUESTIONS = ("¿Qué limpiador me recomiendas?", "¿Cuánto cuesta el despacho?", "¿Hacen despachos a regiones?")


@dataclass
class Measured:
    """`twin`: a conversation over sockets, in the vendors' own protocols. Everything else is simulated when asked for."""

    twin: Run
    recorded: Path | None = None  # where the runs of this machine lie, live ones among them
    seeds: Iterable[int] = SEEDS
    customers: tuple[Persona, ...] = field(default_factory=lambda: tuple(Persona.all()))

    @cached_property
    def shown(self) -> Run:
        """The twin's run with the invented customer's words in it."""
        return self.twin.revealed()

    def simulated(self, latency: str = "published", **settings: Any) -> list[Run]:
        """Many conversations at this speed, each with a seed of its own, with placeholders for the customer's words."""
        chosen = Settings.of(**settings)
        return [simulate(SCRIPT, chosen, seed=n, latency=latency, customer=CUSTOMER) for n in self.seeds]

    def runs(self, latency: str = "published", **settings: Any) -> list[Run]:
        """The same with the words."""
        return [run.revealed() for run in self.simulated(latency, **settings)]

    def spoken(self, latency: str = "published", **settings: Any) -> list[Turn]:
        """Their spoken turns."""
        return [turn for run in self.runs(latency, **settings) for turn in complete(run)]

    @cached_property
    def usual_runs(self) -> list[Run]:
        """Simulated at the published speeds with the settings as shipped."""
        return self.runs()

    @cached_property
    def usual(self) -> list[Turn]:
        """Their spoken turns."""
        return [turn for run in self.usual_runs for turn in complete(run)]

    @cached_property
    def best(self) -> list[Turn]:
        """Spoken turns with every vendor at its published median or better, always."""
        return self.spoken("optimistic")

    @cached_property
    def struck(self) -> dict[Fault, Run]:
        """One conversation for each kind of fault of each service that a conversation cannot do without."""
        faults = [Fault(service=service, kind=kind, on=2 if service != "stt" else 1, after_ms=200) for service in
                  ("stt", "llm", "tts", "avatar") for kind in APPLIES[service]]  # fmt: skip
        return {fault: asked_with(fault) for fault in faults}

    @cached_property
    def passing(self) -> dict[Fault, Run]:
        """One conversation for each fault that passes."""
        return {fault: asked_with(fault) for fault in PASSING}


def asked_with(*faults: Fault) -> Run:
    """The three questions, simulated, with faults; no speed depends on chance, so that only the fault makes a difference."""
    return simulate(QUESTIONS, seed=1, faults=faults, latency="optimistic")


def complete(run: Run) -> list[Turn]:
    """The spoken turns whose ledger adds up."""
    return [turn for turn in run.ledger if turn.kind == "spoken" and turn.total_ms is not None and not turn.problem]


def middle(turns: Iterable[Turn]) -> Turn:
    """The turn in the middle, by its total: one that happened, so that its stages add up."""
    turns = list(turns)
    total = median_low([turn.total_ms or 0.0 for turn in turns])
    return next(turn for turn in turns if (turn.total_ms or 0.0) == total)


def stages(turn: Turn) -> dict[str, float]:
    """Milliseconds of each stage by its short name, in order."""
    return {
        label: turn.stages[stage] for label, stage in zip(STAGE_LABELS, STAGES, strict=True) if stage in turn.stages
    }


async def held(folder: Path, tell: Callable[[str], None] = print) -> Run:
    """A customer with a synthetic voice talks to Clara, all of it offline."""
    tell("scoreboard: a conversation is held")
    services = compose("twin", customer=CUSTOMER, latency="published", seed=6)
    manager = ConversationManager(services, title="The scoreboard's conversation", log_root=folder)
    async with manager:
        await asyncio.wait_for(manager.play_script(SCRIPT), 600)
    if manager.run is None:
        raise RuntimeError("The scoreboard's conversation left no run.")
    return manager.run
