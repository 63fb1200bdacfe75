"""A run that leaves the machine: as one file, as a tracked copy; what comes from elsewhere is checked before it is there."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from clara_kit import Experiment, Keys, Run, Settings, bundle, keep, replay, run_experiment, simulate, unbundle
from clara_kit.audio.pcm import silence
from clara_kit.audio.wav import write_wav
from clara_kit.core.errors import RunLogError
from clara_kit.core.profile import CustomerProfile
from clara_kit.lab import keeping, unbundling
from clara_kit.lab.calls.brains import brain_for
from clara_kit.lab.remarks import Remarks
from clara_kit.lab.shelf import kept
from clara_kit.measure.run import WORDS_FILE
from clara_kit.runtime.run_log import RunLog
from tests.lab.test_experiments_that_ask import keys as keys
from tests.lab.test_run_experiment import SCENARIOS


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A conversation with an invented customer, whose name stands in its title and in a remark."""
    played = simulate(
        ["¿Hacen despachos a regiones?", {"text": "Espera", "interrupt_after_ms": 900}], customer="camila"
    )
    log = RunLog(played.inputs, root=tmp_path / "runs", title="Camila y los despachos")
    write_wav(log.sound_path, silence(800, 16_000), silence(800, 16_000))
    run = log.close(list(played.trace), words=played.words)
    Remarks().commented("A CAMILA le gustó").save(log.folder)
    return run


def of_a_person(run: Run) -> Run:
    """The same, as if a real shop had told of her."""
    return replace(run, inputs={**run.inputs, "modes": {**run.modes, "shop": "live"}})


def files_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as zipped:
        return {info.filename: zipped.read(info) for info in zipped.infolist()}


def test_a_bundle_opens_elsewhere_and_is_decided_and_played_the_same(run: Run, tmp_path: Path) -> None:
    file = bundle(run, tmp_path / "one.clara.zip")
    assert run.folder is not None and bundle(run.folder, tmp_path / "again.zip").read_bytes() == file.read_bytes()
    folder = unbundle(file, tmp_path / "elsewhere")
    there = Run.load(folder)
    assert there.trace == run.trace and there.experiment_id == run.experiment_id and there.problems == ()
    assert replay(there).same and replay(there).proven
    assert (folder / "conversation.wav").read_bytes() == (run.folder / "conversation.wav").read_bytes()
    assert [one.turns for one in kept(tmp_path / "elsewhere")] == [len(run.ledger)]
    assert unbundle(file, tmp_path / "elsewhere") == folder  # it is there already
    (folder / "events.jsonl").write_text("")
    assert unbundle(file, tmp_path / "elsewhere").name == f"{folder.name}-2"


def test_a_simulation_that_lies_nowhere_can_be_bundled_too(tmp_path: Path) -> None:
    run = simulate(["Hola"], seed=5)
    file = bundle(run, tmp_path)
    assert file.name == f"{run.run_id}.clara.zip"
    there = Run.load(unbundle(file, tmp_path / "runs"))
    assert there.to_jsonl() == run.to_jsonl() and there.problems == ()
    assert [one.ended for one in kept(tmp_path / "runs")] == ["hung up"]


def test_names_stay_placeholders_unless_an_invented_customers_are_asked_for(run: Run, tmp_path: Path) -> None:
    without = files_of(bundle(run, tmp_path / "a.zip"))
    told = b"".join(raw for name, raw in without.items() if name.endswith((".json", ".jsonl", ".txt"))).lower()
    assert b"camila" not in told and b"{first_name} y los despachos" in told and f"files/{WORDS_FILE}" not in without
    asked = bundle(run, tmp_path / "b.zip", names=True)
    assert Run.load(unbundle(asked, tmp_path / "b")).revealed().ledger[0].clara.startswith("¡Hola, Camila")
    person = of_a_person(run)
    never = files_of(bundle(person, tmp_path / "c.zip", names=True))
    assert not {f"files/{WORDS_FILE}", "files/conversation.wav"} & set(never)
    assert b"camila" not in b"".join(never[n] for n in never if n.endswith(".json")).lower()


