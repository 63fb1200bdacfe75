"""What Clara is told when a recorded conversation is gone on from: its own prompt and customer again, or others."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clara_kit import data_files
from clara_kit.core.errors import ClaraError, SettingsError
from clara_kit.core.events import ProfileLoaded
from clara_kit.core.placeholders import Placeholders
from clara_kit.core.profile import ANONYMOUS, SKIN_CONCERNS, SKIN_TYPES, CustomerProfile
from clara_kit.core.prompt import Prompt
from clara_kit.lab.briefings import Customer
from clara_kit.measure.run import Run
from clara_kit.prompts.briefing import Briefing, brief
from clara_kit.prompts.template import PromptTemplate
from clara_kit.runtime.services import key_of
from clara_kit.world.personas import Persona


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """briefing or prompt, or neither; what hides the customer's words. notes: names of `sentences.yml`'s branches."""

    briefing: Briefing | None = None
    prompt: Prompt | None = None
    placeholders: Placeholders
    inputs: dict[str, Any]
    """What the run's inputs say of it otherwise than before."""
    notes: tuple[str, ...] = ()


def retold(run: Run, template: PromptTemplate | Prompt | str | None, customer: Customer | None) -> Told:
    """As `run` had it, but for what is given. Raises `TemplateError`, `ScriptError`, `SettingsError`."""
    profile, key, notes = _known(run)
    inputs: dict[str, Any] = {"customer": key} if key else {}
    words: Mapping[str, str] = run.words
    if customer is not None:
        recorded = profile
        profile, key = _given(customer)
        words, notes = {}, ("customer",) if profile != recorded else ()
        inputs = {"customer": key, "modes": {**run.modes, "shop": run.modes.get("shop", "sim")}}
    told = _template(template) if template is not None else _recorded(run)
    if told is None and customer is not None:
        told = PromptTemplate.load("warm")
    if told is None and (text := str(run.inputs.get("prompt") or "")):
        told, notes = Prompt(static=text), (*notes, "plain") if run.inputs.get("template") else notes
    placeholders = Placeholders(profile if customer is not None else ANONYMOUS, words)
    if isinstance(told, PromptTemplate):
        briefing = brief(told, profile)
        if template is not None or customer is not None:
            general = brief(told).prompt  # what is told of a stranger: the only one that a manifest may hold
            inputs |= {"template": told.about, "prompt": general.text, "prompt_hash": general.hash}
        return Told(briefing=briefing, placeholders=placeholders, inputs=inputs, notes=notes)
    if isinstance(told, Prompt):
        if customer is not None:
            raise SettingsError(
                "A plain prompt has no place for what the shop knows of a customer.",
                hint="give a template (its id, or a PromptTemplate) as well.",
            )
        if template is not None:
            inputs |= {"template": {}, "prompt": told.text, "prompt_hash": told.hash}
    elif run.inputs.get("prompt_hash"):
        notes = (*notes, "prompt")
    return Told(prompt=told, placeholders=placeholders, inputs=inputs, notes=notes)


def _given(customer: Customer) -> tuple[CustomerProfile, str]:
    persona = Persona.load(customer) if isinstance(customer, str) else customer
    if isinstance(persona, Persona):
        return persona.profile, key_of(persona.gid)
    return persona, data_files.fingerprint(persona)


def _known(run: Run) -> tuple[CustomerProfile, str, tuple[str, ...]]:
    """Whom Clara talked to, and what stands for them. A shop's customer is known by the words that this process has."""
    key = str(run.inputs.get("customer") or "")
    if not any(type(event) is ProfileLoaded for event in run.events):
        return ANONYMOUS, key, ()
    if (persona := persona_of(key)) is not None:
        return persona.profile, key_of(persona.gid), ()
    skin = run.words.get("{skin_type}", "").capitalize()
    concerns = {word.casefold() for name, word in run.words.items() if name.startswith("{concern_")}
    profile = CustomerProfile(
        first_name=run.words.get("{first_name}", ""),
        skin_type=next((one for one in SKIN_TYPES if one == skin), None),
        skin_concerns=tuple(one for one in SKIN_CONCERNS if one.casefold() in concerns),
    )
    return profile, key, ("known",)


def _template(given: PromptTemplate | Prompt | str) -> PromptTemplate | Prompt:
    if isinstance(given, str):
        return Prompt(static=given) if len(given.split()) > 1 else PromptTemplate.load(given)
    return given


def _recorded(run: Run) -> PromptTemplate | None:
    """The template that the run had, to the letter, if it is still here."""
    about = run.inputs.get("template")
    if not isinstance(about, dict) or not about:
        return None
    with suppress(ClaraError):
        if (found := template_of(about)).hash == about.get("hash"):
            return found
    return None


def template_of(about: Mapping[str, Any]) -> PromptTemplate:
    """The one of that hash where it is still there, else of that version, else of that name. Raises `ClaraError`."""
    name = str(about.get("id"))
    same = [t for t in PromptTemplate.all() if t.id == name]
    for want in ("hash", "version"):
        if found := next((t for t in same if getattr(t, want) == about.get(want)), None):
            return found
    return PromptTemplate.load(name)


def persona_of(key: object) -> Persona | None:
    """The invented customer that a run's inputs name so, by the shop's id or by what the simulation knew; None: nobody."""
    return next((p for p in Persona.all() if key in (key_of(p.gid), data_files.fingerprint(p.profile))), None)
