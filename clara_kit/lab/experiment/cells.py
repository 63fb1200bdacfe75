"""What an experiment consists of: variants that differ, and the cells in which each is tried on the same occasions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clara_kit.core.errors import SettingsError
from clara_kit.core.rng import child_rng
from clara_kit.core.settings import Settings, sure
from clara_kit.prompts.template import PromptTemplate
from clara_kit.world.scenario import Scenario


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

    @property
    def occasion(self) -> tuple[str, str, int]:
        """Who meets what, and which time."""
        return self.scenario, self.customer, self.seed

    def drawn_with(self, seed: int) -> int:
        """The seed of its simulation: of the experiment's own seed and the occasion, never of the variant."""
        return child_rng(seed, "experiment", *self.occasion).getrandbits(31)


Tried = PromptTemplate | str | Settings | Variant | Mapping[str, Any]
Variants = Mapping[str, Tried] | Iterable[Tried]
_HINT = 'give names of templates, as ["warm", "expert"], or {"A": "warm", "B": {"template": "warm", "llm_model": …}}.'


def variants_of(given: Variants) -> tuple[Variant, ...]:
    """The variants, each with its template loaded and its settings. Raises `SettingsError`, `TemplateError`.

    given: templates or their names, `Variant`s, or a mapping from a name to a template, settings or both: a mapping with
    `template` and whatever settings are changed.
    """
    named = given.items() if isinstance(given, Mapping) else [("", one) for one in listed(given, "variants")]
    made = tuple(_variant(str(name), one) for name, one in named)
    names = [v.name for v in made]
    if not made or len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        why = f"Two variants are called {', '.join(twice)}." if twice else "There is no variant to try."
        raise SettingsError(why, hint=_HINT)
    return made


def listed(given: Any, what: str) -> tuple[Any, ...]:
    """Several, or one by itself, as a tuple. Raises `SettingsError`."""
    if isinstance(given, str | Path | Variant | PromptTemplate | Settings | Scenario):
        return (given,)
    if not isinstance(given, Iterable):
        raise SettingsError(f"{given!r} in place of {what}.", hint=f"give {what} as a list.")
    return tuple(given)


def _variant(name: str, given: Any) -> Variant:
    if isinstance(given, Settings):
        given = Variant(name=name, settings=given)
    elif isinstance(given, Mapping):
        changes = {k: v for k, v in given.items() if k not in ("template", "settings")}
        settings = sure(given.get("settings") or Settings())
        given = Variant(
            name=name, template=given.get("template", "warm"), settings=settings.with_changes(**changes) if changes else settings
        )  # fmt: skip
    elif isinstance(given, str | PromptTemplate):
        given = Variant(name=name, template=given)
    if not isinstance(given, Variant):
        raise SettingsError(f"{type(given).__name__} is no variant.", hint=_HINT)
    template = given.template
    template = PromptTemplate.load(template) if isinstance(template, str) else template
    if not isinstance(template, PromptTemplate):
        raise SettingsError(f"{type(template).__name__} is no prompt.", hint=_HINT)
    said = name or given.name or (given.template if isinstance(given.template, str) else template.name)
    if not isinstance(said, str) or not said.isprintable():
        raise SettingsError(f"{said!r} cannot be the name of a variant.", hint="use a few letters of one line.")
    return replace(given, name=said, template=template, settings=sure(given.settings or Settings()))