def test_whom_nobody_invented_may_be_real_and_is_treated_so(tmp_path: Path) -> None:
    profile = CustomerProfile(first_name="Zoraida", skin_type="mixta")
    run = simulate(["Hola"], customer=profile)
    assert run.words["{first_name}"] == "Zoraida"
    there = Run.load(unbundle(bundle(run, tmp_path / "a.zip", names=True), tmp_path / "there"))
    assert there.words == {} and "{first_name}" in there.ledger[0].clara
    recorded = Run(inputs={"modes": {"stt": "recording"}}, trace=run.trace)
    for one in (run, recorded):
        with pytest.raises(RunLogError, match="not put into the repository"):
            keep(one, root=tmp_path / "runs")


def test_a_bundle_never_holds_a_key(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPGRAM_API_KEY", "a-key-that-nobody-has-0123")
    assert run.folder is not None
    Remarks().commented("try a-key-that-nobody-has-0123").save(run.folder)
    with pytest.raises(RunLogError, match="One of your keys"):
        bundle(run, tmp_path / "a.zip")
    assert not list(tmp_path.glob("a.zip*"))


def test_what_is_kept_is_small_nameless_and_nobody_real(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = keep(run, root=tmp_path / "runs")
    assert folder.parent == tmp_path / "runs" / "kept" and Run.load(folder).trace == run.trace
    assert not {WORDS_FILE, "conversation.wav"} & set(os.listdir(folder))
    (shown,) = kept(tmp_path / "runs")
    assert shown.tracked and shown.folder == run.folder
    shown.delete()
    assert [one.folder for one in kept(tmp_path / "runs")] == [folder]
    assert keep(Run.load(folder), root=tmp_path / "runs") == folder  # once more is no second one
    with pytest.raises(RunLogError, match="not put into the repository"):
        keep(of_a_person(run), root=tmp_path / "runs")
    monkeypatch.setattr(keeping, "KEPT_RUN_BYTES", 10_000)
    with pytest.raises(RunLogError, match="MB"):
        keep(run, root=tmp_path / "runs")
    monkeypatch.setattr(keeping, "KEPT_RUN_BYTES", 10**9)
    monkeypatch.setattr(keeping, "KEPT_BYTES", 10_000)
    with pytest.raises(RunLogError, match="MB"):
        keep(simulate(["Hola"]), root=tmp_path / "runs")


# --- what comes from elsewhere ------------------------------------------------------------------------------


def made(held: dict[str, bytes], **about: object) -> io.BytesIO:
    """A bundle by another hand."""
    told = {name: [len(raw), sha256(raw).hexdigest()] for name, raw in held.items()}
    head = {"format": 1, "kind": "run", "name": "r", "files": told, **about}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("bundle.json", json.dumps(head))
        for name, raw in held.items():
            zipped.writestr(f"files/{name}", raw)
    return out


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "a/../../out",
        "/out",
        "C:out",
        "a\\..\\out",
        ".hidden",
        "a/.git/config",
        "",
        "a//b",
        "con\0",
        "x" * 300,
        "a/",
        "a. ",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    for odd in (made({name: b"harmless"}), made({}, name=name), made({}, name="a/b")):
        with pytest.raises(RunLogError) as told:
            unbundle(odd, tmp_path / "runs")
        assert told.value.hint
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_more_than_was_announced_is_never_unpacked(tmp_path: Path) -> None:
    large = b"\0" * 5_000_000
    with pytest.raises(RunLogError, match="larger than"):
        unbundle(made({"events.jsonl": large}), tmp_path / "runs", most_bytes=1_000_000)
    little = {"events.jsonl": [10, sha256(large).hexdigest()]}  # and then comes more
    with pytest.raises(RunLogError, match="damaged"):
        unbundle(made({"events.jsonl": large}, files=little), tmp_path / "runs", most_bytes=1_000_000)
    many = {f"f{n}": [0, sha256(b"").hexdigest()] for n in range(unbundling.MOST_FILES + 1)}
    with pytest.raises(RunLogError):
        unbundle(made({}, files=many), tmp_path / "runs")
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"",
        lambda raw: b"PK\3\4 and no more",
        lambda raw: raw[:200] + bytes(b ^ 0xFF for b in raw[200:260]) + raw[260:],
        lambda raw: raw.replace(b"bundle.json", b"bumble.json"),
        lambda raw: raw.replace(b"files/events.jsonl", b"files/evants.jsonl"),
    ],
    ids=["cut", "empty", "no zip", "flipped", "without its head", "another name"],
)
def test_a_damaged_bundle_says_so_and_leaves_nothing(
    damage: Callable[[bytes], bytes], run: Run, tmp_path: Path
) -> None:
    file = bundle(run, tmp_path / "a.zip")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(RunLogError) as told:
        unbundle(file, tmp_path / "elsewhere")
    assert told.value.hint and not [p for p in (tmp_path / "elsewhere").rglob("*") if p.is_file()]


