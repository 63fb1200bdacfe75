"""The list of how names are said: read as people save it, and a mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.core.errors import ScriptError


@pytest.mark.parametrize(
    "text",
    ["written,said\nAHA,a hache a\n\nLa  Roche,la rosh\n", "\ufeffwritten;said\r\nAHA;a hache a\r\nLa Roche;la rosh", "AHA,a hache a\n\"La Roche\",la rosh"],
    ids=["plain", "as a spreadsheet writes it", "without a head"],
)  # fmt: skip
def test_the_list_of_how_names_are_said_is_read_as_people_save_it(tmp_path: Path, text: str) -> None:
    (file := tmp_path / "names.csv").write_text(text, encoding="utf-8", newline="")
    assert usual_pronunciation(file) == (("AHA", "a hache a"), ("La Roche", "la rosh"))


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("written,said\nAHA\n", 2, "how it is said"),
        ("written,said\nAHA,\n", 2, "how it is said"),
        ("AHA,a hache a,letras\n", 1, "how it is said"),
        ("Q10,cu 10\n", 1, "only words"),
        ("AHA,a hache a\nBHA,be hache a\nAHA,aja\n", 3, "stands in line 1"),
        ("La Roche,la rosh\nrosh,roch\n", 1, "which line 2 says otherwise"),
        (b"written,said\nAv\xe8ne,aven\n", 2, "UTF-8"),
    ],
)
def test_a_mistake_in_that_list_is_named_with_its_line(tmp_path: Path, text: str | bytes, line: int, what: str) -> None:
    (file := tmp_path / "names.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ScriptError, match=rf"names\.csv, line {line}: .*{what}.*What to do"):
        usual_pronunciation(file)


def test_a_list_that_is_gone_says_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="cannot be read"):
        usual_pronunciation(tmp_path / "names.csv")
