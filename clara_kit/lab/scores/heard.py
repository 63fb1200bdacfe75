"""A conversation as its customer heard it, and what was wrong with it: what every score is made of. Pure.

From a run's trace alone. What Clara had written but was cut before is no part of an answer: nobody heard it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from clara_kit.core.profile import CustomerProfile, fill
from clara_kit.measure.ledger import Turn, turns
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that should have been otherwise. turn: of which answer (as `Rule.turn`); 0: of the greeting, or of none.

    rule: "must", "must_not" or the name of a check. text: the words that gave offence; of a must, what was heard instead.
    """

    turn: int
    rule: str
    why: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was heard of one of Clara's turns. turn: 0 is the greeting, 1 the first answer after it."""

    turn: int
    question: str
    text: str
    unheard: str = ""


@dataclass(frozen=True)
class Heard:
    """All answers in order, the greeting among them, and whom they were for. `name`: empty where nobody knows it."""

    answers: tuple[Answer, ...]
    name: str = ""
    tts_speed: float = 1.0
    ledger: tuple[Turn, ...] = ()

    @classmethod
    def of(cls, run: Run, customer: CustomerProfile | None = None) -> Heard:
        """What was heard in a run; its placeholders are filled where it is known what they stand for."""
        told = Story(run.trace)
        ledger = turns(told)
        number, answers = 0, list[Answer]()
        for turn in ledger:
            number += turn.kind != "greeting"
            given = told.turns[turn.turn_id].utterances
            parts = [u.heard.heard if u.heard else u.text if u.started_ms is not None else "" for u in given]
            rest = given[-1].heard if given else None  # of an earlier one it was said in the next, or is lost
            answers.append(Answer(
                turn=number if turn.kind != "greeting" else 0, question=fill(turn.customer, run.words),
                text=fill(" ".join(filter(None, parts)), run.words), unheard=fill(rest.unheard, run.words) if rest else "",
            ))  # fmt: skip
        name = (customer.first_name if customer is not None else "") or run.words.get("{first_name}", "")
        speed = run.inputs.get("settings", {}).get("tts_speed", 1.0)
        return cls(tuple(answers), name, float(speed), ledger)

    @cached_property
    def replies(self) -> tuple[Answer, ...]:
        """The answers after the greeting."""
        return tuple(one for one in self.answers if one.turn)
