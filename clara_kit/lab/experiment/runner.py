"""`run_experiment`: variants × scenarios × customers × seeds, planned, agreed to, played, kept; stopped and taken up again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from clara_kit.core.errors import RunLogError, SettingsError
from clara_kit.lab.experiment import executors
from clara_kit.lab.experiment.cells import Cell, Variants
from clara_kit.lab.experiment.design import Design, Llm, code_here
from clara_kit.lab.experiment.experiment import Experiment, nearest
from clara_kit.lab.experiment.plan import Plan, ask_here, duration, made
from clara_kit.lab.experiment.playing import Played, play, play_batch, played
from clara_kit.lab.experiment.store import ROOT, Shelf
from clara_kit.lab.progress import Progress as Line
from clara_kit.runtime.run_log import versions
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.scenario import Scenario

Ask = Callable[[Plan], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it is. `seconds_left`: at the pace so far; `usd`: spent. `folder`: whoever loads it sees the rows so far."""

    done: int
    of: int
    seconds_left: float
    usd: float
    folder: Path

    def __str__(self) -> str:
        money = f", US$ {self.usd:.2f} spent" if self.usd else ""
        return f"{self.done:,} of {self.of:,} conversations{money}, {duration(self.seconds_left)} left"


def run_experiment(
    variants: Variants,
    scenarios: Iterable[Scenario | str] | None = None,
    customers: Iterable[str] | None = None,
    seeds: int | Sequence[int] = 1,
    *,
    seed: int = 0,
    latency: str | LatencyProfile = "published",
    llm: Llm = "scripted",
    executor: Executor | None = None,
    workers: int = 1,
    folder: Path | str | None = None,
    ask: Ask | None = None,
    budget_usd: float | None = None,
    progress: Callable[[Progress], object] | None = None,
    should_stop: Callable[[], bool] | None = None,
    stop_when_sure: str = "",
    again: bool = False,
) -> Experiment:
    """Try variants on the same occasions. What was run before is read, and what was stopped goes on.

    variants: names of templates, `Variant`s, or a mapping name → template, settings, or both. scenarios: default all.
    customers: invented ones by name ("": a stranger), default those whose data are as a shop has them. seeds: how many
    conversations for each, or their numbers. llm: "scripted" (a rehearsal), "recorded", "live" (asks the vendor; costs
    money) or "local". workers: processes of this machine; executor: any other, as a cluster's (`executors.py`), of which
    `workers` batches are under way. folder: where experiments are kept (default `data/experiments`), each under its id.
    ask: agrees to the plan or does not; by default a person is asked where it costs money or takes a minute. budget_usd:
    it stops before more is spent. should_stop: asked again and again; Ctrl-C stops too. stop_when_sure: a metric; it ends
    when the difference in it is sure. again: run it anew.

    Raises `SettingsError`, `TemplateError`, `ScriptError` before anything is played, and `RunLogError` where it cannot be
    kept, or is being run already.
    """
    design = Design.of(
        variants, scenarios, customers, seeds, seed=seed, latency=latency, llm=llm, stop_when_sure=stop_when_sure
    )
    if llm != "scripted":
        raise SettingsError(f"llm={llm!r} is not part of this version.", hint='leave it out for "scripted".')
    if workers < 1:
        raise SettingsError(f"workers is 1 or more, not {workers}.", hint="leave it out to play in this process.")
    shelf = Shelf(Path(folder or ROOT) / design.id)
    before = _kept(shelf)
    if before.get("complete") and not again:
        return replace(Experiment.load(shelf.folder), note=_read_note(before))
    anew = again or before.get("code", code_here()) != code_here()
    agreed = _planned(design, shelf, set() if anew else shelf.done(), workers)
    kept = Experiment(folder=shelf.folder, inputs=design.inputs, facts=before, plan=agreed)
    if agreed.asks and not (ask or ask_here)(agreed):
        return replace(kept, note="Not begun: nobody agreed to the plan.")
    with shelf.writing():
        if anew:
            shelf.begin_anew()
        started = before.get("times", {}).get("started") if not anew else None
        times = {"started": started or datetime.now(UTC).isoformat(timespec="milliseconds")}
        facts = {"complete": False, "code": code_here(), "versions": versions(), "times": times}
        shelf.write_manifest(design.inputs, facts)
        note = _play_all(design, shelf, executor, workers, progress, should_stop or (lambda: False))
        if not note:
            shelf.write_tables()
            times["ended"] = datetime.now(UTC).isoformat(timespec="milliseconds")
            facts |= {"complete": True, "conversations": len(design.cells)}
            shelf.write_manifest(design.inputs, facts)
            shelf.forget_lines()
    return replace(kept, facts=facts, note=note)


