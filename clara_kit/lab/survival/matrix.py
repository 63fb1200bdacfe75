"""Every service, every way in which it fails, in every phase of a turn: one conversation each.

Played in simulation (milliseconds each), and over twins at a pace, where the fault is brought into whatever runs. Each
cell is equal every time in simulation; over twins the moment is the same, and the sockets' own milliseconds are not.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from msgspec import Struct, to_builtins

from clara_kit.core.errors import ScriptError
from clara_kit.core.page import table
from clara_kit.core.settings import Settings
from clara_kit.lab.survival.checked import checked
from clara_kit.lab.survival.strikes import PHASES, Blow, Moment, Phase, in_simulation, moment_in
from clara_kit.lab.survival.survival import OUTCOMES, Outcome, Survival, Switched
from clara_kit.measure.run import Run
from clara_kit.world.faults import Fault
from clara_kit.world.script import Line, Script
from clara_kit.world.sim import simulate

if TYPE_CHECKING:
    from clara_kit.core.records import Record

World = Literal["sim", "twin"]
LINES = ("Hola, ¿hacen despachos a regiones?", "¿Qué crema me sirve para piel seca?", "¿Y puedo devolver un producto?")
GREETING = "¡Hola! Soy Clara, de Beta Skincare."
_OFTEN = 11  # more occasions in trouble than a conversation of three lines has


def _once(kind: Any, for_ms: float = 0.0, status: int = 503) -> tuple[Any, float, int]:
    return kind, for_ms, status


def _refused(service: Any, status: int, often: int = 1, for_ms: float = 0.0) -> Blow:
    """A connection is refused when it is opened, so that it has to break first; a request at once."""
    again = (_once("refuse", for_ms, status),) * (often - 1)
    if service in ("stt", "avatar"):
        return Blow(service=service, first=_once("cut"), then=(_once("refuse", for_ms, status), *again))
    return Blow(service=service, first=_once("refuse", for_ms, status), then=again)


def _blow(service: Any, kind: Any, for_ms: float = 0.0, often: int = 1) -> Blow:
    return Blow(service=service, first=_once(kind, for_ms), then=(_once(kind, for_ms),) * (often - 1))


def _troubles() -> dict[str, dict[str, tuple[Blow, ...]]]:
    """By service and name: what happens. Names are for people too: `widgets/words.yml` has each in both languages."""
    found: dict[str, dict[str, tuple[Blow, ...]]] = {}
    plain: dict[str, tuple[str, ...]] = {
        "stt": ("cut", "error", "garble", "no_end", "duplicate"),
        "llm": ("cut", "error", "garble", "decline", "truncate"),
        "tts": ("cut", "garble"),
        "avatar": ("cut", "error", "garble", "no_end", "duplicate", "premature_end"),
    }
    for service, kinds in plain.items():
        one: dict[str, tuple[Blow, ...]] = {kind: (_blow(service, kind),) for kind in kinds}
        one["stall"] = (_blow(service, "stall"),)
        one["stall 4 s"] = (_blow(service, "stall", 4000.0),)
        one["slow 4 s"] = (_blow(service, "slow", 4000.0),)
        one["busy 529" if service == "llm" else "busy 503"] = (_refused(service, 529 if service == "llm" else 503),)
        one["wait 429"] = (_refused(service, 429, for_ms=2000.0),)
        one["refused 401"] = (_refused(service, 401),)
        one["three cuts"] = (_blow(service, "cut", often=3),)
        one["down"] = (_refused(service, 529 if service == "llm" else 503, _OFTEN),)
        one["mute"] = (_blow(service, "stall", often=_OFTEN),)
        one["always slow"] = (_blow(service, "slow", 4000.0, often=_OFTEN),)
        found[service] = one
    pairs = (("stt", "llm"), ("llm", "tts"), ("llm", "avatar"), ("tts", "avatar"), ("stt", "avatar"), ("llm", "backup"), ("stt", "backup"))  # fmt: skip
    for one_service, other in pairs:
        both = f"{one_service} + {other}"
        found[both] = {
            "both cut": (_blow(one_service, "cut", often=3), _blow(other, "cut", often=3)),
            "both down": (_refused(one_service, 503, _OFTEN), _refused(other, 503, _OFTEN)),
        }
    return found


TROUBLES = _troubles()


class Cell(Struct, frozen=True, kw_only=True, order=True):
    """One conversation of the matrix: what happens to which service, and when."""

    service: str
    trouble: str
    phase: Phase

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.service} / {self.trouble} / {self.phase}"

    @property
    def blows(self) -> tuple[Blow, ...]:
        """What is done to which service. Raises `ScriptError` where there is no such trouble."""
        try:
            return TROUBLES[self.service][self.trouble]
        except KeyError:
            raise ScriptError(f"There is no trouble {self.trouble!r} of {self.service!r}.", hint="`cells()` has all.") from None  # fmt: skip

    @property
    def script(self) -> Script:
        """What the customer says: three questions, of which the second is struck."""
        last: dict[str, Any] = {"interrupt_after_ms": 2500} if self.phase == "cut in" else {}
        return Script(title=self.name, lines=(*map(_line, LINES[:2]), Line(text=LINES[2], **last)))


def _line(text: str) -> Line:
    return Line(text=text)


@lru_cache(maxsize=1)
def cells() -> tuple[Cell, ...]:
    """All of them, in order."""
    return tuple(
        Cell(service=service, trouble=trouble, phase=phase)
        for service, troubles in TROUBLES.items() for trouble in troubles for phase in PHASES
    )  # fmt: skip


class Result(Struct, frozen=True, kw_only=True):
    """What became of one cell."""

    cell: Cell
    world: World
    fallback: bool
    survival: Survival

    @property
    def outcome(self) -> Outcome:
        """In one word."""
        return self.survival.outcome


class Matrix(Struct, frozen=True, kw_only=True):
    """Many results. `wrong`: those in which something was lost, or was that must not be."""

    results: tuple[Result, ...]

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many conversations came out how."""
        found = Counter(result.outcome for result in self.results)
        return {outcome: found[outcome] for outcome in OUTCOMES}

    @property
    def wrong(self) -> tuple[Result, ...]:
        """Empty is good."""
        return tuple(result for result in self.results if not result.survival.ok)

    @property
    def p95_order_ms(self) -> float | None:
        """From the failure that decided a switch to the next order to speak, show or answer: of 20 switches, 19 were as quick."""
        return _p95(s.order_ms for s in self._decided)

    @property
    def p95_heard_ms(self) -> float | None:
        """And until it was heard, the avatar's start included."""
        return _p95(s.heard_ms for s in self._decided)

    @property
    def _decided(self) -> list[Switched]:
        """By a failure: not given up without anything in its place, and not the avatar's move to a backup that is there."""
        every = (s for r in self.results for s in r.survival.switches)
        return [s for s in every if s.target != "given up" and (s.service, s.target) != ("avatar", "backup")]

    def to_dict(self) -> list[dict[str, Any]]:
        """As plain data, a row a cell."""
        return [to_builtins(result) | {"outcome": result.outcome} for result in self.results]

    def _repr_html_(self) -> str:
        found: dict[tuple[str, str], Counter[str]] = {}
        for r in self.results:
            found.setdefault((r.cell.service, r.cell.trouble), Counter())[r.outcome] += 1
        rows = [(*key, *(count[o] or "" for o in OUTCOMES)) for key, count in found.items()]
        where = {r.world for r in self.results}
        played = (
            "simulated" if where == {"sim"} else "offline twins" if where == {"twin"} else "simulated and offline twins"
        )
        return table(rows, ("service", "what happens", *OUTCOMES), f"Conversations by outcome ({played}).")


