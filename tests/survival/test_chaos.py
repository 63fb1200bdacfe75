"""Whatever chance does to a conversation: it ends, nothing is lost, one voice at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from clara_kit.core.errors import ScriptError
from clara_kit.core.records import StateChanged
from clara_kit.lab.survival.chaos import Chaos, broken, chaos, shrunk
from clara_kit.lab.survival.spreading import spread
from clara_kit.world.faults import Fault

KEPT = sorted((Path(__file__).parent / "kept").glob("*.yaml"))


def those_that_break(seeds: Sequence[int]) -> list[tuple[int, list[str]]]:
    return [(seed, sorted(broken(chaos(seed)))) for seed in seeds]


def test_two_thousand_conversations_survive_whatever_happens_to_them() -> None:
    found = {seed: signs for seed, signs in those_that_break(range(2000)) if signs}
    assert not found, (
        f"{len(found)} do not; `shrunk(chaos(seed))` makes one short enough to keep: {list(found.items())[:5]}"
    )


@pytest.mark.parametrize("path", KEPT, ids=[path.stem for path in KEPT])
def test_what_once_broke_does_not_again(path: Path) -> None:
    assert broken(Chaos.load(path)) == frozenset()


def test_the_same_seed_is_the_same_conversation_and_a_file_of_it_too(tmp_path: Path) -> None:
    import yaml

    assert len({chaos(seed).script.lines for seed in range(50)}) > 40
    for seed in (1, 2, 3, 7):
        one, path = chaos(seed), tmp_path / f"{seed}.yaml"
        path.write_text(yaml.safe_dump(one.to_dict(), allow_unicode=True), encoding="utf-8")
        again = Chaos.load(path)
        assert again.play().trace == one.play().trace == chaos(seed).play().trace


def test_chance_reaches_what_it_is_for() -> None:
    played = [chaos(seed) for seed in range(300)]
    faults = {(fault.service, fault.kind) for one in played for fault in one.script.faults}
    assert len(faults) > 30
    assert {one.settings["enable_auto_fallback"] for one in played} == {True, False}
    states = {r.target for one in played[:60] for r in one.play().trace if isinstance(r, StateChanged)}
    assert len(states) == 5


def test_what_breaks_is_shrunk_to_what_breaks_it() -> None:
    def breaks(one: Chaos) -> frozenset[str]:
        kinds = {fault.kind for fault in one.script.faults}
        return frozenset({"it breaks"} if "cut" in kinds and len(one.script.lines) > 1 else ())

    one = next(c for seed in range(500) if len((c := chaos(seed)).script.faults) > 3 and breaks(c))
    short = shrunk(one, breaks=breaks)
    assert [fault.kind for fault in short.script.faults] == ["cut"] and len(short.script.lines) == 2
    assert short.script.faults == (Fault(service=short.script.faults[0].service, kind="cut"),)
    assert (short.seed, short.settings, short.preset) == (0, {}, "plan")
    with pytest.raises(ScriptError, match="Nothing breaks"):
        shrunk(one, breaks=lambda _: frozenset())


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_do_too() -> None:
    found = {seed: signs for seed, signs in spread(those_that_break, range(100_000), workers=2, size=500) if signs}
    assert not found, f"{len(found)}: {list(found.items())[:10]}"
