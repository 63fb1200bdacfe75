"""`clara doctor` on the terminal: what works here, and what to do for the rest; --live: a sentence through each vendor.

Above all else of this room. With --json nothing but JSON is on stdout; what must be said or asked goes to stderr.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clara_kit.core.errors import SettingsError
from clara_kit.core.outside import printable
from clara_kit.doctor.checkup import GROUPS, Checkup, check_up
from clara_kit.doctor.shapes import Difference, Pair, compare, side_by_side
from clara_kit.doctor.shop import ask_shop
from clara_kit.providers.vendors import TABLE, VENDORS
from clara_kit.runtime.config import load_keys, load_settings

if TYPE_CHECKING:
    from clara_kit.doctor.live import Price, Take

SIGNS = {
    "ok": "[green]ok[/]", "note": "[yellow]note[/]", "absent": "[dim]no[/]", "problem": "[bold red]problem[/]",
    "failed": "[bold red]failed[/]", "skipped": "[dim]skipped[/]",
}  # fmt: skip
ROW = ("vendor", "way", "kind", "live_count", "twin_count", "live_first_ms", "twin_first_ms")
ARROWS = {"sent": "→", "received": "←"}


def doctor(*, live: bool, yes: bool, as_json: bool) -> int:
    """Look, and tell. Returns 0 if what should work does and no vendor with a key failed, else 1."""
    console = Console(highlight=False, stderr=as_json)
    checkup, fine = check_up(), True
    told: dict[str, Any] = {}
    if not as_json:
        show(console, checkup)
    if live:
        # Not sooner: it needs the twins' packages, and that they are missing is for the check-up to say.
        try:
            from clara_kit.doctor.live import SENTENCE, live_and_twin, prices
        except ImportError as exc:
            hint = "clara doctor says which are missing, and how to install them."
            raise SettingsError("--live needs the packages of the twins.", hint=hint) from exc

        keys, settings = load_keys(), load_settings()
        if (shop := ask_shop(keys, settings)) is not None:
            checkup = Checkup((*checkup.findings, shop))
            console.print("\n[bold]The shop, live[/bold] (one free question)")
            console.print(f"  {SIGNS[shop.state]} {_safe(shop.text)}")
            console.print(_safe(f"  {shop.todo}".rstrip()), soft_wrap=True)
        told = {"live": None}
        table = prices(keys, settings)
        if not table:
            console.print("\nNo vendor has a key, so there is nothing to try live. The twins work without.")
        elif not _agreed(console, SENTENCE, table, yes=yes):
            return 1
        else:
            takes = asyncio.run(live_and_twin(keys, settings))
            told, fine = {"live": _told(console, *takes, as_json=as_json)}, takes[0].ok
    if as_json:
        print(printable(json.dumps({**checkup.to_dict(), **told}, ensure_ascii=False, indent=1)))
    return 0 if checkup.ok and fine else 1


def _safe(text: str) -> str:
    """As it may stand on a terminal: no markup, no escapes."""
    return escape(printable(text))


def show(console: Console, checkup: Checkup) -> None:
    """The findings in groups, what works now, and what to do for the rest."""
    for group in GROUPS:
        console.print(f"\n[bold]{group}[/bold]")
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(min_width=7, no_wrap=True)
        table.add_column(min_width=10, no_wrap=True)
        table.add_column(overflow="fold")
        for finding in checkup.of(group):
            table.add_row(SIGNS[finding.state], finding.name, _safe(finding.text))
        console.print(table)
    for head, lines in (("What works now", checkup.works), ("What to do for the rest", checkup.todo)):
        console.print(f"\n[bold]{head}[/bold]")
        for line in lines or ("nothing",):
            console.print(f"  - {_safe(line)}", soft_wrap=True)


def _agreed(console: Console, sentence: str, table: tuple[Price, ...], *, yes: bool) -> bool:
    console.print(f"\n[bold]One sentence, live:[/bold] «{sentence}»")
    for price in table:
        usd = "unknown" if price.usd is None else f"{price.usd:.5f} USD"
        console.print(f"  {TABLE[price.vendor].name:<11} {usd:>12}  {_safe(price.text)}", soft_wrap=True)
    total = sum(price.usd or 0.0 for price in table)
    console.print(
        f"  together about {total:.4f} USD, estimated from published prices; who hears what: data/money_and_privacy.md"
    )
    skipped = [TABLE[vendor].name for vendor in VENDORS if vendor not in {price.vendor for price in table}]
    if skipped:
        console.print(f"  left out, for want of a key: {', '.join(skipped)}")
    if not yes and not sys.stdin.isatty():
        console.print("Nothing was spent. Say --yes to go on without being asked.")
        return False
    return yes or console.input("Go on? [y/N] ", markup=False).strip().lower() in {"y", "yes"}


def _told(console: Console, live: Take, twin: Take, *, as_json: bool) -> dict[str, Any]:
    """What came of the sentence, for machines; shown as well, unless only they look."""
    pairs = side_by_side(live.messages, twin.messages)
    differences = compare(pairs)
    if not as_json:
        _show_steps(console, live, twin)
        _show_order(console, pairs)
        _show_differences(console, differences)
    parts: dict[str, Any] = {"steps": live.steps, "twin_steps": twin.steps, "differences": differences}
    told = {name: [part._asdict() for part in these] for name, these in parts.items()}
    rows = ((*sort, a.count, b.count, a.first_ms, b.first_ms) for sort, a, b in pairs)
    return {**told, "order": [dict(zip(ROW, row)) for row in rows]}


def _show_steps(console: Console, live: Take, twin: Take) -> None:
    console.print("\n[bold]What each vendor made of it[/bold]")
    for step, mirrored in zip(live.steps, twin.steps, strict=True):
        took = f" ({step.took_ms:.0f} ms)" if step.state == "ok" else ""
        console.print(f"  {SIGNS[step.state]} {step.service}: {_safe(step.text)}{took}", soft_wrap=True)
        if mirrored.state == "failed":
            console.print(f"    [yellow]the twin failed:[/yellow] {_safe(mirrored.text)}", soft_wrap=True)


def _show_order(console: Console, pairs: tuple[Pair, ...]) -> None:
    table = Table(
        title="\nMessages in live's order; ms from each vendor's first (twin: offline, from its latency profile)",
        title_justify="left", box=box.SIMPLE_HEAD,
    )  # fmt: skip
    for head in ("vendor", "way", "message"):
        table.add_column(head, overflow="fold")
    for head in ("live", "first ms", "twin", "first ms"):
        table.add_column(head, justify="right", no_wrap=True)
    for (vendor, way, kind), *sides in pairs:
        cells = [c for s in sides for c in ((f"{s.count}×", f"{s.first_ms:.0f}") if s.count else ("—", "—"))]
        table.add_row(TABLE[vendor].name, ARROWS[way], _safe(kind), *cells)
    console.print(table)


def _show_differences(console: Console, differences: tuple[Difference, ...]) -> None:
    if not differences:
        console.print("The twins' messages have the fields and types of live's.")
        return
    console.print(f"[bold]Where the twin differs[/bold] ({len(differences)})")
    for d in differences:
        what = f"field {d.field}" if d.field else "the whole message"
        types = f" (live {d.live}, twin {d.twin})" if d.verdict == "type differs" else ""
        line = f"  {d.verdict}: {TABLE[d.vendor].name} {ARROWS[d.way]} {d.kind}: {what}{types}"
        console.print(_safe(line), soft_wrap=True)
