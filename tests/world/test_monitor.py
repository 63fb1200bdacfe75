"""The latency monitor beside the ledger of finished runs, on simulated conversations."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import numpy as np
import pytest

from clara_kit import LatencyMonitor, Run, Settings, simulate
from clara_kit.core import events as ev
from clara_kit.core.errors import SettingsError
from clara_kit.lab.survival.chaos import chaos
from clara_kit.measure.monitor import ANSWER, BUDGETS_MS, KEPT_TURNS, TOLD, TOTAL, Alert, Timed, times
from clara_kit.world.faults import Fault
from clara_kit.world.latency import LatencyProfile

ASKED = ["¿Qué protector solar me recomiendas?", "¿Y cuánto cuesta?", "¿Hacen despachos a regiones?"]


def read(monitor: LatencyMonitor, run: Run, of: str = "") -> list[Timed | Alert]:
    return [told for record in run.trace for told in monitor.read(record, of)]


def values(runs: list[Run]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for run in runs:
        for turn in run.ledger:
            for name, ms in times(turn).items():
                found.setdefault(name, []).append(ms)
    return found


def test_its_percentiles_are_those_of_the_finished_runs_whatever_befell_them() -> None:
    runs = [simulate(ASKED, seed=seed) for seed in range(4)] + [chaos(seed).play() for seed in range(60)]
    monitor = LatencyMonitor()
    told = [one for n, run in enumerate(runs) for one in read(monitor, run, str(n))]
    wanted, figures = values(runs), monitor.figures
    assert figures.keys() == wanted.keys() >= {"hear", "think", "voice", "avatar", TOTAL, "backup"}
    for name, all_ms in wanted.items():
        assert figures[name].n == len(all_ms) < 500
        assert figures[name][2:5] == pytest.approx(tuple(np.quantile(all_ms, (0.5, 0.95, 0.99)))), name
    last = {(one.of, one.turn.turn_id): one for one in told if isinstance(one, Timed)}
    turns = {(str(n), turn.turn_id): turn for n, run in enumerate(runs) for turn in run.ledger}
    assert {key: one.values for key, one in last.items()} == {key: times(turn) for key, turn in turns.items()}


def test_twenty_conversations_at_once_are_one_figure() -> None:
    runs = [chaos(seed).play() for seed in range(20)]
    apart, together = LatencyMonitor(), LatencyMonitor()
    for n, run in enumerate(runs):
        read(apart, run, str(n))
    for records in zip_longest(*(run.trace for run in runs)):
        for n, record in enumerate(records):
            if record is not None:
                together.read(record, str(n))
    for monitor in (apart, together):
        for n in range(20):
            monitor.leave(str(n))
    assert {k: (f.n, f.p50, f.p95, f.p99) for k, f in together.figures.items()} == {
        k: (f.n, f.p50, f.p95, f.p99) for k, f in apart.figures.items()
    }
    assert together.turns == apart.turns > 60 and together.unanswered == apart.unanswered


def test_behind_an_opener_the_answer_and_the_model_are_watched_all_the_same() -> None:
    run, monitor = (
        simulate(ASKED * 2, Settings.preset("fast").with_changes(openers=True, enable_response_cache=False), seed=2),
        LatencyMonitor(),
    )
    read(monitor, run)
    opened = [turn for turn in run.ledger if turn.opener]
    assert opened, "no opener was said"
    figures = monitor.figures
    assert figures[ANSWER].n == len([turn for turn in opened if turn.answer_ms is not None]) > 0
    assert figures["think"].n >= len(opened) and figures[ANSWER].p50 > figures[TOTAL].p50
    assert figures["voice"].n == len(run.ledger) - len(opened)  # an opener's sound is there before it is asked for


def test_a_kept_answer_makes_no_figure_of_the_model_better() -> None:
    asked = ["¿Hacen despachos a regiones?", "Cuéntame de ti"]
    run, monitor = simulate(asked, Settings.preset("fast"), seed=2), LatencyMonitor()
    read(monitor, run)
    thought = [turn for turn in run.ledger if turn.kind != "greeting" and not turn.kept]
    if not (kept := [turn for turn in run.ledger if turn.kept]):
        pytest.skip("nothing is kept for this question")
    assert monitor.figures["think"].n == len(thought) and monitor.figures[TOTAL].n == len(thought) + len(kept)


def test_a_slowdown_raises_one_alert_of_its_stage_and_its_end_clears_it() -> None:
    lines = [f"¿Cuánto cuesta el producto número {n}?" for n in range(24)]
    slow = [Fault(service="llm", kind="slow", for_ms=2500, on=on) for on in range(7, 15)]
    run, monitor = simulate(lines, faults=slow, seed=3), LatencyMonitor({"think": BUDGETS_MS["think"]})
    told = [(one.raised, one.turn_id) for one in read(monitor, run) if isinstance(one, Alert)]
    thought = {turn.turn_id: times(turn)["think"] for turn in run.ledger if turn.turn_id}

    def slow_ones(until: int, limit_ms: float) -> int:
        return sum(thought.get(n, 0.0) > limit_ms for n in range(until - 4, until + 1))

    over = next(n for n in thought if slow_ones(n, 1615) >= 3)
    under = next(n for n in thought if n > over and slow_ones(n, 0.8 * 1615) < 3)
    assert told == [(True, over), (False, under)] and 7 < over < 11 and under > 16
    assert monitor.alerts == () and [one.raised for one in monitor.told] == [True, False]
    assert "think is over its budget of 1615 ms" in str(monitor.told[0])
    assert "well again, under 1292 ms" in str(monitor.told[1])


def test_without_a_slowdown_the_usual_budgets_raise_no_alert_of_a_stage() -> None:
    monitor = LatencyMonitor()
    for seed in range(60):
        read(monitor, simulate(ASKED * 2, seed=seed), str(seed))
    assert monitor.turns == 60 * 7
    raised = [one.stage for one in monitor.told if one.raised and one.stage != TOTAL]  # the total is slow as published
    assert len(raised) <= 3 and {*raised} <= {"avatar", "first sentence"}, [str(one) for one in monitor.told]


def test_the_usual_budgets_are_what_is_published() -> None:
    laws, plan = LatencyProfile.load("published").laws, Settings()
    assert BUDGETS_MS["think"] == laws["llm_first_token"].high
    assert BUDGETS_MS["voice"] == laws["tts_first_chunk"].high
    assert BUDGETS_MS["ear"] == laws["tts_lead_silence"].high + laws["playout"].high
    assert BUDGETS_MS["backup"] == laws["backup_answer"].high
    assert BUDGETS_MS["first sentence"] == 22 / laws["llm_tokens_per_s"].low * 1000
    assert BUDGETS_MS["hear"] == pytest.approx(plan.stt_endpointing_ms + laws["stt_results"].high, abs=5)
    assert laws["avatar_start"].high < BUDGETS_MS["avatar"] < laws["avatar_start"].spike_low
    assert BUDGETS_MS[TOTAL] == plan.slow_response_ms


def told_of(values_ms: list[float], monitor: LatencyMonitor) -> list[bool]:
    """A conversation whose turns took so long, as a recording tells it."""
    told: list[bool] = []
    for n, ms in enumerate(values_ms, 1):
        at = n * 100_000.0
        events: list[Any] = [
            ev.TextTyped(at_ms=at, text="Hola"),
            ev.TurnHeard(at_ms=at + ms, turn_id=n, words_until_ms=at, clara_from_ms=at + ms),
        ]
        told += [one.raised for e in events for one in monitor.read(e) if isinstance(one, Alert)]
        told += [one.raised for one in monitor._settle(monitor._talks[""], "") if isinstance(one, Alert)]
    return told


def test_what_lies_at_the_limit_does_not_flicker_and_one_slow_turn_is_no_alert() -> None:
    monitor = LatencyMonitor({TOTAL: 1000})
    assert told_of([500, 5000, 500, 500, 6000, 500, 500], monitor) == []
    monitor = LatencyMonitor({TOTAL: 1000})
    assert told_of([1010, 1010, 1010, *[990, 1010] * 20], monitor) == [True]  # between 800 and 1000 it stays
    assert told_of([790] * 5, monitor) == [False]
    assert monitor.figures[TOTAL].over == 23 and not monitor.figures[TOTAL].alert


def test_a_budget_that_is_changed_or_taken_away_is_judged_at_once() -> None:
    monitor = LatencyMonitor({TOTAL: 3000})
    told_of([2000] * 5, monitor)
    assert [one.raised for one in monitor.budget(total=1500)] == [True]
    assert monitor.figures[TOTAL].alert and monitor.budgets == {TOTAL: 1500}
    assert [one.raised for one in monitor.budget(total=0)] == [False]
    assert monitor.alerts == () and monitor.budgets == {}
    for wrong in (-1, True, "x", float("nan"), 1e9):
        with pytest.raises(SettingsError, match="no budget for total"):
            monitor.budget(total=wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="limits of a monitor"):
        LatencyMonitor(slow=6, of_last=5)


def test_it_takes_no_more_room_however_long_it_runs() -> None:
    run, monitor = simulate(ASKED * 3, seed=1), LatencyMonitor({TOTAL: 10}, window=50)
    stopped = [r for r in run.trace if not isinstance(r, ev.ConversationStopped)]

    def kept() -> tuple[int, ...]:
        story = monitor._talks[""].story
        sizes = [len(window.newest) + len(window.sorted) for window in monitor._windows.values()]
        return (*map(len, (story.turns, story.replies, story.utterances, story.said, monitor._talks[""].open)), *sizes)

    seen = []
    for _ in range(40):
        for record in stopped:
            monitor.read(record)
        seen.append(kept())
    assert len(set(seen[20:])) == 1 and seen[-1][0] <= KEPT_TURNS + 1
    assert max(seen[-1]) <= 100 and len(monitor.told) <= TOLD
