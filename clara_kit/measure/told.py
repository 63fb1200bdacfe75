"""What a story is made of: words, replies, utterances, turns. Written by `story.py` alone, read by everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from clara_kit.core import events as ev
from clara_kit.core.records import HeardEstimated


class Words(Struct, kw_only=True):
    """What the customer said or typed, as soon as it was final. `ended_ms`: when the last word ended."""

    step: int
    kind: Literal["spoken", "typed"]
    text: str
    began_ms: float
    ended_ms: float
    received_ms: float


class Reply(Struct, kw_only=True):
    """One request to the model and what came of it. Times None where the event never came."""

    reply_id: int
    turn_id: int
    step: int
    question: str
    words: Words | None  # the newest when it was asked; None: nothing new, so it was asked again
    asked_ms: float
    sent_ms: float | None = None
    first_ms: float | None = None
    first_step: int = 0
    ended_ms: float | None = None
    text: str = ""
    model: str = ""
    usage: ev.Usage | None = None
    completed_ms: float | None = None
    exchanged: Mapping[str, Any] = {}  # the services, and their new modes, that had been exchanged when it was asked
    backup: Utterance | None = None  # what the avatar vendor's own assistant says, where that was asked
    kept: bool = False  # nobody was asked: an answer was kept
    of_rest: bool = False  # the one before broke off when Clara had begun to say it: only its rest was asked for


class Stretch(Struct, frozen=True, kw_only=True):
    """Sound of an utterance that came in one, for its pieces up to `piece_no`: when it is played, and how long it is.

    gap_ms: nothing was there to be played for so long before it. lead_ms: of silence at its head.
    """

    piece_no: int
    begin_ms: float
    audio_ms: float
    lead_ms: float
    gap_ms: float


class Utterance(Struct, kw_only=True):
    """What Clara was given to say at once, and what became of it. Times None where the event never came."""

    utterance_id: int
    turn_id: int
    step: int
    ordered_ms: float
    pieces: list[str] = []
    sent_ms: float | None = None
    sent_step: int = 0
    first_audio_ms: float | None = None
    first_audio_step: int = 0
    started_ms: float | None = None
    started_step: int = 0
    voiced: list[ev.SpeechVoiced] = []  # what is known of its sound
    playout_ms: float = 0.0  # how much later than the avatar says it the customer hears it
    stopped_ms: float | None = None  # by itself, as ordered, or because something broke
    stopped_step: int = 0
    cut: bool = False  # it was stopped before its end
    failed: bool = False
    heard: HeardEstimated | None = None
    heard_step: int = 0
    shown: list[str] = []  # what could only be read
    shown_ms: float | None = None
    exchanged: Mapping[str, Any] = {}  # as in a reply, when it was ordered
    by: str = ""  # the policy that had it said
    openers: int = 0  # so many of its pieces were said before a word of the answer was there

    @property
    def audio_ms(self) -> float:
        """The length of the sound that is known of."""
        return self.voiced[-1].audio_ms if self.voiced else 0.0

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """Its sound as it is played, one behind the other; empty where it was not heard, or nothing is known of it.

        Sound is played as soon as what was before it is over and its first sample has come (`SpeechVoiced.first_ms`): that the
        avatar takes no time to go on after a gap is taken for granted.
        """
        found: list[Stretch] = []
        end_ms, before_ms = self.started_ms or 0.0, 0.0
        for voiced in self.voiced if self.started_ms is not None else ():
            first_ms = end_ms if voiced.first_ms is None or not found else max(end_ms, voiced.first_ms)
            length_ms = voiced.audio_ms - before_ms
            found.append(Stretch(
                piece_no=voiced.piece_no, begin_ms=first_ms, audio_ms=length_ms, lead_ms=voiced.lead_ms, gap_ms=first_ms - end_ms
            ))  # fmt: skip
            end_ms, before_ms = first_ms + length_ms, voiced.audio_ms
        return tuple(found)

    @property
    def audible_ms(self) -> float | None:
        """When the customer heard the first of it: silence at the head of its sound and the page's delay counted."""
        if self.started_ms is None:
            return None
        return self.started_ms + (self.voiced[0].lead_ms if self.voiced else 0.0) + self.playout_ms

    @property
    def answer_ms(self) -> float | None:
        """When the customer heard the first word of the answer, behind an opener; None where none of it was heard."""
        if not self.openers or self.started_ms is None:
            return self.audible_ms
        stretch = next((s for s in self.stretches if s.piece_no >= self.openers), None)
        over = stretch is None or (self.stopped_ms is not None and stretch.begin_ms >= self.stopped_ms)
        return None if over or stretch is None else stretch.begin_ms + stretch.lead_ms + self.playout_ms

    @property
    def text(self) -> str:
        """All pieces joined."""
        return " ".join((*self.pieces, *self.shown))

    @property
    def aside(self) -> bool:
        """It answers nothing: «un momento»."""
        return self.by == "aside"

    @property
    def is_being_said(self) -> bool:
        """It is an answer, or a part of one, that was heard or is on its way."""
        return (
            not self.aside
            and bool(self.pieces)
            and not self.failed
            and (self.stopped_ms is None or self.started_ms is not None)
        )

    @property
    def reached(self) -> str:
        """What of it the customer heard, or could read."""
        heard = self.heard.heard if self.heard else " ".join(self.pieces) if self.started_ms is not None else ""
        return " ".join(filter(None, (heard, *self.shown)))


class Turn(Struct, kw_only=True):
    """One turn of the conversation: what was asked and said in it. Turn 0 is the greeting's."""

    turn_id: int
    kind: Literal["greeting", "spoken", "typed"]
    replies: list[Reply] = []
    utterances: list[Utterance] = []
    speaking_ms: float | None = None  # when Clara first had the floor in it
    interrupted: bool = False
    outside: ev.TurnHeard | None = None  # it is known from a recording's sound alone

    @property
    def heard(self) -> str:
        """All that was heard of Clara in it; words that were broken off and then said anew stand there once."""
        first, *more = [u.reached for u in self.utterances if u.reached and not u.aside] or [""]
        for part in more:
            words, new = first.split(), part.split()
            again = next((n for n in range(min(len(words), len(new)), 0, -1) if words[-n:] == new[:n]), 0)
            first = " ".join([*words[: len(words) - again], *new])
        return first

    @property
    def unheard(self) -> str:
        """What she had still to say when it was over; of what was cut earlier, the rest was said later, or asked anew."""
        last = self.utterances[-1].heard if self.utterances else None
        return last.unheard if last is not None else ""
