"""Notebook 07 as a reader runs it: begun with any section, and from the bottom up."""

from __future__ import annotations

import pytest

from tests.ground.notebooks import reading

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]  # its kernel lives at the wall's pace


async def test_the_prompt_lab_notebook_runs_in_any_order_and_says_that_its_verdict_is_a_rehearsal() -> None:
    async with reading("07_prompt_lab") as reader:
        for name in ("seven-12", "seven-10", "seven-08", "seven-06"):  # a section can be begun with
            await reader.run(name)
        assert "PromptLab warm v1 against brief v1" in await reader.run("seven-02")
        small = 'run_experiment({"A": "warm", "B": "warm"}, ["limpiador_piel_mixta"], customers=["camila"])'
        shipped = 'run_experiment({"A": "warm", "B": "brief"}, customers=["camila", "rosario"])'
        told = await reader.run("seven-04", {shipped: small})
        assert "A rehearsal of the method, no verdict on the prompts" in told and "nothing differed" in told
