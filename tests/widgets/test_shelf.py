"""The shelf of runs: what was recorded is found again, damaged folders included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clara_kit import ConversationManager, Settings, compose, runs
from clara_kit.lab.shelf import kept
from clara_kit.widgets.window import ConversationWindow
from clara_kit.widgets.words import WORDS


async def record(root: Path, title: str, customer: str = "") -> None:
    services = compose("sim", customer=customer, settings=Settings.of(greeting=""))
    async with ConversationManager(services, title=title, log_root=root) as clara:
        await clara.play_script(["¿Hacen despachos a regiones?", "Muchas gracias."])


@pytest.fixture
async def root(tmp_path: Path) -> Path:
    await record(tmp_path, "the first", customer="camila")
    await record(tmp_path, "the second")
    return tmp_path


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
    (first.folder / "turns.parquet").unlink()
    manifest = json.loads((second.folder / "manifest.json").read_text("utf-8"))
    del manifest["facts"]["ended"]
    (second.folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
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
    shelf._view._handle_custom_msg({"kind": "refresh"}, [])
    assert len(shelf._view.rows) == 3


def test_every_column_has_its_heading() -> None:
    from clara_kit.widgets import shelf

    view = Path(shelf.__file__).with_suffix(".js").read_text("utf-8")
    columns = json.loads(view.split("const COLUMNS = ")[1].split(";")[0])
    assert {f"col_{column}" for column in columns} <= set(WORDS)
