"""Notebook 05 as a reader runs it: without a call, and from the bottom up."""

from __future__ import annotations

import pytest

from tests.ground.notebooks import reading

pytestmark = [pytest.mark.timeout(240), pytest.mark.wall]  # its kernel lives at the wall's pace


async def test_the_notebook_on_caching_takes_no_conversation_and_any_order() -> None:
    async with reading("05_caching") as reader:
        for name in reader.ids:
            told = await reader.run(name)
            assert name != "five-02" or "answers hold" in told
            assert name != "five-06" or "an answer was ready: yes" in told
        for name in reversed(reader.ids[:-1]):
            await reader.run(name)
