"""A bad answer that was seen becomes a scenario: the way to it, and what it must not be again. And scenarios become a shelf."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clara_kit.core import events as ev
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.core.settings import Settings
from clara_kit.measure.ledger import Turn
from clara_kit.measure.run import Run
from clara_kit.runtime.run_log import RunLog, write_whole
from clara_kit.world.scenario import Rule, Scenario, Topic
from clara_kit.world.script import Line, Script
from clara_kit.world.sim import simulate

RuleLike = Rule | str | Sequence[str] | dict[str, Any]


def scenario_of(
    run: Run, turn: int | None = None, *, must: Sequence[RuleLike] = (), must_not: Sequence[RuleLike] = (),
    topic: Topic = "other",
) -> Scenario:  # fmt: skip
    """All that the customer said up to a turn, with its interruptions, as a scenario; `keep()` puts it among one's own.

    turn: its number in the run (`Run.turns`); None: the last. must, must_not: what that answer must (not) be; a rule
    without a turn is about this answer. What was said comes from what was understood; of a real customer the words that
    the shop knows stay placeholders. Raises `ScriptError` where nothing was said until then.
    """
    run = run.shown()
    said = [
        one
        for one in run.ledger
        if one.kind != "greeting" and one.customer.strip() and (turn is None or one.turn_id <= turn)
    ]
    known = ", ".join(str(one.turn_id) for one in run.ledger if one.kind != "greeting")
    if not said or (turn is not None and said[-1].turn_id != turn):
        raise ScriptError(
            f"There is no turn {turn} in which the customer said something."
            if turn is not None
            else "The customer said nothing in this run.",
            hint=f"turns of this run: {known or 'none'}.",
        )
    lines = [_line(run, one, before) for one, before in zip(said, [*_greeting(run), *said])]
    last = said[-1]
    return Scenario(
        title=f"{run.title or run.run_id}: «{last.customer[:60]}»",
        topic=topic,
        description=f"From run {run.run_id}, turn {last.turn_id}. Clara said: «{last.clara}»",
        script=Script(title=run.title or run.run_id, lines=tuple(lines)),
        must=tuple(_rule(one, len(lines)) for one in must),
        must_not=tuple(_rule(one, len(lines)) for one in must_not),
    )


def _greeting(run: Run) -> list[Turn | None]:
    """What comes before the first line."""
    first = next(iter(run.ledger), None)
    return [first if first is not None and first.kind == "greeting" else None]


def _line(run: Run, turn: Turn, before: Turn | None) -> Line:
    """One turn's words; those that cut in begin so long after Clara did."""
    typed = turn.kind == "typed"
    ended, cuts_in = turn.points.get("words_ended"), None
    spoke_ms = before.points.get("speaking_started") if before is not None and before.interrupted else None
    if spoke_ms is not None:
        began = [
            event.speech_started_ms
            for event in run.events
            if isinstance(event, ev.TranscriptFinal)
            and spoke_ms < event.speech_started_ms
            and event.speech_ended_ms <= (ended or 0)
        ]
        began = began or [
            event.at_ms for event in run.events if isinstance(event, ev.TextTyped) and event.at_ms > spoke_ms
        ]
        cuts_in = round(min(began) - spoke_ms, 1) if began else None
    return Line(text=turn.customer, typed=typed, interrupt_after_ms=cuts_in)


def _rule(data: RuleLike, turn: int) -> Rule:
    rule = data if isinstance(data, Rule) else Rule.of(data if isinstance(data, str | dict) else list(data))
    return rule if rule.turn is not None else Rule(says=rule.says, check=rule.check, why=rule.why, turn=turn)


# --- a shelf to practise on, for who has recorded none yet --------------------------------------------------

PRACTICE = DATA.parent / "build" / "practice_shelf"
CUSTOMERS = ("camila", "antonia", "matias", "ignacia", "isidora")
_MADE = ".made"  # how many there are, once all of them are there


def practice_shelf(folder: Path | str | None = None, *, count: int = 40) -> Path:
    """A folder of `count` simulated runs over the scenarios, the same each time; made once (default `build/practice_shelf`).

    Give it to `runs` or `what_if_shelf`. Nothing in it was ever said by anybody.
    """
    folder, scenarios = Path(folder or PRACTICE), Scenario.all(mine=False)
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
