"""What Clara is told: a prompt as the model receives it, static part first so that it can be cached."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from clara_kit.core.text import whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A system prompt. `static` is the same for every customer; `personal` may be empty."""

    static: str
    personal: str = ""

    def __post_init__(self) -> None:
        for name in ("static", "personal"):
            object.__setattr__(self, name, whole(getattr(self, name)))

    @property
    def hash(self) -> str:
        """The first 12 hex digits of the SHA-256 of both parts."""
        return _hash(self.static, self.personal)

    @property
    def text(self) -> str:
        """Both parts as one text."""
        return f"{self.static}\n\n{self.personal}" if self.personal else self.static


@lru_cache(maxsize=512)  # asked for with every reply, of the same few prompts
def _hash(static: str, personal: str) -> str:
    return sha256(f"{static}\0{personal}".encode()).hexdigest()[:12]
