"""A recorded outage played again, with fallback off and on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clara_kit import Fault, Run, Settings, simulate
from clara_kit.core.errors import RunLogError
from clara_kit.core.events import FaultInjected
from clara_kit.lab.again import again
from clara_kit.lab.outage import faults_of, outage
from clara_kit.lab.survival.checked import checked
from clara_kit.world.script import Line, Script

LINES = [
    "¿Qué protector solar me recomiendas?", "¿Y cuánto cuesta el despacho a Punta Arenas?",
    "¿Y tienen algo para las manchas?", "Gracias, ¿cómo se usa?",
]  # fmt: skip


def refused(service: str, *occasions: int, kind: str = "refuse") -> list[Fault]:
    return [Fault(service=service, kind=kind, status=529, on=n) for n in occasions]  # type: ignore[arg-type]


def as_if_live(run: Run) -> Run:
    """What a vendor's own outage leaves: failures, and no word of why."""
    trace = tuple(record for record in run.trace if not isinstance(record, FaultInjected))
    return replace(run, inputs={k: v for k, v in run.inputs.items() if k != "faults"}, trace=trace)


@pytest.mark.parametrize(
    "faults",
    [
        refused("llm", 2, 3, 4),
        refused("tts", 2, 3, 4, 5),
        refused("stt", 2, 3, 4, 5, 6),
        refused("avatar", 2, 3, 4, kind="cut"),
        [Fault(service="llm", kind="cut", on=3, after_ms=400)],
    ],
    ids=lambda faults: f"{faults[0].service} {faults[0].kind}",
)
def test_an_outage_that_nobody_played_gives_the_same_conversation_again(faults: list[Fault]) -> None:
    run = simulate(LINES, seed=4, faults=faults)
    again_ = outage(as_if_live(run))
    waits = [[turn.total_ms for turn in one.ledger] for one in (run, again_.off)]
    assert waits[0] == pytest.approx(waits[1], abs=30)
    assert [fault.service for fault in again_.faults] == [fault.service for fault in faults[: len(again_.faults)]]


def test_with_fallback_on_what_was_lost_is_answered() -> None:
    run = as_if_live(simulate(LINES, seed=4, faults=refused("stt", 2, 3, 4, 5, 6)))
    told = outage(run)
    figures = told.figures()
    assert figures["off"]["said"] == figures["on"]["said"] == len(LINES)
    on = figures["on"]
    assert figures["off"]["answered"] == 1 and on["answered"] == on["turns"] >= len(LINES) - 1  # two may be one turn
    assert checked(told.on).lost == 0
    assert figures["on"]["by_backup"] and not figures["off"]["by_backup"]
    assert told.on.settings.flags.enable_auto_fallback and not told.off.settings.flags.enable_auto_fallback
    table = told._repr_html_()
    assert "fallback on (stt sim then backup" in table and "stt 2: stt: refuse" in table
    assert "(simulated)" in table  # nothing simulated unmarked


def test_a_fault_that_was_played_stands_for_the_failures_that_came_of_it() -> None:
    scripted = refused("llm", 2, 3)
    run = simulate(LINES[:2], seed=4, faults=scripted)
    assert faults_of(run) == tuple(scripted)
    by_hand = replace(run, inputs={**run.inputs, "faults": []})  # as at the desk: only the trace knows
    assert faults_of(by_hand) == tuple(scripted)


def test_what_was_only_slow_is_slow_again() -> None:
    slow = Fault(service="llm", kind="slow", for_ms=3900, on=2)
    (found,) = faults_of(as_if_live(simulate(LINES[:2], Settings.of(slow_response_ms=3000), seed=4, faults=[slow])))
    assert (found.service, found.kind, found.on) == ("llm", "slow", 2)
    assert found.for_ms == pytest.approx(slow.for_ms, abs=1000)  # it is told beside what is usual


def test_a_run_is_played_again_with_all_that_was_played_in_it() -> None:
    script = Script(lines=(Line(text="Hola"), Line(text="¿Y el despacho?")), faults=tuple(refused("llm", 2)))
    run = simulate(script, seed=3, faults=refused("tts", 2))
    assert again(run).to_jsonl() == run.to_jsonl()
    assert again(run, faults=()).inputs["faults"] == []
    assert again(run, enable_auto_fallback=True).settings.flags.enable_auto_fallback


def test_a_conversation_in_which_nobody_said_anything_has_no_outage_to_play() -> None:
    run = simulate(["Hola"], seed=1)
    with pytest.raises(RunLogError, match="said nothing"):
        outage(replace(run, trace=run.trace[:3]))
