"""What the terminal shows: every number whole, also on a narrow screen."""

from __future__ import annotations

import pytest
from rich.console import Console

from clara_kit import simulate
from clara_kit.cli.show import Display, ledger_table


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_ledger_cuts_the_customers_words_before_any_number(width: int) -> None:
    run = simulate("demo", seed=2, latency="long_tail")
    console = Console(width=width, force_terminal=False)
    with console.capture() as shown:
        console.print(ledger_table(run, width=width))
    for turn in run.ledger[1:]:
        row = next(line for line in shown.get().splitlines() if line.strip().startswith(f"{turn.turn_id} "))
        assert row.split()[-8:] == [*(f"{ms:.0f}" for ms in turn.stages.values()), f"{turn.total_ms:.0f}"]


def test_a_conversation_is_told_line_by_line_and_no_text_is_taken_for_markup() -> None:
    script = ["¿Hacen [red]despachos[/red]?", {"text": "Espera, ¿cuánto cuesta?", "interrupt_after_ms": 900}]
    run = simulate(script, seed=3)
    console = Console(width=200, force_terminal=False)
    display = Display(console)
    with console.capture() as shown:
        for record in run.trace:
            display.show(record)
        display.finish()
    text = shown.get()
    assert "customer    ¿Hacen [red]despachos[/red]?" in text
    assert text.count("ms after the customer's last word)") == len(run.ledger) - 1
    assert f"never heard: {run.ledger[1].unheard}" in text
    for turn in run.ledger:
        assert turn.heard is not None or all(word in text for word in turn.clara.split())
