"""`data/turns/es-419.yml` as somebody edits it: what is wrong is named with its line, and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.turns import _policies

SHIPPED = (DATA / "turns" / "es-419.yml").read_text("utf-8")


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("yields:\n  [", "yields:\n  [no, ", r"entry 1 of yields is no word\. What to do: put quotes around it"),
        ("repairs: [", "repairs: ['¡!', ", r"entry 1 of repairs is no word"),
        ("repairs: [", "repairs: how # [", r"repairs is no list of words"),
        ("repairs:", "repair:", r"the lists are backchannels, "),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(tmp_path: Path, was: str, becomes: str, says: str) -> None:
    assert was in SHIPPED
    (path := tmp_path / "es-419.yml").write_text(SHIPPED.replace(was, becomes), "utf-8")
    with pytest.raises(ScriptError, match=says) as refused:
        _policies(path)
    if becomes != "repair:":  # a list that is missing stands nowhere
        before = SHIPPED[: SHIPPED.index(was)]
        line = before.count("\n") + 1 + was.count("\n")
        assert re.search(rf"line ({line}|{line - was.count(chr(10))}):", str(refused.value))
