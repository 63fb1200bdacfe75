"""`make bench`: what the kit itself costs, each figure beside a floor measured in the same run."""

from __future__ import annotations

import gc
import heapq
import platform
from statistics import median
from time import perf_counter

from clara_kit import SentenceChunker, simulate

TURNS = 600
LINES = [
    "¿Qué limpiador me recomiendas para la piel mixta?",
    "¿Cuánto cuesta el despacho?",
    "Muchas gracias, Clara.",
] * (TURNS // 3)
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


def split_floor(text: str) -> float:
    """Seconds to look at each delta once."""
    began = perf_counter()
    for at in range(0, len(text), 4):
        text[at : at + 4].strip()
    return perf_counter() - began


def main() -> None:
    """Print the figures: medians of five."""
    simulate(LINES[:30])
    rates, ratios, events = [], [], 0.0
    for seed in range(5):
        gc.collect()
        began = perf_counter()
        run = simulate(LINES, seed=seed)
        took = perf_counter() - began
        assert len(run.ledger) == TURNS + 1  # and the greeting
        events = len(run.events) / TURNS
        rates.append(TURNS / took)
        ratios.append(took / heap_floor(len(run.events)))
    print(f"Python {platform.python_version()}, {platform.machine()}; medians of five; one core")
    print(
        f"simulated turns a second: {median(rates):.0f} ({events:.0f} events a turn, trace kept); {median(ratios):.1f} x a bare heap"
    )
    costs = []
    for _ in range(5):
        chunker = SentenceChunker()
        began = perf_counter()
        for at in range(0, len(REPLY), 4):
            chunker.feed(REPLY[at : at + 4])
        costs.append(perf_counter() - began)
    per_delta = median(costs) / (len(REPLY) / 4) * 1e6
    print(
        f"sentence cutting: {per_delta:.2f} microseconds a delta; {median(costs) / split_floor(REPLY):.1f} x looking at it once"
    )


if __name__ == "__main__":
    main()
