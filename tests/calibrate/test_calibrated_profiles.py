"""A profile of one's own: fitted from samples, found by name, marked wherever it shows."""

from __future__ import annotations

import math
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from types import MappingProxyType

import pytest

from clara_kit.core.errors import ScriptError
from clara_kit.lab.calibrate.laws import apart, fitted
from clara_kit.lab.calibrate.mark import calibrated_mark
from clara_kit.lab.calibrate.profile_file import write
from clara_kit.lab.calibrate.tape import Cost, Tape, together
from clara_kit.world import latency
from clara_kit.world.latency import STAGES, LatencyProfile, Law
from clara_kit.world.sim import simulate

NOW = datetime(2026, 11, 29, 14, 3, tzinfo=timezone(timedelta(hours=-3)))


def measured(folder: Path, name: str, *, start_ms: float = 500, behind: str = "live", now: datetime = NOW) -> Path:
    tape = Tape()
    for n in range(9):
        tape.keep("avatar_start", start_ms + n)
    path = write(folder / f"{name}.yaml", tape, now=now, behind=behind)  # type: ignore[arg-type]
    assert path is not None
    return path


@pytest.mark.parametrize("law", [("lognormal", 950, 1600), ("lognormal", 637, 1615), ("uniform", 150, 250)])
def test_the_intervals_hold_the_truth_as_often_as_they_say(law: tuple[str, float, float]) -> None:
    kind, low, high = law
    truth = Law(kind=kind, low=low, high=high, source="the test's")  # type: ignore[arg-type]
    p50 = truth.middle
    p95 = high if kind == "lognormal" else low + 0.95 * (high - low)
    rng, tries, held50, held95 = Random(7), 400, 0, 0
    for _ in range(tries):
        made = fitted([truth.draw(rng) for _ in range(20)])
        assert made is not None
        held50 += made.found.p50_between[0] <= p50 <= made.found.p50_between[1]
        held95 += made.found.p95_between[0] <= p95 <= made.found.p95_between[1]
    assert held50 / tries >= 0.93
    assert held95 / tries >= (0.90 if kind == "lognormal" else 0.80)  # of a law that it is not, it is a little off


def test_rare_slow_ones_are_told_apart_and_a_long_tail_is_not() -> None:
    rng = Random(1)
    slow = Law(kind="lognormal", low=950, high=1600, source="s", spike_share=0.1, spike_low=4000, spike_high=6500)
    drawn = [slow.draw(rng) for _ in range(200)]
    rest, spikes = apart(drawn)
    assert [*spikes] == [value for value in drawn if value >= 4000] and len(rest) + len(spikes) == 200
    tail = Law(kind="lognormal", low=637, high=1615, source="s")
    assert apart([tail.draw(rng) for _ in range(200)])[1] == []


def test_few_samples_make_no_law_and_equal_ones_a_fixed_one() -> None:
    assert fitted([1, 2]) is None
    made = fitted([7.0] * 5)
    assert made is not None and made.law == {"fixed": 7.0}
    gain = fitted([-5.0, 3.0, 4.0], difference=True)
    nearly_nothing = fitted([0.0, 2.0, 180.0])
    assert nearly_nothing is not None and nearly_nothing.found.p95 < 10_000
    assert gain is not None and gain.found.p50 == 3.0 and gain.found.p50_between == (-5.0, 4.0)


def test_the_newest_of_ones_own_is_found_by_name_and_one_of_twins_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "OWN", tmp_path)
    with pytest.raises(ScriptError, match="never been measured") as caught:
        LatencyProfile.load("calibrated")
    assert "clara calibrate" in caught.value.hint
    older, newer = measured(tmp_path, "2026-11-28", start_ms=900), measured(tmp_path, "2026-11-29")
    twins = measured(tmp_path, "twins-2026-11-30", behind="twins")
    for n, path in enumerate((older, newer, twins)):
        os.utime(path, (1e9 + n, 1e9 + n))
    assert LatencyProfile.load("calibrated").laws["avatar_start"].middle == pytest.approx(504)


def test_a_simulation_lives_by_it_and_its_run_says_so(tmp_path: Path) -> None:
    path = measured(tmp_path, "2026-11-29", start_ms=300)
    run = simulate(["¿Hacen despachos a regiones?"], profile=LatencyProfile.load(path))
    kept = LatencyProfile.kept(LatencyProfile.load(path).to_dict())
    assert kept.calibrated is not None and kept.calibrated.behind == "live"
    assert kept.laws["avatar_start"].middle == LatencyProfile.load(path).laws["avatar_start"].middle
    usual = simulate(["¿Hacen despachos a regiones?"])
    assert run.turns["total_ms"].mean() < usual.turns["total_ms"].mean()  # type: ignore[operator]
    assert "calibrated" not in LatencyProfile.load("published").to_dict()


@pytest.mark.parametrize(
    ("days", "english", "spanish"),
    [(0, "calibrated today", "calibrado hoy"), (1, "calibrated yesterday", "calibrado ayer"),
     (3, "calibrated 3 days ago", "calibrado hace 3 días")],
)  # fmt: skip
def test_every_plot_can_say_how_old_its_figures_are(days: int, english: str, spanish: str, tmp_path: Path) -> None:
    profile = LatencyProfile.load(measured(tmp_path, "2026-11-29"))
    later = NOW + timedelta(days=days)
    assert calibrated_mark(profile, now=later) == f"{english} (1 of {len(STAGES)} stages)"
    assert calibrated_mark(profile, now=later, language="es") == f"{spanish} (1 de {len(STAGES)} etapas)"
    kept = LatencyProfile.kept(profile.to_dict())  # as a run remembers it
    assert calibrated_mark(kept, now=later) == calibrated_mark(profile, now=later)


def test_published_figures_and_twins_are_never_taken_for_a_vendors(tmp_path: Path) -> None:
    assert calibrated_mark(LatencyProfile.load("published")) == "never calibrated: published figures"
    twins = LatencyProfile.load(measured(tmp_path, "twins-2026-11-29", behind="twins"))
    assert "no vendor" in calibrated_mark(twins)


def test_costs_add_up_and_an_unknown_price_stays_unknown() -> None:
    total = together([Cost(0.1, 1), Cost(unknown=("m",)), Cost(0.2, unknown=("m",))])
    assert math.isclose(total.usd, 0.3) and total.credits == 1 and total.unknown == ("m",)


def test_a_profile_is_read_only_once_it_is_whole(tmp_path: Path) -> None:
    path = measured(tmp_path, "2026-11-29")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert isinstance(LatencyProfile.load(path).laws, MappingProxyType)
