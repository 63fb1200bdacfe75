"""`clara calibrate`: measures the vendors that have a key, or the twins, under a limit of money that is agreed on first."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clara_kit.core.errors import SettingsError
from clara_kit.core.outside import printable
from clara_kit.lab.calibrate import calibrate as protocol
from clara_kit.lab.calibrate.bench import Part
from clara_kit.lab.calibrate.mark import cells, gains
from clara_kit.lab.calibrate.tape import Cost, together
from clara_kit.lab.sentences import table
from clara_kit.providers.vendors import TABLE
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.config import load_keys, load_settings
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.pace import loop_factory

USUAL_CAP_USD = 1.0


def calibrate(*, twins: bool, rounds: int, cap_usd: float | None, yes: bool, only: list[str], latency: str) -> int:
    """Ask, measure, tell. Returns 0 if something was measured, else 1."""
    console = Console(highlight=False)
    if rounds < 1 or (cap_usd is not None and not cap_usd >= 0):
        raise SettingsError("There must be a round at least, and no limit below 0.", hint="see clara calibrate --help.")
    if twins:
        console.print(f"Measuring the kit's twins ({_safe(latency)}): this stands for no vendor.")
        return _twins(console, rounds, only, latency)
    keys, settings = load_keys(), load_settings()
    parts = tuple(p for p in protocol.parts_with_key(keys, settings) if not only or p.service in only)
    if not parts:
        raise SettingsError("None of these has a key.", hint="leave --only out, or put its key into .env.")
    services = protocol.live_services(parts, settings, keys)
    costs = protocol.foreseen(parts, services, rounds)
    _foretell(console, parts, costs, rounds, sandbox=settings.avatar_sandbox)
    cap_usd = _agreed(console, together(costs.values()), cap_usd, yes=yes)
    if cap_usd is None:
        return 1
    clock, now = MonotonicClock(), datetime.now().astimezone()
    work = protocol.calibrate(
        services, clock, parts=parts, rounds=rounds, cap_usd=cap_usd, behind="live", now=now, tell=_teller(console)
    )
    return _shown(console, asyncio.run(work))


def _twins(console: Console, rounds: int, only: list[str], latency: str) -> int:
    parts = tuple(part for part in protocol.PARTS if not only or part.service in only)
    how: dict[str, Any] = {"parts": parts, "rounds": rounds, "tell": _teller(console)}
    with asyncio.Runner(loop_factory=loop_factory(protocol.TWINS_PACE)) as runner:
        work = protocol.calibrate_twins(latency, pace=protocol.TWINS_PACE, now=datetime.now().astimezone(), **how)
        return _shown(console, runner.run(work))


def _teller(console: Console) -> protocol.Told:
    def tell(told: protocol.Step | Path) -> None:
        line = f"Kept as {told}"
        if isinstance(told, protocol.Step):
            line = f"{told.number}/{told.rounds} {told.service}: {told.problem or 'ok'}"
        console.print(f"  {_safe(line)}", soft_wrap=True)

    return tell


def _foretell(
    console: Console, parts: tuple[Part, ...], costs: Mapping[str, Cost], rounds: int, *, sandbox: bool
) -> None:
    minutes = rounds * protocol.SECONDS_A_ROUND / 60
    console.print(
        f"[bold]{rounds} rounds[/bold] through these vendors, about {minutes:.0f} minutes; at most, by published prices:"
    )
    for part in parts:
        cost = costs[part.service]
        usd = "unknown" if cost.unknown else f"{cost.usd:.3f} USD"
        free = "  (sandbox: no credits)" if part.service == "avatar" and sandbox else ""
        credits = f"  ({cost.credits:g} credits)" if cost.credits else free
        console.print(f"  {TABLE[part.vendor].name:<11} {part.service:<7} {usd:>12}{credits}")


def _agreed(console: Console, total: Cost, cap_usd: float | None, *, yes: bool) -> float | None:
    """The limit that was agreed on; None: nothing may be spent."""
    if cap_usd is not None and yes:
        return cap_usd
    if not sys.stdin.isatty():
        console.print("Nothing was spent. Say --cap USD --yes to go on without being asked.")
        return None
    if cap_usd is None:
        said = console.input(
            f"Spend at most how many US dollars? [{USUAL_CAP_USD:g}, n: do not] ", markup=False
        ).strip()
        try:
            cap_usd = float(said.replace(",", ".")) if said else USUAL_CAP_USD
        except ValueError:
            return None
        return cap_usd if cap_usd >= 0 else None
    asked = f"About {total.usd:.3f} USD, never more than {cap_usd:g}. Go on? [y/N] "
    return cap_usd if console.input(asked, markup=False).strip().lower() in {"y", "yes"} else None


def _shown(console: Console, done: protocol.Calibration) -> int:
    for note in done.tape.notes:
        console.print(f"[yellow]note[/yellow] {_safe(note)}", soft_wrap=True)
    console.print(f"{table('calibration')[f'ended_{done.ended}'][0]} Spent at most {done.tape.spent.usd:.3f} USD.")
    if done.path is None:
        console.print("Too little was measured for a profile.")
        return 1
    _table(console, LatencyProfile.load(done.path))
    if not done.path.name.startswith("twins"):
        console.print("Use it as latency profile «calibrated»: clara demo --latency calibrated")
    return 0


def _table(console: Console, profile: LatencyProfile) -> None:
    assert profile.calibrated is not None
    published = LatencyProfile.load("published").laws
    title = "What was found: ms, but for rates; in brackets 95 %"
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for head in ("", "n", "median", "p95", "published"):
        shown.add_column(head, justify="right" if head else "left", no_wrap=bool(head), overflow="fold")
    words = table("measured")
    for name, found in profile.calibrated.stages.items():
        shown.add_row(words[name][0], *cells(found, published[name]))  # type: ignore[index]
    for name, found in profile.calibrated.beside.items():
        shown.add_row(f"[dim]{words[name][0]}[/dim]", *cells(found, None))
    console.print(shown)
    for gain in gains(profile):
        console.print(f"  {_safe(gain)}", soft_wrap=True)


def _safe(text: str) -> str:
    return escape(printable(text))
