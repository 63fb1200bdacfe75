"""Looking after every batch, agreement of raters, and who meets which variant."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest

from clara_kit.core.errors import ClaraError
from clara_kit.lab.experiment.assignment import assign, sample_ratio
from clara_kit.lab.statistics.agreement import agreement
from clara_kit.lab.statistics.sequential import Watch, differences, mixture_bound, mixture_width

# Krippendorff 2011, four raters and twelve units
KRIPPENDORFF: dict[str, list[Any]] = {
    "A": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    "B": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    "C": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    "D": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
}


def test_the_mixture_has_its_published_values() -> None:
    rho = mixture_width(100)
    assert rho == pytest.approx(12.60056, abs=1e-5)
    assert mixture_bound(100, rho) == pytest.approx(30.35209, abs=1e-5)
    assert 0.5 * np.log(rho / (100 + rho)) + 10**2 / (2 * (100 + rho)) == pytest.approx(-0.6510052, abs=1e-7)


def sure_at(draws: Any) -> list[int | None]:
    watch = Watch(planned=40)
    return [watch.look(list(one)).sure_at for one in draws]


def test_equal_variants_are_seldom_called_different_however_often_one_looks() -> None:
    found = [n for n in sure_at(np.random.default_rng(1).normal(size=(300, 40))) if n is not None]
    assert len(found) <= 0.05 * 300
    assert min(found, default=15) >= 15


def test_a_true_difference_is_found_long_before_the_end() -> None:
    found = [n for n in sure_at(np.random.default_rng(2).normal(0.8, 1, size=(100, 40))) if n is not None]
    assert len(found) >= 90
    assert np.median(found) <= 20


def test_what_was_sure_once_stays_sure_and_all_looks_give_the_same_moment() -> None:
    each = [*np.random.default_rng(3).normal(1.2, 1, size=20), *[-1.0] * 20]
    watch = Watch(planned=40)
    moments = {watch.look(each[:n]).sure_at for n in range(1, 41)}
    assert len(moments - {None}) == 1
    assert watch.look(each).sure and watch.look(each).over


def test_before_the_fifteenth_scenario_nothing_is_said() -> None:
    look = Watch().look([5.0 + 0.01 * n for n in range(14)])
    assert (look.sure, look.low, look.over) == (False, None, False)
    assert look.told() == "14 scenarios: nothing is said before 15."
    assert "no se dice nada" in look.told("es")


@pytest.mark.parametrize(
    ("each", "says"),
    [([1.0] * 20, "no spread"), ([0.0] * 20, "no spread"), ([*[-1.0, 1.0] * 7, 40.0, 0.5], "lopsided")],
)
def test_where_no_interval_holds_it_is_never_sure(each: list[float], says: str) -> None:
    look = Watch().look(each)
    assert not look.sure
    assert says in look.told()


def test_what_is_not_known_is_no_observation_and_nothing_is_no_look() -> None:
    assert Watch().look([]).n == 0
    assert Watch().look([float("nan"), 1.0]).n == 1
    for wrong in (0, 1.5, float("nan"), "40", 10**400):
        with pytest.raises(ClaraError):
            Watch(planned=wrong)  # type: ignore[arg-type]
    for wrong in (None, "abc", ["a"], [[1.0, 2.0]]):
        with pytest.raises(ClaraError, match="no differences"):
            Watch().look(wrong)  # type: ignore[arg-type]


def test_the_differences_come_in_the_order_in_which_the_scenarios_were_played() -> None:
    rows = pl.DataFrame(
        [
            {
                "variant": v,
                "scenario": s,
                "customer": c,
                "seed": 0,
                "first_sound_ms": 100.0 * (np.e**n if v == "B" else 1),
            }
            for n, s in enumerate("zax")
            for c in "cd"
            for v in "AB"
        ]
    )
    assert differences(rows, "first_sound_ms") == pytest.approx([0, 1, 2])


# --- raters -------------------------------------------------------------------------------------------------------


def test_krippendorffs_example_has_its_published_values() -> None:
    levels = {"nominal": 0.7434, "ordinal": 0.8154, "interval": 0.8491, "ratio": 0.7974}
    found = {level: agreement(KRIPPENDORFF, level).alpha for level in levels}  # type: ignore[arg-type]
    assert found == pytest.approx(levels, abs=5e-5)


def test_nineteen_of_twenty_agree_though_alpha_says_zero() -> None:
    found = agreement({"judge": ["good"] * 20, "person": ["good"] * 19 + ["bad"]})
    assert (found.raw, found.ac1, found.alpha) == pytest.approx((0.95, 0.94744, 0.0), abs=1e-5)


def test_one_value_only_has_no_alpha_and_that_is_said() -> None:
    found = agreement({"judge": [1, 1, None], "person": [1, 1, 1]})
    assert (found.raw, found.ac1, found.alpha, found.items) == (1.0, 1.0, None, 2)
    assert "alpha cannot be had" in found.told()
    assert "Menos de 20" in found.told("es")


@pytest.mark.parametrize(
    "ratings",
    [
        {"A": [1]},
        {"A": [1, 2], "B": [1]},
        {"A": [1, None], "B": [None, 1]},
        {},
        {"A": [], "B": []},
        [1],
        {"A": 3, "B": 4},
        {"A": [[1]], "B": [[1]]},
    ],
)
def test_what_two_have_not_rated_is_an_error_with_a_remedy(ratings: dict[str, list[Any]]) -> None:
    with pytest.raises(ClaraError) as told:
        agreement(ratings)
    assert told.value.hint


def test_words_have_no_order() -> None:
    with pytest.raises(ClaraError, match="are numbers"):
        agreement({"A": ["good", "bad"], "B": ["good", "good"]}, "ordinal")
    with pytest.raises(ClaraError, match="are numbers"):
        agreement({"A": [1.0, float("inf")], "B": [1.0, 2.0]}, "interval")
    with pytest.raises(ClaraError, match="no level"):
        agreement({"A": [1, 2], "B": [1, 2]}, "nothing")  # type: ignore[arg-type]


# --- who meets what -----------------------------------------------------------------------------------------------

PEOPLE = [str(n) for n in range(4000)]


def test_the_same_customer_meets_the_same_variant_in_another_process() -> None:
    shares = {"expert": 0.3, "warm": 0.7}
    told = "from clara_kit import assign; print([assign(str(n), 'rollout', {'warm': 0.7, 'expert': 0.3}) for n in range(40)])"
    there = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout
    assert there.strip() == str([assign(one, "rollout", shares) for one in PEOPLE[:40]])
    assert "".join(assign(one, "rollout", shares)[0] for one in "abcdefghijklmnop") == "wweewwwwwwewwwee"


def test_raising_a_share_moves_nobody_back() -> None:
    had: set[str] = set()
    for percent in (0, 1, 5, 25, 50, 100):
        share = percent / 100
        now = {one for one in PEOPLE if assign(one, "rollout", {"old": 1 - share, "new": share}) == "new"}
        assert had <= now
        assert abs(len(now) / len(PEOPLE) - share) < 0.03
        had = now


def test_raising_one_of_three_takes_from_the_others_and_gives_them_nothing() -> None:
    before = {"a": 0.2, "b": 0.3, "old": 0.5}
    after = {"a": 0.4, "b": 0.225, "old": 0.375}
    moved = Counter((assign(p, "x", before), assign(p, "x", after)) for p in PEOPLE)
    assert {to for was, to in moved if was != to} == {"a"}


def test_experiments_are_independent_of_each_other() -> None:
    shares = {"new": 0.5, "old": 0.5}
    both = Counter((assign(p, "first", shares), assign(p, "second", shares)) for p in PEOPLE)
    assert all(abs(n / len(PEOPLE) - 0.25) < 0.03 for n in both.values())


def test_lost_customers_are_noticed_and_chance_is_not() -> None:
    shares = {"new": 0.1, "old": 0.9}
    assert not sample_ratio(Counter(assign(p, "rollout", shares) for p in PEOPLE), shares).suspicious
    lost = sample_ratio({"new": 330, "old": 3600}, shares)
    assert lost.suspicious
    assert "Something lost customers: new 330 (393), old 3,600 (3,537)" in lost.told()
    assert sample_ratio({"a": 12, "b": 3}, {"a": 0.5, "b": 0.5}).p == pytest.approx(0.03515625)
    thirds = {"a": 0.25, "b": 0.25, "c": 0.5}
    assert sample_ratio({"a": 100, "b": 101, "c": 240}, thirds).p == pytest.approx(0.177, abs=0.001)
    assert sample_ratio({"a": 0, "b": 500}, {"a": 0.5, "b": 0.5}).suspicious
    assert sample_ratio({"a": 1, "b": 100}, {"a": 0.0, "b": 1.0}).suspicious


asked: Any = assign  # whatever somebody may type
checked: Any = sample_ratio


@pytest.mark.parametrize(
    "call",
    [
        lambda: assign("1", "x", {}), lambda: assign("1", "x", {"a": 0.5, "b": 0.4}), lambda: assign("1", "x", {"a": -1, "b": 2}),
        lambda: assign("", "x", {"a": 1}), lambda: assign("1", "x", {"a": float("nan"), "b": 1}),
        lambda: sample_ratio({}, {"a": 1}), lambda: sample_ratio({"c": 3}, {"a": 1}),
        lambda: asked(1, "x", {"a": 1}), lambda: asked("1", "x", {"a": "1"}), lambda: asked("1", "x", {1: 0.5, "1": 0.5}),
        lambda: asked("1", "x", ["a"]), lambda: checked({"a": float("nan")}, {"a": 1}), lambda: checked({"a": 10**400}, {"a": 1}),
        lambda: checked(None, {"a": 1}), lambda: checked({3: 1}, {"a": 1}),
    ],
)  # fmt: skip
def test_shares_that_are_none_are_refused(call: Any) -> None:
    with pytest.raises(ClaraError) as told:
        call()
    assert told.value.hint
