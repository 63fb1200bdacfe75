"""Backwards: a target and a share of turns are named, and what reaches them is told, or what each unknown would have to be.

Cheapest is what needs the fewest levers that are unproven; of these, the fewest that end turns by another rule (nobody has
published what that costs in Spanish); then the fewest that are not built yet; then the least that is assumed of the shop (how often a kept answer fits, say), the
fewest calls of the model, and the fewest levers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from clara_kit.lab.budget.figures import ROWS, figures, seen
from clara_kit.lab.budget.levers import LEVERS, OPENERS, PLAN, SENT_AHEAD_MS, UNPROVEN, Given, Levers, cost
from clara_kit.lab.budget.times import AS_IT_IS, AT_ONCE, Draws, Factors, draws, times
from clara_kit.lab.sentences import Language, table

ALL = Levers(**{name: name != "finalize" for name in LEVERS})
PROVEN = ALL.but(**dict.fromkeys(UNPROVEN, False))
NEAR = 0.03  # a share of `ROWS` turns that far below the one that is wanted is below it in all turns too
_STEPS = 12  # of a bisection: to a fraction of a millisecond


class Need(NamedTuple):
    """What one unknown must be, all else as published. ms: at most (send_ahead: at least); None: it cannot do it alone."""

    unknown: str
    ms: float | None
    published_ms: float
    n: int | None


class Reached(NamedTuple):
    """levers: the cheapest that reach it; None: none does. share: of turns within the target, by these or by all levers.

    proven: the share by all levers but the unproven ones. needs: what each unknown must be, with everything that is built.
    """

    target_ms: float
    wanted: float
    levers: Levers | None
    share: float
    proven: float
    needs: tuple[Need, ...]
    heard: bool
    hits: float

    def told(self, language: Language = "en") -> str:
        """In sentences."""
        words, es = table("budget"), language == "es"
        fields = {
            "target": f"{self.target_ms:.0f}", "wanted": percent(self.wanted), "share": percent(self.share), "proven": percent(self.proven),
            "to": words["to_ear" if self.heard else "to_first"][es],
        }  # fmt: skip
        if self.levers is None:
            head = words["not_reached"][es]
        else:
            fields["levers"] = ", ".join(words[name][es] for name in self.levers) or words["plan"][es]
            head = words["reached_unproven" if set(self.levers) & {*UNPROVEN} else "reached"][es]
        if self.levers is not None and self.levers.cache:
            head += " " + words["assumed_hits"][es]
            fields["hits"] = percent(self.hits)
        said, safe = [head], self.levers is not None and not set(self.levers) & {*UNPROVEN}
        for need in () if safe else self.needs:
            n = words["few"][es].format(n=need.n) if need.n else ""
            key = f"need_{need.unknown}" if need.ms is not None else f"never_{need.unknown}"
            said.append(
                words[key][es].format(ms=f"{need.ms or 0:.0f}", published=f"{need.published_ms:.0f}", n=n, **fields)
            )
        return " ".join(said).format(**fields)


def percent(share: float) -> str:
    """A share as a person reads it: never 0 where it is more, nor 100 where it is less."""
    told = (
        "<0.1"
        if 0 < share < 0.001
        else ">99.9"
        if 0.999 < share < 1
        else f"{share * 100:.1f}"
        if 0 < share < 0.1
        else f"{share * 100:.0f}"
    )
    return f"{told}\u00a0%"


@lru_cache(maxsize=1)
def _choices() -> tuple[Levers, ...]:
    """Every choice in which no lever waits for another that is not pulled."""
    found = []
    for pulled in product((False, True), repeat=len(LEVERS)):
        levers = Levers(**dict(zip(LEVERS, pulled, strict=True)))
        idle = any(lever.needs and lever.needs not in {*levers} for n, lever in LEVERS.items() if n in {*levers})
        if not idle and not (levers.flux and levers.finalize):
            found.append(levers)
    return tuple(found)


def _price(levers: Levers, given: Given) -> tuple[float, ...]:
    pulled = [LEVERS[name] for name in levers]
    unproven = sum(name in UNPROVEN for name in levers)
    other_ends, unbuilt = sum(one.ends_turns for one in pulled), sum(not one.setting for one in pulled)
    calls = cost(levers, given).prompt_tokens - cost(PLAN, given).prompt_tokens
    return unproven, other_ends, unbuilt, sum(one.mark == "assumed" for one in pulled), max(0.0, calls), len(pulled)


def _below(target_ms: float, given: Given, d: Draws, *, heard: bool) -> Callable[..., float]:
    """The share of turns below the target, by levers and by factors."""

    def of(levers: Levers, but: Factors = AS_IT_IS) -> float:
        what = times(levers, given, d, but)
        return float(np.mean((what.ear if heard else what.first) < target_ms))

    return of


class _Limits(NamedTuple):
    best: float
    proven: float
    needs: tuple[Need, ...]


@lru_cache(maxsize=64)
def _limits(target_ms: float, share: float, given: Given, d: Draws, *, heard: bool = False) -> _Limits:
    """The share by all levers, by all but the unproven ones, and what each unknown must be."""
    of = _below(target_ms, given, d, heard=heard)
    finalized = {"flux": False, "eager": False, "finalize": True}
    whole = _below(target_ms, given, draws(given.profile), heard=heard)  # what is told is what the tables show
    best, proven = (max(whole(one), whole(one.but(**finalized))) for one in (ALL, PROVEN))
    law = d.profile.laws["avatar_start"]
    start = _border(lambda by: of(OPENERS, Factors(stages=(("avatar_start", by),))) >= share, 1.0)
    ahead = _border(lambda by: of(OPENERS.but(send_ahead=True), Factors(sent_ahead=2 - by)) >= share, 2.0)
    middle = sum(d.gain(AT_ONCE) or SENT_AHEAD_MS) / 2
    return _Limits(best, proven, (
        Need("start", None if start is None else start * law.middle, law.middle, seen(law)),
        Need("send_ahead", None if ahead is None else (2 - ahead) * middle, middle, None),
    ))  # fmt: skip


def reach(target_ms: float, share: float, given: Given | None = None, *, heard: bool = False) -> Reached:
    """What brings this share of turns below the target. heard: as the ear hears it. Raises `ScriptError` for a profile."""
    given = given or Given()
    return _reached(target_ms, share, given, draws(given.profile, ROWS), heard)


@lru_cache(maxsize=64)
def _reached(target_ms: float, share: float, given: Given, d: Draws, heard: bool) -> Reached:
    of, limits = _below(target_ms, given, d, heard=heard), _limits(target_ms, share, given, d, heard=heard)
    whole, levers = _below(target_ms, given, draws(given.profile), heard=heard), None
    if limits.best >= share:
        cheapest = sorted(_choices(), key=lambda one: _price(one, given))
        levers = next((one for one in cheapest if of(one) > share - NEAR and whole(one) >= share), None)
    found = whole(levers) if levers else limits.best
    return Reached(target_ms, share, levers, found, limits.proven, limits.needs, heard, given.hit_share)


def _border(reaches: Callable[[float], bool], most: float) -> float | None:
    """The greatest value from 0 to `most` that still reaches it."""
    if not reaches(0.0):
        return None
    low, high = 0.0, most
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if reaches(middle) else (low, middle)
    return low


def can_we(target_ms: float = 600.0, given: Given | None = None, language: Language = "en") -> str:
    """The honest answer in one sentence; every number in it is calculated here and now."""
    given, words = given or Given(), table("budget")
    found = _limits(target_ms, 0.5, given, draws(given.profile, ROWS))
    start = found.needs[0].ms
    best = figures(OPENERS, given)
    key = "cannot" if found.proven < 0.5 else "can"
    law = draws(given.profile).profile.laws["avatar_start"]
    return words[key][language == "es"].format(
        target=f"{target_ms:.0f}", proven=percent(found.proven), first=f"{best.first_p50.value:.0f}", ear=f"{best.ear_p50.value:.0f}",
        answer=f"{best.answer_ear_p50.value:.0f}", start=words["never"][language == "es"] if start is None else f"{start:.0f} ms",
        published=f"{law.middle:.0f}", n=seen(law) or "?", profile=given.profile,
    )  # fmt: skip
