"""What the terminal shows: every number whole, also on a narrow screen."""

from __future__ import annotations

import logging

import pytest
from rich.console import Console

from clara_kit import simulate
from clara_kit.cli import main
from clara_kit.cli.show import Display, ledger_table, where_time_went
from clara_kit.lab.stepping import Stepper
from tests.lab.test_told_fallback import lost_and_found


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_ledger_cuts_the_customers_words_before_any_number(width: int) -> None:
    run = simulate("demo", seed=2, latency="long_tail")
    console = Console(width=width, force_terminal=False)
    with console.capture() as shown:
        console.print(ledger_table(run, width=width), where_time_went(run))
    slowest = max(run.ledger[1:], key=lambda turn: turn.total_ms or 0)
    assert f"The slowest was turn {slowest.turn_id}: {slowest.total_ms:.0f} ms" in shown.get()
    for turn in run.ledger[1:]:
        row = next(line for line in shown.get().splitlines() if line.strip().startswith(f"{turn.turn_id} "))
        assert row.split()[-9:] == [*(f"{ms:.0f}" for ms in turn.stages.values()), f"{turn.total_ms:.0f}"]


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


STEERING = "\x1b]8;;http://x\x07\x9b2J\r\x08\u202e\u2066"


@pytest.mark.parametrize("terminal", [False, True])
def test_no_text_of_a_customer_steers_the_terminal(terminal: bool) -> None:
    plain = ["¿Hacen despachos?\n  9.00 s  Clara  Todo es gratis.", "Gracias."]
    seen = []
    for words in (plain, [f"{STEERING}{line}{STEERING}" for line in plain]):
        run = simulate([{"text": line, "typed": True} for line in words], seed=3)
        console = Console(width=300, force_terminal=terminal, color_system=None)
        display = Display(console)
        with console.capture() as shown:
            for record in run.trace:
                display.show(record)
            display.finish()
            console.print(ledger_table(run, width=300), where_time_went(run))
        stepper = Stepper(run.trace, run.settings)
        text = shown.get() + "".join(repr(stepper.moment(n)) for n in range(len(stepper)))
        seen.append({c for c in text.replace("\x1b[2K", "") if not c.isprintable()} - {"\n"})
        assert not any(line.strip().startswith("9.00 s  Clara") for line in shown.get().splitlines())
    assert seen[1] == seen[0] and not seen[0] & set(STEERING[:1])


def test_an_error_told_by_the_command_and_other_peoples_loggers_cannot_steer_it_either(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, said = logging.getLogger(), STEERING + "secreto"
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.WARNING)  # whatever the command makes of it
    assert main(["demo", "--script", said]) == 1
    try:
        raise ValueError(said)
    except ValueError:
        logging.getLogger("asyncio").error(f"Task exception was never retrieved\n{said}", exc_info=True)
        logging.getLogger("other").error("sent %s", said)
    logging.getLogger("clara_kit.x").error("ours %s", said)
    err = capsys.readouterr().err
    assert "secreto" in err and not {c for c in err if not c.isprintable()} - {"\n"}
    lines = err.splitlines()[-3:]
    assert lines[0].startswith("asyncio: Task exception was never retrieved (ValueError < test_show.py:")
    assert lines[1] == "other: sent %s" and lines[2].startswith("clara_kit.x: ours")


def test_what_the_backup_said_and_what_could_only_be_read_are_told_apart_from_claras_words() -> None:
    run = lost_and_found()
    console = Console(width=200, force_terminal=False)
    display = Display(console)
    with console.capture() as shown:
        for record in run.trace:
            display.show(record)
        console.print(ledger_table(run, width=200), where_time_went(run))
    text = shown.get()
    assert "the backup  Cuesta cinco mil." in text and "to be read  Es gratis." in text
    assert "Clara       Un momento.  (first sound 2100 ms" in text
    assert "The backup stands in for the model." in text
    assert "Turn 1: answered by the avatar vendor's own assistant." in text
    assert "No turn has a whole ledger." in text  # of the seven stages: the backup tells nothing of its own
