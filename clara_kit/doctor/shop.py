"""What the doctor says of the shop: its keys (never their value), its host, the cache on disk, one's own templates.

Used by `checkup.py`. Costs nothing; the shop's own word on scopes comes with `clara doctor --live` (`ask_shop`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from clara_kit.core.errors import ClaraError, ProviderError, TemplateError
from clara_kit.core.settings import Keys, Settings
from clara_kit.doctor.finding import Finding
from clara_kit.doctor.keys import KeyAnswer, source
from clara_kit.prompts import file as template_file
from clara_kit.prompts.template import PromptTemplate
from clara_kit.providers.vendors import TABLE
from clara_kit.shop.answer import ShopCheck
from clara_kit.shop.cache import ProfileCache
from clara_kit.shop.fetcher import ShopifyCustomerFetcher, shop_domain

GUIDE = "For the shop live: data/shopify/going_live.md says what to set, from an empty shop on."


def shop_keys(environ: Mapping[str, str], env_file: Mapping[str, str]) -> Finding:
    """Which of the shop's settings are there and from where, and whether they are enough."""
    places = {name: source(name, environ, env_file) for name in TABLE["shopify"].variables}
    found = {name: place for name, place in places.items() if place}
    if not found:
        return Finding("Keys", "Shopify", "absent", "SHOPIFY_SHOP is not set", GUIDE)
    text = ", ".join(f"{name} from {place}" for name, place in found.items())
    missing = lacking(set(found))
    if missing:
        todo = f"Set {missing} too. {GUIDE}"
        return Finding("Keys", "Shopify", "note", f"{text}; {missing} is missing", todo)
    return Finding("Keys", "Shopify", "ok", text)


def lacking(found: set[str]) -> str:
    """What is missing for the shop to be asked; empty where nothing is."""
    shop, token, *client = TABLE["shopify"].variables
    missing = [name for name in client if name not in found]
    if shop not in found:
        return shop
    if token in found or not missing:
        return ""
    return missing[0] if len(missing) == 1 else f"{token} (or {' and '.join(client)})"


def shop_address(keys: Keys) -> dict[str, str]:
    """The shop's address, for the look at what can be reached; empty where there is none, or none that is one."""
    if keys.shopify_base_url:
        return {"shopify": TABLE["shopify"].address(keys)}
    try:
        return {"shopify": f"https://{shop_domain(keys.shopify_shop)}"} if keys.shopify_shop else {}
    except ClaraError:
        return {}


def check_cache(cache: ProfileCache) -> tuple[Finding, ...]:
    """What the profile cache holds, if anything, and whether its file is its owner's alone."""
    stats = cache.stats_now()
    if stats.warnings:
        todo = "ProfileCache().clear() begins it anew; nothing but the cache is lost."
        return (Finding("Offline world", "cache", "note", "; ".join(stats.warnings), todo),)
    if not stats.answers:
        return ()
    oldest = f", the oldest {stats.oldest_s / 3600:.1f} h old" if stats.oldest_s is not None else ""
    text = f"{stats.answers} answers, {stats.file_bytes / 1024:.0f} KiB{oldest}"
    return (Finding("Offline world", "cache", "ok", text),)


def check_own_templates(folder: Path | None = None) -> tuple[Finding, ...]:
    """Your own templates: how many, and each mistake with its file and line."""
    paths = sorted((folder or template_file.MINE).glob("*.md"))
    broken: list[str] = []
    for path in paths:
        try:
            PromptTemplate.load(path)
        except TemplateError as exc:
            broken.append(exc.message)
    if broken:
        todo = "Mend the template, or delete the file: it is yours, in data/prompts/mine."
        return (Finding("Offline world", "templates", "note", " ".join(broken), todo),)
    text = f"{len(paths)} of your own, none with a mistake"
    return (Finding("Offline world", "templates", "ok", text),) if paths else ()


def ask_shop(keys: Keys, settings: Settings) -> Finding | None:
    """What the shop itself says: its name, the scopes the app has and lacks, the version served. Free.

    None where no shop is set up.
    """
    if keys.shopify_shop is None:
        return None

    try:
        found = asyncio.run(_asked(keys, settings))
    except ClaraError as exc:
        return Finding("Keys", "Shopify", "problem", exc.message, exc.hint.capitalize())
    text = f"{found.shop_name} ({found.domain}), API {found.served_version or 'unknown'}"
    text += f", scopes: {', '.join(found.scopes) or 'none'}"
    told = [*(f"{scope} is missing" for scope in found.missing), *found.warnings]
    todo = f"Give the app what is missing and install it again. {GUIDE}" if found.missing else ""
    return Finding("Keys", "Shopify", "note" if told else "ok", "; ".join([text, *told]), todo)


def try_shop(keys: Keys, settings: Settings) -> KeyAnswer:
    """Whether the shop takes what stands in `keys`. Free; blocks, outside of any event loop."""
    if keys.shopify_shop is None:
        return KeyAnswer("refused", "No shop was given.", "enter the name that ends in .myshopify.com.")
    try:
        found = asyncio.run(_asked(keys, settings))
    except ClaraError as exc:
        away = isinstance(exc, ProviderError) and exc.retryable
        return KeyAnswer("unreachable" if away else "refused", exc.message, exc.hint)
    if found.missing:
        hint = "give the app these rights and install it again."
        return KeyAnswer("ok", f"Shopify takes the key, but rights are missing: {', '.join(found.missing)}.", hint)
    return KeyAnswer("ok", "Shopify takes the key.")


async def _asked(keys: Keys, settings: Settings) -> ShopCheck:
    async with ShopifyCustomerFetcher.from_keys(keys, settings) as shop:
        return await shop.check()
