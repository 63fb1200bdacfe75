"""The fast design beside the plan's serial one, simulated in the same build: 20,000 turns each, as ratios with their limits.

Published profile, replies of 60 tokens whose first sentence has 22, only levers whose effect was published or follows from
published figures. Nothing here is a vendor's measurement.

    python -m tests.bench.latency        # only this comparison
"""

from __future__ import annotations

from statistics import median, quantiles
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from clara_kit.core.settings import Settings
from clara_kit.lab.budget.levers import Given
from clara_kit.lab.budget.played import played

TURNS, EACH = 20_000, 200  # of a conversation
SLOW_MS = 3900.0  # an avatar's start that takes longer is one of the rare slow ones
_AVATAR = "first_audio → speaking_started"
DESIGNS = {
    "serial": Settings.of(enable_chunked_heygen=False),
    "fast": Settings.preset("fast"),
    "fast, openers": Settings.preset("fast").with_changes(openers=True),
}


class Ratio(NamedTuple):
    """What one design takes of the serial one's time, and what it may take. which: a column of `measured`."""

    design: str
    which: str
    limit: float
    says: str


RATIOS = (
    Ratio("fast, openers", "p50", 0.50, "first sound, p50, with openers"),
    Ratio("fast", "p50", 0.83, "first sound, p50, without"),
    Ratio("fast, openers", "answer_p50", 0.66, "the answer's first word at the ear, p50, with openers"),
    Ratio("fast, openers", "usual_p95", 0.60, "first sound, p95 without slow starts, with openers"),
)


def measured(settings: Settings, turns: int = TURNS, *, seed: int = 0) -> dict[str, float]:
    """Of so many turns, in ms: to the avatar's own word that it speaks; and to the answer's first word, as the ear hears both."""
    first, usual, answers = [], [], []
    for n in range(max(1, turns // EACH)):
        run = played(settings, Given(), turns=min(turns, EACH), seed=seed + n)
        for turn in run.ledger:
            if turn.kind != "greeting" and turn.total_ms is not None:
                spoke_ms = turn.points["speaking_started"] - turn.points["words_ended"]
                first.append(spoke_ms)
                usual += [spoke_ms] * (turn.stages[_AVATAR] < SLOW_MS)
                answers.append(turn.total_ms if turn.answer_ms is None else turn.answer_ms)
    return {
        "turns": len(first), "p50": median(first), "p95": quantiles(first, n=20)[-1],
        "usual_p95": quantiles(usual, n=20)[-1], "answer_p50": median(answers), "under_800": sum(ms < 800 for ms in first) / len(first),
    }  # fmt: skip


def latency(turns: int = TURNS) -> dict[str, Any]:
    """Each design's figures, and the ratios: (what it says, ratio, limit)."""
    found = {name: measured(settings, turns) for name, settings in DESIGNS.items()}
    ratios = [(r.says, found[r.design][r.which] / found["serial"][r.which], r.limit) for r in RATIOS]
    return {"turns": turns, "designs": found, "ratios": ratios}


def table(found: dict[str, Any]) -> Table:
    """The ratios beside their limits."""
    serial = found["designs"]["serial"]
    title = f"Latency of {found['turns']:,} simulated turns, published profile: of the serial design's {serial['p50']:.0f} ms (p95 {serial['p95']:.0f})"
    shown = Table("", "ratio", "limit", "", title=title)
    for says, ratio, limit in found["ratios"]:
        shown.add_row(says, f"{ratio:.3f}", f"{limit:.2f}", "met" if ratio <= limit else "NOT MET")
    return shown


if __name__ == "__main__":
    console = Console()
    console.print(table(latency()))
