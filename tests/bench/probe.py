"""What one build costs: measured in a process of its own, printed as JSON. Run by `before.py`, for two builds in turn.

Which `clara_kit` is meant says PYTHONPATH; the stand-ins are those of this folder for both builds, so that nothing in
here may use what only one of them has (but for `snapshot_ms`, which says so).
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

LINES = ["¿Qué limpiador me recomiendas para la piel mixta?", "¿Cuánto cuesta el despacho?", "Muchas gracias, Clara."]
FIRST = f"""from time import perf_counter
began = perf_counter()
from clara_kit import simulate
simulate({LINES!r})
took = perf_counter() - began
import json, pathlib, clara_kit
print(json.dumps({{"first_ms": took * 1000, "of": str(pathlib.Path(clara_kit.__file__).parents[1])}}))
"""  # by itself, for this module imports what the first call would have to
BATCH = 7  # records of a trace that are written together


def sim(sizes: dict[str, int]) -> dict[str, float]:
    """CPU of `simulate`, the second time and later, ms."""
    from clara_kit import simulate

    def cpu_ms(play: Callable[[int], object], rounds: int) -> float:
        play(0)
        found = []
        for seed in range(rounds):
            gc.collect()
            began = process_time()
            play(seed)
            found.append(process_time() - began)
        return median(found) * 1000

    rounds = sizes["rounds"]
    return {
        "three_ms": cpu_ms(lambda seed: simulate(LINES, seed=seed), rounds),
        "known_ms": cpu_ms(lambda seed: simulate(LINES, seed=seed, customer="camila"), rounds),
        "sixty_ms": cpu_ms(lambda seed: simulate(LINES * 20, seed=seed), max(1, rounds // 3)),
    }


def kept(sizes: dict[str, int]) -> dict[str, float]:
    """A stored run, a step of the stepper far inside one, and a copy of the state."""
    from clara_kit import Conversation, Settings, simulate
    from clara_kit.lab.stepping import Stepper

    settings, lines = Settings(), sizes["lines"]
    run = simulate(LINES * (lines // 3), settings)
    found = {"stored_bytes_per_turn": _stored(run) / lines}
    long, step = LINES * (lines // 3), sizes["step"]
    while len(Stepper((far := simulate(long, settings)).trace, settings)) <= step:
        long *= 2
    took = []
    for _ in range(sizes["steps"]):
        stepper = Stepper(far.trace, settings)
        stepper.moment(step - 1)
        began = perf_counter()
        stepper.moment(step)
        took.append(perf_counter() - began)
    found["step_ms"] = median(took) * 1000
    conversation = Conversation(settings)
    if hasattr(conversation, "snapshot"):  # a build that has none says nothing of it
        for event in run.events:
            conversation.handle(event)
        took = []
        for _ in range(30):
            began = perf_counter()
            conversation.snapshot()
            took.append(perf_counter() - began)
        found["snapshot_ms"] = median(took) * 1000
    return found


def _stored(run: Any) -> int:
    from clara_kit.runtime.run_log import RunLog

    with tempfile.TemporaryDirectory() as folder:
        log, grown = RunLog(run.inputs, root=Path(folder)), []
        for at in range(0, len(run.trace), BATCH):
            grown += run.trace[at : at + BATCH]
            log.append(grown)
        log.close(grown)
        return (log.folder / "events.jsonl").stat().st_size


def live(sizes: dict[str, int]) -> dict[str, float]:
    """The live path behind services that answer at once: idle between turns, and one turn right after the other."""
    from tests.bench.hot import hot_turns
    from tests.bench.overhead import turns

    _no_git()

    async def measured() -> dict[str, float]:
        crowd = sizes["crowd"]
        idle = await turns(sizes["turns"])
        hot = await hot_turns(sizes["turns"])
        long = await hot_turns(10 * sizes["turns"])  # their log is written meanwhile, which is of a turn's cost
        found = {
            "idle_speech_ms": median(s.speech_ms for s in idle),
            "idle_cpu_ms": median(s.cpu_ms for s in idle),
            "hot_speech_ms": median(s.speech_ms for s in hot),
            "hot_cpu_ms": sum(s.cpu_ms for s in long) / len(long),
        }
        many = sorted(s.speech_ms for s in await turns(2, conversations=crowd))
        found |= {"idle_crowd_p50_ms": median(many), "idle_crowd_p95_ms": many[int(len(many) * 0.95)]}
        many = sorted(s.speech_ms for s in await hot_turns(sizes["crowd_turns"], conversations=crowd))
        return found | {"hot_crowd_p50_ms": median(many), "hot_crowd_p95_ms": many[int(len(many) * 0.95)]}

    return asyncio.run(measured())


def opened(sizes: dict[str, int]) -> dict[str, float]:
    """Memory of one more open conversation that nobody has talked in yet."""
    from tests.bench.overhead import memory_kib, turns

    _no_git()

    async def measured() -> float:
        await turns(2)  # what is loaded late is loaded
        return await memory_kib(sizes["open"])

    return {"idle_memory_kib": asyncio.run(measured())}


def talked(sizes: dict[str, int]) -> dict[str, float]:
    """Memory of one more open conversation after turns in a hot loop."""
    from tests.bench.hot import hot_memory_kib, hot_turns

    _no_git()

    async def measured() -> float:
        await hot_turns(2)
        return await hot_memory_kib(sizes["open"], sizes["turns"])

    return {"hot_memory_kib": asyncio.run(measured())}


def _no_git() -> None:
    """Do not ask Git for the commit whenever one of hundreds of conversations begins: that is not measured here."""
    from clara_kit.runtime import run_log

    run_log.code = lambda: {"commit": "", "patch": ""}


PARTS = {part.__name__: part for part in (sim, kept, live, opened, talked)}

if __name__ == "__main__":
    figures: dict[str, Any] = dict(PARTS[sys.argv[1]](json.loads(sys.argv[2])))
    import clara_kit

    print(json.dumps({**figures, "of": str(Path(clara_kit.__file__).parents[1])}))
