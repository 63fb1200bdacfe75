"""Customers, scripts, latencies and answers: whatever is wrong with a file is told with its name and line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from clara_kit import data_files
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.world import personas
from clara_kit.world.answers import AnswerBook
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.personas import Persona
from clara_kit.world.scenario import Scenario
from clara_kit.world.script import Script

CUSTOMER = "id: 5\nemail: a@example.com\nabout: x.\n"
ANSWERS = "unknown: [no sé]\nentries:\n- {id: a, q: [hola], a: hola}\n"
LATENCY = (DATA / "latency" / "published.yaml").read_text(encoding="utf-8")
KINDS: tuple[Any, ...] = (Persona, Script, LatencyProfile, AnswerBook, Scenario)
SCENARIO = "title: x\ntopic: other\nlines: [hola]\n"
BAD: tuple[tuple[Any, str, int, str], ...] = (
    *(
        (Persona, CUSTOMER + line + "\n", 4, says)
        for line, says in (
            ("first_name: 5", "first_name"), ("first_name: true", "first_name"), ("tags: x", "tags"),
            ("tags: [a, 1]", r"tags\[1\]"), ("metafields: 3", "metafields"), ("metafields: [{key: a}]", "value"),
            ("metafields: [{key: a, value: 2026-01-01}]", "got `date`"), ("metafields: &x [*x]", "metafields"),
            ("metafields: [{key: a, value: b, typo: c}]", "typo"), ("orders: {a: 1}", "orders"),
            ("orders: [{days_ago: true, items: []}]", "days_ago"), ("orders: [{days_ago: -5, items: []}]", ">= 0"),
            ("orders: [{days_ago: .nan, items: []}]", "days_ago"), ("orders: [{days_ago: 1.5, items: []}]", "days_ago"),
            ("orders: [{days_ago: 1, items: [{title: a, quantity: .inf}]}]", "quantity"),
            ("orders: [{days_ago: 1, items: [{title: a, quantity: 0}]}]", ">= 1"), ("hard: x", "hard"),
            ("id: 6", "'id' stands there twice"), ("1: x", "unknown field `1`"), ("blocked: no", "null or plan"),
        )
    ),
    (Persona, CUSTOMER + "orders:\n- days_ago: 3\n  items:\n  - title: a\n    quantity: x\n", 8, "quantity"),
    (Script, "title: x\nlines: 5\n", 2, "lines is a list, not int"),
    (Script, "title: x\nlines: hola\n", 2, "lines is a list, not str"),
    (Script, "lines: [a]\nfaults: 3\n", 2, "faults is a list"),
    (Script, "lines:\n- hola\n- text: que tal\n  after_clara_ms: .nan\n", 4, "after_clara_ms"),
    (Script, "- hola\n- text: que tal\n  words_per_min: true\n", 3, "words_per_min"),
    (Script, "lines:\n- hola\n- {text: a b, pauses: [{after_word: 9, ms: 1}]}\n", 3, "before the last"),
    (Script, "lines: [a]\nfaults:\n- {service: stt, kind: cut}\n- {service: stt, kind: nap}\n", 4, "no fault 'nap'"),
    (Script, "lines: [a]\ntitle: t\nlines: [b]\n", 3, "'lines' stands there twice"),
    (Script, "- hola\n- 2026-13-45\n", 2, "month must be in"),
    (Script, "- hola\n- !!bool x\n", 2, "KeyError"),
    (Script, "- hola\n- \x07\n", 2, "no text has"),
    (AnswerBook, ANSWERS + "- {id: a, q: [dos], a: b}\n", 4, "'a' stands there twice"),
    (AnswerBook, ANSWERS + "- {id: b, q: dos, a: b}\n", 4, r"entries\[1\]\.q"),
    (AnswerBook, ANSWERS + "- {id: b, q: [], a: b}\n", 4, "length >= 1"),
    (AnswerBook, ANSWERS + "- {id: b, q: [x], a: ' '}\n", 4, r"entries\[1\]\.a"),
    (AnswerBook, ANSWERS + "- {id: 5, q: [x], a: b}\n", 4, r"entries\[1\]\.id"),
    (AnswerBook, ANSWERS + "- {id: b, q: [x], a: b, o: 1}\n", 4, "unknown field `o`"),
    (AnswerBook, ANSWERS.replace("[no sé]", "no sé"), 1, "unknown"),
    (AnswerBook, "unknown: []\nentries: []\n", 1, "unknown"),
)  # fmt: skip
LAWS = (
    ("fixed: true", "got `bool`"), ("fixed: .nan", ">= 0"), ("fixed: .inf", "<= 3600000"), ("fixed: -1", ">= 0"),
    ("fixed: '5'", "got `str`"), (f"fixed: 1{'0' * 400}", "out of range"), ("uniform: [1, 2, 3]", "length 2"),
    ("uniform: [2, 1]", "in order"), ("lognormal: [0, 5]", "above 0"), ("{}", "one law"),
    ("fixed: 1, uniform: [1, 2]", "one law"), ("fixed: 1, spikes: {share: 2, between: [0, 1]}", "<= 1"),
    ("fixed: 1, spikes: {share: 0.1, between: [5]}", "length 2"), ("fixed: 1, spikes: null", "spikes"),
    ("fixed: 1, typo: 1", "unknown field `typo`"),
)  # fmt: skip


def told(kind: Any, path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ScriptError) as caught:
        kind.load(path)
    return str(caught.value)


@pytest.mark.parametrize(("kind", "content", "line", "says"), BAD)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, kind: Any, content: str, line: int, says: str) -> None:
    message = told(kind, tmp_path / "probe.yaml", content.encode())
    assert message.startswith("probe.yaml") and f"line {line}:" in message.split("What to do")[0], message
    assert re.search(says, message), message


@pytest.mark.parametrize(("law", "says"), LAWS)
def test_a_latency_that_makes_no_sense_is_told_with_its_line(tmp_path: Path, law: str, says: str) -> None:
    entry = f"{{{'' if law == '{}' else law + ', '}source: x}}"
    first = next(n for n, text in enumerate(LATENCY.splitlines(), start=1) if text.startswith("  stt_onset:"))
    lines = LATENCY.splitlines()
    end = next(n for n in range(first, len(lines)) if lines[n].startswith("  ") and lines[n][2] not in " #")
    content = "\n".join([*lines[: first - 1], f"  stt_onset: {entry}", *lines[end:]])
    message = told(LatencyProfile, tmp_path / "probe.yaml", content.encode())
    assert f"probe.yaml, line {first}: " in message and says in message, message


@pytest.mark.parametrize("kind", KINDS)
def test_another_encoding_and_a_folder_are_told_and_a_byte_order_mark_is_no_mistake(tmp_path: Path, kind: Any) -> None:
    good = {Persona: CUSTOMER, Script: "- hola\n", LatencyProfile: LATENCY, AnswerBook: ANSWERS, Scenario: SCENARIO}[
        kind
    ]
    for content in (good.encode("utf-16"), good.encode() + "\n# ñ\n".encode("latin-1")):
        assert "not UTF-8 text" in told(kind, tmp_path / "probe.yaml", content)
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + good.replace("\n", "\r\n").encode())
    kind.load(tmp_path / "bom.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ScriptError, match=r"folder\.yaml' \(it is a folder\)"):
        kind.load(tmp_path / "folder.yaml")


def test_on_is_the_name_of_a_field_and_no_truth(tmp_path: Path) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text("lines: [hola]\nfaults:\n- {service: stt, kind: cut, on: 2}\n", encoding="utf-8")
    assert Script.load(path).faults[0].on == 2
    assert data_files.yaml_of("yes: 1\n2: true\n") == {"yes": 1, "2": True}


def test_merged_names_are_not_taken_for_twice(tmp_path: Path) -> None:
    assert data_files.yaml_of("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n")["b"] == {"x": 3, "y": 2}


def test_one_bad_customer_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "ana.yaml").write_text(CUSTOMER, encoding="utf-8")
    (tmp_path / "bad.yaml").write_text(CUSTOMER + "orders: 3\n", encoding="utf-8")
    monkeypatch.setattr(personas, "FOLDER", tmp_path)
    assert [p.name for p in Persona.all()] == ["ana"]
    assert "bad.yaml, line 4" in caplog.text
