"""The shelf of runs: what was recorded is found again, damaged folders included."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from clara_kit import ConversationManager, Run, Settings, compose, replay, runs
from clara_kit.core import events as ev
from clara_kit.core.errors import RunLogError
from clara_kit.lab.differences import PARTS
from clara_kit.lab.shelf import OVER, RUNNING, kept
from clara_kit.runtime.run_log import RunLog
from clara_kit.widgets.shelf import Shelf
from clara_kit.widgets.window import ConversationWindow
from clara_kit.widgets.words import WORDS


async def record(root: Path, title: str, customer: str = "") -> None:
    services = compose("sim", customer=customer, settings=Settings.of(greeting=""))
    async with ConversationManager(services, title=title, log_root=root) as clara:
        await clara.play_script(["¿Hacen despachos a regiones?", "Muchas gracias."])


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit the facts of a run's manifest, as an older kit or a damaged disk would have left them."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    edit(manifest["facts"])
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two conversations are recorded, once for all tests."""
    return tmp_path_factory.mktemp("recorded")


@pytest.fixture
async def root(recorded: Path, tmp_path: Path) -> Path:
    if not kept(recorded):
        await record(recorded, "the first", customer="camila")
        await record(recorded, "the second")
    return Path(shutil.copytree(recorded, tmp_path / "runs"))


async def test_the_newest_comes_first_with_what_one_looks_for(root: Path) -> None:
    second, first = kept(root)
    assert (first.title, second.title) == ("the first", "the second")
    assert first.customer == "camila" and second.customer == ""
    assert first.prompt == "warm v1" and first.mix == "simulated" and first.ended == "hung up"
    run = first.load()
    assert first.turns == len(run.turns) and first.interruptions == run.turns["interrupted"].sum()
    waits = run.turns.filter(run.turns["kind"] != "greeting")["total_ms"]
    assert first.first_sound_ms == pytest.approx(waits.median(), abs=0.1)
    assert first.size_bytes == sum(path.stat().st_size for path in first.folder.iterdir())


async def test_what_is_damaged_is_listed_and_says_so(root: Path) -> None:
    second, first = kept(root)
    change(first.folder, lambda facts: facts.pop("figures"))
    (first.folder / "turns.parquet").unlink()
    change(second.folder, lambda facts: facts.pop("ended"))
    for name, text in (("cut", '{"schema": 1, "inp'), ("list", "[]"), ("bare", '{"inputs": {}, "facts": {}}')):
        (root / name).mkdir()
        (root / name / "manifest.json").write_text(text, "utf-8")
    (root / "a file").write_text("no run", "utf-8")
    shelf = {one.folder.name: one for one in kept(root)}
    assert shelf[first.folder.name].turns is None and shelf[second.folder.name].ended == "not closed"
    assert all("cannot be read" in shelf[name].ended for name in ("cut", "list", "bare"))
    assert kept(root / "nowhere") == ()


@pytest.mark.parametrize(
    "raw", [b'{"facts":{"started":"0001-01-01T00:00:00"},"inputs":{}}', b'{"a":' * 900 + b"1" + b"}" * 900]
)
def test_a_manifest_of_any_kind_hides_no_other_run(root: Path, raw: bytes) -> None:
    before = kept(root)
    (root / "odd").mkdir()
    (root / "odd" / "manifest.json").write_bytes(raw)
    assert len(after := kept(root)) == len(before) + 1
    assert "cannot be read" in after[-1].ended and after[-1].folder.name == "odd"


async def test_a_row_opens_in_its_window_and_a_damaged_one_says_why_not(root: Path) -> None:
    shelf = runs(root)
    newest = shelf.kept[0]
    shelf._view._handle_custom_msg({"kind": "open", "name": newest.folder.name}, [])
    assert isinstance(shelf.children[1], ConversationWindow) and shelf.children[1].title == "the second"
    assert shelf.frame["title"].to_list() == ["the second", "the first"]
    assert shelf.show(1).facts["title"] == "the first"
    (newest.folder / "events.jsonl").write_text("nonsense", "utf-8")
    (newest.folder / "manifest.json").write_text("nonsense", "utf-8")
    shelf._view._handle_custom_msg({"kind": "open", "name": newest.folder.name}, [])
    assert shelf._view.problem
    for nonsense in (None, {"kind": "open"}, {"kind": "open", "name": "../elsewhere"}, {"kind": []}):
        shelf._view._handle_custom_msg(nonsense, [])
    await record(root, "the third")
    shelf._view._handle_custom_msg({"kind": "look"}, [])
    assert len(shelf._view.rows) == 3


async def test_a_run_of_before_its_figures_stood_in_the_manifest_has_them_from_its_table(root: Path) -> None:
    before = kept(root)[0]
    change(before.folder, lambda facts: facts.pop("figures"))
    after = kept(root)[0]
    figures = [(k.turns, k.first_sound_ms, k.interruptions) for k in (before, after)]
    assert figures[0] == figures[1] and before.turns


