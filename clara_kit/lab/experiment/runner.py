"""`run_experiment`: variants × scenarios × customers × seeds, planned, agreed to, played, kept; stopped and taken up again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from clara_kit.core.errors import ProviderError, RunLogError, SettingsError
from clara_kit.core.settings import Keys
from clara_kit.lab.experiment.asking import OverBudget
from clara_kit.lab.experiment.beginning import agreed
from clara_kit.lab.experiment.cells import Variants
from clara_kit.lab.experiment.design import Design, code_here
from clara_kit.lab.experiment.experiment import Experiment, nearest
from clara_kit.lab.experiment.plan import Plan, duration, made
from clara_kit.lab.experiment.players import Players
from clara_kit.lab.experiment.store import ROOT, Shelf
from clara_kit.lab.progress import Progress as Line
from clara_kit.lab.scores.metrics import METRICS
from clara_kit.providers import http
from clara_kit.runtime.config import load_keys
from clara_kit.runtime.run_log import versions
from clara_kit.world.brain import LLM
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.scenario import Scenario

MOST_WORKERS = 128  # of this machine: each is a process, or a conversation that a vendor is asked for
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
        left = f", {duration(self.seconds_left)} left" if self.done < self.of else ""
        return f"{self.done:,} of {self.of:,} conversations{money}{left}"


def run_experiment(
    variants: Variants, scenarios: Iterable[Scenario | str] | None = None, customers: Iterable[str] | None = None,
    seeds: int | Sequence[int] = 1, *, seed: int = 0, latency: str | LatencyProfile = "published",
    llm: LLM = "scripted", executor: Executor | None = None, workers: int = 1, folder: Path | str | None = None,
    ask: Ask | None = None, budget_usd: float | None = None, progress: Callable[[Progress], object] | None = None,
    should_stop: Callable[[], bool] | None = None, stop_when_sure: str = "", again: bool = False,
    keys: Keys | None = None, calls: Path | str | None = None,
) -> Experiment:  # fmt: skip
    """Try variants on the same occasions. What was run before is read, and what was stopped goes on.

    variants: names of templates, `Variant`s, or a mapping name → template, settings, or both. scenarios: default all.
    customers: invented ones by name ("": a stranger), default those whose data are as a shop has them. seeds: how many
    conversations for each, or their numbers. llm: "scripted" (a rehearsal), "recorded" (kept answers; what is missing is
    asked for where there is a key), "live" (asks the vendor; costs money) or "local". workers: processes of this machine,
    or, where a model is asked, conversations at a time; executor: any other, as a cluster's (`executors.py`), of which
    `workers` batches are under way. folder: where experiments are kept (default `data/experiments`), each under its id.
    ask: agrees to the plan or does not; by default a person is asked where it costs money or takes a minute. budget_usd:
    it stops before more is spent. should_stop: asked again and again; Ctrl-C stops too. stop_when_sure: a metric; after
    every two scenarios one looks, and it ends when the difference in it is sure. again: run it anew. keys: default, the
    environment's; `Keys()`: nobody is asked. calls: where answers are kept (default `data/calls`).

    Raises `SettingsError`, `TemplateError`, `ScriptError` before anything is played, `RunLogError` where it cannot be
    kept, or is being run already, and `ProviderError` where the vendor refuses the first conversation.
    """
    _called(ask=ask, progress=progress, should_stop=should_stop)
    design = Design.of(
        variants, scenarios, customers, seeds, seed=seed, latency=latency, llm=llm, stop_when_sure=stop_when_sure,
        twin=_twin(llm, keys),
    )  # fmt: skip
    _check(design, executor, workers, budget_usd)
    shelf = _shelf(folder, design)
    before = _kept(shelf)
    if before.get("complete") and not again and shelf.whole():
        return replace(Experiment.load(shelf.folder), note=_read_note(before))
    anew = again or bool(before.get("complete")) or before.get("code", code_here()) != code_here()
    begin = partial(
        run_experiment, variants, scenarios, customers, seeds, seed=seed, latency=latency, llm=llm, executor=executor,
        workers=workers, folder=folder, ask=lambda plan: True, budget_usd=budget_usd, stop_when_sure=stop_when_sure,
        again=again, keys=keys, calls=calls,
    )  # fmt: skip
    with Players(design, executor=executor, workers=workers, keys=keys, calls=str(calls or "")) as players:
        expected = _planned(design, shelf, set() if anew else shelf.done(), players)
        kept = Experiment(folder=shelf.folder, inputs=design.inputs, facts=before, plan=expected)
        if budget_usd is not None and expected.usd is None:
            raise SettingsError(
                "The price of this model is not known: no budget can be kept.", hint="leave out budget_usd."
            )
        if expected.asks and not (ask(expected) if ask is not None else agreed(expected, begin)):
            return replace(kept, note="Not begun: nobody has agreed to the plan yet.")
        with shelf.writing():
            if anew:
                shelf.begin_anew()
            players.may_spend(budget_usd, shelf.spent_usd(), expected)
            started = "" if anew else before.get("times", {}).get("started")
            facts: dict[str, Any] = {
                "complete": False, "code": code_here(), "versions": versions(), "times": {"started": started or _now()},
            }  # fmt: skip
            shelf.write_manifest(design.inputs, facts)
            ended = _play_all(design, shelf, players, progress, should_stop or (lambda: False))
            if not ended.note:
                shelf.write_tables()
                facts["times"]["ended"] = _now()
                facts |= {"complete": True, "conversations": ended.conversations, "ended_early": ended.early}
                shelf.write_manifest(design.inputs, facts)
                shelf.forget_lines()
    return replace(kept, facts=facts, note=ended.note)


def plan(
    variants: Variants, scenarios: Iterable[Scenario | str] | None = None, customers: Iterable[str] | None = None,
    seeds: int | Sequence[int] = 1, *, seed: int = 0, latency: str | LatencyProfile = "published",
    llm: LLM = "scripted", executor: Executor | None = None, workers: int = 1, folder: Path | str | None = None,
    stop_when_sure: str = "", keys: Keys | None = None, calls: Path | str | None = None,
) -> Plan:  # fmt: skip
    """What `run_experiment` of the same would take; nothing is run but a short trial with scripted answers."""
    design = Design.of(
        variants, scenarios, customers, seeds, seed=seed, latency=latency, llm=llm, stop_when_sure=stop_when_sure,
        twin=_twin(llm, keys),
    )  # fmt: skip
    _check(design, executor, workers, None)
    shelf = _shelf(folder, design)
    over = _kept(shelf).get("complete") and shelf.whole()
    done = set(range(len(design.cells))) if over else shelf.done()
    players = Players(design, executor=executor, workers=workers, keys=keys, calls=str(calls or ""))
    try:
        return _planned(design, shelf, done, players)
    finally:
        players.close()


def _called(**given: object) -> None:
    for name, one in given.items():
        if one is not None and not callable(one):
            raise SettingsError(
                f"{one!r} in place of {name}, which is called.", hint=f"give a function as {name}, or none."
            )


def _shelf(folder: Path | str | None, design: Design) -> Shelf:
    if not isinstance(folder, Path | str | None):
        raise SettingsError(f"{folder!r} in place of folder.", hint="give a path, or leave it out.")
    return Shelf(Path(folder or ROOT) / design.id)


def _twin(llm: LLM, keys: Keys | None) -> bool:
    """Whether who is asked, or was, listens on this machine in the vendor's place."""
    if not isinstance(keys, Keys | None):
        raise SettingsError(f"{type(keys).__name__} in place of keys.", hint="give Keys(...), or leave it out.")
    return llm in ("recorded", "live") and http.is_loopback((keys or load_keys()).anthropic_base_url)


