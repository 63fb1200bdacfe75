"""Notebook 04 in JupyterLab: a lever is pulled by a click, and both designs are heard, without a line of code."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.lab import lab

pytestmark = [pytest.mark.timeout(300), pytest.mark.wall]


async def test_levers_answer_and_two_designs_are_heard_without_a_line_of_code(tmp_path: Path) -> None:
    async with lab(tmp_path) as notebook:
        await notebook.open("notebooks/04_latency.ipynb")
        await notebook.run_all()
        await notebook.show(1)
        budget = notebook.page.get_by_test_id("clara-budget")
        await expect(budget.get_by_test_id("lb_sentence")).to_contain_text("No, not yet", timeout=30_000)
        median = budget.get_by_test_id("lb_row_first_p50").locator("td").last
        before = await median.inner_text()
        await budget.get_by_test_id("lb_openers").click()
        await expect(median).not_to_have_text(before, timeout=30_000)
        await budget.get_by_test_id("lb_hear").click()
        await expect(budget.get_by_test_id("lb_waits")).to_contain_text("s in the plan and", timeout=60_000)
        long = "a => new Promise(r => a.duration ? r(a.duration) : a.onloadedmetadata = () => r(a.duration))"
        assert await budget.locator("audio").evaluate(long) > 8
        await notebook.screenshot("04_latency", whole=True)
        assert notebook.errors == []
