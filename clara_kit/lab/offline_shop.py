"""A shop to try the fetcher against: Shopify's twin with the invented customers, and a fetcher that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from clara_kit.lab.sheet import Sheet
from clara_kit.runtime.compose import TWIN_KEY, TWIN_SHOP
from clara_kit.shop.cache import ProfileCache
from clara_kit.shop.errors import ShopError
from clara_kit.shop.fetcher import ShopifyCustomerFetcher
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile


@asynccontextmanager
async def offline_shop(
    cache: ProfileCache | None = None,
    *,
    faults: Sequence[Fault] = (),
    latency: str = "published",
    seed: int = 0,
    **fetcher: Any,
) -> AsyncIterator[ShopifyCustomerFetcher]:
    """A fetcher in front of the twin, both closed at the end.

    `faults` count requests from 1. More arguments go to the fetcher, e.g. timeout_ms.
    """
    from clara_kit.world.twins.base import TwinContext
    from clara_kit.world.twins.server import TwinServer
    from clara_kit.world.twins.shopify.twin import ShopifyTwin

    box = FaultBox(faults)
    context = TwinContext(profile=LatencyProfile.load(latency), seed=seed, faults=box, keys=frozenset({TWIN_KEY}))
    async with TwinServer([ShopifyTwin.of_personas(context)], faults=box) as server:
        base_url = server.addresses["shopify"]["base_url"]
        shop = ShopifyCustomerFetcher(TWIN_SHOP, TWIN_KEY, base_url=base_url, cache=cache, **fetcher)
        async with shop:
            yield shop


async def shop_errors(
    faults: Sequence[Fault], customer: str = "camila@example.com", *, timeout_ms: float = 3000
) -> Sheet:
    """What the fetcher makes of each fault of the twin: the profile's fields or the error, and what to do about it."""
    rows = []
    for fault in faults:
        async with offline_shop(faults=[fault], latency="fast", timeout_ms=timeout_ms) as shop:
            try:
                answer = await shop.fetch(customer)
                outcome = "known: " + (", ".join(answer.profile.known_fields) or "nothing")
                kind, todo = "warning" if answer.warnings else "mended by itself", " ".join(answer.warnings)
            except ShopError as exc:
                outcome, kind, todo = exc.message, exc.reason, exc.hint
        shop_does = str(fault).removeprefix("shop: ")
        rows.append({"the shop": shop_does, "kind": kind, "outcome": outcome, "what to do": todo})
    return Sheet.of(rows)
