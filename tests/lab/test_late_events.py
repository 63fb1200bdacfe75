"""A ledger adds up although an event is told late: what counts is when it happened."""

from __future__ import annotations

from msgspec.structs import replace

from clara_kit import Conversation, Settings, simulate
from clara_kit.core import events as ev
from clara_kit.measure.ledger import turns


def test_a_start_that_is_told_late_counts_from_when_it_was() -> None:
    events = simulate(["¿Hacen despachos a regiones?"], Settings.of(greeting=""), seed=3).events
    started = next(n for n, event in enumerate(events) if isinstance(event, ev.SpeakingStarted))
    told = replace(events[started - 1], at_ms=events[started].at_ms + 12)  # what came before it, but later than it
    conversation = Conversation(Settings.of(greeting=""))
    for event in (*events[: started - 1], told, *events[started:]):
        conversation.handle(event)
    (usual,), (late,) = (
        turns(trace)
        for trace in (
            simulate(["¿Hacen despachos a regiones?"], Settings.of(greeting=""), seed=3).trace,
            conversation.trace,
        )
    )
    assert late.total_ms == usual.total_ms and "stages add up" not in late.problem