def _check(design: Design, executor: Executor | None, workers: int, budget_usd: float | None) -> None:
    if not isinstance(workers, int) or not 1 <= workers <= (MOST_WORKERS if executor is None else 100_000):
        raise SettingsError(
            f"workers is a whole number from 1 to {MOST_WORKERS}, not {workers}.",
            hint="leave it out to play in this process.",
        )
    if executor is not None and not hasattr(executor, "submit"):
        raise SettingsError(
            f"{executor!r} in place of executor.", hint="give one of concurrent.futures, or what Dask's get_executor() gives."
        )  # fmt: skip
    if executor is not None and design.llm in ("live", "local"):
        raise SettingsError(
            "Other processes are given no key, and a budget holds in one process only.",
            hint="leave out executor; workers says how many conversations are under way at a time.",
        )
    if budget_usd is not None and not (isinstance(budget_usd, int | float) and budget_usd > 0):
        raise SettingsError(f"budget_usd is above 0, not {budget_usd}.", hint="leave it out for no limit.")
    if (metric := design.inputs.get("stop_when_sure")) and (metric not in METRICS or len(design.variants) < 2):
        raise SettingsError(
            f"Nobody can be sure of {metric!r} here.", hint=f"give two variants, and one of: {', '.join(METRICS)}."
        )  # fmt: skip


