"""What the shop answered about a customer, kept on this machine for a day: the plan's localStorage cache.

Between `fetcher.py` and the disk (`store.py`). Keeps the raw answer, so that a newer parser can read it anew.
Keys are hashes of shop, customer and query version: no address or number stands in them. The answer itself holds
a first name; that is why the file is its owner's alone and why `forget` overwrites.

An answer fetched by e-mail is kept under the e-mail's hash and tagged with the customer's; a link from the e-mail
to the customer stays as long as anything of the customer does, so that one `forget`, by either, removes all.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clara_kit.core.page import plain, table
from clara_kit.core.paths import DATA
from clara_kit.shop.queries import QUERY_VERSION, customer_ref
from clara_kit.store import Store, StoreStats

HOURS = 24.0  # the plan's
INCOMPLETE_HOURS = 1.0  # of an answer without the parts a plan or scope refuses: someone may be mending that
PATH = DATA / "cache" / "profiles.sqlite3"


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A Customer node as the shop gave it, how old it is, and what was said about it then."""

    node: dict[str, Any]
    age_s: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats(StoreStats):
    """The cache at a glance. `hits` and `misses` since this object was made, the rest as it is on the disk."""

    hits: int
    misses: int
    warnings: tuple[str, ...] = ()

    @property
    def answers(self) -> int:
        """How many are kept."""
        return self.entries

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """What a table of it shows."""
        asked = self.hits + self.misses
        share = f" ({100 * self.hits / asked:.0f} %)" if asked else ""
        return (
            ("answers kept", str(self.answers)),
            ("hits", f"{self.hits}{share}"),
            ("misses", str(self.misses)),
            ("oldest", _age(self.oldest_s)),
            ("newest", _age(self.newest_s)),
            ("size", f"{self.file_bytes / 1024:.0f} KiB"),
            *(("warning", w) for w in self.warnings),
        )

    def _repr_html_(self) -> str:
        return table(self.rows)

    def _repr_pretty_(self, page: Any, _cycle: bool) -> None:
        page.text(plain(self.rows))


class ProfileCache:
    """Answers about customers by shop and customer (id or e-mail). Never raises for what the disk does.

    path: where; by default `data/cache/`, which git ignores. hours: 0 keeps nothing. clock: seconds since 1970.
    """

    def __init__(
        self, path: Path | str | None = None, *, hours: float = HOURS, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = Store(PATH if path is None else path, clock=clock)
        self._hours, self._clock = hours, clock
        self._hits = self._misses = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong with the disk so far."""
        return self._store.warnings

    async def get(self, shop: str, customer: int | str, version: str = QUERY_VERSION) -> CachedAnswer | None:
        """The answer, if one is kept that is young enough."""
        return await asyncio.to_thread(self.get_now, shop, customer, version)

    async def put(
        self,
        shop: str,
        customer: int | str,
        node: dict[str, Any],
        *,
        version: str = QUERY_VERSION,
        complete: bool = True,
        warnings: tuple[str, ...] = (),
    ) -> bool:
        """Keep an answer; False where it could not be kept. An incomplete one lives for an hour at most."""
        hours = self._hours if complete else min(self._hours, INCOMPLETE_HOURS)
        key, value = (_answer_key(shop, _who(customer), version), {"customer": node, "warnings": list(warnings)})
        return hours > 0 and await asyncio.to_thread(self._keep, key, _who(customer), value, hours * 3600)

    async def forget(self, customer: int | str) -> int:
        """Remove everything of one customer, by number, id or e-mail, in every shop; says how many answers went.

        An e-mail that no answer was ever fetched by finds nothing: then the id is needed.
        """
        return await asyncio.to_thread(self.forget_now, customer)

    async def clear(self) -> int:
        """Remove everything; says how many answers went."""
        return await asyncio.to_thread(self.clear_now)

    async def stats(self) -> CacheStats:
        """What it holds and how it served."""
        return await asyncio.to_thread(self.stats_now)

    # --- the same without an event loop, for notebooks ---------------------------------------------------

    def get_now(self, shop: str, customer: int | str, version: str = QUERY_VERSION) -> CachedAnswer | None:
        """As `get`; blocks for about a millisecond."""
        entry = self._store.get(_answer_key(shop, _who(customer), version)) if self._hours else None
        kept = entry.json() if entry is not None else None
        if entry is None or not isinstance(kept, dict) or not isinstance(kept.get("customer"), dict):
            self._misses += 1
            return None
        self._hits += 1
        warnings = kept.get("warnings")
        told = tuple(map(str, warnings)) if isinstance(warnings, list) else ()
        return CachedAnswer(kept["customer"], max(0.0, self._clock() - entry.stored_at), told)

    def forget_now(self, customer: int | str) -> int:
        """As `forget`."""
        who = _who(customer)
        owners = {who, *self._store.tags(f"link:{who}"), *self._store.tags(f"answer:{who}:")}
        gone = self._store.delete(prefix=f"answer:{who}:")
        for owner in owners:
            gone += self._store.delete(prefix="answer:", tag=owner)
            self._store.delete(tag=owner)  # the links
        return gone

    def clear_now(self) -> int:
        """As `clear`."""
        answers = self._store.stats("answer:").entries
        self._store.clear()
        return answers

    def stats_now(self) -> CacheStats:
        """As `stats`."""
        held = self._store.stats("answer:")
        return CacheStats(**asdict(held), hits=self._hits, misses=self._misses, warnings=self.warnings)

    def _keep(self, key: str, who: str, value: dict[str, Any], ttl_s: float) -> bool:
        gid = value["customer"].get("id")
        owner = _who(gid) if isinstance(gid, str) else who
        kept = self._store.put(key, value, ttl_s=ttl_s, tag=owner)
        if kept and who != owner:
            self._store.put(f"link:{who}", b"", ttl_s=ttl_s, tag=owner)
        if kept:
            self._store.renew(owner, "link:", ttl_s=ttl_s)
        return kept


def _who(customer: int | str) -> str:
    return _hash(customer_ref(customer) or str(customer))


def _answer_key(shop: str, who: str, version: str) -> str:
    return f"answer:{who}:{_hash(shop.lower())}:{version}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


def _age(age_s: float | None) -> str:
    if age_s is None:
        return "–"
    if age_s < 120:
        return f"{age_s:.0f} s"
    return f"{age_s / 60:.0f} min" if age_s < 7200 else f"{age_s / 3600:.1f} h"
