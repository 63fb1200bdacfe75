"""Who meets which variant when a prompt is rolled out to customers: by a hash, so that nobody has to remember it.

The same customer meets the same variant on every machine, and experiments are independent of each other. Each variant
draws a number for each customer, weighed by its share, and the highest wins (weighted rendezvous hashing). When a share is
raised its numbers only grow: customers come to it from the others, and none that met it goes back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import log
from numbers import Integral, Real

from clara_kit.core.errors import ClaraError
from clara_kit.lab.sentences import Language
from clara_kit.lab.statistics.telling import word

_SHARES = 'give shares that add up to 1: {"new": 0.05, "old": 0.95}.'
SUSPICIOUS = 0.001  # the usual limit: such a check is made often, and a false alarm stops a rollout


def assign(customer: str, experiment: str, shares: Mapping[str, float]) -> str:
    """The variant that a customer meets. Raises `ClaraError`.

    customer: an id that stays (the shop's number, never a name or an e-mail). experiment: its name; another name deals
    anew. shares: variant and share, adding up to 1: {"expert": 0.05, "warm": 0.95}; their order does not matter.
    """
    checked = _checked(shares)
    # A number and the same number as text would be two customers.
    if not (customer and experiment and isinstance(customer, str) and isinstance(experiment, str)):
        raise ClaraError(
            "Nobody can be assigned without an id and the name of an experiment.", hint="give both, as text."
        )
    return max((v for v in checked if checked[v] > 0), key=lambda v: (_drawn(customer, experiment, v, checked[v]), v))


def _drawn(customer: str, experiment: str, variant: str, share: float) -> float:
    # As JSON, so that no two triples read alike: «ab» in «c» is not «a» in «bc».
    digest = sha256(json.dumps([experiment, variant, customer]).encode()).digest()
    return share / -log(((int.from_bytes(digest[:8], "big") >> 12) + 0.5) / 2**52)


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether as many customers met each variant as should have. p: by chance, exact for two variants, else chi-squared."""

    p: float
    counts: Mapping[str, int]
    expected: Mapping[str, float]

    @property
    def suspicious(self) -> bool:
        """Something else than chance: some customers were lost on one side, so that no comparison counts."""
        return self.p < SUSPICIOUS

    def told(self, language: Language = "en") -> str:
        """What it means, in a sentence."""
        seen = ", ".join(f"{v} {n:,} ({self.expected[v]:,.0f})" for v, n in self.counts.items())
        return word("ratio_wrong" if self.suspicious else "ratio_right", language, seen=seen, p=f"{self.p:.2g}")

    def __repr__(self) -> str:
        return self.told()


def sample_ratio(counts: Mapping[str, int], shares: Mapping[str, float]) -> SampleRatio:
    """Check the numbers of customers against the shares that they were assigned with. Raises `ClaraError`."""
    from scipy import special

    checked = _checked(shares)
    if not isinstance(counts, Mapping):
        raise ClaraError("Nobody was counted.", hint="give the number of customers that met each variant.")
    if unknown := [str(v) for v in counts if v not in checked]:
        raise ClaraError(f"{', '.join(unknown)} had no share.", hint=f"count only: {', '.join(checked)}.")
    seen = {v: counts.get(v, 0) for v in checked}
    total = sum(seen.values()) if all(isinstance(n, Integral) and 0 <= n < 10**15 for n in seen.values()) else 0
    if total <= 0:
        raise ClaraError("Nobody was counted.", hint="give the number of customers that met each variant.")
    expected = {v: share * total for v, share in checked.items()}
    dealt = [v for v in checked if checked[v] > 0]
    if any(seen[v] for v in seen if v not in dealt):
        p = 0.0  # somebody met what nobody should have met
    elif len(dealt) == 2:
        n, share = float(seen[dealt[0]]), checked[dealt[0]]
        fewer = float(special.bdtr(n, total, share))
        more = float(special.bdtrc(n - 1, total, share)) if n else 1.0
        p = min(1.0, 2 * min(fewer, more))
    else:
        off = sum((seen[v] - expected[v]) ** 2 / expected[v] for v in dealt)
        p = float(special.chdtrc(len(dealt) - 1, off)) if len(dealt) > 1 else 1.0
    return SampleRatio(p, seen, expected)


def _checked(shares: Mapping[str, float]) -> dict[str, float]:
    given = dict(shares) if isinstance(shares, Mapping) else {}
    if not all(isinstance(v, str) and isinstance(share, Real) and 0 <= share <= 1 for v, share in given.items()):
        raise ClaraError("A share is a number from 0 to 1, of a variant by its name.", hint=_SHARES)
    if abs((total := float(sum(given.values()))) - 1) > 1e-9:
        raise ClaraError(f"The shares add up to {total:g}.", hint=_SHARES)
    return {variant: float(share) for variant, share in given.items()}
