"""The live latency panel in a real browser, with its model behind it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from clara_kit.measure.monitor import BUDGETS_MS
from clara_kit.widgets.latency_live import LatencyLive
from tests.browser.lab import DRAWN, SCREENSHOTS, _browser
from tests.browser.test_outages_in_a_browser import WIDER, shown

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]


def turns(panel: LatencyLive, *all_ms: float) -> None:
    """So many turns whose model took so long."""

    def put(monitor: Any) -> None:
        for ms in all_ms:
            for name, value in {**BUDGETS_MS, "think": ms, "total": ms + 1200}.items():
                if name not in ("backup", "answer"):
                    window = monitor._windows.setdefault(name, type(monitor)()._window_of())
                    window.put(value * (0.6 if name not in ("think", "total") else 1))
                    monitor._judge(name, 0.0, "", 0)
            monitor.turns += 1

    panel.watching.look(put)
    panel.draw(now=True)
