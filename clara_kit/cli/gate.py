"""`clara gate`: whether a prompt may go to production, for CI. Ends with 0 or 1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from time import monotonic

from clara_kit.core.outside import printable
from clara_kit.lab.experiment.gate import Answers, Gate
from clara_kit.lab.experiment.gate import gate as held


def gate(
    prompt: str, *, beside: str | None, answers: Answers, scenario: Sequence[str], customer: Sequence[str],
    calls: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Print what was not met, what was not tested and whether the prompt may pass. Returns the exit code."""
    began = monotonic()
    found = held(
        prompt, beside=beside, llm=answers, scenarios=scenario or None, customers=customer or None, calls=calls
    )  # fmt: skip
    if as_json:
        print(json.dumps(plain(found), ensure_ascii=False, indent=1))
        return found.exit_code
    for what, name, turn, whom, why, words in found.rows():
        where = f"{name}{f', answer {turn}' if turn else ''}, {whom}"
        print(printable(f"{what}: {where}: {why}{f' «{words}»' if words else ''}"))
    print(printable(f"{found.told()} ({monotonic() - began:.0f} s)"))
    return found.exit_code


def plain(found: Gate) -> dict[str, object]:
    """For machines."""
    names = ("what", "scenario", "answer", "customers", "why", "words")
    return {
        "open": found.open, "prompt": found.prompt, "beside": found.beside, "answers": found.answers,
        "scenarios": found.scenarios, "conversations": found.conversations, "demands": found.demands,
        "broken": len(found.new), "known": len(found.broken) - len(found.new), "not_tested": len(found.not_tested),
        "rows": [dict(zip(names, row)) for row in found.rows()],
    }  # fmt: skip
