"""What a turn cost: of all its requests, also of those that failed, were dropped, or were cut short by hanging up."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from clara_kit import ConversationManager, ConversationState, Run, Settings, compose, replay
from clara_kit.core import events as ev
from clara_kit.core.records import Ignored
from clara_kit.measure.ledger import turns
from clara_kit.world.faults import Fault

ASK = "¿Qué protector solar me recomiendas?"
SILENT = Fault(service="llm", kind="stall", after_ms=60)  # the twin writes a sentence, and no more
COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


def manager(tmp_path: Path, *faults: Fault) -> ConversationManager:
    settings = Settings.of(greeting="", initial_retry_delay_ms=50)
    return ConversationManager(compose("twin", settings=settings, latency="fast", faults=faults), log_root=tmp_path)


def told(run: Run) -> list[ev.Usage]:
    """Every usage in the trace."""
    ends = [e for e in run.events if isinstance(e, ev.ReplyCompleted | ev.ProviderFailed)]
    return [e.usage for e in ends if e.usage is not None]


def whole(run: Run) -> None:
    """The table adds up to what was told, and a reader of the log gets the same."""
    used = told(run)
    for name in COUNTS:
        assert run.turns[name].sum() == sum(getattr(usage, name) for usage in used)
    assert run.turns["cost_usd"].sum() == pytest.approx(sum(usage.cost_usd or 0 for usage in used))
    assert run.folder is not None and Run.load(run.folder).turns.equals(run.turns)
    assert replay(run.folder).same


async def test_a_turn_adds_up_over_a_request_that_broke_off_and_the_next(tmp_path: Path) -> None:
    async with manager(tmp_path, Fault(service="llm", kind="cut")) as clara:
        await clara.type(ASK)
        await clara.until(ConversationState.AVATAR_SPEAKING)
        await clara.until(ConversationState.IDLE)
    run = clara.run
    assert run is not None
    failed, completed = told(run)
    assert failed.input_tokens + failed.cache_write_tokens == completed.input_tokens + completed.cache_read_tokens > 0
    row = run.turns.row(0, named=True)
    assert row["requests"] == 2 and row["output_estimated"]
    assert row["cost_usd"] > completed.cost_usd > 0  # type: ignore[operator]
    whole(run)


@pytest.mark.parametrize("how", ["interrupted", "hung up"])
async def test_a_reply_that_is_dropped_in_mid_stream_is_paid(tmp_path: Path, how: str) -> None:
    async with manager(tmp_path, SILENT) as clara:
        await clara.type(ASK)
        await clara.until(ConversationState.AVATAR_SPEAKING)
        if how == "interrupted":
            await clara.interrupt()
            await clara.until(ConversationState.IDLE)
    run = clara.run
    assert run is not None
    (late,) = (e for e in run.events if isinstance(e, ev.ReplyCompleted))
    assert late.stop_reason == "cancelled" and late.usage.output_estimated
    assert any(isinstance(r, Ignored) and r.event == "ReplyCompleted" for r in run.trace)  # nothing is decided upon it
    row = run.turns.filter(pl.col("requests") > 0).row(0, named=True)
    assert row["input_tokens"] + row["cache_write_tokens"] > 0 and row["output_tokens"] > 1 and row["cost_usd"] > 0
    assert row["llm_latency"] is None  # it never was complete
    whole(run)


def test_late_and_doubled_counts_take_nothing_back() -> None:
    from clara_kit.core import commands as do

    counted = ev.Usage(input_tokens=10, output_tokens=5, cost_usd=0.1)
    asked = [do.RequestReply(at_ms=n, reason="", turn_id=1, reply_id=n, text="Hola", messages=()) for n in (1, 2)]
    done = [ev.ReplyCompleted(at_ms=3, reply_id=n, stop_reason="end_turn", usage=counted) for n in (1, 2)]
    none = ev.ReplyCompleted(at_ms=4, reply_id=1, stop_reason="cancelled")
    (turn,) = turns([*asked, *done, none, done[0], none])
    assert turn.usage == counted + counted == ev.Usage(input_tokens=20, output_tokens=10, cost_usd=0.2)
    assert (counted + ev.Usage(output_tokens=1)).cost_usd is None  # not known of one, so not of both
