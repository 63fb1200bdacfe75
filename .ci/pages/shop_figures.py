"""The figures of the plan's phase 0: does the code load, and what is known of the customer; see `figures.py`."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from pathlib import Path
from tempfile import TemporaryDirectory

import clara_kit
from clara_kit import ProfileCache, simulate
from clara_kit.core import commands as do
from clara_kit.core.errors import ClaraError
from clara_kit.lab.offline_shop import offline_shop
from clara_kit.prompts.briefing import brief
from clara_kit.world.personas import Persona
from pages.answers import COMPUTED, SIM, TWIN, Answer, of
from pages.measured import CUSTOMER, QUESTIONS, Measured

HOURS = 24.0  # the cache's


def modules_load(_m: Measured, _most: float) -> Answer:
    names = [m.name for m in pkgutil.walk_packages(clara_kit.__path__, "clara_kit.") if not m.name.endswith("__main__")]
    broken = []
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as exc:
            broken.append(f"{name}: {exc}")
    return Answer(value=of(len(names) - len(broken), len(names)), mode=COMPUTED, met=not broken, note="; ".join(broken))


def metafields_read(m: Measured, _most: float) -> Answer:
    async def read() -> tuple[int, int, int]:
        right = refused = 0
        async with offline_shop(latency="fast") as shop:
            for persona in (everybody := m.customers):
                try:
                    got = (await shop.fetch(persona.raw["email"])).profile
                except ClaraError:
                    refused += 1
                    continue
                want = persona.profile
                right += (got.skin_type, got.skin_concerns) == (want.skin_type, want.skin_concerns)
        return right, refused, len(everybody)

    right, refused, count = asyncio.run(read())
    note = "The vendor's plan hides customers’ data; until it is upgraded there is no live figure."
    return Answer(value=of(right, count), mode=TWIN, met=right + refused == count, note=note)


def prompts_filled(m: Measured, _most: float) -> Answer:
    texts = [brief("warm", p.profile).prompt.text for p in m.customers]
    whole = sum("{{" not in text and "{%" not in text and "None" not in text for text in texts)
    return Answer(value=of(whole, len(texts)), mode=COMPUTED, met=whole == len(texts))


def profile_cache(_m: Measured, _most: float) -> Answer:
    async def asked(folder: str) -> tuple[list[str], int]:
        now_s = [1_800_000_000.0]
        cache = ProfileCache(Path(folder) / "profiles.sqlite3", clock=lambda: now_s[0])
        sources: list[str] = []
        async with offline_shop(cache=cache, latency="fast") as shop:
            for hours in (0.0, HOURS - 0.1, HOURS + 0.1):
                now_s[0] = 1_800_000_000.0 + hours * 3600
                sources.append((await shop.fetch(Persona.load(CUSTOMER).raw["email"])).source)
            stats = await cache.stats()
        return sources, stats.hits

    with TemporaryDirectory(prefix="clara-pages-") as folder:
        sources, hits = asyncio.run(asked(folder))
    said = f"after 23.9 h from the {sources[1]}, after 24.1 h from the {sources[2]}"
    return Answer(
        value=said,
        mode=TWIN,
        met=sources == ["shop", "cache", "shop"],
        note=f"{hits} of {len(sources)} questions answered from the cache.",
    )


def greets_by_name(m: Measured, _most: float) -> Answer:
    named = right = strangers = 0
    for persona in (everybody := m.customers):
        run = simulate(QUESTIONS[:1], customer=persona, template="warm").revealed()
        greeting = next(record.text for record in run.trace if isinstance(record, do.Speak))
        name = persona.profile.first_name
        named += bool(name)
        right += bool(name) and name in greeting
        strangers += not name and greeting.startswith("¡Hola")
    note = f"{len(everybody)} invented customers; {len(everybody) - named} have no name that can be said: {strangers} of them are greeted without one."
    return Answer(value=of(right, named), mode=SIM, met=right == named, note=note)
