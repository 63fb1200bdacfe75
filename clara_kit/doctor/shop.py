"""What the doctor says of the shop: its keys (never their value), its host, the cache on disk, one's own templates.

Used by `checkup.py`. Costs nothing; the shop's own word on scopes comes with `clara doctor --live` (`ask_shop`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from clara_kit.core.errors import ClaraError, TemplateError
from clara_kit.core.settings import Keys, Settings
from clara_kit.doctor.finding import Finding, State
from clara_kit.prompts import file as template_file
from clara_kit.prompts.template import PromptTemplate
from clara_kit.shop.cache import ProfileCache
from clara_kit.shop.fetcher import ShopifyCustomerFetcher, shop_domain

GUIDE = "For the shop live: data/shopify/going_live.md says what to set, from an empty shop on."
NAMES = ("SHOPIFY_SHOP", "SHOPIFY_ADMIN_TOKEN", "SHOPIFY_CLIENT_ID", "SHOPIFY_CLIENT_SECRET")


def shop_keys(
    environ: Mapping[str, str], env_file: Mapping[str, str], in_code: Keys | None = None
) -> Finding:
    """Which of the shop's settings are there and from where, and whether they are enough."""

    def where(name: str) -> str:
        if in_code is not None:
            return "code" if getattr(in_code, name.lower()) is not None else ""
        if environ.get(name, "").strip():
            return "the environment"
        return ".env" if env_file.get(name, "").strip() and name not in environ else ""

    found = {name: where(name) for name in NAMES if where(name)}
    if not found:
        return Finding(
            group="Keys", name="Shopify", state="absent", text="SHOPIFY_SHOP is not set", todo=GUIDE
        )
    text = ", ".join(f"{name} from {place}" for name, place in found.items())
    lacking = _lacking(set(found))
    if lacking:
        todo = f"Set {lacking} too. {GUIDE}"
        return Finding(
            group="Keys", name="Shopify", state="note", text=f"{text}; {lacking} is missing", todo=todo
        )
    return Finding(group="Keys", name="Shopify", state="ok", text=text)


def _lacking(found: set[str]) -> str:
    """What is missing for the shop to be asked; empty where nothing is."""
    if "SHOPIFY_SHOP" not in found:
        return "SHOPIFY_SHOP"
    by_client = found & {"SHOPIFY_CLIENT_ID", "SHOPIFY_CLIENT_SECRET"}
    if "SHOPIFY_ADMIN_TOKEN" in found or len(by_client) == 2:
        return ""
    if by_client:
        return next(n for n in NAMES[2:] if n not in by_client)
    return "SHOPIFY_ADMIN_TOKEN (or SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET)"


def shop_address(keys: Keys) -> dict[str, str]:
    """The shop's address, for the look at what can be reached; empty where there is none, or none that is one."""
    if keys.shopify_base_url:
        return {"shopify": keys.shopify_base_url}
    try:
        return {"shopify": f"https://{shop_domain(keys.shopify_shop)}"} if keys.shopify_shop else {}
    except ClaraError:
        return {}


def check_cache(cache: ProfileCache) -> tuple[Finding, ...]:
    """What the profile cache holds, if anything, and whether its file is its owner's alone."""
    stats = cache.stats_now()
    if not stats.answers and not stats.warnings:
        return ()
    oldest = f", the oldest {stats.oldest_s / 3600:.1f} h old" if stats.oldest_s is not None else ""
    text = f"{stats.answers} answers, {stats.file_bytes / 1024:.0f} KiB{oldest}"
    if stats.warnings:
        todo = "ProfileCache().clear() begins it anew; nothing but the cache is lost."
        return (
            Finding(
                group="Offline world", name="cache", state="note", text="; ".join(stats.warnings), todo=todo
            ),
        )
    return (Finding(group="Offline world", name="cache", state="ok", text=text),)


def check_own_templates(folder: Path | None = None) -> tuple[Finding, ...]:
    """Your own templates: how many, and each mistake with its file and line."""
    paths = sorted((folder or template_file.MINE).glob("*.md"))
    broken: list[str] = []
    for path in paths:
        try:
            PromptTemplate.load(path)
        except TemplateError as exc:
            broken.append(exc.message)
    if not paths:
        return ()
    state: State = "note" if broken else "ok"
    text = " ".join(broken) if broken else f"{len(paths)} of your own, none with a mistake"
    todo = "Mend the template, or delete the file: it is yours, in data/prompts/mine." if broken else ""
    return (Finding(group="Offline world", name="templates", state=state, text=text, todo=todo),)


def ask_shop(keys: Keys, settings: Settings) -> Finding | None:
    """What the shop itself says: its name, the scopes the app has and lacks, the version served. Free.

    None where no shop is set up.
    """
    if keys.shopify_shop is None:
        return None

    async def ask() -> Finding:
        async with ShopifyCustomerFetcher.from_keys(keys, settings) as shop:
            found = await shop.check()
        text = (
            f"{found.shop_name} ({found.domain}), API {found.served_version or 'unknown'}, "
            f"scopes: {', '.join(found.scopes) or 'none'}"
        )
        told = [*(f"{scope} is missing" for scope in found.missing), *found.warnings]
        todo = f"Give the app what is missing and install it again. {GUIDE}" if found.missing else ""
        state: State = "note" if told else "ok"
        return Finding(group="Keys", name="Shopify", state=state, text="; ".join([text, *told]), todo=todo)

    try:
        return asyncio.run(ask())
    except ClaraError as exc:
        return Finding(
            group="Keys", name="Shopify", state="problem", text=exc.message, todo=exc.hint.capitalize()
        )
