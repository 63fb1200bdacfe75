"""People rate without knowing whose a conversation is; nothing they did is lost, and nothing is changed."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from clara_kit.core.errors import ClaraError
from clara_kit.lab.scores.judge import Judged, Verdicts
from clara_kit.lab.scores.metrics import JUDGE, PEOPLE
from clara_kit.lab.scores.ratings import Blind, Ratings
from clara_kit.lab.statistics.agreement import agreement
from clara_kit.lab.statistics.compare import compare

KEYS = tuple((scenario, customer, 1) for scenario in ("acne", "precio", "queja") for customer in ("camila", "paz"))


def rater(folder: Path, alias: str = "ana", **more: Any) -> Blind:
    return Blind(Ratings(folder), KEYS, "warm", "brief", alias, **more)


def test_the_same_pair_is_shown_until_it_is_rated_then_the_next(tmp_path: Path) -> None:
    work = rater(tmp_path)
    first = work.next()
    assert first is not None and work.next() == first and work.progress == (0, 6)
    second = work.rate("left")
    assert second is not None and second.key != first.key and work.progress == (1, 6)


def test_after_a_restart_it_goes_on_where_it_was(tmp_path: Path) -> None:
    work = rater(tmp_path)
    work.rate("right")
    shown = work.rate("same")
    assert rater(tmp_path).next() == shown and rater(tmp_path).progress == (2, 6)


def test_undo_goes_back_as_far_as_one_likes_and_the_file_only_grows(tmp_path: Path) -> None:
    work, shown = rater(tmp_path), []
    for choice in ("left", "right", "both_bad"):
        shown.append(work.next())
        work.rate(choice)  # type: ignore[arg-type]
    size = (tmp_path / "ratings.jsonl").stat().st_size
    assert [work.undo(), work.undo(), work.undo()] == shown[::-1]
    assert work.undo() is None and work.progress == (0, 6) and not work.ratings.kept()
    assert (tmp_path / "ratings.jsonl").stat().st_size > size
    work.rate("same")
    assert [one.choice for one in work.ratings.kept()] == ["same"]


def test_undo_in_one_comparison_leaves_another_alone(tmp_path: Path) -> None:
    work, other = rater(tmp_path), Blind(Ratings(tmp_path), KEYS, "warm", "expert", "ana")
    work.rate("left")
    other.rate("right")
    work.undo()
    assert work.progress.done == 0 and other.progress.done == 1


def test_order_and_sides_come_from_the_seed_and_the_rater_and_tell_nothing(tmp_path: Path) -> None:
    folders = (tmp_path / str(n) for n in count())

    def seen(alias: str, seed: int) -> list[tuple[Any, str]]:
        work, found = rater(next(folders), alias, seed=seed), []
        while (pair := work.next()) is not None:
            found.append((pair.key, pair.left))
            assert "warm" not in repr(pair) and "brief" not in repr(pair)
            work.rate("same")
        return found

    one, again, other, third = seen("ana", 1), seen("ana", 1), seen("ben", 1), seen("ana", 2)
    assert again == one and len({str(order) for order in (one, other, third)}) == 3
    sides = [left for n in range(12) for _, left in seen("eva", n)]
    assert 0.25 < sides.count("warm") / len(sides) < 0.75


def test_what_is_kept_is_which_variant_was_better_wherever_it_stood(tmp_path: Path) -> None:
    work = rater(tmp_path)
    while (pair := work.next()) is not None:
        work.rate("left" if pair.left == "brief" else "right")
    assert work.ratings.counts("warm", "brief") == {"warm": 0, "brief": 6, "same": 0, "both_bad": 0}
    frame = work.ratings.columns("warm", "brief")
    assert frame.filter(pl.col("variant") == "brief")[PEOPLE.name].to_list() == [1.0] * 6
    assert set(frame["variant"]) == {"warm", "brief"} and frame.columns[:4] == [
        "variant",
        "scenario",
        "customer",
        "seed",
    ]


def test_several_raters_rate_the_same_pairs_and_their_agreement_can_be_had(tmp_path: Path) -> None:
    for alias in ("ana", "ben"):
        work = rater(tmp_path, alias, most=4, seed=3)
        while (pair := work.next()) is not None:
            work.rate(
                "same" if pair.key[0] == "acne" and alias == "ben" else ("left" if pair.left == "warm" else "right")
            )
    table = Ratings(tmp_path).by_rater("warm", "brief")
    assert sorted(table) == ["ana", "ben"] and len(table["ana"]) == len(table["ben"]) == 4
    assert set(table["ana"]) == {"warm"} and "same" in table["ben"]
    verdicts = Verdicts("warm", "brief", tuple((key, Judged(preference="left")) for key in KEYS[:3]))
    judged = Ratings(tmp_path).by_rater("warm", "brief", verdicts)["judge"]
    assert len(judged) == 4 and set(judged) <= {"warm", None}
    assert Ratings(tmp_path).columns("warm", "brief")["people"].to_list().count(0.25) == table["ben"].count("same")


def test_a_line_that_was_cut_off_hides_no_other(tmp_path: Path) -> None:
    work = rater(tmp_path)
    work.rate("left")
    with (tmp_path / "ratings.jsonl").open("ab") as file:
        file.write(b'{"rater":"ana","scen')
    work.rate("right")
    assert [one.choice for one in Ratings(tmp_path).kept()] == ["left", "right"]


def test_a_choice_or_an_alias_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClaraError, match="no choice"):
        rater(tmp_path).rate("better")  # type: ignore[arg-type]
    for alias in ("", "  ", "judge", "x" * 41):
        with pytest.raises(ClaraError):
            rater(tmp_path, alias)
    assert rater(tmp_path, "  Ana \n M. ").rater == "Ana M."


def test_when_all_is_rated_there_is_nothing_more(tmp_path: Path) -> None:
    work = rater(tmp_path, most=1)
    assert work.rate("both_bad") is None and work.next() is None
    with pytest.raises(ClaraError, match="Everything is rated"):
        work.rate("left")


def test_of_an_experiment_only_pairs_that_differ_are_shown(tmp_path: Path) -> None:
    where = {"variant": pl.String, "scenario": pl.String, "customer": pl.String, "seed": pl.Int64}
    rows = pl.DataFrame([(v, *key) for v in ("warm", "brief") for key in KEYS], schema=where, orient="row")
    turns = pl.DataFrame(
        [(v, *key, 1, "sí" if key[0] == "acne" else v) for v in ("warm", "brief") for key in KEYS],
        schema={**where, "turn": pl.Int64, "heard": pl.String}, orient="row",
    )  # fmt: skip
    experiment = SimpleNamespace(rows=rows, turns=turns, folder=tmp_path)
    assert {key[0] for key in Blind.of(experiment, "warm", "brief", "ana").order} == {"precio", "queja"}
    with pytest.raises(ClaraError, match="the same everywhere"):
        Blind.of(
            SimpleNamespace(rows=rows, turns=turns.filter(pl.col("scenario") == "acne"), folder=tmp_path),
            "warm",
            "brief",
            "ana",
        )


def test_preferences_are_compared_and_raters_and_the_judge_agree_by_the_kits_own_figures(tmp_path: Path) -> None:
    keys = tuple((f"s{n}", customer, 1) for n in range(8) for customer in ("camila", "paz"))
    for alias in ("ana", "ben"):
        work = Blind(Ratings(tmp_path), keys, "warm", "brief", alias)
        while (pair := work.next()) is not None:
            likes = "warm" if pair.key[0] == "s0" else "brief"
            work.rate("left" if pair.left == likes else "right")
    verdicts = Verdicts("warm", "brief", tuple((key, Judged(preference="right")) for key in keys))
    told = agreement(work.ratings.by_rater("warm", "brief", verdicts))
    assert told.raters == 3 and told.items == 16 and 0.8 < told.raw < 1 and told.ac1 > 0.7
    people = compare(work.ratings.columns("warm", "brief"), "warm", "brief", metrics=[PEOPLE])
    judge = compare(verdicts.columns, "warm", "brief", metrics=[JUDGE])
    assert people.effects["metric"].to_list() == ["people"] and judge.effects["metric"].to_list() == ["judge"]
    assert "brief" in judge.verdict
