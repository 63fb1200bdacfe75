"""Going on from a moment of a recorded run, beside simulating the whole of it: entered, answered, and the first words spoken."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

from clara_kit import Settings, branch, simulate
from clara_kit.audio import voice
from tests.bench.probe import LINES


def branching(turns: int, rounds: int) -> dict[str, Any]:
    """Milliseconds, medians. ready: its state and history are there; first words: the line's answer and its sound, all anew."""
    settings = Settings.preset("tuned")
    script = (LINES * (1 + turns // len(LINES)))[:turns]
    run = simulate(script, settings, customer="camila", template="warm")
    ready, first, whole = [], [], []
    for number in range(rounds):
        voice._synthesize.cache_clear()
        at, took = _timed(lambda: _entered(run))
        ready.append(took)
        line = f"¿Tienen algo para las manchas{'?' * (1 + number)}"
        first.append(took + _timed(lambda at=at, line=line: at.go_on(line).sound())[1])  # type: ignore[misc]
        whole.append(_timed(lambda: simulate(script, settings, customer="camila", template="warm"))[1])
    return {
        "turns": turns, "ready_ms": median(ready), "first_words_ms": median(first),
        "ready_of_a_simulation": median(ready) / median(whole), "first_words_of_a_simulation": median(first) / median(whole),
    }  # fmt: skip


def _entered(run: Any) -> Any:
    at = branch(run, at_ms=run.events[-1].at_ms - 3000)
    _ = at.moment
    return at


def _timed(what: Callable[[], Any]) -> tuple[Any, float]:
    began = perf_counter()
    found = what()
    return found, (perf_counter() - began) * 1000
