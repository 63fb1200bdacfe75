"""`make bench`: what the kit itself costs, each figure beside a floor measured in the same run.

Only the kit is measured: recogniser, model and avatar are stand-ins in this process that answer at once. Times
are of this machine and this moment; read the ratios.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import json
import platform
import subprocess
import sys
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from clara_kit import SentenceChunker, simulate
from tests.bench import before, latency, peers
from tests.bench.branching import branching
from tests.bench.counting import counting
from tests.bench.experiments import experiments
from tests.bench.greeting import greetings
from tests.bench.judging import judging
from tests.bench.overhead import floor_turn, memory_kib, turns
from tests.bench.playing import playing
from tests.bench.probe import LINES
from tests.bench.shelves import shelves
from tests.bench.sockets import barge_ins
from tests.bench.surviving import surviving

REPLY = "Para piel mixta te recomiendo el gel Brisa. Cuesta $9.990. ¿Te cuento cómo usarlo? " * 200


def heap_floor(events: int) -> float:
    """Seconds to push and pop as many bare events through a heap: what any scheduler costs."""
    began = perf_counter()
    heap: list[tuple[float, int, None]] = []
    for n in range(events):
        heapq.heappush(heap, (n * 7919 % 10_007, n, None))
        if n % 3 == 2:
            heapq.heappop(heap)
    while heap:
        heapq.heappop(heap)
    return perf_counter() - began


def simulated(count: int, rounds: int) -> dict[str, Any]:
    """Simulated turns a second."""
    script = LINES * (count // 3)
    simulate(script[:30])
    rates, ratios, events = [], [], 0.0
    for seed in range(rounds):
        gc.collect()
        began = perf_counter()
        run = simulate(script, seed=seed)
        took = perf_counter() - began
        assert len(run.ledger) == len(script) + 1  # and the greeting
        events = len(run.events) / len(script)
        rates.append(len(script) / took)
        ratios.append(took / heap_floor(len(run.events)))
    return {"turns_per_s": median(rates), "events_per_turn": events, "times_the_heap": median(ratios)}


def cutting(rounds: int) -> dict[str, Any]:
    """Microseconds to cut sentences, a delta of four characters at a time."""
    costs, floors = [], []
    for _ in range(rounds):
        chunker = SentenceChunker()
        began = perf_counter()
        for at in range(0, len(REPLY), 4):
            chunker.feed(REPLY[at : at + 4])
        costs.append(perf_counter() - began)
        began = perf_counter()
        for at in range(0, len(REPLY), 4):
            REPLY[at : at + 4].strip()
        floors.append(perf_counter() - began)
    deltas = len(REPLY) / 4
    return {"kit_us": median(costs) / deltas * 1e6, "floor_us": median(floors) / deltas * 1e6}


def import_ms(rounds: int) -> dict[str, Any]:
    """Time to start Python and import, beside starting Python alone."""

    def took(code: str) -> float:
        began = perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return (perf_counter() - began) * 1000

    pairs = [(took("import clara_kit"), took("pass")) for _ in range(rounds)]
    return {"kit_ms": median(p[0] for p in pairs), "floor_ms": median(p[1] for p in pairs)}


async def overhead(count: int, crowd: tuple[int, ...], *, beside: bool) -> dict[str, Any]:
    """Kit, floor and (beside) other frameworks in turns, then many conversations at once."""
    samples, floors = [], []
    missing = peers.prepare() if beside else "were not asked for"
    others: dict[str, list[float]] = {name: [] for name in peers.PEERS}
    for _ in range(4):  # interleaved, so that a busy moment of the machine meets all
        samples += await turns(count // 4)
        floors += [await floor_turn() for _ in range(count // 4)]
        for name in () if missing else peers.PEERS:
            others[name] += peers.turns(name, count // 4)
    found: dict[str, Any] = {
        "final → request": _both([s.request_ms for s in samples], [f[0] for f in floors]),
        "sentence → speech order": _both([s.piece_ms for s in samples], [f[1] for f in floors]),
        "final → first speech order": _both([s.speech_ms for s in samples], [f[2] for f in floors]),
        "barge-in beyond the debounce": _both([s.barge_in_ms for s in samples], await timer_floor(count)),
        "barge-in over sockets": _both(await barge_ins(max(3, count // 4)), await timer_floor(count)),
        "cpu_ms_per_turn": median(s.cpu_ms for s in samples),
        "memory_kib_per_conversation": await memory_kib(20),
        "at once": {},
        "peers": {name: {"p50_ms": _p(v, 50), "p99_ms": _p(v, 99)} for name, v in others.items() if v},
        "peers missing": missing,
    }
    for conversations in crowd:
        many = await turns(max(2, 40 // conversations), conversations=conversations)
        values = [s.speech_ms for s in many]
        found["at once"][conversations] = {"p50_ms": _p(values, 50), "p95_ms": _p(values, 95)}
    return found


async def timer_floor(count: int) -> list[float]:
    """How late a bare 20 ms timer of asyncio rings, ms."""
    late = []
    for _ in range(count):
        began = perf_counter()
        await asyncio.sleep(0.020)
        late.append((perf_counter() - began - 0.020) * 1000)
    return late


def _both(kit: list[float], floor: list[float]) -> dict[str, float]:
    return {
        "kit_p50_ms": _p(kit, 50),
        "kit_p99_ms": _p(kit, 99),
        "floor_p50_ms": _p(floor, 50),
        "floor_p99_ms": _p(floor, 99),
    }


def _p(values: list[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def measure(*, quick: bool = False) -> dict[str, Any]:
    """All figures. quick: tiny sizes, to see that everything runs."""
    crowd = (1, 3) if quick else (1, 10, 50, 100, 200)
    return {
        "machine": f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}",
        "simulated": simulated(30 if quick else 600, 1 if quick else 5),
        "cutting": cutting(1 if quick else 5),
        "judging": judging(60, 1) if quick else judging(1000, 3),
        "shelves": shelves(8, 2) if quick else shelves(1000),
        "counting": counting(5_000, 1) if quick else counting(1_000_000, 5),
        "branching": branching(3, 1) if quick else branching(90, 9),
        "surviving": surviving(60, 2) if quick else surviving(),
        "experiment": experiments(scenarios=2, customers=2) if quick else experiments(rounds=3),
        "latency": latency.latency(200) if quick else latency.latency(),
        "import": import_ms(1 if quick else 7),
        **asyncio.run(overhead(8 if quick else 200, crowd, beside=not quick)),
        "playing": asyncio.run(playing(0.5 if quick else 3.0)),
        "greeting": asyncio.run(greetings(1, "fast") if quick else greetings(9)),
        "before": before.compare(quick=quick),
        "unbroken": before.compare(
            quick=quick, commit=before.UNBROKEN, rows=before.UNBROKEN_ROWS, parts=("sim", "live")
        ),
    }


def show(found: dict[str, Any]) -> None:
    """The figures as tables."""
    console = Console()
    console.width = max(console.width, 110)
    console.print(f"{found['machine']}. In-process stand-ins answer at once: all time here is the kit's own.")
    table = Table(title="Overhead of a turn, milliseconds")
    for name in ("", "kit p50", "kit p99", "bare asyncio p50", "bare p99", "kit / bare, p50"):
        table.add_column(name, justify="left" if not name else "right")
    for name, row in found.items():
        if isinstance(row, dict) and "kit_p50_ms" in row:
            cells = [f"{row[k]:.3f}" for k in ("kit_p50_ms", "kit_p99_ms", "floor_p50_ms", "floor_p99_ms")]
            table.add_row(name, *cells, f"{row['kit_p50_ms'] / row['floor_p50_ms']:.1f} x")
    console.print(table)
    ours = found["final → first speech order"]["kit_p50_ms"]
    for name, row in found["peers"].items():
        console.print(
            f"{name}, same words, in-process services, no wait for the end of the turn: {row['p50_ms']:.2f} ms p50 "
            f"({row['p50_ms'] / ours:.1f} x the kit's {ours:.2f}), {row['p99_ms']:.2f} ms p99"
        )
    if found["peers missing"]:
        console.print(f"Pipecat and LiveKit Agents {found['peers missing']}.")
    crowd = Table(title="Final transcript → first speech order, with so many conversations at once, ms")
    for name in ("conversations", "p50", "p95"):
        crowd.add_column(name, justify="right")
    for count, row in found["at once"].items():
        crowd.add_row(str(count), f"{row['p50_ms']:.2f}", f"{row['p95_ms']:.2f}")
    console.print(crowd)
    console.print(_greetings(found["greeting"]))
    console.print(latency.table(found["latency"]))
    console.print(before.table(found["before"]))
    console.print(before.table(found["unbroken"]))
    played = found["playing"]
    tried = found["experiment"]
    sim, cut, imp, judged = found["simulated"], found["cutting"], found["import"], found["judging"]
    lived = found["surviving"]
    asked, again, counted = found["shelves"], found["branching"], found["counting"]
    console.print(
        f"CPU {found['cpu_ms_per_turn']:.2f} ms a turn; memory {found['memory_kib_per_conversation']:.0f} KiB a conversation\n"
        f"Clara's sound played by the avatar's twin: CPU {played['cpu_ms_per_s']:.0f} ms a second, its end told "
        f"{played['late_ms']:.1f} ms late\n"
        f"simulated turns a second: {sim['turns_per_s']:.0f} ({sim['events_per_turn']:.0f} events a turn, trace kept; "
        f"{sim['times_the_heap']:.1f} x a bare heap)\n"
        f"overlaps judged a second: {judged['judged_per_s']:.0f} ({judged['times_simulate']:.0f} x playing them through simulate); "
        f"{judged['cases']} under {judged['settings']} settings in {judged['sweep_s']:.1f} s\n"
        f"a shelf of {asked['conversations']} conversations asked about {asked['settings']} settings: {asked['shelf_s']:.1f} s of "
        f"one core, files read ({asked['times_each_alone']:.1f} x quicker than one by one)\n"
        f"{counted['records']:,} records of {counted['runs']} runs counted: {counted['summary_s']:.2f} s "
        f"({counted['times_bare']:.1f} x a bare count of their kinds)\n"
        f"a moment of {again['turns']} turns entered again: {again['ready_ms']:.0f} ms ({again['ready_of_a_simulation']:.2f} x simulating them); "
        f"the other answer and its sound: {again['first_words_ms']:.0f} ms ({again['first_words_of_a_simulation']:.2f} x)\n"
        f"{lived['cells']} cells of services and faults, simulated, fallback on and off: {lived['wrong']} wrong; from the deciding failure to "
        f"the stand-in's order to speak {lived['order_p95_ms'] or 0:.0f} ms at p95, heard at {lived['heard_p95_ms'] or 0:.0f}; "
        f"{lived['chances']} conversations of chance: {lived['chances_wrong']} wrong, {lived['ms_each']:.1f} ms each\n"
        f"an experiment of {tried['conversations']:,} conversations: {tried['one_s']:.1f} s in one process "
        f"({tried['times_bare']:.1f} x its conversations alone), {tried['two_s']:.1f} s in two ({tried['two_x']:.2f} x), at most "
        f"{tried['peak_mib']:.0f} MiB\n"
        f"sentence cutting: {cut['kit_us']:.2f} µs a delta ({cut['kit_us'] / cut['floor_us']:.1f} x looking at it once)\n"
        f"import clara_kit: {imp['kit_ms']:.0f} ms ({imp['kit_ms'] / imp['floor_ms']:.1f} x starting Python alone)"
    )


def _greetings(rows: dict[str, dict[str, float]]) -> Table:
    table = Table(title="Time to Clara's greeting (offline twins at the published profile), ms")
    for name in ("", "start() → order to speak", "begin → order", "begin → first sound", "adds", "x a stranger's"):
        table.add_column(name, justify="right" if name else "left")
    for name, row in rows.items():
        keys = ("from_start_ms", "decided_ms", "heard_ms", "adds_ms")
        table.add_row(name, *(f"{row[k]:.0f}" for k in keys), f"{row['ratio']:.2f}")
    return table


if __name__ == "__main__":
    result = measure()
    show(result)
    out = Path("build")
    out.mkdir(exist_ok=True)
    (out / "bench.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
