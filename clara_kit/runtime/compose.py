"""The only place that chooses what stands behind each service: live, twin or sim.

Comes before `manager.py`, which opens what `compose` describes. A service is asked for by mode; services may
be mixed (live Claude with twin voices is what a designer with one key wants), and the mix is named wherever
a number shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from clara_kit.core.errors import SettingsError
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Keys, Mode, Settings
from clara_kit.prompts.briefing import brief
from clara_kit.prompts.catalog import Catalog
from clara_kit.prompts.template import PromptTemplate
from clara_kit.runtime.services import TWIN_KEY, TWIN_SHOP, VENDORS, Services
from clara_kit.shop.cache import ProfileCache
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.pace import usual_pace
from clara_kit.world.personas import Persona
from clara_kit.world.voices import clara_voice, customer_voice

DEFAULT_TEMPLATE = "warm"

__all__ = ["TWIN_KEY", "TWIN_SHOP", "Services", "clara_voice", "compose", "customer_voice"]


def compose(
    mode: Mode = "twin",
    *,
    stt: Mode | None = None,
    llm: Mode | None = None,
    tts: Mode | None = None,
    avatar: Mode | None = None,
    shop: Mode | None = None,
    settings: Settings | None = None,
    keys: Keys | None = None,
    customer: str | int | Persona = "",
    template: str | PromptTemplate = DEFAULT_TEMPLATE,
    prompt: Prompt | None = None,
    profile_cache: ProfileCache | None = None,
    latency: str | LatencyProfile = "published",
    profile: str | LatencyProfile | None = None,
    seed: int = 0,
    faults: Iterable[Fault] = (),
    pace: float | None = None,
    keep_in: Path | str | None = None,
) -> Services:
    """Describe what stands behind each service: `mode` for all, or one by one.

    live needs a key for each vendor it touches (raises `SettingsError` naming the first that is missing);
    twin is the vendor's own SDK over loopback sockets; sim stays in this process. local, for llm alone, is any server on
    this machine that speaks chat completions, at `keys.local_llm_base_url`: a stand-in, and no vendor.

    customer: whom Clara talks to, as the shop knows them (number, gid or e-mail), or an invented one of
    `data/customers/` by name, whom only the twin and the simulation know; the shop is asked only if there is one.
    template: a prompt of `data/prompts/` by its id. prompt: a plain prompt instead, which knows no customer.
    latency: how long twins and simulated services take: a name in `data/latency/` (`profile`: its former name).
    pace: for tests: how many times faster than the wall the conversation and its twins may live (default: what
    `CLARA_PACE` says, or 1); something live lives at 1. Every figure stays in the conversation's own milliseconds.
    keep_in: the folder of kept answers and their sound (default: `data/cache` where model or voice are live; what twins say
    is kept in memory, so that each conversation begins alike).
    profile_cache: keeps profiles between conversations (default: `ProfileCache()` for a live shop, else none).
    """
    settings, keys = settings or Settings(), keys or Keys()
    latency = latency if profile is None else profile
    customer = _customer(customer, shop or mode)
    if customer and prompt is not None:
        raise SettingsError(
            "A plain prompt has no place for what the shop knows of a customer.",
            hint="give a template instead of a prompt, or leave the customer out.",
        )
    modes: dict[str, Mode] = {"stt": stt or mode, "llm": llm or mode, "tts": tts or mode, "avatar": avatar or mode}
    if customer:
        modes["shop"] = shop or mode
    if settings.flags.enable_auto_fallback:
        modes["backup"] = modes["avatar"]
    faults = tuple(faults)
    _check(modes, faults)
    _check_keys(modes, settings, keys)
    if modes.get("shop") == "live":
        profile_cache = profile_cache or ProfileCache(hours=settings.profile_cache_hours)
    catalog = Catalog.load()
    briefing = brief(template, catalog=catalog) if prompt is None else None
    return Services(
        modes=modes,
        settings=settings,
        prompt=briefing.prompt if briefing is not None else prompt or Prompt(static=""),
        latency=latency if isinstance(latency, LatencyProfile) else LatencyProfile.load(latency),
        seed=seed,
        keys=keys,
        faults=FaultBox(faults),
        briefing=briefing,
        catalog=catalog,
        customer=customer,
        profile_cache=profile_cache,
        keep_in=None if keep_in is None else Path(keep_in),
        pace=1.0 if "live" in modes.values() else usual_pace() if pace is None else pace,
    )


def _check(modes: Mapping[str, Mode], faults: Iterable[Fault]) -> None:
    """Modes that exist, and faults that somebody can play."""
    for service, value in modes.items():
        if value not in ("live", "twin", "sim") and (service, value) != ("llm", "local"):
            raise SettingsError(f"{service}: there is no mode {value!r}.", hint="use live, twin or sim.")
    for fault in faults:
        if fault.service not in modes:
            hint = "switch on ENABLE_AUTO_FALLBACK." if fault.service == "backup" else "give a customer."
            raise SettingsError(f"Nobody asks the {fault.service}, so {fault} cannot happen.", hint=hint)
        if modes[fault.service] in ("live", "local"):
            raise SettingsError(
                f"No vendor plays {fault} on order, and {fault.service} is {modes[fault.service]}.",
                hint=f"choose {fault.service}='twin', or 'sim'.",
            )


def _check_keys(modes: Mapping[str, Mode], settings: Settings, keys: Keys) -> None:
    """Name the first key that a live service lacks."""
    for service, vendor in {**VENDORS, "avatar": settings.avatar_vendor}.items():
        if modes[service] == "live":
            keys.need(f"{vendor}_api_key")
    if modes["avatar"] == "live" and settings.avatar_vendor == "heygen" and not settings.heygen_avatar_name:
        raise SettingsError(
            "HEYGEN_AVATAR_NAME is not set.", hint="name an avatar of your HeyGen account in the file .env."
        )
    if modes.get("shop") == "live":
        from clara_kit.shop.fetcher import ShopifyCustomerFetcher

        ShopifyCustomerFetcher.from_keys(keys, settings)  # names what is missing


def _customer(customer: str | int | Persona, shop: Mode) -> str:
    """The customer as the shop knows them."""
    if isinstance(customer, str) and (not customer or "@" in customer or customer.startswith("gid://")):
        return customer
    if isinstance(customer, int) or (isinstance(customer, str) and customer.isdigit()):
        return f"gid://shopify/Customer/{customer}"
    persona = customer if isinstance(customer, Persona) else Persona.load(customer)
    if shop == "live":
        raise SettingsError(
            f"{persona.name} is an invented customer, whom a real shop does not know.",
            hint="name a customer by number or e-mail, or choose shop='twin'.",
        )
    return persona.gid