def test_heads_of_any_kind_are_refused_in_words(tmp_path: Path) -> None:
    heads: list[dict[str, object]] = [
        {"format": 2}, {"kind": "program"}, {"files": []}, {"files": {"a": None}}, {"files": {"a": [-1, "0" * 64]}},
        {"files": {"a": [True, "0" * 64]}}, {"files": {"a": [1, "short"]}}, {"name": None}, {"files": {"a": [1, "0" * 64]}},
    ]  # fmt: skip
    for head in heads:
        with pytest.raises(RunLogError):
            unbundle(made({}, **head), tmp_path / "runs")
    for path in (tmp_path / "nowhere.zip", tmp_path):
        with pytest.raises(RunLogError):
            unbundle(path, tmp_path / "runs")


def test_an_experiment_goes_with_the_answers_to_its_prompts_and_is_played_elsewhere_without_any_key(
    tmp_path: Path, keys: Keys
) -> None:
    here = tmp_path / "here"
    first = run_experiment(
        {"A": "warm", "B": "brief"}, SCENARIOS[:1], ["camila"], llm="recorded", keys=keys, ask=lambda plan: True,
        folder=here / "e", calls=here / "calls",
    )  # fmt: skip
    brain = brain_for("recorded", Settings(), keys=keys, folder=here / "calls")
    simulate(["Hola"], template="expert", brain=brain)  # of another prompt: none of its business
    file = bundle(first, tmp_path / "e.zip", calls=here / "calls")
    assert (
        len([name for name in files_of(file) if "/calls/" in name]) == 2 < len(list((here / "calls").glob("*.jsonl")))
    )
    rows = first.rows
    for path in sorted(here.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    there = Experiment.load(unbundle(file, tmp_path / "there"))
    assert there.id == first.id and there.rows.equals(rows)
    run = there.run("B", SCENARIOS[0].name, "camila")
    assert not run.problems and "recorded" in run.mix
    once_more = bundle(there, tmp_path / "f.zip")
    assert files_of(once_more).keys() == files_of(file).keys()


def test_the_folder_of_an_experiment_goes_and_comes_back_whole(tmp_path: Path) -> None:
    folder = tmp_path / "experiments" / "0123456789ab"
    (folder / "more").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "more" / "rows.parquet").write_bytes(b"rows")
    (folder / ".lock").write_text("")
    (folder / "elsewhere").symlink_to(tmp_path)
    there = unbundle(bundle(folder, tmp_path), tmp_path / "there")
    assert there.name == folder.name
    assert sorted(p.name for p in there.rglob("*")) == ["manifest.json", "more", "rows.parquet"]
    with pytest.raises(RunLogError, match="no folder"):
        bundle(tmp_path / "nowhere", tmp_path / "a.zip")
