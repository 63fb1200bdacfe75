"""The statistics against published examples, and what they say where a method cannot hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clara_kit.core.errors import ClaraError
from clara_kit.lab.experiment.runner import run_experiment
from clara_kit.lab.scores.metrics import Metric
from clara_kit.lab.statistics.compare import compare
from clara_kit.lab.statistics.crossed import Cells, interval, more_scenarios, power, would_find
from clara_kit.lab.statistics.exact import holm, middle, sign_flips, sign_test, skewed
from clara_kit.lab.statistics.method_check import method_check
from clara_kit.world.scenario import Scenario

SLEEP = (1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4)  # Student 1908
MAIZE = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)  # Darwin 1876, eighths of an inch
BENJAMINI_HOCHBERG = (
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759, 1.0,
)  # fmt: skip


def each_alone(values: Any) -> Cells:
    """As many scenarios as values, one customer."""
    return Cells.of(values, range(len(values)), [0] * len(values))


def rows(
    difference: Any, *, scenarios: int = 12, customers: int = 8, metric: str = "seconds", **more: Any
) -> pl.DataFrame:
    """Both variants on the same occasions; `difference(scenario, customer)` is what B has more."""
    occasions = [(s, c) for s in range(scenarios) for c in range(customers)]
    table = [
        {"variant": v, "scenario": f"s{s:02}", "customer": f"c{c:02}", "seed": 0, metric: (100 + s + c) + (v == "B") * difference(s, c), **more}
        for v in "AB"
        for s, c in occasions
    ]  # fmt: skip
    return pl.DataFrame(table)


def noise(s: int, c: int) -> float:
    return float(np.random.default_rng(1000 * s + c).normal() + np.random.default_rng(s).normal())


def test_students_sleep_and_darwins_maize_have_their_published_intervals() -> None:
    sleep = interval(each_alone(SLEEP))
    assert (sleep.mean, sleep.low, sleep.high) == pytest.approx((1.58, 0.7001142, 2.4598858), abs=1e-7)
    maize = interval(each_alone(np.array(MAIZE) / 8))
    assert (maize.mean, maize.low, maize.high) == pytest.approx((2.6167, 0.0039, 5.2294), abs=1e-4)


def test_the_exact_tests_have_their_published_values() -> None:
    assert sign_flips(MAIZE) == pytest.approx(1726 / 32768)
    assert sign_flips([1.0] * 12 + [-1.0] * 3) == pytest.approx(0.03515625)
    assert sign_test([1.0] * 12 + [-1.0] * 3) == pytest.approx(0.03515625)
    agresti = [1.0] * 150 + [-1.0] * 86 + [0.0] * (794 + 570)
    assert sign_test(agresti) == pytest.approx(3.716e-5, rel=1e-3)
    assert sum(p is not None and p <= 0.05 for p in holm(BENJAMINI_HOCHBERG)) == 3


def test_flips_of_many_clusters_are_drawn_always_the_same_and_near_the_truth() -> None:
    sums = [*[1.0] * 20, *[-1.0] * 10]
    assert sign_flips(sums) == sign_flips(sums) == pytest.approx(sign_test(sums), abs=0.006)


def test_what_is_not_known_spoils_no_correction() -> None:
    assert holm([0.01, None, float("nan"), 0.04]) == [0.02, None, None, 0.04]


def test_the_middle_of_six_values_lies_between_the_outermost_and_of_five_nowhere() -> None:
    assert middle([1, 2, 3, 4, 5, 6]) == (3.5, 1, 6)
    assert middle([1, 2, 3, 4, 5]) == (3, None, None)
    assert middle(list(range(1, 41)))[1:] == (14, 27)  # the binomial's 13 below and above: 0.9615


def test_repeated_seeds_are_no_more_observations_than_one() -> None:
    values, scenarios, customers = SLEEP * 6, list(range(10)) * 6, [c for c in range(6) for _ in range(10)]
    once = interval(Cells.of(values, scenarios, customers))
    thrice = interval(Cells.of(values * 3, scenarios * 3, customers * 3))
    assert once == thrice
    assert once.both_ways


def test_power_is_what_simulation_finds_and_a_needed_number_is_what_gives_it() -> None:
    # Half a standard deviation needs 34 observations (G*Power's manual), and no power is lost far out
    assert power(0.5, 1 / 34**0.5, 33) == pytest.approx(0.8077775, abs=1e-6)
    assert power(0.5, 1 / 33**0.5, 32) < 0.8
    assert [power(d, 1.0, 12) for d in (12, 40, 400)] == pytest.approx([1, 1, 1])
    found = interval(each_alone(np.array(SLEEP) - 1.1))
    assert found.p is not None and found.p > 0.05
    more = more_scenarios(found)
    assert more is not None and 40 < more < 46
    error = found.error * (10 / (10 + more)) ** 0.5
    assert (
        power(found.mean, error, 9 + more) >= 0.8 > power(found.mean, found.error * (10 / (9 + more)) ** 0.5, 8 + more)
    )
    finds = would_find(found)
    assert finds is not None and power(finds, found.error, found.degrees) == pytest.approx(0.8, abs=0.03)


def outcome(table: pl.DataFrame, metric: str = "seconds") -> tuple[str, str]:
    compared = compare(table, metrics=[metric])
    return compared.effect(metric).outcome, compared.verdict


def test_what_never_differed_is_not_called_equal() -> None:
    what, said = outcome(rows(lambda s, c: 0))
    assert what == "same"
    assert said == "Nothing differed between «A» and «B» on the occasions tried."


def test_the_same_difference_everywhere_is_told_without_an_interval() -> None:
    what, said = outcome(rows(lambda s, c: 0.1))
    assert what == "worse"
    assert "the same in every scenario, so without an interval" in said


def test_under_four_scenarios_nothing_is_said() -> None:
    what, said = outcome(rows(lambda s, c: 5 + noise(s, c), scenarios=3))
    assert what == "too_few"
    assert "3 scenarios are too few" in said
    assert outcome(rows(lambda s, c: 50 + noise(s, c), scenarios=4))[0] == "worse"


def test_skewed_differences_are_compared_by_counting_scenarios_and_it_is_said() -> None:
    what, said = outcome(rows(lambda s, c: -60 - s if s % 9 == 0 else -1 - 0.001 * s, scenarios=40))
    assert what == "better"
    assert "skewed: higher in 0 and lower in 40 of 40 scenarios" in said
    assert skewed(np.exp(np.random.default_rng(0).normal(size=40)))
    assert not skewed(np.random.default_rng(0).normal(size=40))


def test_a_few_scenarios_that_turn_the_average_round_are_no_verdict() -> None:
    compared = compare(rows(lambda s, c: 60 if s % 9 == 0 else -1, scenarios=40), metrics=["seconds"])
    assert compared.effect("seconds").outcome == "mixed"
    assert "most scenarios say one thing and the average another" in compared.verdict
    assert compared.by_scenario("seconds")["difference"].to_list()[:5] == [60.0] * 5


def test_where_most_scenarios_do_not_differ_the_others_are_counted() -> None:
    found = compare(rows(lambda s, c: -9 - s if s % 4 == 0 else 0, scenarios=40), metrics=["seconds"]).effect("seconds")
    assert (found.outcome, found.higher, found.lower, found.low) == ("better", 0, 10, None)
    assert found.difference is not None and found.difference < 0


def test_one_customer_speaks_for_nobody_else() -> None:
    what, said = outcome(rows(lambda s, c: 50 + noise(s, c), customers=1))
    assert what == "worse"
    assert "this holds for this one customer, not for others" in said


def test_times_are_compared_as_ratios_and_zero_among_them_by_the_middle() -> None:
    table = rows(lambda s, c: 20 + noise(s, c), metric="first_sound_ms")
    found = compare(table).effect("first_sound_ms")
    assert (found.unit, found.method, found.outcome) == ("percent", "logs", "worse")
    zero = table.with_columns(
        pl.when(pl.col("scenario") == "s00").then(0.0).otherwise("first_sound_ms").alias("first_sound_ms")
    )
    assert compare(zero).effect("first_sound_ms").method == "middle scenario"


def test_missing_values_are_left_out_and_told_and_too_many_of_one_side_end_it() -> None:
    table = rows(lambda s, c: 50 + noise(s, c))
    some = table.with_columns(
        pl.when((pl.col("variant") == "B") & (pl.col("customer") == "c00"))
        .then(None)
        .otherwise("seconds")
        .alias("seconds")
    )
    found = compare(some, metrics=["seconds"])
    assert (found.effect("seconds").pairs, found.effect("seconds").lost) == (84, 12)
    assert "12 of 96 pairs are known of one side only and left out" in repr(found)
    many = table.with_columns(
        pl.when((pl.col("variant") == "B") & (pl.col("customer") < "c03"))
        .then(float("nan"))
        .otherwise("seconds")
        .alias("seconds")
    )
    what, said = outcome(many)
    assert what == "lost"
    assert "36 of 96 pairs are known of one side only" in said
    assert outcome(table.with_columns(pl.lit(None).alias("seconds")))[0] == "unknown"


def test_unequal_cells_and_several_seeds_are_paired_as_they_are() -> None:
    table = rows(lambda s, c: 50 + noise(s, c))
    more = pl.concat([table, table.with_columns(pl.lit(1).cast(pl.Int64).alias("seed"))])
    some = more.filter(~((pl.col("variant") == "A") & (pl.col("scenario") == "s03") & (pl.col("customer") < "c05")))
    found = compare(some, metrics=["seconds"]).effect("seconds")
    assert found.pairs == 2 * (96 - 5)
    assert found.outcome == "worse"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: compare(t.filter(pl.col("variant") == "A")), "only one variant"),
        (lambda t: compare(t.clear()), "no rows to compare"),
        (lambda t: compare(t, "A", "C"), "no variant «C»"),
        (lambda t: compare(t, "A", "A"), "compared with itself"),
        (lambda t: compare(t, metrics=["charm"]), "«charm» is not a metric"),
        (lambda t: compare(t, metrics=["scenario"]), "holds no numbers"),
        (lambda t: compare(t.drop("scenario")), "no column «scenario»"),
        (lambda t: compare(t.drop("seconds")), "no metric that is known"),
        (lambda t: compare(t, confidence=95), "A confidence of 95"),
        (lambda t: compare(t, **{"confidence": "0.95"}), "A confidence of 0.95"),
        (lambda t: compare(t.lazy()), "no experiment, and no table"),
        (lambda t: compare(t, metrics=[]), "no metric to compare"),
        (lambda t: compare(t, metrics=["seed"]), "not a metric"),
        (lambda t: compare(t, **{"metrics": [None]}), "not a metric"),
        (lambda t: compare(t.with_columns(pl.col("seconds").cast(pl.String))), "holds no numbers"),
        (lambda t: compare(t.with_columns(pl.concat_list("customer").alias("customer"))), "holds lists"),
        (lambda t: compare(t.filter((pl.col("variant") == "A") | (pl.col("seed") == 1))), "only one variant"),
        (lambda t: compare(t.with_columns(pl.when(pl.col("variant") == "A").then(1).otherwise("seed").alias("seed"))), "never tried on the same"),
        (lambda t: compare(pl.concat([t, t.with_columns(pl.lit("C").alias("variant"))])), "There are 3 variants"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_an_error_with_a_remedy(change: Any, says: str) -> None:
    with pytest.raises(ClaraError) as told:
        change(rows(noise))
    assert says in told.value.message
    assert told.value.hint


def test_customers_may_be_numbers_or_unknown_and_seeds_and_customers_may_lack() -> None:
    table = rows(lambda s, c: 50 + noise(s, c))
    numbers = table.with_columns(pl.col("customer").str.slice(1).cast(pl.Int64))
    assert compare(numbers, metrics=["seconds"]).effects.equals(compare(table, metrics=["seconds"]).effects)
    found = compare(table.drop("seed", "customer"), metrics=["seconds"]).effect("seconds")
    assert (found.outcome, found.customers, found.pairs) == ("worse", 1, 12)
    nested = table.with_columns((pl.col("scenario") + pl.col("customer")).alias("customer"))
    assert compare(nested, metrics=["seconds"]).effect("seconds").outcome == "worse"


def test_yes_and_no_are_tested_by_whole_scenarios_not_by_conversations() -> None:
    # B loses one scenario of ten wholly: 25 conversations of 250, which McNemar would call certain.
    lost = rows(lambda s, c: -(100 + s + c) if s == 0 else 0, scenarios=10, customers=25)
    table = lost.with_columns((pl.col("seconds") > 0).alias("kept")).drop("seconds")
    compared = compare(table)
    assert compared.effect("kept").p == 1.0
    assert compared.effect("kept").outcome == "cannot_tell"
    assert compared.by_scenario("kept").row(0) == ("s00", 1.0, 0.0, -1.0, 25)


def test_a_metric_of_ones_own_has_its_own_direction_and_an_unknown_column_none() -> None:
    table = rows(lambda s, c: 50 + noise(s, c), metric="warmth")
    assert (
        compare(table, metrics=[Metric("warmth", "rating", "more", ("warmth", "calidez"))]).effect("warmth").outcome
        == "better"
    )
    assert compare(table, metrics=["warmth"]).effect("warmth").outcome == "differs"


def test_scripted_answers_make_it_a_rehearsal_in_both_languages() -> None:
    compared = compare(rows(lambda s, c: 50 + noise(s, c), answers="scripted"))
    assert compared.rehearsal
    assert compared.verdict.startswith("In this rehearsal with scripted answers: «B» is worse on")
    assert "no verdict on the prompts" in compared.heading()
    assert "no un veredicto" in compared.heading("es")
    assert compared.told("es").startswith("En este ensayo con respuestas de guion: «B» es peor en")
    assert not compare(rows(noise, answers="recorded")).rehearsal
    assert compare(rows(noise, answers="recorded (twin)")).rehearsal
    assert compare(rows(noise, answers="local")).verdict.startswith("With a stand-in model: ")


def test_what_was_not_recorded_and_what_others_wrote_is_told() -> None:
    table = rows(lambda s, c: 50 + noise(s, c), answers="recorded")
    others = pl.when(pl.col("variant") == "B").then(pl.lit("live")).otherwise("answers")
    assert (
        "Not the same wrote the answers of both (live, recorded)"
        in compare(table.with_columns(others.alias("answers"))).heading()
    )
    none = pl.when(pl.col("customer") == "c00").then(None).otherwise("seconds").alias("seconds")
    kept = pl.when(pl.col("customer") == "c00").then(pl.lit("not recorded")).otherwise("answers").alias("answers")
    compared = compare(table.with_columns(none, kept), metrics=["seconds"])
    assert "were not tested" in compared.heading()
    assert compared.effect("seconds").pairs == 84


def test_what_it_shows_is_the_same_whatever_the_order_of_the_rows() -> None:
    table = rows(lambda s, c: 1 + noise(s, c)).with_columns(pl.lit(0.001).alias("usd_per_turn"))
    one, other = compare(table, "A", "B"), compare(table.sample(fraction=1, shuffle=True, seed=3), "A", "B")
    assert one._repr_html_() == other._repr_html_()
    assert "<table>" in one._repr_html_()
    picture = one.figure().to_plotly_json()
    assert {trace["marker"]["symbol"] for trace in picture["data"] if "marker" in trace} <= {
        "x",
        "circle-open",
        "line-ns-open",
        "triangle-up",
    }
    assert one.figure("es").to_json() == other.figure("es").to_json()


@pytest.mark.parametrize("metric", ["kept", "first_sound_ms", "heard_share"])
def test_the_method_finds_a_planted_difference_and_none_between_equals(metric: str) -> None:
    found = method_check(metric=metric, times=60)
    assert found.false_calls <= 6
    assert found.found >= 50
    assert found.equal.found[0].outcome == "cannot_tell"
    assert found.planted.found[0].outcome in ("better", "worse")
    assert "Generated numbers, no conversations" in found._repr_html_()


def test_the_names_of_a_real_pair_dealt_anew_are_equal_whatever_the_difference_was() -> None:
    table = rows(lambda s, c: 1 + noise(s, c), scenarios=20, customers=10, answers="scripted")
    assert compare(table).effect("seconds").outcome == "worse"
    found = method_check(table, "seconds", 2.0, times=60)
    assert found.false_calls <= 6
    assert found.found >= 50
    assert found.equal.rehearsal
    assert found.told("es").startswith("De 60 pares iguales por construcción")


def test_two_conversations_of_one_variant_on_the_same_occasion_are_an_equal_pair(tmp_path: Path) -> None:
    some = [s.name for s in Scenario.all()[:6]]
    tried = run_experiment({"A": "warm"}, some, ["camila"], 3, folder=tmp_path)
    found = method_check(tried, "first_sound_ms", 3.0, times=40)
    assert found.equal.rehearsal
    assert found.false_calls <= 4
    assert found.found >= 30
    assert found.equal.found[0].outcome == "cannot_tell"


def test_a_variant_and_itself_on_the_same_occasions_never_differ(tmp_path: Path) -> None:
    some = [s.name for s in Scenario.all()[:4]]
    tried = run_experiment({"A": "warm", "A again": "warm"}, some, ["camila"], folder=tmp_path)
    assert "nothing differed between «A» and «A again»" in compare(tried).verdict
