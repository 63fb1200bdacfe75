"""Every service, every failure, every phase: nothing that the customer said comes to nothing."""

from __future__ import annotations

import pytest

from clara_kit.core.errors import ScriptError
from clara_kit.lab.survival.matrix import TROUBLES, Cell, Matrix, cells, faults_of, matrix, play, settings_of
from clara_kit.lab.survival.strikes import PHASES, Moment, moment_in
from clara_kit.world.faults import APPLIES
from tests.conftest import PACE

EVERY = 4  # of the cells, in `make test`
SAMPLE = (
    ("stt", "three cuts", "listening"), ("llm", "down", "asked"), ("llm", "cut", "writing"), ("tts", "mute", "speaking"),
    ("avatar", "down", "sounding"), ("llm + avatar", "both down", "speaking"),
)  # fmt: skip
"""Over twins in `make test`: one of each service, at the worst moment."""


def wrong(found: Matrix) -> dict[str, list[str]]:
    return {
        result.cell.name: [f"«{one.text}»: {one.why}" for one in result.survival.said if one.fate == "lost"]
        + list(result.survival.problems)
        for result in found.wrong
    }


def test_there_are_more_than_three_hundred_different_conversations_and_every_fault_is_in_one() -> None:
    settings = settings_of(fallback=False)
    different = {(cell.script.lines, faults_of(cell, settings)) for cell in cells()}
    assert len(different) >= 300
    struck = {
        (blow.service, kind) for cell in cells() for blow in cell.blows for kind, _, _ in (blow.first, *blow.then)
    }
    services = ("stt", "llm", "tts", "avatar")
    assert {(s, k) for s in services for k in APPLIES[s]} <= struck  # type: ignore[index]
    assert {cell.phase for cell in cells()} == set(PHASES)
    with pytest.raises(ScriptError, match="no trouble 'bad luck'"):
        _ = Cell(service="llm", trouble="bad luck", phase="asked").blows


def test_each_phase_is_where_it_says_it_is() -> None:
    cell = {phase: next(c for c in cells() if c.phase == phase) for phase in PHASES}
    at = {}
    for phase in PHASES:
        calm = play(cell[phase], fallback=False)  # a cut of the recogniser, which is mended at once
        at[phase] = moment_in(phase, calm.trace)
    told = [ms for phase, ms in at.items() if phase != "cut in" and ms is not None]
    assert len(told) == len(PHASES) - 1 and told == sorted(told)
    assert Moment("asked").see(calm.trace[0]) is None


def test_a_cell_is_the_same_every_time() -> None:
    cell = cells()[100]
    assert play(cell, fallback=True).to_jsonl() == play(cell, fallback=True).to_jsonl()


@pytest.mark.parametrize("fallback", [False, True], ids=["off", "on"])
def test_nothing_is_lost_in_a_sample_of_the_simulated_cells(fallback: bool) -> None:
    found = matrix(cells()[::EVERY], fallback=fallback)
    assert len(found.results) == len(cells()) / EVERY
    assert wrong(found) == {}
    if fallback:
        assert found.p95_order_ms is not None and found.p95_order_ms < 2000


@pytest.mark.timeout(300)
def test_nor_over_twins_of_every_vendor() -> None:
    some = [Cell(service=service, trouble=trouble, phase=phase) for service, trouble, phase in SAMPLE]
    found = matrix(some, fallback=True, world="twin", pace=PACE)
    assert wrong(found) == {}
    assert [r.world for r in found.results] == ["twin"] * len(SAMPLE)


def test_troubles_are_named_and_a_page_shows_how_they_came_out() -> None:
    assert {"llm", "stt", "tts", "avatar", "llm + backup"} <= set(TROUBLES)
    shown = matrix(cells()[:3], fallback=False)._repr_html_()
    assert "survived" in shown and "simulated" in shown


@pytest.mark.soak
@pytest.mark.parametrize("fallback", [False, True], ids=["off", "on"])
def test_nothing_is_lost_in_any_simulated_cell(fallback: bool) -> None:
    for seed in range(3):
        assert wrong(matrix(fallback=fallback, seed=seed)) == {}


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("fallback", [False, True], ids=["off", "on"])
def test_nor_in_any_cell_over_twins(fallback: bool) -> None:
    found = matrix(fallback=fallback, world="twin", pace=PACE, workers=2)
    assert wrong(found) == {}
    if fallback:
        assert found.p95_order_ms is not None and found.p95_order_ms < 2000