async def test_another_title_is_found_again_and_what_was_recorded_is_as_it_was(root: Path) -> None:
    newest = kept(root)[0]
    before = {path.name: path.read_bytes() for path in newest.folder.iterdir()}
    newest.call_it("  Camila\n y los despachos ")
    run = kept(root)[0].load()
    assert kept(root)[0].title == run.title == "Camila y los despachos"
    assert run.experiment_id == newest.load().experiment_id and replay(run).same and run.problems == ()
    assert all((newest.folder / name).read_bytes() == raw for name, raw in before.items())
    newest.call_it("")
    assert kept(root)[0].title == kept(root)[0].load().title == "the second"


async def test_a_title_given_while_it_is_recorded_is_not_lost_at_its_end(tmp_path: Path) -> None:
    log = RunLog({"modes": {}}, title="at first", root=tmp_path)
    (one,) = kept(tmp_path)
    assert one.ended == RUNNING
    with pytest.raises(RunLogError, match="hang up"):
        one.delete()
    one.call_it("later")
    log.close([])
    (one,) = kept(tmp_path)
    assert one.title == "later" and one.ended == OVER


def test_names_of_folders_sort_by_time_and_equal_ones_of_one_moment_are_told_apart(tmp_path: Path) -> None:
    logs = [RunLog({"modes": {}, "seed": 7 - n // 4}, root=tmp_path) for n in range(20)]
    assert len({log.run_id for log in logs}) == 20
    in_time = sorted(logs, key=lambda log: log.facts["started"])
    moments = [log.folder.name.split("-")[0] for log in sorted(logs, key=lambda log: log.folder.name)]
    assert moments == [log.folder.name.split("-")[0] for log in in_time]
    for log in logs:
        log.close([])
    assert [Run.load(log.folder).run_id for log in logs] == [log.folder.name for log in logs]


async def test_what_is_deleted_is_gone_for_good(root: Path) -> None:
    second, first = kept(root)
    first.delete()
    assert kept(root) == (second,) and os.listdir(root) == [second.folder.name]
    first.delete()  # somebody was quicker
    (root / f".deleted-{second.folder.name}").mkdir()  # somebody else did not come to the end of it
    second.delete()
    assert os.listdir(root) == []


def ask(shelf: Shelf, **content: object) -> list[tuple[Any, Any]]:
    """What the page is sent when it asks for this."""
    sent: list[tuple[Any, Any]] = []
    shelf._view.send = lambda content, buffers=None: sent.append((content, buffers))  # type: ignore[method-assign]
    shelf._view._handle_custom_msg(content, [])
    return sent


async def test_the_buttons_rename_listen_and_delete(root: Path) -> None:
    shelf = runs(root)
    name = shelf.kept[0].folder.name
    ask(shelf, kind="open", name=name)
    ask(shelf, kind="call", name=name, title="Camila, again")
    assert shelf._view.rows[0]["title"] == "Camila, again"
    (sound, raw), (done, _) = ask(shelf, kind="listen", name=name)
    assert sound["name"] == name and raw == [(root / name / "conversation.wav").read_bytes()] and done["kind"] == "done"
    ask(shelf, kind="delete", name=name)
    assert len(shelf._view.rows) == 1 and shelf._view.chosen == "" and len(shelf.children) == 1
    assert ask(shelf, kind="open", name=name) == [({"kind": "done", "what": "open"}, None)]
    assert "no longer there" in shelf._view.problem


async def test_a_run_that_is_not_whole_opens_and_says_what_is_missing(root: Path) -> None:
    shelf = runs(root)
    with (shelf.kept[0].folder / "events.jsonl").open("ab") as file:
        file.write(b'{"type":"Typ')
    shelf.show(0)
    assert any("Line" in problem for problem in shelf._view.damage)
    shelf.show(1)
    assert shelf._view.damage == []


async def test_looking_again_sends_nothing_where_nothing_has_changed(root: Path) -> None:
    shelf, seen = runs(root), []
    shelf._view.observe(seen.append, names="rows")
    ask(shelf, kind="look")
    assert seen == []
    log = RunLog({"modes": {}}, title="now", root=root)
    ask(shelf, kind="look")
    assert len(seen) == 1 and shelf._view.rows[0]["ended"] == RUNNING
    log.append([ev.TextTyped(at_ms=1.0, text="Hola")])
    ask(shelf, kind="look")
    assert len(seen) == 1  # it grows, which is no news
    log.close([])
    ask(shelf, kind="look")
    assert len(seen) == 2 and shelf._view.rows[0]["ended"] == OVER


async def test_two_runs_are_set_side_by_side_and_equal_lines_are_kept_apart(root: Path) -> None:
    shelf = runs(root)
    ask(shelf, kind="compare", name=shelf.kept[1].folder.name, other=shelf.kept[0].folder.name)
    apart = shelf._view.apart
    assert [side["title"] for side in apart["sides"]] == ["the first", "the second"]
    assert [part for part, _ in apart["parts"]] == list(PARTS)
    lines = dict(apart["parts"])
    assert [line["what"] for line in lines["run"] if not line["same"]][:2] == ["title", "when"]
    assert all(f"part_{part}" in WORDS for part in PARTS)
    assert all(
        f"differ_{note}" in WORDS for note in (*apart["notes"], "mix", "speed", "questions", "damaged", "chance")
    )


def test_every_column_has_its_heading() -> None:
    from clara_kit.widgets import shelf

    view = Path(shelf.__file__).with_suffix(".js").read_text("utf-8")
    columns = json.loads(view.split("const COLUMNS = ")[1].split(";")[0])
    assert {f"col_{column}" for column in columns} <= set(WORDS)


async def test_the_buttons_tell_keep_copy_share_prove_and_play_again(root: Path) -> None:
    shelf = runs(root)
    name = shelf.kept[1].folder.name  # a conversation with Camila
    row = lambda: next(row for row in shelf._view.rows if row["name"] == name)  # noqa: E731
    ask(shelf, kind="star", name=name, on=True)
    ask(shelf, kind="tags", name=name, tags="buena, rápida")
    ask(shelf, kind="comment", name=name, text="saluda a Camila", turn=0)
    ask(shelf, kind="comment", name=name, text="x", turn=None)
    ask(shelf, kind="uncomment", name=name, number=1)
    assert row()["star"] and row()["tags"] == ["buena", "rápida"]
    assert [told[:2] for told in row()["comments"]] == [["saluda a Camila", 0]]
    ask(shelf, kind="comment", name=name, text=" ")
    assert "nothing to be noted" in shelf._view.problem
    ask(shelf, kind="keep", name=name)
    assert row()["tracked"] and shelf._view.problem == ""
    (page, raw), _ = ask(shelf, kind="share", name=name)
    assert page["name"] == f"{name}.html" and raw[0].startswith(b"<!doctype html>") and b"Camila" not in raw[0]
    (file, bundled), _ = ask(shelf, kind="bundle", name=name)
    assert Path(file["path"]).parent == (root / "shared").resolve() and bundled[0][:2] == b"PK"
    ask(shelf, kind="replay", name=name)
    assert shelf._view.proof["apart"] == 0 and shelf._view.proof["changes"] == []
    ask(shelf, kind="again", name=name)
    assert len(shelf.kept) == 3 and shelf.kept[0].title == "the first ↻" and shelf.kept[0].remarks.tags == ("again",)
    assert [side["title"] for side in shelf._view.apart["sides"]] == ["the first", "the first ↻"]
    shelf._view._handle_custom_msg({"kind": "unbundle"}, [b"no bundle"])
    assert "no bundle" in shelf._view.problem and len(shelf.kept) == 3
    shelf._view._handle_custom_msg({"kind": "unbundle"}, [bundled[0]])
    assert len(shelf.kept) == 4 and shelf._view.chosen == f"{name}-2"  # without the names it is another one
    assert shelf.frame.filter(folder=str(root / name))["remarks"].to_list() == [["saluda a Camila"]]


def test_a_recorded_call_opens_in_a_window_is_shared_and_what_it_cannot_is_said(tmp_path: Path) -> None:
    at = np.arange(8000 * 12) / 8000
    tones = [np.sin(2 * np.pi * hertz * at) * ((at + late) % 6 < 2) * 0.3 for hertz, late in ((200, 0), (300, 3.2))]
    soundfile.write(tmp_path / "call.wav", np.stack(tones, 1), 8000)
    shelf = Shelf(tmp_path / "runs", language="es")
    shelf._view._handle_custom_msg({"kind": "unbundle", "name": "call.wav"}, [(tmp_path / "call.wav").read_bytes()])
    assert shelf._view.problem == "" and shelf.kept[0].title == "call"
    window = shelf.children[1]
    assert isinstance(window, ConversationWindow) and window.has_sound and window.steps > 2
    assert not window.can_label and not window.can_branch
    assert window.whose == "leído de una llamada grabada, ±60 ms" and shelf._view.damage == []
    spans = window.timeline["spans"]
    assert {"customer", "Clara"} <= {span["lane"] for span in spans} and len(window.timeline["waits"]) == 2
    assert shelf.share(0).is_file()
    shelf._view._handle_custom_msg({"kind": "replay", "name": shelf.kept[0].folder.name}, [])
    assert "ajustes" in shelf._view.problem or shelf._view.proof


def test_a_sound_that_cannot_be_read_is_named_as_whoever_gave_it_named_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "runs")
    shelf._view._handle_custom_msg({"kind": "unbundle", "name": "mine.wav"}, [b"no sound at all"])
    assert shelf._view.problem.startswith("mine.wav cannot be used")


async def test_where_a_kept_run_lies_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(root)
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(shelf._view, "send", lambda content, buffers=None: told.append(content))
    shelf._view._handle_custom_msg({"kind": "keep", "name": shelf.kept[0].folder.name}, [])
    assert [told[0]["kind"], told[0]["name"]] == ["file", shelf.kept[0].folder.name] and told[1]["kind"] == "done"
