"""What a kernel keeps for whoever designs in it: unsaved text, and the prompt that the next conversation takes.

Shared on purpose, for a cell that is run again makes its widgets anew. Holds no widget: who is gone is forgotten.
Every notebook has a kernel of its own: under `clara lab` a file tells the others which prompt was chosen in one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakMethod

SHARED = "CLARA_LAB_PROMPT"  # names that file


class Kernel:
    """`drafts`: unsaved text, by the name of its template. `prompt`: what the next conversation takes."""

    def __init__(self) -> None:
        self.drafts: dict[str, str] = {}
        self._prompt, self._read = "warm", ""
        self._told: list[WeakMethod[Callable[..., Any]]] = []

    @property
    def prompt(self) -> str:
        """What the next conversation takes, also where another notebook has chosen it."""
        with suppress(OSError, KeyError):
            if (read := Path(os.environ[SHARED]).read_text("utf-8")) != self._read:
                self._take(read)
        return self._prompt

    def use(self, prompt: str) -> None:
        """Let the next conversation take this prompt; every desk takes it, those of other notebooks when next seen."""
        self._take(chosen := f"{os.urandom(8).hex()} {prompt}")  # two choices of one prompt are two
        with suppress(OSError, KeyError):
            Path(os.environ[SHARED]).write_text(chosen, "utf-8")

    def _take(self, chosen: str) -> None:
        self._read, (_, _, self._prompt) = chosen, chosen.partition(" ")
        for tell in filter(None, [weak() for weak in self._told]):
            tell(prompt=self._prompt)

    def follow(self, tell: Callable[..., Any]) -> None:
        """Call this method with `prompt=…` whenever another is chosen, for as long as its object lives."""
        self._told = [weak for weak in self._told if weak() is not None] + [WeakMethod(tell)]


KERNEL = Kernel()
