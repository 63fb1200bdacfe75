"""A shelf to practise on: simulated conversations of invented customers, made in a moment, for who has recorded none yet."""

from __future__ import annotations

from pathlib import Path

from clara_kit.core.paths import DATA
from clara_kit.core.settings import Settings
from clara_kit.runtime.run_log import RunLog, write_whole
from clara_kit.world.scenario import Scenario
from clara_kit.world.sim import simulate

FOLDER = DATA.parent / "build" / "practice_shelf"
CUSTOMERS = ("camila", "antonia", "matias", "ignacia", "isidora")
_MADE = ".made"  # how many there are, once all of them are there


def practice_shelf(folder: Path | str | None = None, *, count: int = 40) -> Path:
    """A folder of `count` simulated runs over the scenarios, the same each time; made once (default `build/practice_shelf`).

    Give it to `runs` or `what_if_shelf`. Nothing in it was ever said by anybody.
    """
    folder, scenarios = Path(folder or FOLDER), Scenario.all(mine=False)
    made = folder / _MADE
    if made.exists() and made.read_text("utf-8").strip() == str(count):
        return folder
    for number in range(count):
        scenario, customer = scenarios[number % len(scenarios)], CUSTOMERS[number % len(CUSTOMERS)]
        run = simulate(scenario, Settings.preset("tuned"), seed=number, customer=customer)
        log = RunLog(run.inputs, title=scenario.title, tags=("practice", scenario.topic), root=folder)
        log.facts |= {name: run.facts[name] for name in ("customer", "scenario") if name in run.facts}
        log.close([*run.trace], words=run.words)
    write_whole(made, str(count))
    return folder
