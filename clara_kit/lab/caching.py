"""What a designer tries on the response cache: a situation, further ways of asking, how strict it should be, and its sound.

Between `clara_kit/cache` and the notebook. Ways of asking that are added here are drafts: they are kept in a file of their own
(`data/faq/mine/`), and what the kit ships is never written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import yaml
from msgspec import structs

from clara_kit import data_files
from clara_kit.cache.faq import Curated
from clara_kit.cache.responses import Entry, Hit, ResponseCache, Scope
from clara_kit.cache.scope import shop_marks
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.core.settings import Settings
from clara_kit.lab.voiced import TAIL_MS, in_turn, voiced
from clara_kit.measure.run import Run
from clara_kit.prompts.catalog import Catalog
from clara_kit.prompts.template import PromptTemplate
from clara_kit.store import disk
from clara_kit.world.personas import Persona
from clara_kit.world.sim import simulate

MINE = DATA / "faq" / "mine" / "asked.yml"
STEPS = tuple(n / 50 for n in range(51))  # of the similarity that is asked for
NEAREST = 8  # of which the first that the guard lets pass is taken
PAUSE_MS = 900.0  # between the two that are heard one after the other
_HINT = "it holds lists of questions, by the name of an answer; delete it to begin anew."


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Who asks, and what is true at the time. customer: an invented one's name, empty: a stranger. prompt: a template's name.

    reworded: that prompt was edited since. product, price_clp, sold_out: of one product another price (0: its own), or none left. date: ISO, in Chile.
    """

    customer: str = ""
    prompt: str = "warm"
    reworded: bool = False
    product: str = ""
    price_clp: int = 0
    sold_out: bool = False
    date: str = "2026-12-01"
    model: str = Settings().llm_model

    @property
    def scope(self) -> Scope:
        """What an answer must be true for."""
        template = PromptTemplate.load(self.prompt)
        profile = Persona.load(self.customer).profile if self.customer else None
        return Scope(
            customer=self.customer, skin=(profile.skin_type or "").lower() if profile is not None else "",
            prompt="reworded" if self.reworded else template.hash, model=self.model, date=self.date, **shop_marks(self.catalog),
        )  # fmt: skip

    @property
    def catalog(self) -> Catalog:
        """The shop's, with what is changed in it."""
        shop = Catalog.load()
        found = shop.get(self.product)
        if found is None:
            return shop
        stock = 0 if self.sold_out else found.stock
        changed = replace(found, price_clp=self.price_clp or found.price_clp, stock=stock)
        return Catalog(tuple(changed if one is found else one for one in shop), shop.hash)


class Drafts:
    """Ways of asking that somebody added by hand: `asked`, by the name of the answer. On disk, and never in the kit's own files."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or MINE
        self.asked: dict[str, tuple[str, ...]] = {}
        if self._path.is_file():
            held = data_files.data(self._path)
            if not isinstance(held, dict) or not all(isinstance(one, list) for one in held.values()):
                raise ScriptError(f"{self._path.name} is no list of questions.", hint=_HINT)
            self.asked = {name: tuple(map(str, ways)) for name, ways in held.items()}

    def add(self, name: str, way: str, cache: ResponseCache) -> ResponseCache:
        """One more way to ask; returns the cache with it. Raises `ScriptError` where it belongs to another answer, and keeps nothing."""
        way = " ".join(way.split())
        grown = cache.with_asked(name, [way])
        self._write({**self.asked, name: (*self.asked.get(name, ()), way)})
        return grown

    def drop(self, name: str, way: str) -> None:
        """Forget a way that was added."""
        left = tuple(one for one in self.asked.get(name, ()) if one != way)
        self._write({**self.asked, name: left})

    def on(self, cache: ResponseCache) -> ResponseCache:
        """A cache that knows them too; those that do not fit any more are left out."""
        for name, ways in self.asked.items():
            for way in ways:
                try:
                    cache = cache.with_asked(name, [way])
                except ScriptError:
                    continue
        return cache

    def _write(self, asked: Mapping[str, tuple[str, ...]]) -> None:
        self.asked = {name: ways for name, ways in asked.items() if ways}
        with disk("The way of asking cannot be kept", "is there room on the disk?"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            held = {name: list(ways) for name, ways in self.asked.items()}
            self._path.write_text(yaml.safe_dump(held, allow_unicode=True, sort_keys=True), encoding="utf-8")


LETS_PASS = (
    (), ("topic",), ("verb", "tense"), ("person", "comparison", "follows"), ("product", "place", "skin"),
    ("ingredient", "number", "date"), ("negation", "pregnancy", "child", "condition"),
)  # fmt: skip
"""What a guard lets pass, from the strictest to none at all: each of them also what those before it do."""


class Point(NamedTuple):
    """How a law fares: of the held-out ways of asking, the share that gets its answer; of all questions, the share that gets a wrong one."""

    likeness: float
    right: float
    wrong: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Right answers against wrong ones: for each guard of `LETS_PASS` at each likeness that is asked for, and as the cache decides.

    ways: how many were held out. misses: how many near misses. wrong: those that got a wrong answer of the cache, and which.
    """

    guards: tuple[tuple[Point, ...], ...]
    shipped: Point
    ways: int
    misses: int
    wrong: tuple[tuple[str, str], ...] = ()


