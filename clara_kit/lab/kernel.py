"""What a kernel keeps for whoever designs in it: unsaved text, and the prompt that the next conversation takes.

Shared on purpose, for a cell that is run again makes its widgets anew. Holds no widget: who is gone is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod


class Kernel:
    """`drafts`: unsaved text, by the name of its template. `prompt`: what the next conversation takes."""

    def __init__(self) -> None:
        self.drafts: dict[str, str] = {}
        self.prompt = "warm"
        self._told: list[WeakMethod[Callable[..., Any]]] = []

    def use(self, prompt: str) -> None:
        """Let the next conversation take this prompt; every desk that is open takes it at once."""
        self.prompt = prompt
        for tell in [weak() for weak in self._told]:
            if tell is not None:
                tell(prompt=prompt)

    def follow(self, tell: Callable[..., Any]) -> None:
        """Call this method with `prompt=…` whenever another is chosen, for as long as its object lives."""
        self._told = [weak for weak in self._told if weak() is not None] + [WeakMethod(tell)]


KERNEL = Kernel()
