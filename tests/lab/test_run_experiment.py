"""Experiments: planned, played, kept, stopped and taken up again, wherever they are played."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clara_kit import Experiment, PromptTemplate, Scenario, Settings, Variant, experiments, plan, run_experiment
from clara_kit.core.errors import RunLogError, SettingsError
from clara_kit.lab.experiment import executors, playing, runner
from clara_kit.lab.experiment.design import Design, usual_customers
from clara_kit.lab.experiment.store import Shelf

WHO = ("camila", "matias", "")


def scenario(name: str, *lines: str) -> Scenario:
    script = {"lines": [{"text": line} for line in lines]}
    return Scenario.model_validate({"name": name, "title": name, "topic": "other", "script": script})


SCENARIOS = [
    scenario("price", "¿Cuánto cuesta el gel Brisa?"),
    scenario("routine", "¿Qué rutina me recomiendas?", "Gracias"),
]


def small(folder: Path, **more: Any) -> Experiment:
    given = {"variants": {"A": "warm", "B": "expert"}, "scenarios": SCENARIOS, "customers": WHO, "seeds": 2, **more}
    return run_experiment(folder=folder, **given)


def kept(experiment: Experiment) -> dict[str, Any]:
    """What lies in its folder, without times."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in experiment.folder.glob("*.parquet")}
    manifest = json.loads((experiment.folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["facts"]["times"]
    return {**found, "manifest": manifest}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return small(tmp_path_factory.mktemp("whole"))


def test_every_variant_meets_the_same_customers_and_questions_with_the_same_seed(whole: Experiment) -> None:
    rows = whole.rows

    assert len(rows) == 2 * 2 * 3 * 2
    for part in rows.partition_by("scenario", "customer", "seed"):
        assert sorted(part["variant"].to_list()) == ["A", "B"]
    a, b = (whole.run(v, "price", "camila", 1) for v in "AB")
    assert a.inputs["seed"] == b.inputs["seed"] != whole.run("A", "price", "camila", 0).inputs["seed"]
    assert (
        whole.turns.filter(variant="A", scenario="price", customer="camila", turn=1)["said"].to_list()
        == ["¿Cuánto cuesta el gel Brisa?"] * 2
    )


def test_scripted_answers_are_a_rehearsal_and_say_so(whole: Experiment) -> None:
    assert whole.rehearsal
    assert "simulated" in whole.mix and "scripted" in whole.mix
    assert "no verdict on the prompts" in whole._repr_html_()


def test_what_was_run_is_read_and_not_run_again(whole: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_play_all", None)

    again = small(whole.folder.parent)

    assert again.id == whole.id and again.rows.equals(whole.rows)
    assert "not run" in again.note
    assert Experiment.load(whole.folder).turns.equals(whole.turns)
    assert [e.id for e in experiments(whole.folder.parent)] == [whole.id]


def test_a_conversation_is_played_again_with_equal_bytes(whole: Experiment) -> None:
    one, two = whole.run("A", "routine", "matias", 1), Experiment.load(whole.folder).run("A", "routine", "matias", 1)

    assert one.to_jsonl() == two.to_jsonl() and not one.problems
    heard = whole.turns.filter(variant="A", scenario="routine", customer="matias", seed=1)["heard"].to_list()
    assert [t.clara if t.heard is None else t.heard for t in one.revealed().ledger] == heard


@pytest.mark.parametrize("after", [1, 7, 23])
def test_stopped_and_taken_up_again_it_is_the_same_to_the_byte(
    whole: Experiment, tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "BATCH", 1)
    seen: list[int] = []

    stopped = small(tmp_path, should_stop=lambda: len(seen) >= after, progress=lambda p: seen.append(p.done))

    assert not stopped.complete and f"{after} of 24" in stopped.note and len(stopped.rows) == after
    seen.clear()
    resumed = small(tmp_path, progress=lambda p: seen.append(p.done))
    assert seen == list(range(after + 1, 25))  # nothing twice
    assert kept(resumed) == kept(whole)


def test_a_line_that_was_cut_off_in_the_middle_is_played_again(
    whole: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "BATCH", 20)
    stopped = small(tmp_path, should_stop=itertools.chain([False], itertools.repeat(True)).__next__)
    lines = stopped.folder / "cells.jsonl"
    before = len(stopped.rows)
    lines.write_bytes(lines.read_bytes()[:-40])

    assert len(Experiment.load(stopped.folder).rows) == before - 1 < 24
    assert kept(small(tmp_path)) == kept(whole)


KILLED = """
import os, pathlib, signal, sys
from clara_kit.lab.experiment import executors, store
from tests.lab.test_run_experiment import small

executors.BATCH, add, count = 1, store.Shelf.add, 0

def cut(self, played):
    global count
    count += 1
    if count == 9:
        self._file.write(b'{"n": 8, "row": {"variant"')
        self._file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, played)

store.Shelf.add = cut
small(pathlib.Path(sys.argv[1]))
"""


def test_killed_in_the_middle_of_a_write_it_loses_nothing_that_was_whole(whole: Experiment, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    found = Experiment.load(tmp_path / whole.id)
    assert len(found.rows) == 8 and not found.complete

    counts: list[int] = []
    assert kept(small(tmp_path, progress=lambda p: counts.append(p.done))) == kept(whole)
    assert counts[-1] == 24


def test_nobody_else_may_write_what_is_being_written(tmp_path: Path) -> None:
    def meanwhile(_: object) -> None:
        with pytest.raises(RunLogError, match="being run already"):
            small(tmp_path)

    assert small(tmp_path, progress=meanwhile).complete


class Backwards(Executor):
    """Gives back what it was sent last first."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        if len(self.waiting) == 2:
            for held, work in reversed(self.waiting):
                held.set_result(work())
            self.waiting.clear()
        return future


@pytest.mark.parametrize("make", [Backwards, lambda: ThreadPoolExecutor(3)], ids=["backwards", "threads"])
def test_whoever_plays_it_the_bytes_are_the_same(
    whole: Experiment, tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "BATCH", 6)

    assert kept(small(tmp_path, executor=make())) == kept(whole)


@pytest.mark.wall
def test_two_processes_give_the_same_bytes(whole: Experiment, tmp_path: Path) -> None:
    assert kept(small(tmp_path, workers=2)) == kept(whole)


def test_a_worker_with_another_kit_is_refused(whole: Experiment) -> None:
    with pytest.raises(SettingsError, match="another kit"):
        playing.play_batch(json.dumps(whole.inputs), "0.0 (0123)", "", whole.design.cells[:1])


def test_a_worker_with_other_data_is_refused(whole: Experiment) -> None:
    inputs = {**whole.inputs, "data": {**whole.inputs["data"], "catalog": "0123"}}

    with pytest.raises(RunLogError, match="catalog"):
        Design.kept(inputs)


def test_one_byte_of_a_prompt_makes_another_experiment_and_is_named(whole: Experiment) -> None:
    warm = PromptTemplate.load("warm")
    other = warm.with_source(warm.source.replace("Clara", "Klara", 1))
    asked: dict[str, Any] = {
        "variants": {"A": other, "B": "expert"},
        "scenarios": SCENARIOS,
        "customers": WHO,
        "seeds": 2,
    }

    planned = plan(**asked, folder=whole.folder.parent)

    assert planned.id != whole.id and planned.beside == whole.id
    (difference,) = planned.differences
    assert "the prompt of «A»" in difference and "Klara" in difference


def test_the_plan_is_said_before_and_nothing_is_asked_where_it_costs_nothing(tmp_path: Path) -> None:
    asked: list[object] = []

    done = small(tmp_path, ask=asked.append)

    assert done.complete and not asked
    assert done.plan is not None and done.plan.conversations == 24 and done.plan.calls == 0
    assert str(done.plan).startswith("24 conversations, no call to any model")


def test_who_does_not_agree_gets_nothing_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clara_kit.lab.experiment.plan.LONG_S", 0.0)

    refused = small(tmp_path, ask=lambda plan: False)

    assert "Not begun" in refused.note and not list(tmp_path.iterdir())


def test_variants_are_given_in_many_ways() -> None:
    slow = Settings(turn_hold_ms=900)
    design = Design.of(
        {"A": "warm", "B": slow, "C": {"template": "expert", "turn_hold_ms": 700}, "D": Variant(name="x", settings=slow)},
        SCENARIOS, WHO,
    )  # fmt: skip

    assert [v.name for v in design.variants.values()] == ["A", "B", "C", "D"]
    assert [v.settings.turn_hold_ms for v in design.variants.values() if v.settings] == [
        Settings().turn_hold_ms,
        900,
        700,
        900,
    ]
    assert list(Design.of(["warm", "expert"], SCENARIOS, WHO).variants) == ["warm", "expert"]
    for wrong in ([], ["warm", "warm"], [3]):
        with pytest.raises(SettingsError):
            Design.of(wrong, SCENARIOS, WHO)  # type: ignore[arg-type]


def test_the_usual_customers_are_those_with_whole_data() -> None:
    assert {"camila", "matias", "rosario"} <= set(usual_customers())
    assert not {"hostil", "orden", "lista_rota", "plan_bajo"} & set(usual_customers())


MANY = [scenario(f"s{n:02}", "¿Cuánto cuesta el gel Brisa?") for n in range(24)]


def test_it_ends_when_it_is_sure_and_however_often_it_was_stopped_at_the_same_moment(tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "variants": {"A": Settings(), "B": Settings(turn_hold_ms=1500)}, "scenarios": MANY, "customers": [""], "seeds": 1,
        "stop_when_sure": "first_sound_ms",
    }  # fmt: skip
    whole = small(tmp_path / "1", **asked)

    assert whole.complete and 15 <= whole.rows["scenario"].n_unique() < 24
    assert (
        "Ended early, by first_sound_ms" in whole.headline and "Ended early" in Experiment.load(whole.folder).headline
    )
    stop = itertools.chain([False] * 5, itertools.repeat(True)).__next__
    assert not small(tmp_path / "2", should_stop=stop, **asked).complete
    assert kept(small(tmp_path / "2", **asked)) == kept(whole)
    assert whole.rows["scenario"].unique(maintain_order=True).to_list() != sorted(
        whole.rows["scenario"].unique().to_list()
    )
    with pytest.raises(SettingsError, match="Nobody can be sure"):
        small(tmp_path, stop_when_sure="beauty")


def test_equal_variants_are_played_to_the_end(tmp_path: Path) -> None:
    whole = small(
        tmp_path, variants={"A": "warm", "B": "warm"}, scenarios=MANY, customers=[""], seeds=1, stop_when_sure="seconds"
    )

    assert len(whole.rows) == 48 and not whole.facts["ended_early"]


def test_ctrl_c_stops_it_and_loses_nothing(whole: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "BATCH", 5)

    def interrupted(progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(tmp_path, progress=interrupted, should_stop=lambda: False)

    assert len(Experiment.load(tmp_path / whole.id).rows) == 5
    assert kept(small(tmp_path)) == kept(whole)


def test_no_key_is_ever_in_what_a_worker_is_sent(whole: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-very-secret")

    sent = json.dumps(Design.of(["warm"], SCENARIOS, WHO).inputs)

    assert "secret" not in sent and "api_key" not in sent


def test_what_is_no_experiment_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RunLogError, match="no experiment"):
        Experiment.load(tmp_path)
    with pytest.raises(RunLogError, match="no experiment"):
        Shelf(tmp_path / "none").manifest()


@pytest.mark.parametrize(
    "wrong",
    [
        {"variants": None}, {"variants": {"A": {"template": None}}}, {"variants": {"A": {"settings": "tuned"}}}, {"variants": {"a\nb": "warm"}},
        {"variants": [Variant(name="x", template=3)]},  # type: ignore[arg-type]
        {"scenarios": 3}, {"scenarios": [None]}, {"customers": 3}, {"customers": [3]}, {"seeds": 1.5}, {"seeds": [1.5]}, {"seeds": [10**30]},
        {"seeds": 10**9}, {"seed": float("nan")}, {"seed": None}, {"latency": None}, {"workers": None}, {"workers": 1.5}, {"workers": 10**6},
        {"budget_usd": "1"}, {"budget_usd": float("nan")}, {"ask": "yes"}, {"progress": 3}, {"should_stop": True}, {"executor": "dask"},
        {"keys": {}, "llm": "recorded"}, {"folder": 3},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused_with_a_remedy_before_anything_is_played(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError) as caught:
        small(wrong.pop("folder", tmp_path), **wrong)

    assert caught.value.hint
    assert not [*tmp_path.iterdir()]


def test_one_by_itself_is_taken_for_a_list_of_one(tmp_path: Path) -> None:
    one = small(tmp_path, variants="warm", scenarios=SCENARIOS[0], customers="camila", seeds=1)

    assert one.rows.select("variant", "scenario", "customer").rows() == [("warm", "price", "camila")]


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(RunLogError, match="cannot be written"):
        small(tmp_path / "file")


def damage(folder: Path, name: str, data: bytes | None) -> None:
    (folder / name).unlink()
    if data is not None:
        (folder / name).write_bytes(data)


@pytest.mark.parametrize("name", ["rows.parquet", "turns.parquet", "manifest.json"])
@pytest.mark.parametrize(
    "data", [None, b"", b"PAR1 and no more PAR1", b'{"schema": 1, "inputs": {}, "facts": {"complete": true}}']
)
def test_what_is_damaged_is_told_hides_no_other_and_is_run_anew(
    whole: Experiment, tmp_path: Path, name: str, data: bytes | None
) -> None:
    shutil.copytree(whole.folder, tmp_path / whole.id)
    shutil.copytree(whole.folder, tmp_path / "beside")
    damage(tmp_path / whole.id, name, data)

    assert "24 conversations" in repr(experiments(tmp_path))
    assert kept(small(tmp_path)) == kept(whole)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000, b"null", b'{"n": "1", "row": {}, "turns": []}', b'{"n": -1, "row": {}, "turns": []}', b'{"n": 23, "row": {}, "turns": []}',
        b'{"n": 23, "row": [], "turns": "abc"}', b'{"n": 23, "row": {}, "turns": [], "spent_usd": "much"}', b"\xff\xfe\x00",
    ],
)  # fmt: skip
def test_a_line_that_no_kit_has_written_is_passed_over(
    whole: Experiment, tmp_path: Path, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "BATCH", 1)
    seen: list[int] = []
    stopped = small(tmp_path, should_stop=lambda: len(seen) >= 3, progress=lambda p: seen.append(p.done))
    cells = stopped.folder / "cells.jsonl"
    cells.write_bytes(line + b"\n" + cells.read_bytes())

    assert len(Experiment.load(stopped.folder).rows) == 3
    assert kept(small(tmp_path)) == kept(whole)


class Unsure(Executor):
    """Plays, but not the third batch."""

    def __init__(self, third: Any) -> None:
        self._third, self._count = third, 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self._count += 1
        future: Future[Any] = Future()
        if self._count != 3:
            future.set_result(fn(*args, **kwargs))
        elif self._third == "cancelled":
            future.cancel()
            future.set_running_or_notify_cancel()
        elif isinstance(self._third, Exception):
            future.set_exception(self._third)
        elif isinstance(self._third, type):
            raise self._third("closed")
        else:
            future.set_result(self._third)
        return future


@pytest.mark.parametrize(
    "third", [KeyError("x"), ConnectionError("closed"), BlockingIOError(), RuntimeError, "cancelled", "junk", None]
)
def test_an_executor_that_fails_loses_nothing_of_what_the_others_played(
    whole: Experiment, tmp_path: Path, third: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "BATCH", 6)

    with pytest.raises(RunLogError, match="Whoever plays could not") as caught:
        small(tmp_path, executor=Unsure(third), workers=2)

    assert "is kept" in caught.value.hint
    assert len(Experiment.load(tmp_path / whole.id).rows) >= 12
    assert kept(small(tmp_path)) == kept(whole)


@pytest.mark.parametrize("name", ["[1]", "*", "a b", "{x}"])
def test_a_folder_may_be_called_as_one_likes(whole: Experiment, tmp_path: Path, name: str) -> None:
    assert small(tmp_path / name).rows.equals(whole.rows)
