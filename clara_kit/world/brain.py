"""What writes Clara's answers in a simulation, where it is not the scripted brain: a model asked, or its kept answers.

`simulate(…, brain=…)` asks it once a request and plays what it wrote at the times at which it came, in virtual time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderError
from clara_kit.providers.llm.base import ReplyRequest

LLM = Literal["scripted", "recorded", "live", "local"]
"""What may stand behind the model; scripted: the book of answers, which needs no brain."""
LLMS: tuple[LLM, ...] = get_args(LLM)
Source = Literal["live", "recorded", "local"]
"""Who wrote: the vendor now, the vendor when it was recorded, a server of this machine that stands in for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One answer as it came. `chunks`: milliseconds since the request, and text. `ends_ms`: when it was over.

    source: what wrote it. failed: it broke off so, after whatever chunks there are.
    """

    chunks: tuple[tuple[float, str], ...]
    ends_ms: float
    source: Source
    model: str = ""
    stop_reason: str = "end_turn"
    usage: ev.Usage | None = None
    failed: ProviderError | None = None


class Brain(Protocol):
    """Answers requests, one after the other; equal requests get equal answers where it can."""

    @property
    def mode(self) -> str:
        """What stands behind the model, for the run's manifest: a `Source`; where a twin played the vendor, that too."""

    def write(self, request: ReplyRequest, *, words: Mapping[str, str]) -> Written:
        """The answer to `request`, whose placeholders stand for `words`. Failures are in `failed`, never raised."""
