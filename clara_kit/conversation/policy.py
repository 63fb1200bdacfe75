"""What a judgement is made of: ten questions, the decisions that answer them, and a policy that gives one.

Below everything else in this room. A question is what a reducer knows at the moment of asking; a decision says what
shall happen and why; a policy is a pure function from the state, a question and the settings to a decision, or to
None where it has nothing to say. `policies.py` puts them in order; `talk.py`, the state, comes right above this.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Literal, TypeAlias

from msgspec import Struct

from clara_kit.core import events as ev
from clara_kit.core.errors import FailureKind

# --- the questions -------------------------------------------------------------------------------------------


class Sound(Struct, frozen=True):
    """Is this sound an interruption? Asked when it begins while Clara has the floor, ends, or has lasted."""

    occasion: Literal["began", "ended", "lasted"]
    event: ev.Event


class Words(Struct, frozen=True):
    """Do these words take the floor from Clara? `final`: they will not be revised any more. `said_ms`: when they began."""

    text: str
    final: bool
    said_ms: float = 0.0


class Turn(Struct, frozen=True):
    """Is the customer's turn over? Asked with final words, and when a recogniser expects it (or takes it back)."""

    occasion: Literal["final", "expected", "resumed"]
    text: str = ""


class Answer(Struct, frozen=True):
    """What answers this turn? Asked when it is over, and again where it must be asked once more."""

    question: str
    why: str


class Begin(Struct, frozen=True):
    """Is something said at once, before the answer to this turn is written?"""

    question: str


class Trust(Struct, frozen=True):
    """Is a kept answer trusted less, now that the customer has spoken again? `cut`: it was not heard to its end."""

    words: str
    cut: bool


class Piece(Struct, frozen=True):
    """Is this piece of a reply spoken? `cut_off`: it is the last one, and the model stopped in the middle of it."""

    text: str
    why: str
    cut_off: bool = False


class Failure(Struct, frozen=True):
    """What after a failure? `attempt`: failures of this service since it last worked, this one included."""

    service: ev.Service
    kind: FailureKind
    retryable: bool
    attempt: int
    spoken: bool = False  # a part of what it was to give has been heard, or is about to be
    connection: bool = False  # the connection itself is gone, not one reply or utterance
    asked_ms: float | None = None  # how long the vendor asks to wait before another try
    left_ms: float = inf  # of what the customer may be left waiting


class Quiet(Struct, frozen=True):
    """What after a cut that brought no words? `unheard`: what is ready of the rest, from the cut clause on.

    unfinished: the model was stopped before it had written the rest. coming: it is writing it still. broken: voice or
    avatar cut her off, not a sound. tries: how often this rest was begun in vain.
    """

    unheard: tuple[str, ...]
    unfinished: bool = False
    coming: bool = False
    broken: bool = False
    tries: int = 0


class Keep(Struct, frozen=True):
    """What is remembered of an utterance that is over? `heard`: what reached the ear. `again`: said anew from here on."""

    pieces: tuple[str, ...]
    heard: str
    again: int | None = None  # a character of the pieces joined by single spaces


Question: TypeAlias = Sound | Words | Turn | Answer | Begin | Trust | Piece | Failure | Quiet | Keep

# --- the decisions -------------------------------------------------------------------------------------------


class Decision(Struct, frozen=True, kw_only=True):
    """What shall happen, and why, in plain words with the numbers."""

    reason: str


class Hold(Decision, frozen=True):
    """Wait until `until_ms` with judging this sound. `words`: and ask the recogniser for its words so far."""

    until_ms: float
    words: bool = False


class Release(Decision, frozen=True):
    """The held sound was none."""


class Yield(Decision, frozen=True):
    """The customer has the floor. `sure`: what the model writes is not wanted any more; else only her sound stops.

    joins: the words go on with the turn that she has just begun to answer; what she has said of it is taken back.
    """

    sure: bool = True
    joins: bool = False


class Ignore(Decision, frozen=True):
    """Nothing follows."""


class Aside(Ignore, frozen=True):
    """They ask for nothing; but they were said, and are remembered as what they were."""


class Reassure(Ignore, frozen=True):
    """They only ask whether somebody is there."""


class Finished(Decision, frozen=True):
    """The turn is over: answer now."""


class Wait(Decision, frozen=True):
    """Give the customer this long to go on."""

    hold_ms: float


class Request(Decision, frozen=True):
    """Ask the model."""


class LookUp(Decision, frozen=True):
    """See whether an answer is kept."""


class Distrust(Decision, frozen=True):
    """It may have been wrong."""


class Speak(Decision, frozen=True):
    """Say it now."""


class Drop(Decision, frozen=True):
    """It is not said."""


class Retry(Decision, frozen=True):
    """Try again after `after_ms`."""

    after_ms: float


class Say(Decision, frozen=True):
    """Say something of Clara's own instead."""

    text: str


class GiveUp(Decision, frozen=True):
    """Go on without it."""


class Resume(Decision, frozen=True):
    """Say these pieces once more."""

    pieces: tuple[str, ...]


class Restate(Decision, frozen=True):
    """Ask the model once more, which knows what was heard."""


class HandOver(Decision, frozen=True):
    """Let the backup answer."""


class End(Decision, frozen=True):
    """Leave it at that."""


class Remember(Decision, frozen=True):
    """This goes into the history."""

    text: str


class Policy(Struct, frozen=True):
    """A pure function with a name, by which a trace says who decided, and a version, by which a replay knows it.

    knows: the hash of what it was given to know (a lexicon, say), which was read outside.
    """

    name: str
    decide: Callable[..., Decision | None]  # (Talk, the question)
    version: int = 1
    knows: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}{f' {self.knows}' if self.knows else ''}"
