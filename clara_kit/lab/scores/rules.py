"""What a scenario demands, held against what was heard. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from clara_kit.core.errors import ScriptError
from clara_kit.lab.scores.checks import CHECKS
from clara_kit.lab.scores.heard import Answer, Failure, Heard
from clara_kit.world.saying import said
from clara_kit.world.scenario import Rule, Scenario


def broken(heard: Heard, scenario: Scenario) -> Iterator[Failure]:
    """Every must that was never heard, and every must-not that was. Raises `ScriptError` for a rule that is none.

    A must without a turn may be kept by any answer; a must-not holds for all of them and for the greeting. A check in
    `must` has to hold for all (or for that answer), one in `must_not` has to fail in one of them.
    """
    for rule in scenario.must:
        asked = _of(heard, rule)
        if rule.check:
            yield from (replace(one, rule="must", why=rule.why or one.why) for one in _checked(heard, rule))
        elif not any(said(rule.says, one.text) for one in asked):
            text = asked[-1].text if rule.turn and asked else ""
            yield Failure(rule.turn or 0, "must", rule.why or f"never heard: {' / '.join(rule.says)}", text)
    for rule in scenario.must_not:
        if rule.check and not _checked(heard, rule):
            yield Failure(rule.turn or 0, "must_not", rule.why or f"the check {rule.check} holds")
        for one in _of(heard, rule) if rule.turn or rule.check else heard.answers:
            if words := rule.says and said(rule.says, one.text):
                yield Failure(one.turn, "must_not", rule.why or "this must not be said", words)


def _of(heard: Heard, rule: Rule) -> tuple[Answer, ...]:
    return tuple(one for one in heard.replies if rule.turn in (None, one.turn))


def _checked(heard: Heard, rule: Rule) -> list[Failure]:
    check = CHECKS.get(rule.check)
    if check is None:
        raise ScriptError(f"There is no check {rule.check!r}.", hint=f"use one of: {', '.join(CHECKS)}.")
    return [one for one in check(heard) if rule.turn in (None, one.turn)]
