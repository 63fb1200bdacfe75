"""What works on this machine, and what to do for the rest: findings, gathered without spending anything.

Comes before everything else (`clara doctor`); shows nothing itself. Each check takes what it looks at as an
argument, so that it can be tried on any machine's facts. Values of keys are never kept in a finding.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from clara_kit.core.errors import SettingsError
from clara_kit.core.settings import KEY_PAGES, Keys, Settings
from clara_kit.doctor.finding import Finding, State
from clara_kit.doctor.keys import reach_all
from clara_kit.doctor.machine import check_offline, check_packages, check_python, installed_version, read_lock
from clara_kit.doctor.shop import check_cache, check_own_templates, shop_address, shop_keys
from clara_kit.providers.llm import pricing
from clara_kit.runtime.config import default_env_file
from clara_kit.shop.cache import ProfileCache

GROUPS = ("Python and packages", "Keys", "Reachability", "Models", "Offline world")
VENDORS = {"deepgram": "Deepgram", "anthropic": "Anthropic", "liveavatar": "LiveAvatar"}
SHOP = {"shopify": "Shopify"}
CLASSIC = {"heygen": "HeyGen"}  # only looked at where it is in use
REACH_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Checkup:
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
        if states.get(("Python and packages", "lab")) == "ok":
            works.append("Notebooks: make lab")
        for name in (*VENDORS.values(), *SHOP.values()):
            if states.get(("Keys", name)) in ("ok", "note") and states.get(("Reachability", name)) == "ok":
                works.append(f"{name} live, if it takes the key (clara doctor --live tries that)")
        return tuple(works)

    @property
    def todo(self) -> tuple[str, ...]:
        """What to do for the rest."""
        return tuple(dict.fromkeys(f.todo for f in self.findings if f.todo))

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        findings = [asdict(f) for f in self.findings]
        return {"ok": self.ok, "findings": findings, "works": list(self.works), "todo": list(self.todo)}


def check_up(env_file: str | Path | None = None, *, keys: Keys | None = None) -> Checkup:
    """Look at everything; takes a few seconds. keys: given in code, which then come before the environment."""
    path = Path(env_file) if env_file else default_env_file()
    from_file = {name: value or "" for name, value in dotenv_values(path).items()}
    merged = {**from_file, **os.environ}
    addresses = keys or Keys.from_env(merged)
    vendors = vendors_in_use(addresses, merged)
    return Checkup(
        (
            check_python(sys.version_info[:3]),
            *check_packages(installed_version, metadata.requires("clara-kit") or [], read_lock()),
            *check_keys(os.environ, from_file, in_code=keys, vendors=vendors),
            shop_keys(os.environ, from_file, keys),
            *check_file(path),
            *check_reach({n: getattr(addresses, f"{n}_base_url") for n in vendors} | shop_address(addresses)),
            *check_models(merged, date.today()),
            *(
                Finding(
                    group="Offline world", name=n, state="problem" if todo else "ok", text=text, todo=todo
                )
                for n, text, todo in check_offline()
            ),
            *check_own_templates(),
            *check_cache(ProfileCache()),
        )
    )


def vendors_in_use(keys: Keys, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The three that the kit is made for, and the classic avatar's where it has a key or is chosen."""
    classic = keys.heygen_api_key is not None or environ.get("AVATAR_VENDOR") == "heygen"
    return (*VENDORS, *(CLASSIC if classic else ()))


def check_keys(
    environ: Mapping[str, str],
    env_file: Mapping[str, str],
    *,
    in_code: Keys | None = None,
    vendors: Iterable[str] = tuple(VENDORS),
) -> tuple[Finding, ...]:
    """Which keys are set and from where; never their value, nor a part of it."""
    return tuple(_key(vendor, environ, env_file, in_code) for vendor in vendors)


