"""A conversation as its customer heard it, and what was wrong with it: what every score is made of. Pure.

From a run's trace alone. What Clara had written but was cut before is no part of an answer: nobody heard it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.audio.spoken import spoken
from clara_kit.conversation.sentences import SentenceChunker
from clara_kit.core.profile import CustomerProfile, fill
from clara_kit.measure.ledger import Turn, turns
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story
from clara_kit.prompts.catalog import Catalog

Found = tuple[tuple[str, str], ...]
"""What is wrong with one text: why, and the offending words."""


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

    def failures(self, rule: str, found: Found) -> Iterator[Failure]:
        """What was found in it, as failures of a rule."""
        return (Failure(self.turn, rule, why, text) for why, text in found)


@dataclass(frozen=True)
class Heard:
    """All answers in order, the greeting among them, and whom they were for. `name`: empty where nobody knows it."""

    answers: tuple[Answer, ...]
    name: str = ""
    tts_speed: float = 1.0
    ledger: tuple[Turn, ...] = ()
    catalog: Catalog = field(default_factory=Catalog.load)

    @classmethod
    def of(cls, run: Run, customer: CustomerProfile | None = None) -> Heard:
        """What was heard in a run; its placeholders are filled where it is known what they stand for."""
        told = Story(run.trace)
        name = (customer.first_name if customer is not None else "") or run.words.get("{first_name}", "")
        settings = run.inputs.get("settings")
        speed = settings.get("tts_speed") if isinstance(settings, dict) else None
        return cls(
            tuple(_answers(told, run.words)), name, speed if isinstance(speed, int | float) else 1.0, turns(told)
        )

    @cached_property
    def replies(self) -> tuple[Answer, ...]:
        """The answers after the greeting."""
        return tuple(one for one in self.answers if one.turn)


def answers_of(run: Run, words: Mapping[str, str]) -> tuple[Answer, ...]:
    """What was heard of each turn, with these words in place of their placeholders."""
    return tuple(_answers(Story(run.trace), words))


def _answers(told: Story, words: Mapping[str, str]) -> Iterator[Answer]:
    number = 0
    for turn in told.turns.values():
        greeting = turn.kind == "greeting"
        number += not greeting
        parts = [u.heard.heard if u.heard else u.text if u.started_ms is not None else "" for u in turn.utterances]
        cut = (
            turn.utterances[-1].heard if turn.utterances else None
        )  # of an earlier one the rest was said later, or lost
        question = turn.replies[-1].question if turn.replies else ""
        text, unheard = " ".join(filter(None, parts)), cut.unheard if cut else ""
        yield Answer(0 if greeting else number, *(fill(one, words) for one in (question, text, unheard)))


@lru_cache(maxsize=8192)
def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text as Clara's voice gets them."""
    cutter = SentenceChunker()
    return (*cutter.feed(text), *cutter.flush())


@lru_cache(maxsize=8192)
def aloud(text: str) -> str:
    """The text as it is said: sentence by sentence, as the voice has had it, so that nothing is worked out twice."""
    return " ".join(spoken(sentence, usual_pronunciation()).text for sentence in sentences(text))
