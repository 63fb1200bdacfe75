"""What an experiment consists of: variants that differ, and the cells in which each is tried on the same occasions."""

from __future__ import annotations

from dataclasses import dataclass

from clara_kit.core.settings import Settings
from clara_kit.prompts.template import PromptTemplate


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What is tried: a prompt, settings (the model among them), or both. `name` is unique in its experiment."""

    name: str
    template: PromptTemplate | str = "warm"
    settings: Settings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One conversation: `occasion` is the same for all variants, and so is the seed that is made of it."""

    number: int
    variant: str
    scenario: str
    customer: str
    """The name of an invented customer; empty: a stranger."""
    seed: int