def _key(
    vendor: str, environ: Mapping[str, str], env_file: Mapping[str, str], in_code: Keys | None
) -> Finding:
    name, variable = {**VENDORS, **CLASSIC}[vendor], f"{vendor.upper()}_API_KEY"
    here, there = environ.get(variable), env_file.get(variable, "").strip()
    state: State = "ok"
    todo = ""
    if in_code is not None:
        found = getattr(in_code, f"{vendor}_api_key") is not None
        text = "set in code" if found else "not given in code"
        state = "ok" if found else "absent"
    elif here is not None and here.strip():
        text = f"{variable} is set in the environment"
        if there and there != here.strip():
            state, text = "note", f"{text}, which comes before a different one in .env"
    elif here is not None and there:
        state, text = "absent", f"an empty {variable} in the environment hides the one in .env"
        todo = f"Unset {variable} in the environment, so that .env counts."
    elif there:
        text = f"{variable} is set in .env"
    else:
        state, text = "absent", f"{variable} is not set"
        page = KEY_PAGES[f"{vendor}_api_key"]
        todo = f"For {name} live: get a key at {page} and put {variable}=... into .env."
    return Finding(group="Keys", name=name, state=state, text=text, todo=todo)


def check_file(path: Path) -> tuple[Finding, ...]:
    """Whether others on this machine can read the file with the keys."""
    if os.name != "posix" or not path.is_file() or not path.stat().st_mode & 0o077:
        return ()
    text, todo = "other users of this machine can read it", f"chmod 600 {path}"
    return (Finding(group="Keys", name=path.name, state="note", text=text, todo=todo),)


def check_reach(addresses: Mapping[str, str], *, within_s: float = REACH_WITHIN_S) -> tuple[Finding, ...]:
    """Whether each vendor's host takes a connection, all at once; never longer than `within_s` and a moment."""
    answers = reach_all(addresses, within_s=within_s)
    return tuple(_reached(vendor, address, answers[vendor]) for vendor, address in addresses.items())


def _reached(vendor: str, address: str, answer: str | float) -> Finding:
    name, host = (
        {**VENDORS, **CLASSIC, **SHOP}[vendor],
        address.partition("://")[2].partition("/")[0].rpartition("@")[2],
    )
    if isinstance(answer, float):
        return Finding(group="Reachability", name=name, state="ok", text=f"{host} answers in {answer:.0f} ms")
    text = f"{host or address} is not reachable from here ({answer}): twins work without"
    todo = "For live vendors: check the network and a firewall (a way through a proxy is not tried here)."
    return Finding(group="Reachability", name=name, state="absent", text=text, todo=todo)


def check_models(environ: Mapping[str, str], today: date) -> tuple[Finding, ...]:
    """Where the chosen models are in their lives."""
    try:
        settings = Settings.from_env(environ)
    except SettingsError as exc:
        return (
            Finding(group="Models", name="settings", state="problem", text=exc.message, todo=exc.hint.capitalize()),
        )  # fmt: skip
    return (
        _llm(settings.llm_model, today),
        _known("hearing", settings.stt_model, ("nova-3",), ("nova-2",)),
        _known("voice", settings.tts_voice, ("aura-2-",), ()),
    )


def _llm(model: str, today: date) -> Finding:
    retires, note = pricing.RETIREMENTS.get(model), pricing.note(model, today=today)
    if note is None:
        price = f"{model}: current"
        return Finding(group="Models", name="model", state="ok", text=price)
    gone = retires is not None and retires <= today
    kind = "retired" if gone else "deprecated" if retires is not None else "not known"
    state: State = "problem" if gone else "note"
    todo = f"Set LLM_MODEL={pricing.SUCCESSOR}."
    return Finding(group="Models", name="model", state=state, text=f"{kind}: {note}", todo=todo)


def _known(name: str, model: str, current: tuple[str, ...], older: tuple[str, ...]) -> Finding:
    """Deepgram publishes no dates for these; only the generation is known."""
    if model.startswith(current):
        return Finding(group="Models", name=name, state="ok", text=f"{model}: current generation")
    kind = "an older generation" if model.startswith(older) and older else "not known to the kit"
    todo = f"If Deepgram refuses {model}, go back to the default ({current[0].rstrip('-')})."
    return Finding(group="Models", name=name, state="note", text=f"{model}: {kind}", todo=todo)
