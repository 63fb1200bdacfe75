"""`clara doctor`: what works here, and what to do for the rest; with --live, one sentence through each vendor."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clara_kit.core.settings import Keys
from clara_kit.doctor.checkup import GROUPS, VENDORS, Checkup, check_up
from clara_kit.doctor.live import SENTENCE, Take, live_and_twin, prices, with_key
from clara_kit.doctor.shapes import Difference, Row, compare, side_by_side
from clara_kit.doctor.shop import ask_shop
from clara_kit.runtime.config import load_keys, load_settings

SIGNS = {
    "ok": "[green]ok[/green]",
    "note": "[yellow]note[/yellow]",
    "absent": "[dim]no[/dim]",
    "problem": "[bold red]problem[/bold red]",
}


def doctor(*, live: bool, yes: bool, as_json: bool) -> int:
    """Look, and tell. Returns 0 if what should work does, else 1."""
    console = Console(highlight=False)
    checkup = check_up()
    if not live:
        if as_json:
            print(json.dumps(checkup.to_dict(), ensure_ascii=False, indent=1))
        else:
            show(console, checkup)
        return 0 if checkup.ok else 1
    from clara_kit.doctor.show import go_live

    return go_live(console, checkup, yes=yes, as_json=as_json)


def show(console: Console, checkup: Checkup) -> None:
    """The findings in groups, what works now, and what to do for the rest."""
    for group in GROUPS:
        console.print(f"\n[bold]{group}[/bold]")
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(min_width=7, no_wrap=True)
        table.add_column(min_width=10, no_wrap=True)
        table.add_column(overflow="fold")
        for finding in checkup.of(group):
            table.add_row(SIGNS[finding.state], finding.name, escape(finding.text))
        console.print(table)
    for head, lines in (("What works now", checkup.works), ("What to do for the rest", checkup.todo)):
        console.print(f"\n[bold]{head}[/bold]")
        for line in lines or ("nothing",):
            console.print(f"  - {escape(line)}", soft_wrap=True)


def go_live(console: Console, checkup: Checkup, *, yes: bool, as_json: bool) -> int:
    """Returns 0 if the offline kit works and no vendor with a key failed, else 1."""
    from clara_kit.doctor.show import SIGNS, show

    talk = Console(stderr=True, highlight=False) if as_json else console
    if not as_json:
        show(console, checkup)
    keys, settings = load_keys(), load_settings()
    shop = ask_shop(keys, settings)
    if shop is not None:
        checkup = Checkup((*checkup.findings, shop))
        if not as_json:
            console.print(
                f"\n[bold]The shop, live[/bold] (one free question)\n  {SIGNS[shop.state]} {escape(shop.text)}"
            )
            console.print(f"  {escape(shop.todo)}" if shop.todo else "", soft_wrap=True)
    if not with_key(keys):
        talk.print("\nNo vendor has a key, so there is nothing to try live. The twins work without.")
        if as_json:
            print(json.dumps({**checkup.to_dict(), "live": None}, ensure_ascii=False, indent=1))
        return 0 if checkup.ok else 1
    if not _agreed(talk, keys, yes=yes):
        return 1
    live, twin = asyncio.run(live_and_twin(keys, settings))
    differences = compare(live.messages, twin.messages)
    rows = side_by_side(live.messages, twin.messages)
    if as_json:
        told = {"steps": [asdict(s) for s in live.steps], "twin_steps": [asdict(s) for s in twin.steps]}
        told |= {"order": [asdict(r) for r in rows], "differences": [asdict(d) for d in differences]}
        print(json.dumps({**checkup.to_dict(), "live": told}, ensure_ascii=False, indent=1))
    else:
        _show_steps(console, live, twin)
        _show_order(console, rows)
        _show_differences(console, differences)
    return 0 if checkup.ok and live.ok else 1


def _agreed(console: Console, keys: Keys, *, yes: bool) -> bool:
    console.print(f"\n[bold]One sentence, live:[/bold] «{SENTENCE}»")
    table = prices(keys, load_settings())
    for price in table:
        usd = "unknown" if price.usd is None else f"{price.usd:.5f} USD"
        console.print(f"  {VENDORS[price.vendor]:<11} {usd:>12}  {escape(price.text)}", soft_wrap=True)
    total = sum(price.usd or 0.0 for price in table)
    console.print(f"  together about {total:.4f} USD, estimated from published prices")
    skipped = [name for vendor, name in VENDORS.items() if vendor not in with_key(keys)]
    if skipped:
        console.print(f"  left out, for want of a key: {', '.join(skipped)}")
    if yes:
        return True
    if not sys.stdin.isatty():
        console.print("Nothing was spent. Say --yes to go on without being asked.")
        return False
    console.print("Go on? [y/N] ", end="", markup=False)
    return input().strip().lower() in {"y", "yes"}


def _show_steps(console: Console, live: Take, twin: Take) -> None:
    signs = {
        "ok": "[green]ok[/green]",
        "failed": "[bold red]failed[/bold red]",
        "skipped": "[dim]skipped[/dim]",
    }
    console.print("\n[bold]What each vendor made of it[/bold]")
    for step, mirrored in zip(live.steps, twin.steps, strict=True):
        took = f" ({step.took_ms:.0f} ms)" if step.state == "ok" else ""
        console.print(f"  {signs[step.state]} {step.service}: {escape(step.text)}{took}", soft_wrap=True)
        if mirrored.state == "failed":
            console.print(f"    [yellow]the twin failed:[/yellow] {escape(mirrored.text)}", soft_wrap=True)


def _show_order(console: Console, rows: tuple[Row, ...]) -> None:
    table = Table(
        title="\nMessages in live's order; ms from each vendor's first (twin: offline, from its latency profile)",
        title_justify="left", box=box.SIMPLE_HEAD,
    )  # fmt: skip
    for head in ("vendor", "way", "message"):
        table.add_column(head, overflow="fold")
    for head in ("live", "first ms", "twin", "first ms"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        arrow = "→" if row.way == "sent" else "←"
        table.add_row(
            VENDORS[row.vendor], arrow, escape(row.kind),
            _count(row.live_count), _ms(row.live_first_ms), _count(row.twin_count), _ms(row.twin_first_ms),
        )  # fmt: skip
    console.print(table)


def _show_differences(console: Console, differences: tuple[Difference, ...]) -> None:
    if not differences:
        console.print("The twins' messages have the fields and types of live's.")
        return
    console.print(f"[bold]Where the twin differs[/bold] ({len(differences)})")
    for d in differences:
        what = f"field {d.field}" if d.field else "the whole message"
        types = f" (live {d.live}, twin {d.twin})" if d.verdict == "type differs" else ""
        arrow = "→" if d.way == "sent" else "←"
        line = f"  {d.verdict}: {VENDORS[d.vendor]} {arrow} {d.kind}: {what}{types}"
        console.print(escape(line), soft_wrap=True)


def _count(number: int) -> str:
    return f"{number}×" if number else "—"


def _ms(first_ms: float | None) -> str:
    return "—" if first_ms is None else f"{first_ms:.0f}"
