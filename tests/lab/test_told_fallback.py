"""Whatever happens in fallback can be told: in sentences, lanes, the ledger, the window."""

from __future__ import annotations

import re
from functools import cache

from clara_kit.core import commands as do
from clara_kit.core.records import Ignored, Record
from clara_kit.lab.sentences import in_plain
from tests.lab.unlucky import unlucky

RAW = re.compile(r"internal error|not an event of this kit|its time is no time|^A setting is wrong")  # for engineers
SEEDS = range(60)


@cache
def traces() -> tuple[tuple[Record, ...], ...]:
    return tuple(unlucky(seed, luck=(0.3, 0.6, 0.85)[seed % 3]) for seed in SEEDS)


def test_every_reason_of_fallback_is_told_in_both_languages() -> None:
    reasons = {r.reason for trace in traces() for r in trace if isinstance(r, do.Command | Ignored)}
    unknown = sorted(r for r in reasons if not RAW.search(r) and not (in_plain(r) and in_plain(r, "es")))
    assert not unknown, "in clara_kit/lab/sentences.yml lack:\n" + "\n".join(unknown)
