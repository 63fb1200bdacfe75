"""Stars, tags and comments lie beside a run: what was recorded is as it was, and whatever is there can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clara_kit import Run, replay, simulate
from clara_kit.core.errors import RunLogError
from clara_kit.lab.remarks import REMARKS_FILE, Remarks
from clara_kit.lab.shelf import kept
from clara_kit.runtime.run_log import RunLog


def record(root: Path, *tags: str) -> Path:
    run = simulate(["Hola"])
    log = RunLog(run.inputs, root=root, tags=tags)
    log.close(list(run.trace))
    return log.folder


def test_what_is_said_of_a_run_is_found_again_and_the_record_is_as_it_was(tmp_path: Path) -> None:
    folder = record(tmp_path, "First Try")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (one,) = kept(tmp_path)
    assert one.remarks.tags == ("first-try",) and not one.remarks.star
    one.remarks.tagged("#Rápida, rápida  lenta").commented("  se demora\n", turn=1).save(one.folder)
    (one,) = kept(tmp_path)
    assert one.remarks.tags == ("lenta", "rápida")
    (comment,) = one.remarks.comments
    assert (comment.text, comment.turn) == ("se demora", 1) and comment.written
    assert all((folder / name).read_bytes() == raw for name, raw in before.items())
    assert replay(folder).same and Run.load(folder).problems == ()
    one.remarks.without(0).without(7).tagged(()).save(one.folder)
    assert kept(tmp_path)[0].remarks == Remarks(tags=())  # nobody's tags, rather than those that it was recorded with
    Remarks().save(one.folder)
    assert not (folder / REMARKS_FILE).exists() and kept(tmp_path)[0].remarks.tags == ("first-try",)


@pytest.mark.parametrize(
    "data",
    [None, [], {"tags": "x"}, {"tags": [None, 1, " "]}, {"comments": {"a": 1}}, {"comments": [None, {"text": 1}, {"text": ""}]},
     {"star": "yes"}, {"comments": [{"text": "a", "written": "", "turn": -1}, {"text": "b", "written": "", "turn": True}]}],
)  # fmt: skip
def test_remarks_of_any_kind_are_read_as_far_as_they_go(data: Any, tmp_path: Path) -> None:
    folder = record(tmp_path)
    (folder / REMARKS_FILE).write_text(json.dumps(data))
    (one,) = kept(tmp_path)
    assert not one.remarks.star and all(c.turn is None for c in one.remarks.comments) and one.ended == "hung up"
    for raw in (b"", b"{", b"\xff\xfe", b'{"a":' * 900):
        (folder / REMARKS_FILE).write_bytes(raw)
        assert Remarks.of(folder) == Remarks()


def test_nothing_is_no_comment_and_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunLogError, match="nothing to be noted"):
        Remarks().commented(" \n")
    with pytest.raises(RunLogError, match="cannot be kept"):
        Remarks(star=True).save(tmp_path / "nowhere")