def _planned(design: Design, shelf: Shelf, done: set[int], players: Players) -> Plan:
    other, differences = nearest(design, shelf.folder.parent) if not done else (None, ())
    return made(
        design, done, workers=players.workers, kept=players.kept, may_ask=players.may_ask,
        beside=other.id if other else "", differences=differences,
    )  # fmt: skip


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """note: why it is not whole; early: why it is whole with less than was asked for."""

    note: str = ""
    early: str = ""
    conversations: int = 0


def _play_all(
    design: Design, shelf: Shelf, players: Players, progress: Callable[[Progress], object] | None, stop: Callable[[], bool]
) -> _Ended:  # fmt: skip
    """Play what is left, round by round."""
    done, of, began = shelf.done(), len(design.cells), monotonic()
    first = count = len(done)
    early = why = ""
    if players.workers > 1:
        import polars as _  # noqa: F401  # while others work: its tables are made when they are done
    with Line(f"{count:,} of {of:,} conversations") if progress is None else nullcontext() as line:
        try:
            for number, cells in enumerate(design.rounds, start=1):
                left = [cell for cell in cells if cell.number not in done]
                for came in players.play(left, stop):
                    once = {one["n"]: one for one in came if one["n"] not in done}  # a cluster may do a thing twice
                    batch = [*once.values()]
                    shelf.add(batch)
                    count += len(batch)
                    done |= {one["n"] for one in batch}
                    pace = (monotonic() - began) / max(1, count - first)
                    told = Progress(
                        done=count, of=of, seconds_left=pace * (of - count), usd=players.spent_usd, folder=shelf.folder
                    )  # fmt: skip
                    if line is not None:
                        line.tell(str(told))
                    elif progress is not None:
                        progress(told)
                if any(cell.number not in done for cell in cells):
                    why = "" if stop() else players.why_not
                    break
                if number < len(design.rounds) and (early := _sure(design, shelf)):
                    return _Ended(early=early, conversations=count)
        except (OverBudget, ProviderError) as exc:
            if count == first and isinstance(exc, ProviderError):
                raise
            why = str(exc)
    if count < of:
        said = f"Stopped after {count:,} of {of:,} conversations: "
        return _Ended(note=said + (why or "ask for the same again, and it goes on."))
    return _Ended(conversations=count)


def _sure(design: Design, shelf: Shelf) -> str:
    """Whether every variant's difference from the first is sure by now: what to say of it, or nothing."""
    metric = design.inputs.get("stop_when_sure")
    if not metric:
        return ""
    from clara_kit.lab.statistics.sequential import Watch, differences

    rows, (first, *others) = shelf.table("rows"), design.variants
    looks = [Watch(planned=len(design.scenarios)).look(differences(rows, metric, first, other)) for other in others]
    return f"Ended early, by {metric}: {looks[0].told()}" if all(look.sure for look in looks) else ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
