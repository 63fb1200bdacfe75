"""Asks the shop who the customer is, through `api.py`, the only module of this room with a network.

Comes before the profile parser, and after the cache, which it asks first. How long a greeting waits for it is the
conversation's own timer; everything that can go wrong here ends as a `ShopError` with a remedy, or as a warning beside what came all the same. Neither a message nor a log line holds a token, an e-mail or a name.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Self, TypeVar

from clara_kit.core.errors import SettingsError
from clara_kit.core.settings import Keys, Settings
from clara_kit.shop.answer import REQUIRED_SCOPES, Found, ShopAnswer, ShopCheck, access_problems, narrower, warnings_of
from clara_kit.shop.api import AdminApi, Credentials
from clara_kit.shop.cache import ProfileCache
from clara_kit.shop.clean import TITLE_CHARS, clean_text
from clara_kit.shop.errors import SCOPE, Problem, ShopError
from clara_kit.shop.pages import joined, next_request
from clara_kit.shop.parse import profile_of, zone_of
from clara_kit.shop.queries import API_VERSION, FULL, SCOPES, customer_ref, request_body

_SHOP = re.compile(r"([a-z0-9][a-z0-9-]{0,60})(\.myshopify\.com)?")
_API_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}|unstable")
_DISK_MS = 250  # a disk that is slower than this is done without
PAGES_MS = 600.0  # for all further pages together: a greeting waits for the profile 1500 ms at most
MOST_PAGES = 4
T = TypeVar("T")


def shop_domain(shop: str) -> str:
    """`name`, `name.myshopify.com` or its address as the domain; raises `ShopError` for anything else.

    Nothing else is let through, for the token goes wherever this says.
    """
    found = _SHOP.fullmatch(shop.strip().lower().removeprefix("https://").rstrip("/"))
    if found is None:
        raise ShopError("bad_shop_name")
    return f"{found[1]}.myshopify.com"


class ShopifyCustomerFetcher:
    """Profiles of one shop's customers. Enter it before use: `async with ShopifyCustomerFetcher(...) as shop`.

    token: of a custom app; or client_id and client_secret of an app of the Dev Dashboard. base_url: another
    server that speaks the protocol. timeout_ms: the longest that anything takes, retries included. clock: seconds,
    monotonic. today: the day from which purchases are counted; None: today where the shop is. http: retry, sleep, transport, as `AdminApi` has them.
    """

    def __init__(
        self,
        shop: str,
        token: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        api_version: str = API_VERSION,
        base_url: str | None = None,
        cache: ProfileCache | None = None,
        timeout_ms: float = 10_000,
        *,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], date] | None = None,
        **http: Any,
    ) -> None:
        self.shop = shop_domain(shop)
        self.api_version, self.cache, self.timeout_ms = api_version, cache, timeout_ms
        if not _API_VERSION.fullmatch(api_version):
            raise SettingsError("That is no API version of Shopify's.", hint=f"use {API_VERSION!r}.")
        address, credentials = base_url or f"https://{self.shop}", Credentials(token, client_id, client_secret)
        self._api = AdminApi(address, api_version, credentials, timeout_ms=timeout_ms, clock=clock, **http)
        self._clock, self._today = clock, today
        self._tasks: set[asyncio.Task[Any]] = set()

    @classmethod
    def from_keys(cls, keys: Keys, settings: Settings, *, cache: ProfileCache | None = None, **more: Any) -> Self:
        """A fetcher from `Keys` and `Settings`; raises `SettingsError` that names what is missing."""
        client = keys.shopify_client_id or keys.shopify_client_secret
        by_client = keys.shopify_admin_token is None and client
        return cls(
            keys.need("shopify_shop"),
            token=None if by_client else keys.need("shopify_admin_token"),
            client_id=keys.need("shopify_client_id") if by_client else None,
            client_secret=keys.need("shopify_client_secret") if by_client else None,
            api_version=settings.shopify_api_version,
            base_url=keys.shopify_base_url or None,
            cache=cache,
            **more,
        )

    def __repr__(self) -> str:
        return f"ShopifyCustomerFetcher({self.shop}, API {self.api_version})"

    async def __aenter__(self) -> Self:
        self._api.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._api.aclose()

    # --- what can be asked -------------------------------------------------------------------------------

    async def fetch(self, customer: int | str, *, fresh: bool = False) -> ShopAnswer:
        """The profile of a customer, by number, gid or e-mail. `fresh`: not from the cache.

        Raises `ShopError`, at the latest after `timeout_ms`.
        """
        began_s = self._clock()
        ref = customer_ref(customer)
        if ref is None:
            says = "That is no customer: neither a number, nor a gid, nor an e-mail address"
            raise ShopError("not_found", says=says, hint="customers are asked for by one of these.")
        if self.cache is not None and not fresh:
            hit = await self._briefly(self.cache.get(self.shop, ref), None)
            if hit is not None:
                known = self._answer(hit.node, began_s, hit.warnings)
                return replace(known, source="cache", age_s=hit.age_s)
        found = await self._within_timeout(self._find(ref, self._until_s(began_s)))
        found = await self._with_further_pages(found)
        warnings = warnings_of(found.reply, self.api_version, found.refused)
        if self.cache is not None and found.lasting:
            keep = self.cache.put(self.shop, ref, found.node, complete=found.complete, warnings=warnings)
            await self._briefly(keep, False)
        known = self._answer(found.node, began_s, warnings)
        return replace(known, cost=found.reply.cost, served_version=found.reply.served_version)

    def _answer(self, node: dict[str, Any], began_s: float, warnings: tuple[str, ...]) -> ShopAnswer:
        today = self._today() if self._today is not None else datetime.now(zone_of(node)).date()
        profile = profile_of(node, today=today)
        return ShopAnswer(profile=profile, source="shop", warnings=warnings, took_ms=self._since_ms(began_s))

    async def check(self) -> ShopCheck:
        """Does the token open the shop, and which of the scopes are missing? Raises `ShopError`."""
        began_s = self._clock()
        body = {"query": SCOPES, "operationName": "Scopes"}
        reply = await self._within_timeout(self._api.ask(body, "shop", self._until_s(began_s)))
        shop, app = reply.data.get("shop"), reply.data.get("currentAppInstallation")
        listed = app.get("accessScopes") if isinstance(app, dict) else None
        if not isinstance(shop, dict) or not isinstance(listed, list):
            raise reply.problems[0].error() if reply.problems else ShopError("bad_answer")
        handles = (str(s.get("handle")) for s in listed if isinstance(s, dict))
        scopes = tuple(sorted(h for h in handles if SCOPE.fullmatch(h)))
        name, domain = str(shop.get("name")), str(shop.get("myshopifyDomain"))
        held = {*scopes, *(s.replace("write_", "read_", 1) for s in scopes if s.startswith("write_"))}
        return ShopCheck(
            shop_name="" if self._api.repeats_a_key(name) else clean_text(name, TITLE_CHARS),
            domain=domain if _SHOP.fullmatch(domain) else "",
            scopes=scopes,
            missing=tuple(s for s in REQUIRED_SCOPES if s not in held),
            served_version=reply.served_version,
            warnings=warnings_of(reply, self.api_version),
            took_ms=self._since_ms(began_s),
        )

    async def forget(self, customer: int | str) -> int:
        """Remove what the cache holds of a customer; says how many answers went."""
        return await self.cache.forget(customer) if self.cache is not None else 0

    async def _find(self, ref: str, until_s: float) -> Found:
        """The customer, with as much of it as the shop gives."""
        variant, refused = FULL, tuple[Problem, ...]()
        while True:
            reply = await self._api.ask(request_body(ref, variant), "customer", until_s)
            node = reply.data.get("customer")
            if isinstance(node, dict):
                node = {**node, "shop": reply.data.get("shop")}
                return Found(node=node, reply=reply, variant=variant, refused=refused)
            denied = access_problems(reply.problems)
            less = narrower(variant, denied)
            if less is None:
                if reply.problems:
                    raise (denied or reply.problems)[0].error()
                if "customer" in reply.data and node is None:
                    hint = "check the id or e-mail; Clara greets without."
                    raise ShopError("not_found", says="The shop knows no such customer", hint=hint)
                raise ShopError("bad_answer", "it holds no customer")
            variant, refused = less, refused + denied

    async def _with_further_pages(self, found: Found) -> Found:
        """The customer with more orders and items, as far as that is quick; what is missing then stays marked."""
        node, first, until_s = found.node, found.reply, self._clock() + PAGES_MS / 1000
        cost, problems = first.cost, first.problems
        with suppress(TimeoutError, ShopError):  # the first page is worth more than none
            async with asyncio.timeout(PAGES_MS / 1000):
                for _ in range(MOST_PAGES):
                    asked = next_request(node)
                    if asked is None:
                        break
                    reply = await self._api.ask(*asked, until_s)
                    cost, problems = (cost or 0) + (reply.cost or 0), problems + reply.problems
                    more = joined(node, asked[1], reply.data.get(asked[1]))
                    if more is None:
                        break
                    node = more
        return replace(found, node=node, reply=replace(first, cost=cost, problems=problems))

    # --- time and tasks ----------------------------------------------------------------------------------

    def _since_ms(self, began_s: float) -> float:
        return (self._clock() - began_s) * 1000

    def _until_s(self, began_s: float) -> float:
        return began_s + self.timeout_ms / 1000

    async def _within_timeout(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(self.timeout_ms / 1000):
                return await work
        except TimeoutError:
            failure = ShopError("timeout", f"nothing useful within {self.timeout_ms:.0f} ms")
        raise failure

    async def _briefly(self, work: Coroutine[Any, Any, T], otherwise: T) -> T:
        """The result of work with the disk, unless it is too slow; then it goes on alone."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task}, timeout=_DISK_MS / 1000)
        return task.result() if task.done() else otherwise
