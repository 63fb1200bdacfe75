"""`clara doctor`: what works here, and what to do for the rest; with --live, one sentence through each vendor."""

from __future__ import annotations

import json

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clara_kit.runtime.checkup import GROUPS, Checkup, check_up

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
    from clara_kit.cli.doctor_live import go_live

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