class _Tried(NamedTuple):
    near: tuple[
        tuple[float, frozenset[str], bool | None], ...
    ]  # best first: likeness, what differs, right, wrong or nobody knows
    shipped: tuple[bool, bool | None]
    way: bool
    text: str
    by: str

    def served(self, passing: frozenset[str], likeness: float) -> bool | None:
        """What it would get of a guard: right, wrong, or None for no answer, or one that nobody has judged."""
        return next((right for alike, differs, right in self.near if differs <= passing and alike >= likeness), None)


@lru_cache(maxsize=2)
def curve(faq: tuple[Curated, ...]) -> Curve:
    """Every way of asking, tried on a cache that does not know it, and every near miss.

    A near miss is wrong where it gets the answer that it must not get; that of a third question nobody has judged, and it counts as
    none. Computed on this machine; whoever wrote these questions wrote both halves.
    """
    tried = tuple(_tried(faq))
    ways, passing = sum(one.way for one in tried), frozenset[str]()

    def point(likeness: float, verdicts: list[bool | None]) -> Point:
        return Point(likeness, verdicts.count(True) / max(1, ways), verdicts.count(False) / max(1, len(tried)))

    guards = []
    for more in LETS_PASS:
        passing |= {*more}
        guards.append(tuple(point(step, [one.served(passing, step) for one in tried]) for step in STEPS))
    return Curve(
        guards=tuple(guards),
        shipped=point(1.0, [one.shipped[1] for one in tried]),
        ways=ways, misses=len(tried) - ways,
        wrong=tuple((one.text, one.by) for one in tried if one.shipped[1] is False),
    )  # fmt: skip


def _tried(faq: tuple[Curated, ...]) -> Iterator[_Tried]:
    for n in range(max((len(one.asked) for one in faq), default=0)):  # of each answer its n-th way is held out
        cache = ResponseCache(faq=[structs.replace(one, asked=(*one.asked[:n], *one.asked[n + 1 :])) for one in faq])
        for one in faq:
            if n < len(one.asked):
                yield _try(cache, one, one.asked[n], way=True)
    cache = ResponseCache(faq=faq)
    for one in faq:
        for miss in one.unlike:
            yield _try(cache, one, miss.text, way=False)


def _try(cache: ResponseCache, own: Curated, text: str, *, way: bool) -> _Tried:
    scope = Scope(skin=own.skin[0] if own.skin else "", date=str(own.from_ or ""))

    def right(entry: Entry) -> bool | None:
        return entry.id == own.id if way else False if entry.id == own.id else None

    near = [one for one in cache.nearest(text, n=NEAREST) if not cache.holds(one.entry, scope)]
    found = cache.look_up(text, scope)
    served = (True, right(found.entry)) if isinstance(found, Hit) else (False, None)
    by = found.entry.id if isinstance(found, Hit) else ""
    return _Tried(
        tuple((one.similarity, frozenset(one.differs), right(one.entry)) for one in near), served, way, text, by
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The same question without the cache and with it. `waits_ms`: to the first sound that is heard, simulated."""

    without: Run
    kept: Run

    @property
    def waits_ms(self) -> tuple[float | None, float | None]:
        """Until Clara is heard; None where she was not."""
        without, kept = (
            next((turn.total_ms for turn in run.ledger if turn.kind != "greeting"), None)
            for run in (self.without, self.kept)
        )
        return without, kept

    def sound(self) -> bytes:
        """Both, one after the other, as a WAV. Raises `AudioError` where the offline voice is not installed."""
        runs = (self.without, self.kept)
        return in_turn((voiced(run, run.words, None, 0.0, run.events[-1].at_ms + TAIL_MS) for run in runs), PAUSE_MS)


@lru_cache(maxsize=16)
def both(question: str, latency: str = "published") -> Pair:
    """A question, simulated with the preset fast without its cache and with it. Raises `ClaraError`."""
    fast = Settings.preset("fast").with_changes(greeting="")
    without, kept = (
        simulate([question], fast.with_changes(enable_response_cache=on), latency=latency) for on in (False, True)
    )
    return Pair(without=without, kept=kept)
