"""`clara calibrate` as somebody types it: nothing is spent unasked, and what was found is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clara_kit.cli import main
from clara_kit.lab.calibrate import calibrate as protocol
from clara_kit.runtime.compose import TWIN_KEY
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.every import every_twin
from clara_kit.world.twins.server import TwinServer

VENDORS = ("deepgram", "anthropic", "liveavatar")


@pytest.fixture(autouse=True)
def vendors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Twins in the vendors' places, no key anywhere, and profiles in a folder of the test's."""
    monkeypatch.setattr(protocol, "OWN", tmp_path)
    with TwinServer(every_twin(TwinContext(profile=LatencyProfile.load("fast")), LineBook())) as server:
        for vendor in VENDORS:
            monkeypatch.setenv(f"{vendor.upper()}_BASE_URL", server.addresses[vendor]["base_url"])
            monkeypatch.setenv(f"{vendor.upper()}_API_KEY", "")
        yield


def test_without_a_key_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "--cap", "1", "--yes"]) == 1
    said = capsys.readouterr().err
    assert "No vendor has a key" in said and "clara calibrate --twins" in said


def test_nothing_is_spent_unasked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", TWIN_KEY)
    assert main(["calibrate"]) == 1
    said = capsys.readouterr().out
    assert "Nothing was spent" in said and "USD" in said and not [*tmp_path.iterdir()]


def test_within_its_limit_it_measures_and_tells_what_it_found_and_what_that_cost(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", TWIN_KEY)
    assert main(["calibrate", "--rounds", "3", "--cap", "0.5", "--yes", "--only", "llm"]) == 0
    said = capsys.readouterr().out
    assert "3/3 llm: ok" in said and "question → first word" in said and "Spent at most 0.0" in said
    assert len([*tmp_path.glob("*.yaml")]) == 1 and "--latency calibrated" in said


def test_who_asks_for_a_vendor_without_a_key_is_told_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", TWIN_KEY)
    assert main(["calibrate", "--only", "tts", "--cap", "1", "--yes"]) == 1
    assert "None of these has a key" in capsys.readouterr().err
    assert main(["calibrate", "--rounds", "0"]) == 1


def test_the_twins_cost_nothing_and_stand_for_no_vendor(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["calibrate", "--twins", "--rounds", "3", "--only", "tts", "--latency", "fast"]) == 0
    said = capsys.readouterr().out
    assert "stands for no vendor" in said and "Spent at most 0.000 USD" in said
    assert [path.name[:6] for path in tmp_path.glob("*.yaml")] == ["twins-"] and "--latency calibrated" not in said
