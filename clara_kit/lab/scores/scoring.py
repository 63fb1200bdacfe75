"""`score`: what one conversation is worth, in the figures of `metrics.py`. Pure, and quick enough for thousands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from clara_kit.core.errors import ScriptError
from clara_kit.core.profile import CustomerProfile
from clara_kit.lab.scores.checks import CHECKS
from clara_kit.lab.scores.heard import Answer, Failure, Heard
from clara_kit.lab.scores.metrics import METRICS
from clara_kit.lab.sentences import Language, in_plain
from clara_kit.measure.run import Run
from clara_kit.world.saying import said
from clara_kit.world.scenario import Rule, Scenario

Value = bool | float | None


@dataclass(frozen=True)
class Scored:
    """`values` by the names of `METRICS`, None where that is not known; `failed`: what was wrong, the scenario's rules first."""

    values: Mapping[str, Value]
    failed: tuple[Failure, ...]

    @property
    def broken(self) -> tuple[Failure, ...]:
        """What the scenario demands and did not get."""
        return tuple(one for one in self.failed if one.rule in ("must", "must_not"))


def score(run: Run, scenario: Scenario, customer: CustomerProfile | None = None) -> Scored:
    """Score a conversation by what was heard of it. customer: whom Clara knew; None: what the run still knows of them.

    Raises `ScriptError` for a rule of the scenario that is none.
    """
    heard = Heard.of(run, customer)
    failed = list(broken(heard, scenario))
    values: dict[str, Value] = {"kept": not failed if scenario.must or scenario.must_not else None}
    values |= _shown(run, heard)
    for name, check in CHECKS.items():
        wrong = tuple(check(heard))
        values[name] = not wrong if heard.answers else None
        failed += wrong
    return Scored(values, tuple(failed))


def _shown(run: Run, heard: Heard) -> dict[str, Value]:
    """What the conversation itself shows. `usd_per_turn`: the model's price, where it is known of every turn."""
    asked = [turn for turn in heard.ledger if turn.kind != "greeting"]
    waits = [turn.total_ms for turn in asked if turn.total_ms is not None]
    words, unheard = (sum(len(getattr(one, part).split()) for one in heard.answers) for part in ("text", "unheard"))
    costs = [turn.usage.cost_usd if turn.usage is not None else None for turn in asked]
    known = [usd for usd in costs if usd is not None]
    told: Any = run.facts.get("customer")
    customer = told if isinstance(told, dict) else {}
    ended_ms = customer.get("ended_ms") or (run.trace[-1].at_ms if run.trace else 0.0)
    return {
        "goal_reached": customer.get("goal_reached"),
        "hung_up": customer.get("hung_up"),
        "turns": float(len(asked)),
        "seconds": round(ended_ms / 1000, 3),
        "first_sound_ms": round(median(waits), 1) if waits else None,
        "interruptions": float(sum(turn.interrupted for turn in heard.ledger)),
        "heard_share": round(words / (words + unheard), 6) if words + unheard else None,
        "usd_per_turn": sum(known) / len(costs) if costs and len(known) == len(costs) else None,
    }


def told(failure: Failure, language: Language = "en") -> str:
    """A failure for people: «Prices right: the price of another product («doce mil pesos»)»."""
    label = METRICS[failure.rule].label if failure.rule in METRICS else _RULES[failure.rule]
    why, text = in_plain(failure.why, language) or failure.why, f" («{failure.text}»)" if failure.text else ""
    return f"{label[language == 'es']}: {why}{text}"


_RULES = {"must": ("must be said", "hay que decirlo"), "must_not": ("must not be said", "no hay que decirlo")}


# --- what a scenario demands, held against what was heard -------------------------------------------------


def broken(heard: Heard, scenario: Scenario) -> Iterator[Failure]:
    """Every must that was never heard, and every must-not that was. Raises `ScriptError` for a rule that is none.

    A must without a turn may be kept by any answer; a must-not holds for all of them and for the greeting. A check in
    `must` has to hold for all (or for that answer), one in `must_not` has to fail in one of them.
    """
    for rule in scenario.must:
        asked = _asked(heard, rule)
        if rule.check:
            yield from (replace(one, rule="must", why=rule.why or one.why) for one in _checked(heard, rule))
        elif not any(said(rule.says, one.text) for one in asked):
            text = asked[-1].text if rule.turn and asked else ""
            yield Failure(rule.turn or 0, "must", rule.why or f"never heard: {' / '.join(rule.says)}", text)
    for rule in scenario.must_not:
        if rule.check and not _checked(heard, rule):
            yield Failure(rule.turn or 0, "must_not", rule.why or f"the check {rule.check} holds")
        for one in _asked(heard, rule) if rule.turn or rule.check else heard.answers:
            if words := rule.says and said(rule.says, one.text):
                yield Failure(one.turn, "must_not", rule.why or "this must not be said", words)


def _asked(heard: Heard, rule: Rule) -> tuple[Answer, ...]:
    return tuple(one for one in heard.replies if rule.turn in (None, one.turn))


def _checked(heard: Heard, rule: Rule) -> list[Failure]:
    check = CHECKS.get(rule.check)
    if check is None:
        raise ScriptError(f"There is no check {rule.check!r}.", hint=f"use one of: {', '.join(CHECKS)}.")
    return [one for one in check(heard) if rule.turn in (None, one.turn)]
