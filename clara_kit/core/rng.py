"""The only door to randomness: a seeded generator for each consumer, split by name.

A new consumer takes a name of its own and so never shifts the numbers that the others draw.
"""

from __future__ import annotations

import random


def child_rng(seed: int | str, *names: str | int) -> random.Random:
    """A generator that depends on the seed and the names alone: equal inputs, equal draws, any machine."""
    # A str seed is hashed with SHA-512 by the standard library: no dependence on PYTHONHASHSEED.
    return random.Random("/".join(str(part) for part in (seed, *names)))
