"""The panel that measures the vendors, without a browser: what it foretells, shows, and keeps when it is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clara_kit.core.errors import SettingsError
from clara_kit.runtime.compose import TWIN_KEY
from clara_kit.widgets.calibrating import CalibrationPanel
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.every import every_twin
from clara_kit.world.twins.server import TwinServer

pytestmark = pytest.mark.timeout(60)
VENDORS = ("deepgram", "anthropic", "liveavatar", "heygen", "elevenlabs")


@pytest.fixture(autouse=True)
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Twins in the vendors' places, and no key anywhere."""
    with TwinServer(every_twin(TwinContext(profile=LatencyProfile.load("fast")), LineBook())) as server:
        for vendor in VENDORS:
            monkeypatch.setenv(f"{vendor.upper()}_BASE_URL", server.addresses[vendor]["base_url"])
            monkeypatch.setenv(f"{vendor.upper()}_API_KEY", "")
        yield


def shown(panel: CalibrationPanel) -> str:
    return " ".join(part.value for part in (panel._about, panel._says, panel._found))


def test_without_keys_it_says_what_to_do_and_that_all_figures_are_published(tmp_path: Path) -> None:
    panel = CalibrationPanel(folder=tmp_path, language="en")
    assert "never calibrated: published figures" in shown(panel) and "No vendor has a key" in shown(panel)
    panel.measure()
    with pytest.raises(SettingsError, match="No vendor has a key"):
        panel.wait()
    panel.speak("es")
    assert "nunca calibrado" in shown(panel) and "Ningún proveedor tiene llave" in shown(panel)


def test_a_vendor_with_a_key_is_measured_and_its_figures_stand_beside_the_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", TWIN_KEY)
    panel = CalibrationPanel(folder=tmp_path, language="en")
    assert "At most" in shown(panel) and "Left out, for want of a key: Deepgram speaks" in shown(panel)
    panel._rounds.value = 3
    panel.measure()
    found = panel.wait()
    assert found is not None and found.calibrated is not None and found.calibrated.behind == "live"
    assert "calibrated today" in shown(panel) and "question → first word" in shown(panel)
    assert "637, p95 1615" in shown(panel) and "All rounds are done" in shown(panel)
    assert [file.suffix for file in sorted(tmp_path.iterdir())] == [".jsonl", ".yaml"]
    assert "calibrado hoy" in shown(CalibrationPanel(folder=tmp_path, language="es"))  # the next kernel's


def test_a_limit_that_is_too_small_spends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", TWIN_KEY)
    panel = CalibrationPanel(folder=tmp_path, language="en")
    panel._cap.value = 0.0
    panel.measure()
    assert panel.wait() is None and "would have passed the limit" in shown(panel)


def test_stopped_it_keeps_what_it_has_and_can_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", TWIN_KEY)
    panel = CalibrationPanel(folder=tmp_path, language="en")
    panel._rounds.value, steps = 200, []
    told = panel._told

    def look(step: object) -> None:
        told(step)  # type: ignore[arg-type]
        steps.append(step)
        if len(steps) == 4:
            panel.stop()

    panel._told = look  # type: ignore[method-assign, assignment]
    panel.measure()
    found = panel.wait()
    assert found is not None and found.calibrated is not None and found.calibrated.stages["llm_first_token"].n >= 4
    assert "It was stopped" in shown(panel) and not panel._buttons["measure"].disabled
    assert panel._buttons["stop"].disabled
