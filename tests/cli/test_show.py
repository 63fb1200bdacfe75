"""What the terminal shows: every number whole, also on a narrow screen."""

from __future__ import annotations

import pytest
from rich.console import Console

from clara_kit import simulate
from clara_kit.cli.show import ledger_table


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_ledger_cuts_the_customers_words_before_any_number(width: int) -> None:
    run = simulate("demo", seed=2, profile="long_tail")
    console = Console(width=width, force_terminal=False)
    with console.capture() as shown:
        console.print(ledger_table(run, width=width))
    for turn in run.ledger[1:]:
        row = next(line for line in shown.get().splitlines() if line.strip().startswith(f"{turn.turn_id} "))
        assert row.split()[-8:] == [*(f"{ms:.0f}" for ms in turn.stages.values()), f"{turn.total_ms:.0f}"]