def _p95(times: Iterable[float | None]) -> float | None:
    known = sorted(ms for ms in times if ms is not None)
    return known[min(len(known) - 1, int(0.95 * len(known)))] if known else None


_Job: TypeAlias = tuple[Cell, bool, World, int, float | None]


# --- playing ---------------------------------------------------------------------------------------------------


def settings_of(*, fallback: bool, **changes: Any) -> Settings:
    """The usual settings, with fallback or without."""
    return Settings.of(**{"greeting": GREETING, "enable_auto_fallback": fallback, **changes})


@lru_cache(maxsize=8)
def _calm(script: Script, settings: Settings, seed: int) -> Run:
    return simulate(script, settings, seed=seed)


def faults_of(cell: Cell, settings: Settings, seed: int = 0) -> tuple[Fault, ...]:
    """What `simulate` is to be given: the same faults every time."""
    calm = _calm(Script(lines=cell.script.lines), settings, seed).trace
    at_ms = moment_in(cell.phase, calm)
    if at_ms is None:
        raise ScriptError(f"The phase {cell.phase!r} never comes in this conversation.")
    blows = [blow for blow in cell.blows if blow.service != "backup" or settings.flags.enable_auto_fallback]
    return tuple(fault for blow in blows for fault in in_simulation(blow, at_ms, calm))


