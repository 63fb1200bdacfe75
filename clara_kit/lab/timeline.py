"""A conversation as lanes in time: what every picture of it draws. From a trace alone, as plain data.

Used by `widgets/window.py` (which shows it and lets one walk through it), `widgets/picture.py` (the static picture) and
`widgets/ghost.py`. A span or mark knows its `step`: the number, from 0, of the event that brought it about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record, StateChanged
from clara_kit.lab.lanes import LANES as LANES
from clara_kit.lab.lanes import TARGET_MS as TARGET_MS
from clara_kit.lab.lanes import Mark as Mark
from clara_kit.lab.lanes import Span as Span
from clara_kit.lab.lanes import Timeline as Timeline
from clara_kit.lab.lanes import Wait as Wait
from clara_kit.lab.sentences import Language, followed, happened, interruption
from clara_kit.lab.service_lanes import ServiceLanes
from clara_kit.measure.interruptions import Interruption, interruptions
from clara_kit.measure.ledger import LABELS, turns
from clara_kit.measure.story import Story, Words


def timeline(trace: Iterable[Record], language: Language = "en") -> Timeline:
    """The lanes of a trace, also of one that is still growing: what is open lasts until its last record."""
    story, out, trace = Story(), Timeline(), tuple(trace)
    builder, services = _Builder(story, out, language), ServiceLanes(story, out, language)
    for record in trace:
        story.read(record)
        builder.read(record)
        services.read(record)
    builder.close()
    services.close()
    out.begin_ms = next((s.from_ms for s in out.spans), 0.0)
    out.spans += [*_words(story), *_model(story), *_clara(story)]
    out.waits += _waits(story)
    said = sorted(s.from_ms for s in out.spans if s.lane == "Clara" and s.kind != "unheard")
    for span in out.spans:
        if span.kind == "unheard":  # what would have sounded ends where the next utterance begins
            span.to_ms = next((ms for ms in said if span.from_ms < ms < span.to_ms), span.to_ms)
    for one in interruptions(trace):
        out.spans += _suspected(one, story, interruption(one, language))
        for mark in out.marks:
            if mark.kind == "interrupt" and mark.step == one.yielded_step:
                mark.label = interruption(one, language)
    out.end_ms = max([story.now_ms, *(s.to_ms for s in out.spans if s.kind != "unheard")])
    for span in out.spans:
        span.to_ms = min(max(span.to_ms, span.from_ms), out.end_ms)
    out.spans.sort(key=lambda s: (s.from_ms, LANES.index(s.lane), s.kind))
    return out


_Mark = tuple[str, str, Callable[[Any], str] | None]  # lane, kind, label (None: its sentence)
_MARKS: dict[type, _Mark] = {
    ev.TranscriptInterim: ("customer", "interim", lambda r: r.text),
    ev.TextTyped: ("customer", "typed", lambda r: r.text),
    ev.InterruptRequested: ("customer", "button", None),
    do.Speak: ("model", "piece", lambda r: r.text),
    do.CancelReply: ("model", "cancelled", None),
    ev.FirstAudio: ("Clara", "first audio", None),
    do.InterruptAvatar: ("Clara", "interrupt", None),
    do.ShowText: ("Clara", "shown", lambda r: r.text),
    ev.ServiceExchanged: ("trouble", "alert", None),
    ev.FaultInjected: ("trouble", "fault", None),
    ev.ProviderFailed: ("trouble", "failed", None),
    ev.ProviderWarned: ("trouble", "alert", None),
    ev.ProviderRecovered: ("trouble", "recovered", None),
    ev.KeepingFailed: ("trouble", "alert", None),
    ev.KeepingRecovered: ("trouble", "recovered", None),
    do.RaiseAlert: ("trouble", "alert", None),
}


class _Builder:
    """Marks, and the spans that no other reader needs: sounds and states."""

    def __init__(self, story: Story, out: Timeline, language: Language) -> None:
        self._story, self._out, self._language = story, out, language
        self._open: dict[str, Span] = {}  # by lane

    def read(self, record: Record) -> None:
        if not self._open:
            self._begin("state", "IDLE", record.at_ms, "IDLE")
        if type(record) in _MARKS:
            lane, kind, label = _MARKS[type(record)]
            text = label(record) if label else " ".join(self._sentences(record))
            self._out.marks.append(Mark(lane, kind, self._story.now_ms, self._step, text))
        match record:
            case ev.SpeechStarted() if "customer" not in self._open:
                self._begin("customer", "sound", record.sound_at_ms)
            case ev.SpeechEnded():
                self._end("customer", record.sound_at_ms)
            case ev.TranscriptFinal():
                self._end("customer", record.speech_ended_ms)
            case StateChanged():
                self._end("state", self._story.now_ms)
                self._begin("state", record.target.value, record.at_ms, record.target.value)

    def _sentences(self, record: Record) -> tuple[str, ...]:
        """An event's own, or a decision's with its reason."""
        event = isinstance(record, ev.Event)
        return (happened(record, self._language),) if event else followed((record,), self._language)

    def close(self) -> None:
        for lane in list(self._open):
            self._end(lane, self._story.now_ms)

    @property
    def _step(self) -> int:
        return max(0, self._story.step)

    def _begin(self, lane: str, kind: str, from_ms: float, label: str = "") -> None:
        self._open[lane] = Span(lane, kind, from_ms, from_ms, self._step, label)
        self._out.spans.append(self._open[lane])

    def _end(self, lane: str, at_ms: float) -> None:
        if lane in self._open:
            self._open.pop(lane).to_ms = at_ms


def _suspected(one: Interruption, story: Story, label: str) -> Iterator[Span]:
    """While it was not known what a sound is, and while hers was lowered for it."""
    until_ms = story.now_ms if one.until_ms is None else one.until_ms
    if until_ms > one.suspected_ms:
        yield Span("Clara", "held", one.suspected_ms, until_ms, one.step, label)
    if one.ducked_ms is not None:
        stops = (u.stopped_ms for u in story.utterances.values() if u.stopped_ms is not None)
        ends = (*(ms for ms in stops if ms >= one.ducked_ms), story.now_ms if one.loud_ms is None else one.loud_ms)
        yield Span("Clara", "ducked", one.ducked_ms, min(ends), one.step, label)


def _waits(story: Story) -> Iterator[Wait]:
    for turn in turns(story):
        ended_ms = turn.points.get("words_ended")
        if ended_ms is not None:
            told = story.turns[turn.turn_id]
            heard = [u.started_step for u in told.utterances if u.started_ms is not None]
            asked = [max(0, reply.step) for reply in told.replies[-1:]]  # none in a call that is known from its sound
            wait = Wait(turn.turn_id, ended_ms, turn.total_ms, min(heard or asked, default=0))
            if not turn.problem:
                wait.longest_ms, wait.longest = max((ms, LABELS[stage]) for stage, ms in turn.stages.items())
            yield wait


def _words(story: Story) -> Iterator[Span]:
    for said in story.said:
        if isinstance(said, Words) and said.kind == "spoken":
            yield Span("customer", "words", said.began_ms, said.ended_ms, said.step, said.text)


def _model(story: Story) -> Iterator[Span]:
    for reply in story.replies.values():
        until_ms = story.now_ms if reply.ended_ms is None else reply.ended_ms
        first_ms = until_ms if reply.first_ms is None else reply.first_ms
        step = max(0, reply.step)
        yield Span("model", "waiting", reply.asked_ms, first_ms, step, "waits for the first token")
        if reply.first_ms is not None:
            yield Span("model", "writing", first_ms, until_ms, reply.first_step, reply.text)


def _clara(story: Story) -> Iterator[Span]:
    for said in story.utterances.values():
        until_ms = story.now_ms if said.stopped_ms is None else said.stopped_ms
        started_ms = until_ms if said.started_ms is None else said.started_ms
        if said.sent_ms is not None and (said.started_ms is None or said.sent_ms < said.started_ms):
            label = "voice and avatar get ready"
            yield Span("Clara", "on the way", said.sent_ms, started_ms, said.sent_step, label)
        if said.started_ms is None:
            continue
        over = said.text if said.stopped_ms is not None and not said.cut else ""
        heard, unheard = (said.heard.heard, said.heard.unheard) if said.heard else (over, "")
        yield Span("Clara", "speaking", started_ms, until_ms, said.started_step, heard)
        if said.cut and started_ms + said.audio_ms > until_ms:
            step = min(said.heard_step, said.stopped_step) if said.heard else said.stopped_step
            yield Span("Clara", "unheard", until_ms, started_ms + said.audio_ms, step, unheard)
