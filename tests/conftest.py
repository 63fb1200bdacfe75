"""Every test, and everything it talks to in this process, lives on one clock: `clara_kit.world.pace`.

A wait of a second takes a fiftieth of it, and none fails because the machine is busy with other things. A test that
looks at a clock looks at `now_s` of that module. One that waits for another process is marked `wall`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping

import pytest
from hypothesis import settings

from clara_kit.world.pace import VARIABLE, loop_factory

PACE = 50
os.environ[VARIABLE] = str(PACE)

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    pace = 1 if item.get_closest_marker("wall") else PACE
    return {"loop": loop_factory(pace) or asyncio.new_event_loop}


@pytest.fixture(autouse=True)
def _pace_of_the_wall(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("wall"):
        monkeypatch.setenv(VARIABLE, "1")
