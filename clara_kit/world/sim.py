"""`simulate`: a script, a brain and a latency profile played against the decisions in virtual time.

Makes what `scheduler.py` plays, and a run of what came of it. Equal inputs give equal bytes.

Every setting that changes times or decisions is honoured; those in `WITHOUT_EFFECT` can change nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

from clara_kit import data_files
from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.cache.responses import ResponseCache, usual_cache
from clara_kit.conversation.policies import Policies
from clara_kit.core import events as ev
from clara_kit.core.errors import SettingsError
from clara_kit.core.profile import CustomerProfile
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Settings
from clara_kit.measure.run import SERVICES, Run
from clara_kit.turns import usual_policies
from clara_kit.world.brain import Brain
from clara_kit.world.faults import Fault
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.scenario import Scenario
from clara_kit.world.scheduler import World
from clara_kit.world.script import Script, ScriptLike

if TYPE_CHECKING:
    from clara_kit.prompts.briefing import Briefing
    from clara_kit.prompts.template import PromptTemplate
    from clara_kit.world.personas import Persona

WITHOUT_EFFECT = {
    "absence_ms": "a script has an end",
    "answers_expire_h": "nothing is learnt",
    "enable_connection_pool": "the profiles' figures are of connections that stand",
    "profile_cache_hours": "the simulated shop is asked every time",
    "shopify_api_version": "there is no API",
    "stt_model": "latencies come from the profile",
    "stt_language": "the words are the script's",
    "stt_keyterms": "the words are the script's",
    "llm_temperature": "the scripted brain has none",
    "tts_voice": "lengths come from the text and tts_speed",
    "tts_other_voice": "there is no account",
    "heygen_avatar_name": "there is no account",
    "heygen_voice_id": "there is no account",
    "avatar_id": "there is no account",
    "avatar_sandbox": "the sandbox's minute is lifted, as in the twins",
}
"""Settings that cannot matter in a simulation, and why."""


def simulate(
    script: ScriptLike | Scenario,
    settings: Settings | None = None,
    *,
    seed: int = 0,
    latency: str | LatencyProfile = "published",
    profile: str | LatencyProfile | None = None,
    faults: Iterable[Fault] = (),
    customer: str | Persona | CustomerProfile | None = None,
    template: PromptTemplate | Prompt | str | None = None,
    policies: Policies | None = None,
    brain: Brain | None = None,
    customer_brain: Brain | None = None,
    health: Mapping[ev.Service, ev.Circuit] | None = None,
    cache: ResponseCache | None = None,
) -> Run:
    """Play a script in virtual time and return the whole run. Equal arguments give equal bytes.

    script: a `Script`, the name of one in `data/scripts/`, a path, a plain list of strings, or a `Scenario`; what became
    of a customer who reacts is in `Run.facts["customer"]`.
    latency: how long services take: a name in `data/latency/` or a `LatencyProfile` (`profile`: its former name).
    template: the prompt to be obeyed: a `PromptTemplate` or the id of one, a plain `Prompt`, or the text of one
    (default: none; with a customer, the kit's own). customer: whom the simulated shop knows: an invented customer of
    `data/customers/` by name, or a profile. policies: who decides, the kit's own unless given. brain: who writes Clara's answers and when
    they come, as `lab/calls/brains.py` makes one (default: the scripted brain, at the latency's times). customer_brain:
    who gives a customer who reacts other words (default: her own). health: what other conversations have found out about a
    service before this one begins ({"llm": "open"}). cache: which answers are kept, where `enable_response_cache` is on
    (default: the frequent questions of `data/faq/`); nothing is learnt.
    """
    scenario = script if isinstance(script, Scenario) else None
    plays = scenario.plays if scenario is not None else Script.of(script)  # type: ignore[arg-type]
    for one in (brain, customer_brain):
        if one is not None and not hasattr(one, "write"):
            raise SettingsError(f"{one!r} in place of brain.", hint='give what brain_for("recorded", settings) makes.')
    settings = settings or _usual()
    policies = policies or usual_policies()
    latency = latency if profile is None else profile
    laws = latency if isinstance(latency, LatencyProfile) else LatencyProfile.load(latency)
    prompt = _plain(template, customer)
    briefing = _briefing(template) if prompt is None and (template, customer) != (None, None) else None
    known = _known(customer) if customer is not None else None
    faults = (*(plays.faults if isinstance(plays, Script) else ()), *faults)
    if known is None and any(fault.service == "shop" for fault in faults):
        raise SettingsError("Nobody asks the shop, so its faults cannot happen.", hint="give a customer.")
    falls_back = settings.flags.enable_auto_fallback
    if not falls_back and any(fault.service == "backup" for fault in faults):
        raise SettingsError("Nobody asks the backup, so its faults cannot happen.", hint="enable_auto_fallback.")
    health = _circuits(health or {})
    cache = (cache or usual_cache()) if settings.flags.enable_response_cache else None
    world = World(
        plays, settings, seed=seed, latency=laws, faults=faults, briefing=briefing, prompt=prompt, customer=known,
        pronunciation=(names := usual_pronunciation()), policies=policies, brain=brain,
        customer_brain=customer_brain, health=health, cache=cache,
    )  # fmt: skip
    world.play()
    told = briefing.prompt if briefing is not None else prompt
    inputs: dict[str, Any] = {
        "modes": dict.fromkeys((*SERVICES, *("shop",) * (known is not None), *("backup",) * falls_back), "sim"),
        "script": plays.model_dump(mode="json") if scenario is None else scenario.played,
        "settings": {**_dumped(settings)},
        "policies": policies.to_dict(),
        "latency": laws.to_dict(),
        "faults": [f.to_dict() for f in faults],
        "seed": seed,
        "prompt_hash": told.hash if told else "",
        **({"answers": world.writer.book.hash} if brain is None else {"written": world.writer.written}),
        "pronunciation": _fingerprint(names),
    }
    if brain is not None:
        inputs["modes"]["llm"] = brain.mode
    if health:
        inputs["health"] = health
    if cache is not None:
        inputs["kept_answers"] = cache.hash
    if briefing is not None:
        inputs["template"] = briefing.template.about
    if known is not None:
        inputs["customer"] = _fingerprint(known)
    trace = tuple(world.conversation.trace)
    facts: dict[str, Any] = {"title": plays.title if isinstance(plays, Script) else plays.goal}
    if scenario is not None:
        facts |= scenario.about
    if (account := world.customer.account()) is not None:
        facts["customer"] = account
        if customer_brain is not None:
            worded = account["own_words"] < account["asked"]  # a record may hold none of her lines
            inputs["modes"]["customer"] = customer_brain.mode if worded else "sim"
            inputs["customer_words"] = account["written"]
    return Run(inputs=inputs, trace=trace, facts=facts, words=world.door.placeholders.map)


def _circuits(health: Mapping[ev.Service, ev.Circuit]) -> dict[ev.Service, ev.Circuit]:
    for service, circuit in health.items():
        if service not in get_args(ev.Service) or circuit not in get_args(ev.Circuit):
            known = f"{', '.join(get_args(ev.Service))}: {', '.join(get_args(ev.Circuit))}"
            raise SettingsError(f"health: {service!r} cannot be {circuit!r}.", hint=f"there are {known}.")
    return dict(health)


_usual = lru_cache(maxsize=1)(Settings)


@lru_cache(maxsize=64)
def _dumped(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json")


_fingerprint = lru_cache(maxsize=64)(data_files.fingerprint)


def _plain(
    template: PromptTemplate | Prompt | str | None, customer: str | Persona | CustomerProfile | None
) -> Prompt | None:
    """The prompt, where it is given as it stands."""
    if isinstance(template, str) and len(template.split()) > 1:
        template = Prompt(static=template)
    if not isinstance(template, Prompt):
        return None
    if customer is not None:
        raise SettingsError(
            "A plain prompt has no place for what the shop knows of a customer.",
            hint="give a template (its id, or a PromptTemplate) instead of a text.",
        )
    return template


def _briefing(template: Any) -> Briefing:
    """What Clara is told of a customer of whom nothing is known yet."""
    from clara_kit.prompts.briefing import brief  # brings the templates' language, which most simulations do not need

    return brief(template or "warm")


def _known(customer: str | Persona | CustomerProfile) -> CustomerProfile:
    if isinstance(customer, CustomerProfile):
        return customer
    if isinstance(customer, str):
        from clara_kit.world.personas import Persona

        customer = Persona.load(customer)
    return customer.profile
