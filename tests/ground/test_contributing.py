"""The worked example of CONTRIBUTING.md is what it says: one file, one name, and the customer is not cut short."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from clara_kit import Run, replay, simulate
from clara_kit.conversation.policies import STANDARD
from clara_kit.core.commands import RequestReply, SetTimer

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAUSES = [{"text": "Busco un protector solar y que no deje grasa", "pauses": [{"after_word": 5, "ms": 900}]}]


def test_the_worked_example_works() -> None:
    found = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    room: dict[str, Any] = {}
    exec(found.group(1), room)
    policies = STANDARD.first("turn", room["UNFINISHED"])

    def asked(run: Run) -> list[str]:
        return [record.text for record in run.trace if isinstance(record, RequestReply)]

    usual, patient = simulate(PAUSES), simulate(PAUSES, policies=policies)
    assert asked(usual)[0] == "Busco un protector solar y"
    assert asked(patient) == [PAUSES[0]["text"]]
    assert any(isinstance(r, SetTimer) and r.by == "unfinished" for r in patient.trace)
    assert "unfinished 1" in patient.inputs["policies"]["turn"]
    assert "decided by unfinished" in str([d.cause for d in replay(usual, policies=policies).differences])
    assert policies.without("unfinished") == STANDARD
