"""Notebook 04 as a reader uses it: from top to bottom, with other values, and its honest sentence."""

from __future__ import annotations

import re

import pytest

from clara_kit.lab.budget.reach import can_we
from tests.ground.notebooks import reading

pytestmark = [pytest.mark.timeout(300), pytest.mark.wall]


async def test_it_runs_from_top_to_bottom_and_says_what_is_calculated() -> None:
    async with reading("04_latency") as reader:
        said = {name: (await reader.run(name)).replace("\n", " ") for name in reader.ids}
        assert can_we(600) in said["four-04"]
        assert "unknown: nobody has published it" in said["four-06"]
        assert "published is about 950 (n = 3)" in said["four-09"]
        assert "The plan's design" in said["four-12"] and "simulated" in said["four-12"]
        told = (await reader.run("four-09", {"(2000, 800)": "(1500, 100)"})).replace("\n", " ")
        assert "below 1500 ms" in told and "No combination of levers" in told
        assert can_we(100) in (await reader.run("four-04", {"can_we(600)": "can_we(100)"})).replace("\n", " ")
        assert all(float(apart) < 3 for apart in re.findall(r"apart: ([\d.]+) %", said["four-18"]))
        await reader.run("four-12", {"fast": "tuned", "protector solar": "limpiador"})
