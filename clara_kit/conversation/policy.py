"""What a judgement is made of: eight questions, the decisions that answer them, and a policy that gives one.

Below everything else in this room. A question is what a reducer knows at the moment of asking; a decision says what
shall happen and why; a policy is a pure function from the state, a question and the settings to a decision, or to
None where it has nothing to say. `policies.py` puts them in order; `talk.py`, the state, comes right above this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from clara_kit.core import events as ev
from clara_kit.core.errors import FailureKind

# --- the questions -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sound:
    """Is this sound an interruption? Asked when it begins while Clara has the floor, ends, or has lasted."""

    occasion: Literal["began", "ended", "lasted"]
    event: ev.Event


@dataclass(frozen=True, slots=True)
class Words:
    """Do these words take the floor from Clara? `final`: they will not be revised any more."""

    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """Is the customer's turn over? Asked with final words, and when a recogniser expects it (or takes it back)."""

    occasion: Literal["final", "expected", "resumed"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What answers this turn?"""

    question: str
    why: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Is this piece of a reply spoken? `cut_off`: it is the last one, and the model stopped in the middle of it."""

    text: str
    why: str
    cut_off: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """What after a failure? `attempt`: failures of this service since it last worked, this one included."""

    service: ev.Service
    kind: FailureKind
    retryable: bool
    attempt: int
    spoken: bool = False  # a part of what it was to give has been heard, or is about to be
    connection: bool = False  # the connection itself is gone, not one reply or utterance


@dataclass(frozen=True, slots=True)
class Quiet:
    """What after a cut that brought no words? `unheard`: pieces from the cut one on."""

    unheard: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Keep:
    """What is remembered of an utterance that is over? `heard`: what reached the ear. `again`: said anew from here on."""

    pieces: tuple[str, ...]
    heard: str
    again: int | None = None  # number of the piece


Question: TypeAlias = Sound | Words | Turn | Answer | Piece | Failure | Quiet | Keep

# --- the decisions -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait until `until_ms` with judging this sound."""

    until_ms: float
    reason: str


@dataclass(frozen=True, slots=True)
class Release:
    """The held sound was none."""

    reason: str


@dataclass(frozen=True, slots=True)
class Yield:
    """The customer has the floor."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing follows."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The turn is over: answer now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Give the customer this long to go on."""

    hold_ms: float
    reason: str


@dataclass(frozen=True, slots=True)
class Request:
    """Ask the model."""

    reason: str


@dataclass(frozen=True, slots=True)
class Speak:
    """Say it now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """It is not said."""

    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after `after_ms`."""

    after_ms: float
    reason: str


@dataclass(frozen=True, slots=True)
class Say:
    """Say something of Clara's own instead."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Go on without it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Say the unheard pieces (or others) once more."""

    pieces: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """Leave it at that."""

    reason: str


@dataclass(frozen=True, slots=True)
class Remember:
    """This goes into the history."""

    text: str
    reason: str


Decision: TypeAlias = (
    Hold | Release | Yield | Ignore | Finished | Wait | Request | Speak | Drop | Retry | Say | GiveUp | Resume | End
    | Remember
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policy:
    """A pure function with a name, by which a trace says who decided, and a version, by which a replay knows it.

    knows: the hash of what it was given to know (a lexicon, say), which was read outside.
    """

    name: str
    decide: Callable[..., Decision | None]  # (Talk, the question)
    version: int = 1
    knows: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}{f' {self.knows}' if self.knows else ''}"
