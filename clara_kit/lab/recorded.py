"""What the services of a recorded conversation were asked and did, read once: for whoever decides or plays it anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from statistics import median
from types import MappingProxyType
from typing import Any

from clara_kit.audio.spoken import spoken
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record
from clara_kit.measure.run import Run
from clara_kit.world.latency import LatencyProfile, Law, Stage
from clara_kit.world.mouths import spoken_ms

ENDS = (ev.SpeakingEnded, ev.SpeakingInterrupted, ev.ProviderFailed)

Step = tuple[ev.Event, tuple[Record, ...]]
"""An event and all that was decided upon it."""


@dataclass(slots=True)
class Reply:
    """A recorded request and what came of it."""

    asked: do.RequestReply
    step: int
    events: list[tuple[int, Any]] = field(default_factory=list)
    dropped_step: int | None = None

    @property
    def text(self) -> str:
        """As far as it was written."""
        return "".join(e.text for _, e in self.events if type(e) is ev.ReplyDelta)

    @property
    def end(self) -> Any:
        """Its completion or failure; None where it was dropped before."""
        ends = (e for _, e in reversed(self.events) if type(e) in (ev.ReplyCompleted, ev.ProviderFailed))
        return next((e for e in ends if getattr(e, "stop_reason", "") != ev.CANCELLED), None)


@dataclass(slots=True)
class Said:
    """A recorded utterance: its pieces with their steps, and what the voice and the avatar told of it."""

    pieces: list[tuple[int, do.Speak]] = field(default_factory=list)
    events: list[tuple[int, Any]] = field(default_factory=list)
    closed_step: int | None = None
    stopped: do.InterruptAvatar | None = None
    stopped_step: int | None = None

    def first(self, kind: type) -> Any:
        """The first event of a kind, or None."""
        return next((e for _, e in self.events if type(e) is kind), None)


@dataclass(slots=True)
class Answer:
    """What the backup was asked, and all that it told of that answer."""

    asked: do.AskBackup
    step: int
    events: list[tuple[int, Any]] = field(default_factory=list)
    stopped_step: int | None = None

    @property
    def ids(self) -> set[tuple[str, int]]:
        """By which its events name it."""
        return {("reply_id", self.asked.reply_id), ("utterance_id", self.asked.utterance_id)}


class Recorded:
    """What the services of a run were asked and did, read once."""

    def __init__(self, run: Run) -> None:
        self.run = run
        steps: list[tuple[ev.Event, list[Record]]] = []
        for record in run.trace:
            if isinstance(record, ev.Event):
                steps.append((record, []))
            elif steps:
                steps[-1][1].append(record)
        self.steps: tuple[Step, ...] = tuple((event, tuple(decided)) for event, decided in steps)

    @cached_property
    def _services(self) -> _Found:
        found: _Found = ({}, {}, [], [])
        for step, (event, decided) in enumerate(self.steps):
            for record in (event, *decided):
                _read(*found, step, record)
        return found

    @property
    def replies(self) -> dict[int, Reply]:
        """What the model was asked, by id."""
        return self._services[0]

    @property
    def said(self) -> dict[int, Said]:
        """What the voice was given, by id."""
        return self._services[1]

    @property
    def finalized(self) -> list[int]:
        """The steps at which the recogniser was hurried."""
        return self._services[2]

    @property
    def answers(self) -> list[Answer]:
        """What the backup was asked, in order."""
        return self._services[3]

    # --- what was under way -------------------------------------------------------------------------------

    def writing(self, step: int) -> Reply | None:
        """The reply that was being written before event `step`."""
        for reply in self.replies.values():
            end = reply.end
            over = [n for n, e in reply.events[-2:] if e is end]  # at the most its sum comes behind it
            if _under_way(step, reply.step, over, reply.dropped_step):
                return reply
        return None

    def sounding(self, step: int) -> int | None:
        """The utterance that was given, and neither over nor stopped, before event `step`."""
        for who, said in self.said.items():
            over = [n for n, e in said.events if isinstance(e, ENDS)]
            if _under_way(step, said.pieces[0][0], over, said.stopped_step):
                return who
        return None

    def answering(self, step: int) -> Answer | None:
        """The backup's answer that was asked for, and neither over nor stopped, before event `step`."""
        for answer in self.answers:
            over = [n for n, e in answer.events if isinstance(e, ENDS)]
            if _under_way(step, answer.step, over, answer.stopped_step):
                return answer
        return None

    @cached_property
    def ends_ms(self) -> float:
        """The time of the last that happened."""
        return max((e.at_ms for e, _ in self.steps), default=0.0)

    @cached_property
    def stops_ms(self) -> tuple[float, bool]:
        """When somebody hung up, and whether something was still going on then."""
        event, decided = self.steps[-1]
        return event.at_ms, any(isinstance(r, do.InterruptAvatar | do.CancelReply) for r in decided)

    # --- how long things took -----------------------------------------------------------------------------

    @cached_property
    def results_ms(self) -> float:
        """How long the recogniser takes from the silence that ends an utterance to its message."""
        waits_ms = float(self.run.settings.stt_endpointing_ms)
        finals = [e for e, _ in self.steps if type(e) is ev.TranscriptFinal and e.text and not self.hurried(e)]
        return max(0.0, median(e.at_ms - e.speech_ended_ms - waits_ms for e in finals)) if finals else 0.0

    def hurried(self, final: ev.TranscriptFinal, since: int = 0) -> bool:
        """Whether it was asked for, at event `since` or later, before it came."""
        hurries = (self.steps[n][0].at_ms for n in self.finalized if n >= since)
        return any(final.speech_ended_ms <= at_ms <= final.at_ms for at_ms in hurries)

    @cached_property
    def latency(self) -> LatencyProfile:
        """The medians of this run; where it has none, of the published profile."""
        found: dict[Stage, list[float]] = {stage: [] for stage in ("llm_first_token", "llm_tokens_per_s", "tts_first_chunk", "avatar_start", "avatar_interrupt", "tts_realtime_factor")}  # fmt: skip
        for reply in self.replies.values():
            at = [e.at_ms for _, e in reply.events if type(e) is ev.ReplyDelta]
            if at:
                found["llm_first_token"].append(at[0] - reply.asked.at_ms)
            if len(at) > 2 and at[-1] > at[0]:
                found["llm_tokens_per_s"].append((len(at) - 1) * 1000 / (at[-1] - at[0]))
        for said in self.said.values():
            first, started, voiced, stopped = map(said.first, (ev.FirstAudio, ev.SpeakingStarted, ev.SpeechVoiced, ev.SpeakingInterrupted))  # fmt: skip
            if first is not None and said.pieces:
                found["tts_first_chunk"].append(first.at_ms - said.pieces[0][1].at_ms)
                if voiced is not None and voiced.audio_ms > 0:
                    found["tts_realtime_factor"].append((voiced.at_ms - first.at_ms) / voiced.audio_ms)
                if started is not None:
                    found["avatar_start"].append(started.at_ms - first.at_ms)
            if stopped is not None and said.stopped is not None:
                found["avatar_interrupt"].append(stopped.at_ms - said.stopped.at_ms)
        usual = LatencyProfile.load("published").laws
        middle = {stage: max(0.0, median(values)) for stage, values in found.items() if values}
        middle |= {"stt_results": self.results_ms, "tts_lead_silence": 0.0}
        laws: dict[Stage, Law] = {}
        for stage, law in usual.items():
            value = round(middle.get(stage, law.middle), 3)
            source = "the median of this run" if stage in middle else f"published: {law.source}"
            laws[stage] = Law(kind="fixed", low=value, high=value, source=source)
        return LatencyProfile(name="this run", description="Medians of one run.", laws=MappingProxyType(laws))

    @cached_property
    def lengths(self) -> dict[str, float]:
        """How long the sound of each piece was, where it was told by itself."""
        found: dict[str, float] = {}
        for said in self.said.values():
            texts = [command.text for _, command in said.pieces]
            told = [(-1, 0.0), *((e.piece_no, e.audio_ms) for _, e in said.events if type(e) is ev.SpeechVoiced)]
            for (before, from_ms), (last, to_ms) in pairwise(told):
                if before + 1 == last < len(texts) and to_ms > from_ms:
                    found.setdefault(texts[last], to_ms - from_ms)
        return found

    @cached_property
    def ms_a_char(self) -> float:
        """The pace of this run's voice."""
        chars = sum(len(spoken(text).text) for text in self.lengths)
        return sum(self.lengths.values()) / chars if chars else spoken_ms("a" * 100, self.run.settings.tts_speed) / 100

    def length(self, text: str, faster: float = 1.0) -> float:
        """How long the sound of a text is, recorded or by the pace of the voice."""
        ms = self.lengths.get(text)
        return round((len(spoken(text).text) * self.ms_a_char if ms is None else ms) / faster, 3)


