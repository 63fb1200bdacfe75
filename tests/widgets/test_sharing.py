"""One conversation as a page: what it holds, what it leaves out, and that it needs nothing else."""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from clara_kit import Run, share, simulate
from clara_kit.audio.pcm import Sound
from clara_kit.audio.wav import write_wav
from clara_kit.core.errors import RunLogError
from clara_kit.lab.remarks import Remarks
from clara_kit.lab.sound_copy import copied
from clara_kit.runtime.run_log import RunLog
from clara_kit.widgets import sharing
from clara_kit.widgets.view import HERE
from clara_kit.widgets.words import WORDS


def tone(seconds: float, rate_hz: int = 8000) -> Sound:
    return Sound(np.full(int(seconds * rate_hz), 8000, np.int16), rate_hz)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    lines: list[Any] = [
        "Hola, soy Camila. ¿Qué me recomiendas?",
        {"text": "Espera, </script><b>", "interrupt_after_ms": 900},
    ]
    played = simulate(lines, customer="camila", seed=2)
    log = RunLog(played.inputs, root=tmp_path / "runs", title="Camila & co")
    seconds = played.trace[-1].at_ms / 1000
    write_wav(log.sound_path, tone(seconds), tone(seconds))
    run = log.close(list(played.trace), words=played.words)
    Remarks().tagged("buena").commented("Camila dudó", turn=1).save(log.folder)
    return run


def held(page: str) -> dict[str, Any]:
    """What the page shows."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_a_page_has_everything_names_nobody_and_needs_nothing_else(run: Run, tmp_path: Path) -> None:
    page = share(run, tmp_path).read_text("utf-8")
    data = held(page)
    assert "camila" not in page.lower() and data["title"] == "{first_name} & co"
    asked_first = next(row["text"] for row in data["said"] if row["who"] == "customer")
    assert asked_first == "Hola, soy {first_name}. ¿Qué me recomiendas?"
    assert any(row.get("unheard") for row in data["said"]) and len(data["ledger"]) == len(run.ledger)
    assert data["tags"] == ["buena"] and data["comments"] == [[1, "{first_name} dudó"]]
    assert data["whose"]["es"].startswith("simulado") and set(data["pictures"]) == {"en", "es"}
    assert not re.search(
        r"(src|href)=|https?://(?!www\.w3\.org/2000/svg)|@import|url\((?!#)",
        page.replace(json.dumps(data["sound"]), ""),
    )
    assert "default-src 'none'" in page and page == share(run, tmp_path / "b.html").read_text("utf-8")
    asked = held(share(run, tmp_path / "c.html", names=True).read_text("utf-8"))
    assert asked["title"] == "Camila & co" and not asked["leftOut"]


def test_where_a_placeholder_was_spoken_the_sound_is_silent(run: Run) -> None:
    copy = copied(run, 4_000_000)
    sound, rate_hz = soundfile.read(io.BytesIO(copy.data), dtype="int16")
    assert copy.kind == "audio/flac" and dict(copy.left_out)["share_silenced"]
    greeting, asked = run.ledger[0], run.ledger[1]
    began = greeting.points["speaking_started"]
    at = lambda ms: int((ms - run.sound_from_ms) * rate_hz / 1000)  # noqa: E731
    assert not sound[at(began + 300), 1] and sound[at(began + 300), 0]  # «¡Hola, Camila!»
    words = next(r for r in run.trace if type(r).__name__ == "TranscriptFinal")
    named = next(w for w in words.words if "{first_name}" in w.text)  # type: ignore[union-attr]
    middle = (named.start_ms + named.end_ms) / 2
    assert not sound[at(middle), 0] and sound[at(middle), 1] and asked.customer
    whole, _ = soundfile.read(io.BytesIO(copied(run, 4_000_000, masked=False).data), dtype="int16")
    assert whole.all()


def test_what_has_no_room_becomes_smaller_then_shorter_and_says_so(run: Run, tmp_path: Path) -> None:
    assert run.folder is not None
    noise = np.random.default_rng(1).integers(-9000, 9000, 8000 * 16).astype(np.int16)
    write_wav(run.folder / "conversation.wav", Sound(noise, 8000), Sound(noise[::-1].copy(), 8000))
    small = copied(run, 150_000)
    assert (
        small.kind == "audio/mpeg" and "share_mono" in dict(small.left_out) and "share_cut" not in dict(small.left_out)
    )
    shorter = copied(run, 20_000)
    assert len(shorter.data) <= 20_000 and "share_cut" in dict(shorter.left_out)
    assert copied(run, 100).left_out == (("share_too_long", ""),)


def test_of_a_real_customer_neither_words_nor_sound_are_in_it(run: Run, tmp_path: Path) -> None:
    person = replace(run, inputs={**run.inputs, "modes": {**run.modes, "shop": "live"}})
    page = share(person, tmp_path / "a.html", names=True).read_text("utf-8")
    assert "camila" not in page.lower() and held(page)["sound"] == ""
    assert ["share_person", ""] in held(page)["leftOut"]


def test_a_run_without_sound_or_with_a_broken_one_has_a_page_that_says_so(run: Run, tmp_path: Path) -> None:
    assert copied(simulate(["Hola"]), 1000).left_out == (("share_no_sound", ""),)
    assert run.folder is not None
    (run.folder / "conversation.wav").write_bytes(b"RIFF and no more")
    assert ["share_broken_sound", ""] in held(share(run, tmp_path / "a.html").read_text("utf-8"))["leftOut"]
    with pytest.raises(RunLogError, match="cannot be written"):
        share(run, run.folder / "events.jsonl" / "a.html")


def test_a_page_is_8_mb_at_the_most(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MOST_BYTES", 200_000)
    assert share(run, tmp_path / "a.html").stat().st_size <= 200_000
    monkeypatch.setattr(sharing, "MOST_BYTES", 10_000)
    with pytest.raises(RunLogError, match="too long for one page"):
        share(run, tmp_path / "b.html")


def test_every_word_of_the_page_is_known_in_both_languages(run: Run) -> None:
    script = (HERE / "sharing.js").read_text("utf-8")
    keys = set(re.findall(r'\bw\("(\w+)"\)', script)) | set(re.findall(r'"(share_\w+|w_\w+)"', script))
    data = held(sharing.page_of(run, names=False, language="en"))
    assert keys and all(keys <= set(data["words"][of]) for of in ("en", "es"))
    source = (HERE.parent / "lab" / "sound_copy.py").read_text("utf-8")
    assert set(re.findall(r'"(share_\w+)"', source)) <= set(WORDS)
    assert b64decode(data["sound"])[:4] == b"fLaC"