def play(cell: Cell, *, fallback: bool, seed: int = 0) -> Run:
    """The cell's conversation in simulation; equal every time."""
    settings = settings_of(fallback=fallback)
    script = cell.script
    faults = faults_of(cell, settings, seed)
    return simulate(Script(title=script.title, lines=script.lines, faults=faults), settings, seed=seed)


async def play_over_twins(
    cell: Cell, *, fallback: bool, seed: int = 0, pace: float | None = None, folder: Path | None = None
) -> Run:
    """The cell's conversation over the vendors' protocols, at `pace` times the wall's (default: `CLARA_PACE`, or 1)."""
    from clara_kit.runtime.compose import compose
    from clara_kit.runtime.manager import ConversationManager

    script, watch = cell.script, Moment(cell.phase)
    services = compose("twin", settings=settings_of(fallback=fallback), seed=seed, pace=pace)
    extra = {"script": script.model_dump(mode="json"), "cell": cell.name}
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        clara = ConversationManager(
            services, title=cell.name, record=False, log_root=folder or scratch, extra_inputs=extra
        )

        def strike() -> None:
            for blow in cell.blows if fallback else (b for b in cell.blows if b.service != "backup"):
                first, *then = blow.faults(on=1, after_ms=0.0)
                services.faults.inject(first, *then)

        def see(record: Record) -> None:
            if (delay_ms := watch.see(record)) is not None:
                asyncio.get_running_loop().call_later(delay_ms / 1000, strike)

        clara.subscribe(see)
        async with clara:
            await clara.play_script(script)
    assert clara.run is not None
    return clara.run


def result_of(cell: Cell, *, fallback: bool, world: World = "sim", seed: int = 0, pace: float | None = None) -> Result:
    """Play one cell and check it."""
    (result,) = _played([(cell, fallback, world, seed, pace)])
    return result


def matrix(
    some: Sequence[Cell] | None = None, *, fallback: bool, world: World = "sim", seed: int = 0,
    pace: float | None = None, workers: int = 1, stop: Callable[[], bool] = lambda: False,
) -> Matrix:  # fmt: skip
    """Play and check cells (default: all). workers: processes; `stop` is asked between conversations."""
    from clara_kit.lab.survival.spreading import spread

    chosen = cells() if some is None else tuple(some)
    jobs = [(cell, fallback, world, seed, pace) for cell in chosen]
    return Matrix(results=tuple(spread(_played, jobs, workers=workers, stop=stop, size=20 if world == "sim" else 4)))


def _played(jobs: Sequence[_Job]) -> list[Result]:
    over_twins = [job for job in jobs if job[2] == "twin"]
    runs = dict(zip(over_twins, _over_twins(over_twins), strict=True)) if over_twins else {}
    return [
        Result(
            cell=job[0], fallback=job[1], world=job[2],
            survival=checked(runs[job] if job in runs else play(job[0], fallback=job[1], seed=job[3])),
        )
        for job in jobs
    ]  # fmt: skip


def _over_twins(jobs: Sequence[_Job]) -> list[Run]:
    """Side by side: most of a conversation's time at a pace is waiting for sockets."""
    from clara_kit.world.pace import loop_factory, usual_pace

    async def all_of_them() -> list[Run]:
        plays = (play_over_twins(cell, fallback=on, seed=seed, pace=pace) for cell, on, _, seed, pace in jobs)
        return await asyncio.gather(*plays)

    with asyncio.Runner(loop_factory=loop_factory(jobs[0][4] or usual_pace())) as runner:
        return runner.run(all_of_them())
