"""Where the milliseconds of each turn went, from a trace alone.

Two views. `LatencyMetrics`: the plan's fields, for continuity. The critical path: nine points, eight of them from
an event of its own, eight stages between them. Every stage is 0 or more and they add up to the total, which
is measured from another record (the change of state); a turn for which that is not so says what
is missing or wrong. Nothing is silently empty.

The path runs to the ear: behind the avatar's word that it speaks come the silence at the head of the voice's sound, as far
as it was measured, and the way to the customer (`SpeakingStarted.playout_ms`). The plan's own total ends at the avatar's word.
Where an opener is heard first, the path is the opener's; `answer_ms` is the first word of the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

from clara_kit.core import events as ev
from clara_kit.core.records import Record
from clara_kit.measure import story
from clara_kit.measure.story import Story

POINTS = (
    "words_ended",  # TranscriptFinal.speech_ended_ms, or TextTyped
    "turn_decided",  # RequestReply
    "request_sent",  # ReplyStarted
    "first_token",  # ReplyDelta
    "first_piece",  # Speak
    "speech_sent",  # SpeechSent
    "first_audio",  # FirstAudio
    "speaking_started",  # SpeakingStarted
    "audible",  # the same, and SpeechVoiced.lead_ms, and SpeakingStarted.playout_ms
)
STAGES = tuple(f"{a} → {b}" for a, b in pairwise(POINTS))
STAGE_LABELS = ("hear", "send", "think", "first sentence", "hand over", "voice", "avatar", "ear")
"""What each stage is called in a table, in the order of `STAGES`."""
ASKS_AGAIN = "apology"
"""The policy by which Clara asks the customer to say it once more."""
_KEPT = "an answer that was kept"
_BY_BACKUP = "answered by the avatar vendor's own assistant"
_SHOWN, _PARTLY_SHOWN = "to be read only: the voice was gone", "a part of it could only be read: the voice was gone"
_ASKED_AGAIN = "Clara had to ask again"
_NOT_ANSWERED = (("llm", "backup"), ("stt", "backup"))
BACKUP = "request_sent → speaking_started"
"""The one stage of a turn that the backup answered: it thinks and speaks by itself, and tells nothing of its parts."""
EAR = STAGES[-1]
OPENER = "turn_decided → first_piece"
"""Where an opener is heard first: what it has to wait for, which is nothing."""
LABELS = {**dict(zip(STAGES, STAGE_LABELS, strict=True)), BACKUP: "backup", OPENER: "opening"}


def _between(later: str, earlier: str) -> property:
    """The time from one field to another; None where one of them is missing."""

    def between(metrics: LatencyMetrics) -> float | None:
        ended, began = getattr(metrics, later), getattr(metrics, earlier)
        return None if ended is None or began is None else ended - began

    return property(between, doc=f"{later} - {earlier}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyMetrics:
    """The plan's fields, in milliseconds; None where the event never came.

    `tts_latency` is avatar_start_speaking - llm_complete, as the plan has it. With sentence-chunked sending
    Clara speaks before the model is done, so that it is then negative.
    """

    user_stop_speaking: float | None
    transcript_received: float | None
    llm_first_token: float | None
    llm_complete: float | None
    avatar_start_speaking: float | None

    stt_latency = _between("transcript_received", "user_stop_speaking")
    llm_latency = _between("llm_complete", "transcript_received")
    tts_latency = _between("avatar_start_speaking", "llm_complete")
    total_latency = _between("avatar_start_speaking", "user_stop_speaking")


@dataclass(slots=True, kw_only=True)
class Turn:
    """One turn: what was said on both sides, when, and what became of it."""

    turn_id: int
    kind: str  # "greeting", "spoken" or "typed"
    customer: str = ""
    clara: str = ""
    heard: str | None = None  # None: all of it
    unheard: str = ""
    points: dict[str, float] = field(default_factory=dict)
    total_ms: float | None = None  # from the customer's last word to the first sound at the ear
    answer_ms: float | None = None  # and to the first word of the answer there, behind an opener
    opener: str = ""  # what was said before a word of the answer was there
    kept: bool = False  # nobody was asked: an answer was kept
    gaps_ms: tuple[float, ...] = ()  # for how long nothing was there to be said in the middle of it
    llm_complete: float | None = None
    transcript_received: float | None = None
    model: str = ""
    requests: int = 0
    interrupted: bool = False
    backup: bool = False  # the avatar vendor's own assistant answered it, or a part of it
    by_backup: bool = False  # what was heard first was its answer
    shown: bool = False  # some of the answer could only be read
    asked_again: bool = False  # Clara had to ask the customer to say it once more
    held_on_ms: float | None = None  # how long after the last word she said «un momento», or the like; it is no answer
    exchanged: Mapping[str, Any] = field(default_factory=dict)  # modes of services that were exchanged before it
    usage: ev.Usage | None = None  # of all its requests, also those that failed or were dropped

    @property
    def path(self) -> tuple[str, ...]:
        """The points this kind of turn must have. What can only be read is read when it is given to be."""
        begin, end = 0 if self.kind != "greeting" else 4, 5 if self._only_shown else len(POINTS)
        if self.by_backup:
            return (*POINTS[:3], *POINTS[-2:])
        return (*POINTS[:2], *POINTS[4:]) if self.opener else POINTS[begin:end]

    @property
    def _only_shown(self) -> bool:
        return self.shown and "speaking_started" not in self.points

    @property
    def missing(self) -> tuple[str, ...]:
        """The points whose event never came."""
        return tuple(p for p in self.path if p not in self.points)

    @property
    def stages(self) -> dict[str, float]:
        """Milliseconds of each stage whose two ends are known."""
        at = self.points
        ends = pairwise(self.path if self.by_backup or self.opener else POINTS)
        return {f"{a} → {b}": at[b] - at[a] for a, b in ends if a in at and b in at}

    @property
    def notes(self) -> tuple[str, ...]:
        """How it was answered, where that was not as usual."""
        told = {
            _KEPT: self.kept,
            _BY_BACKUP: self.backup,
            _SHOWN: self._only_shown,
            _PARTLY_SHOWN: self.shown and not self._only_shown,
            _ASKED_AGAIN: self.asked_again,
        }
        held_on = () if self.held_on_ms is None else (f"Clara asked to hold on after {self.held_on_ms:.0f} ms",)
        if self.opener:
            begins = "was not heard" if self.answer_ms is None else f"began after {self.answer_ms:.0f} ms"
            held_on = (*held_on, f"«{self.opener}» came first; the answer {begins}")
        return (*held_on, *(note for note, so in told.items() if so))

    @property
    def problem(self) -> str:
        """Why the ledger of this turn does not add up; empty when it does."""
        if self.missing:
            never = "Clara never spoke" if "speaking_started" in self.missing else "an event never came"
            return f"{never}; missing: {', '.join(self.missing)}"
        if negative := [name for name, ms in self.stages.items() if ms < 0]:
            return f"negative: {', '.join(negative)}"
        total = sum(self.stages.values())
        if self.kind != "greeting" and (self.total_ms is None or abs(total - self.total_ms) > 1.0):
            return f"the stages add up to {total:.1f} ms, the total was measured as {self.total_ms} ms"
        return ""

    @property
    def metrics(self) -> LatencyMetrics:
        """The plan's view of the same turn."""
        return LatencyMetrics(
            user_stop_speaking=self.points.get("words_ended"),
            transcript_received=self.transcript_received,
            llm_first_token=self.points.get("first_token"),
            llm_complete=self.llm_complete,
            avatar_start_speaking=self.points.get("speaking_started"),
        )


