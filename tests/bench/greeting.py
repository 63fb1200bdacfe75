"""Time to greeting: for a stranger, for a customer whom the shop must be asked about, and for one in the cache.

The shop is its twin at the published profile (an estimate of 250 ms for its answer); everything else too. Measured
from the beginning of the conversation, when everything is connected, and from the call of `start()`, which includes
connecting: the shop is asked meanwhile.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from clara_kit import ConversationManager, ConversationState, ProfileCache, Settings, compose
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record

S = ConversationState
KINDS = ("a stranger", "cold", "warm")


async def greetings(rounds: int, profile: str = "published") -> dict[str, dict[str, float]]:
    """Medians in ms: `decided` from the conversation's beginning to the order to speak, `from_start` from the call of
    start() to that order, `heard` to the first sound, and what that `adds` to a stranger's with equal latencies."""
    found: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        cache = ProfileCache(Path(folder) / "profiles.sqlite3")
        for n in range(rounds):
            for kind in KINDS:  # interleaved, so that a busy moment of the machine meets all
                kept = cache if kind == "warm" else None
                if kind == "warm" and n == 0:
                    await _greeting(folder, "camila", kept, profile, seed=n)  # fills the cache
                customer = "" if kind == "a stranger" else "camila"
                found[kind].append(await _greeting(folder, customer, kept, profile, seed=n))
    strangers = found["a stranger"]
    return {
        kind: {
            "decided_ms": median(r[0] for r in rows),
            "heard_ms": median(r[1] for r in rows),
            "from_start_ms": median(r[2] for r in rows),
            "adds_ms": median(r[1] - s[1] for r, s in zip(rows, strangers, strict=True)),
            "ratio": median(r[1] / s[1] for r, s in zip(rows, strangers, strict=True)),
        }
        for kind, rows in found.items()
    }


async def _greeting(
    folder: str, customer: str, cache: ProfileCache | None, profile: str, *, seed: int
) -> tuple[float, float, float]:
    services = compose(
        "twin",
        customer=customer,
        profile_cache=cache,
        profile=profile,
        seed=seed,
        settings=Settings.of(local_vad=False),
    )
    clara = ConversationManager(services, record=False, log_root=Path(folder))
    ordered_s: list[float] = []

    def see(record: Record) -> None:
        if isinstance(record, do.Speak) and not ordered_s:
            ordered_s.append(perf_counter())

    clara.subscribe(see)
    began_s = perf_counter()
    async with clara:
        await clara.until(S.AVATAR_SPEAKING, timeout_s=30)
    trace = clara.conversation.trace
    at = {type(r): r.at_ms for r in reversed(trace)}
    begun_ms = at[ev.ConversationStarted]
    return at[do.Speak] - begun_ms, at[ev.SpeakingStarted] - begun_ms, (ordered_s[0] - began_s) * 1000