def _under_way(step: int, begun: int, over: list[int], stopped: int | None) -> bool:
    """Whether what was begun at one step was neither over nor stopped before another."""
    return begun < step <= min(over if stopped is None else [*over, stopped], default=step)


_Found = tuple[dict[int, Reply], dict[int, Said], list[int], list[Answer]]


def _read(
    replies: dict[int, Reply],
    said: dict[int, Said],
    finalized: list[int],
    answers: list[Answer],
    step: int,
    record: Any,
) -> None:
    match record:
        case do.AskBackup():
            answers.append(Answer(record, step))
        case do.RequestReply():
            replies[record.reply_id] = Reply(record, step)
        case do.CancelReply() if record.reply_id in replies:
            replies[record.reply_id].dropped_step = step
        case do.Speak():
            said.setdefault(record.utterance_id, Said()).pieces.append((step, record))
        case do.EndSpeech() if record.utterance_id in said:
            said[record.utterance_id].closed_step = step
        case do.InterruptAvatar() if record.utterance_id in said:
            said[record.utterance_id].stopped, said[record.utterance_id].stopped_step = record, step
        case do.InterruptAvatar() if answers and answers[-1].asked.utterance_id == record.utterance_id:
            answers[-1].stopped_step = step
        case do.FinalizeWords() if record.over:
            finalized.append(step)
        case ev.Event():
            if (reply := replies.get(getattr(record, "reply_id", None) or -1)) is not None:
                reply.events.append((step, record))
            if (voiced := said.get(getattr(record, "utterance_id", None) or -1)) is not None:
                voiced.events.append((step, record))
            ids = ((name, getattr(record, name, None)) for name in ("reply_id", "utterance_id"))
            if answers and not answers[-1].ids.isdisjoint(ids):
                answers[-1].events.append((step, record))