def plan(
    variants: Variants,
    scenarios: Iterable[Scenario | str] | None = None,
    customers: Iterable[str] | None = None,
    seeds: int | Sequence[int] = 1,
    *,
    seed: int = 0,
    latency: str | LatencyProfile = "published",
    llm: Llm = "scripted",
    workers: int = 1,
    folder: Path | str | None = None,
    stop_when_sure: str = "",
) -> Plan:
    """What `run_experiment` of the same would take; nothing is run but a short trial with scripted answers."""
    design = Design.of(
        variants, scenarios, customers, seeds, seed=seed, latency=latency, llm=llm, stop_when_sure=stop_when_sure
    )
    shelf = Shelf(Path(folder or ROOT) / design.id)
    before = _kept(shelf)
    done = set(range(len(design.cells))) if before.get("complete") else shelf.done()
    return _planned(design, shelf, done, workers)


def _planned(design: Design, shelf: Shelf, done: set[int], workers: int) -> Plan:
    other, differences = nearest(design, shelf.folder.parent) if not done else (None, ())
    return made(design, done, workers=workers, beside=other.id if other else "", differences=differences)


def _kept(shelf: Shelf) -> dict[str, Any]:
    """What is said of it where it was begun before; nothing where it was not, or cannot be read."""
    try:
        return dict(shelf.manifest()["facts"])
    except RunLogError:
        return {}


def _read_note(facts: dict[str, Any]) -> str:
    if facts.get("code") == code_here():
        return "Read, not run: it had been run before."
    return f"Read, not run: it had been run before, by another kit ({facts.get('code')}); again=True runs it with this one."


def _play_all(
    design: Design, shelf: Shelf, executor: Executor | None, workers: int, progress: Any, stop: Callable[[], bool]
) -> str:
    """Play what is left. Why it is not whole, or nothing."""
    done = shelf.done()
    cells = [cell for cell in design.cells if cell.number not in done]
    count, of, began = len(done), len(design.cells), monotonic()
    with ExitStack() as stack:
        line = stack.enter_context(Line(f"{count:,} of {of:,} conversations"))
        for batch in _results(design, cells, executor, workers, stop, stack):
            shelf.add(batch)
            count += len(batch)
            pace = (monotonic() - began) / (count - len(done))
            told = Progress(done=count, of=of, seconds_left=pace * (of - count), usd=0.0, folder=shelf.folder)
            line.tell(str(told))
            if progress is not None:
                progress(told)
    return (
        ""
        if count >= of
        else f"Stopped after {count:,} of {of:,} conversations: ask for the same again, and it goes on."
    )


def _results(
    design: Design,
    cells: Sequence[Cell],
    executor: Executor | None,
    workers: int,
    stop: Callable[[], bool],
    stack: ExitStack,
) -> Iterator[list[Played]]:
    if executor is None and workers == 1:
        return executors.here(
            cells, lambda batch: [played(design, cell, play(design, cell)) for cell in batch], stop, executors.BATCH
        )
    if executor is None:
        executor = stack.enter_context(executors.processes(workers))
    job, who = json.dumps(design.inputs, ensure_ascii=False), executor
    return executors.elsewhere(
        cells,
        lambda batch: who.submit(play_batch, job, code_here(), batch),
        stop,
        under_way=2 * workers,
        size=executors.BATCH,
    )