def turns(trace: Iterable[Record] | Story) -> tuple[Turn, ...]:
    """The ledger of every turn, in order."""
    told = trace if isinstance(trace, Story) else Story(trace)
    return tuple(map(_turn, told.turns.values()))


def _turn(told: story.Turn) -> Turn:
    """What the ledger keeps of a turn. New words begin the way anew; asking again without them prolongs it."""
    requests = sum(not reply.kept for reply in told.replies)
    turn = Turn(turn_id=told.turn_id, kind=told.kind, requests=requests, interrupted=told.interrupted)
    utterances, outside = told.utterances, told.outside
    if outside is not None:  # a recording has two points of the way, and what lies between is missing
        _points(turn, words_ended=outside.words_until_ms, speaking_started=outside.clara_from_ms)
        if outside.clara_from_ms is not None and outside.words_until_ms is not None:
            turn.total_ms = outside.clara_from_ms - outside.words_until_ms
        return turn
    asked = [n for n, reply in enumerate(told.replies) if reply.words is not None]
    if told.replies:
        last, began = _last(told), told.replies[asked[-1] if asked else 0]
        turn.customer, turn.model, turn.exchanged = last.question, last.model or turn.model, last.exchanged
        turn.by_backup, turn.kept = last.backup is not None, last.kept
        spoke = (reply.backup for reply in told.replies[told.replies.index(began) :] if reply.backup is not None)
        turn.backup = any(said.started_ms is not None for said in spoke)
        if began.words is not None:
            turn.points["words_ended"] = began.words.ended_ms
            turn.transcript_received = began.words.received_ms
        turn.points["turn_decided"] = began.asked_ms
        _points(turn, request_sent=last.sent_ms, first_token=last.first_ms)
        done = [reply for reply in told.replies if reply.step >= began.step and reply.completed_ms is not None]
        turn.llm_complete = done[-1].completed_ms if done else None
        used = [reply.usage for reply in told.replies if reply.usage is not None]
        turn.usage = reduce(add, used) if used else None
        utterances = [u for u in utterances if u.ordered_ms >= began.asked_ms]
    asides, utterances = [u for u in utterances if u.aside], [u for u in utterances if not u.aside]
    after = [u for u in utterances if not told.replies or u.ordered_ms >= _last(told).asked_ms]
    _points(
        turn,
        first_piece=_first(u.ordered_ms for u in after),
        speech_sent=_first(u.sent_ms for u in after),
        first_audio=_first(u.first_audio_ms for u in after),
        speaking_started=_first(u.started_ms for u in after),
        audible=_first(u.audible_ms for u in after),
    )
    if after and after[0].openers:
        turn.opener = " ".join(after[0].pieces[: after[0].openers])
    turn.gaps_ms = tuple(round(ms, 3) for ms in _gaps(after))
    held_on_ms = _first(u.started_ms for u in asides)
    if held_on_ms is not None and "words_ended" in turn.points:
        turn.held_on_ms = held_on_ms - turn.points["words_ended"]
    turn.shown = any(u.shown for u in after)
    turn.asked_again = any(u.by == ASKS_AGAIN for u in utterances)
    exchanged = {**turn.exchanged, **(after[-1].exchanged if after else {})}
    turn.exchanged = {k: v for k, v in exchanged.items() if turn.backup or (k, v) not in _NOT_ANSWERED}
    turn.clara = " ".join(u.text for n, u in enumerate(utterances) if not _said_anew(u, utterances[n + 1 :]))
    began_ms = told.speaking_ms
    if turn._only_shown:  # whatever went to the voice before was not heard
        turn.by_backup = False
        for name in POINTS[5:]:
            turn.points.pop(name, None)
        began_ms = turn.points["first_piece"] = min(u.shown_ms for u in after if u.shown_ms is not None)
    if began_ms is not None and "words_ended" in turn.points:
        ended_ms, ear_ms = turn.points["words_ended"], turn.stages.get(EAR, 0.0)
        turn.total_ms = began_ms + ear_ms - ended_ms
        answered_ms = _first(u.answer_ms for u in after)
        turn.answer_ms = turn.total_ms if turn._only_shown else None if answered_ms is None else answered_ms - ended_ms
    if any(u.heard is not None for u in told.utterances):
        turn.heard, turn.unheard = told.heard, told.unheard
    return turn


def _last(told: story.Turn) -> story.Reply:
    """The reply that Clara began to say; what was only the rest of it was asked for later."""
    return next((reply for reply in reversed(told.replies) if not reply.of_rest), told.replies[0])


def _gaps(said: list[story.Utterance]) -> Iterable[float]:
    """Silences in the middle of an answer: its sound had run out, within an utterance or between two."""
    for utterance in said:
        yield from (stretch.gap_ms for stretch in utterance.stretches if stretch.gap_ms > 0)
    for one, other in pairwise(u for u in said if u.started_ms is not None):
        if one.stopped_ms is not None and not one.cut and other.started_ms is not None and other.by != ASKS_AGAIN:
            yield max(0.0, other.started_ms - one.stopped_ms)


def _said_anew(utterance: story.Utterance, later: list[story.Utterance]) -> bool:
    """It failed before it was heard, and was given to the voice once more."""
    return (
        utterance.failed and utterance.started_ms is None and any(u.pieces[:1] == utterance.pieces[:1] for u in later)
    )


def _points(turn: Turn, **points: float | None) -> None:
    turn.points.update({name: ms for name, ms in points.items() if ms is not None})


def _first(times: Iterable[float | None]) -> float | None:
    return min((ms for ms in times if ms is not None), default=None)
