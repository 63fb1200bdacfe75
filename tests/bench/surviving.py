"""Every cell of the matrix and some chance, in simulation: what is lost, and how soon something else speaks."""

from __future__ import annotations

from time import process_time
from typing import Any

from clara_kit.lab.survival.chaos import broken, chaos
from clara_kit.lab.survival.matrix import cells, matrix


def surviving(every: int = 1, chances: int = 1000) -> dict[str, Any]:
    """every: only each so many-th cell. chances: conversations with random faults and interruptions."""
    some = cells()[::every]
    on, off = matrix(some, fallback=True), matrix(some, fallback=False)
    began = process_time()
    wrong = sum(bool(broken(chaos(seed, fallback=seed % 2 == 0))) for seed in range(chances))
    return {
        "cells": len(some), "wrong": len(on.wrong) + len(off.wrong), "order_p95_ms": on.p95_order_ms, "heard_p95_ms": on.p95_heard_ms,
        "chances": chances, "chances_wrong": wrong, "ms_each": (process_time() - began) / max(1, chances) * 1000,
    }  # fmt: skip
