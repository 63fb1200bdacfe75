"""A data file is read once for each of its states, and a mistake in it is named."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from clara_kit import data_files
from clara_kit.core.errors import ScriptError
from clara_kit.prompts.catalog import Catalog
from clara_kit.prompts.template import PromptTemplate
from clara_kit.world.answers import AnswerBook
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.personas import Persona
from clara_kit.world.script import Script


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.yaml"
    path.write_text("n: 1\n", encoding="utf-8")
    return path


def test_what_is_made_of_a_file_is_made_once_and_again_after_an_edit(file: Path) -> None:
    made: list[Any] = []

    def make(path: Path, *more: Any) -> tuple[Any, ...]:
        made.append(more)
        return (data_files.data(path)["n"], *more)

    assert data_files.made(file, make) is data_files.made(file, make) == (1,)
    assert data_files.made(file, make, "other") == (1, "other") and made == [(), ("other",)]
    before = file.stat()
    file.write_text("n: 2\n", encoding="utf-8")  # as long as before, and at the same time
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert data_files.made(file, make) == (2,)


def test_an_edit_of_a_file_that_was_read_on_the_way_shows_too(file: Path) -> None:
    part = file.with_name("part.md")
    part.write_text("uno", encoding="utf-8")

    def inner(path: Path) -> str:
        return data_files.text(path)

    def outer(path: Path) -> tuple[int, str]:
        return data_files.data(path)["n"], data_files.made(part, inner)

    assert data_files.made(part, inner) == "uno"  # kept already when the outer asks for it
    assert data_files.made(file, outer) == (1, "uno")
    part.write_text("otro", encoding="utf-8")
    assert data_files.made(file, outer) == (1, "otro")


def test_an_error_is_not_kept(file: Path) -> None:
    file.write_text("n: [", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ScriptError, match=r"a\.yaml is not valid YAML"):
            data_files.made(file, data_files.data)
    file.write_text("n: 3", encoding="utf-8")
    assert data_files.made(file, data_files.data) == {"n": 3}


def test_a_file_that_goes_away_is_missed(file: Path) -> None:
    assert data_files.made(file, data_files.text) == "n: 1\n"
    file.unlink()
    with pytest.raises(FileNotFoundError):
        data_files.made(file, data_files.text)


@pytest.mark.parametrize(("name", "kind"), [("x.json", "JSON"), ("x.yaml", "YAML")])
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"{", b"[[["])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, kind: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScriptError, match=f"{name} is not valid {kind}"):
        data_files.data(tmp_path / name)
    with pytest.raises(ScriptError, match=r"none\.yaml cannot be read: No such file"):
        data_files.data(tmp_path / "none.yaml")


def test_what_is_nested_deep_is_read_by_the_loader_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(data_files.yaml, "load", lambda source, loader: read.append(loader))
    monkeypatch.setattr(data_files, "_IN_C_DEEP", 20)
    data_files.yaml_of("[[1]]")
    data_files.yaml_of("[" * 12 + "1" + "]" * 12)
    assert read == [data_files._IN_C, data_files._IN_PYTHON]


@pytest.mark.parametrize("name", ["nobody", "a/b", "../x", "x\0y", "x" * 5000, "none.yaml"])
@pytest.mark.parametrize("kind", [Persona, LatencyProfile, Script, AnswerBook])
def test_an_unknown_name_is_told_the_known_ones(kind: Any, name: str) -> None:
    with pytest.raises(ScriptError, match="use one of: "):
        kind.load(name)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Persona, "camila"), (LatencyProfile, "published"), (PromptTemplate, "warm"), (Script, "everyday"),
     (AnswerBook, "skincare_es")],
)  # fmt: skip
def test_what_ships_is_made_once(kind: Any, name: str) -> None:
    if kind is Script:
        name = data_files.known(Path(data_files.__file__).parents[1] / "data" / "scripts")[0]
    assert kind.load(name) is kind.load(name)
    assert Catalog.load() is Catalog.load()


def test_threads_may_load_at_once(file: Path) -> None:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(data_files.made(file, data_files.text))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["n: 1\n"] * 8


def test_an_edited_part_shows_when_the_template_is_loaded_again(tmp_path: Path) -> None:
    path, part = tmp_path / "mine.md", tmp_path / "shop.md"
    blocks = "".join(f"{{% block {b} %}}\n{{% endblock %}}\n" for b in ("personal", "greeting"))
    path.write_text(
        "---\nid: mine\nversion: 1\ndescription: d\nvariables: []\n---\n"
        "{% block static %}\n{% include 'parts/shop.md' %}\n{% endblock %}\n" + blocks,
        encoding="utf-8",
    )
    part.write_text("uno", encoding="utf-8")
    before = PromptTemplate.load(path, parts=tmp_path)
    assert PromptTemplate.load(path, parts=tmp_path) is before
    part.write_text("otro", encoding="utf-8")
    after = PromptTemplate.load(path, parts=tmp_path)
    assert [t.render().prompt.static for t in (before, after)] == ["uno", "otro"]
    assert before.hash != after.hash
