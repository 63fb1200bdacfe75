"""What Clara is told: a prompt as the model receives it, static part first so that it can be cached."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A system prompt. `static` is the same for every customer; `personal` may be empty."""

    static: str
    personal: str = ""

    @property
    def hash(self) -> str:
        """The first 12 hex digits of the SHA-256 of both parts."""
        return sha256(f"{self.static}\0{self.personal}".encode()).hexdigest()[:12]

    @property
    def text(self) -> str:
        """Both parts as one text."""
        return f"{self.static}\n\n{self.personal}" if self.personal else self.static


class PromptSource(Protocol):
    """Gives the prompt for the next reply. Pure: no I/O while a customer waits."""

    def prompt(self) -> Prompt:
        """The prompt as it stands now."""
        ...
