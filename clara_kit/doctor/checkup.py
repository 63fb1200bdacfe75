"""What works on this machine, and what to do for the rest: findings, gathered without spending anything.

The door of this room, behind `clara doctor`; shows nothing itself. Each check takes what it looks at as an
argument, so that it can be tried on any machine's facts. Values of keys are never kept in a finding.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from importlib import metadata
from platform import python_version
from typing import Any, NamedTuple

from dotenv import dotenv_values

from clara_kit.core.errors import SettingsError
from clara_kit.core.settings import Keys, Settings
from clara_kit.doctor.finding import Finding, State
from clara_kit.doctor.keys import check_file, check_keys, check_reach
from clara_kit.doctor.machine import GROUP, check_offline, check_packages, installed_packages, read_lock
from clara_kit.doctor.shop import check_cache, check_own_templates, shop_address, shop_keys
from clara_kit.providers.llm import pricing
from clara_kit.providers.vendors import TABLE, VENDORS
from clara_kit.runtime.config import default_env_file
from clara_kit.shop.cache import ProfileCache

GROUPS = (GROUP, "Keys", "Reachability", "Models", "Offline world")


class Checkup(NamedTuple):
    """All findings, in the order of GROUPS."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing that should work is broken."""
        return all(f.state != "problem" for f in self.findings)

    def of(self, group: str) -> tuple[Finding, ...]:
        """The findings of one group."""
        return tuple(f for f in self.findings if f.group == group)

    @property
    def works(self) -> tuple[str, ...]:
        """What can be done now."""
        works = []
        states = {(f.group, f.name): f.state for f in self.findings}
        if all(f.state == "ok" for f in self.of("Offline world")):
            works.append("Whole conversations with the vendors' twins, without keys or internet: make demo")
        if states.get(("Offline world", "simulation")) == "ok":
            works.append("Simulated conversations: clara_kit.simulate(...)")
        if states.get((GROUP, "lab")) == "ok":
            works.append("Notebooks: make lab")
        for name in (TABLE[vendor].name for vendor in (*VENDORS, "shopify")):
            if states.get(("Keys", name)) in ("ok", "note") and states.get(("Reachability", name)) == "ok":
                works.append(f"{name} live, if it takes the key (clara doctor --live tries that)")
        return tuple(works)

    @property
    def todo(self) -> tuple[str, ...]:
        """What to do for the rest."""
        return tuple(dict.fromkeys(f.todo for f in self.findings if f.todo))

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        findings = [f._asdict() for f in self.findings]
        return {"ok": self.ok, "findings": findings, "works": self.works, "todo": self.todo}


def check_up() -> Checkup:
    """Look at everything; takes a few seconds."""
    path = default_env_file()
    from_file = {name: value or "" for name, value in dotenv_values(path).items()}
    merged = {**from_file, **os.environ}
    keys = Keys.from_env(merged)
    vendors = vendors_in_use(keys, merged)
    return Checkup(
        (
            Finding(GROUP, "Python", "ok", python_version()),
            *check_packages(installed_packages(), metadata.requires("clara-kit") or [], read_lock()),
            *check_keys(os.environ, from_file, vendors),
            shop_keys(os.environ, from_file),
            *check_file(path),
            *check_reach({v: TABLE[v].address(keys) for v in vendors} | shop_address(keys)),
            *check_models(merged, date.today()),
            *check_offline(),
            *check_own_templates(),
            *check_cache(ProfileCache()),
        )
    )


def vendors_in_use(keys: Keys, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The three that the kit is made for; the classic avatar's where it has a key or is chosen; the other voice's with a key."""
    classic = TABLE["heygen"].has_key(keys) or environ.get("AVATAR_VENDOR") == "heygen"
    other = TABLE["elevenlabs"].has_key(keys)
    return (*VENDORS, *(["heygen"] if classic else []), *(["elevenlabs"] if other else []))


def check_models(environ: Mapping[str, str], today: date) -> tuple[Finding, ...]:
    """Where the chosen models are in their lives."""
    try:
        settings = Settings.from_env(environ)
    except SettingsError as exc:
        return (Finding("Models", "settings", "problem", exc.message, exc.hint.capitalize()),)
    return (
        _llm(settings.llm_model, today),
        _known("hearing", settings.stt_model, Settings().stt_model, "nova-3", "nova-2"),
        _known("voice", settings.tts_voice, Settings().tts_voice, "aura-2-"),
    )


def _llm(model: str, today: date) -> Finding:
    retires, note = pricing.RETIREMENTS.get(model), pricing.note(model, today=today)
    if note is None:
        return Finding("Models", "model", "ok", f"{model}: current")
    state: State = "problem" if retires is not None and retires <= today else "note"
    return Finding("Models", "model", state, note, f"Set LLM_MODEL={pricing.SUCCESSOR}.")


def _known(name: str, model: str, usual: str, current: str, older: str = "none") -> Finding:
    """Deepgram publishes no dates for these; only the generation is known."""
    if model.startswith(current):
        return Finding("Models", name, "ok", f"{model}: current generation")
    kind = "an older generation" if model.startswith(older) else "not known to the kit"
    todo = f"If Deepgram refuses {model}, go back to the default ({usual})."
    return Finding("Models", name, "note", f"{model}: {kind}", todo)
