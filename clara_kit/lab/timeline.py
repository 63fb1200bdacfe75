"""A conversation as lanes in time: what every picture of it draws. From a trace alone, as plain data.

Used by `widgets/window.py` (which shows it and lets one walk through it) and `widgets/picture.py` (the static
picture). A span or mark knows its `step`: the number, from 0, of the event that brought it about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record, StateChanged
from clara_kit.measure.story import Story

LANES = ("customer", "state", "model", "Clara", "trouble")


@dataclass(slots=True, kw_only=True)
class Span:
    """Something that lasted. `kind`: sound, words, a state, waiting, writing, on the way, speaking, unheard."""

    lane: str
    kind: str
    from_ms: float
    to_ms: float
    step: int
    label: str = ""


@dataclass(slots=True, kw_only=True)
class Mark:
    """Something that happened at a moment. `kind`: interim, typed, button, piece, interrupt, fault, failed, ..."""

    lane: str
    kind: str
    at_ms: float
    step: int
    label: str = ""


@dataclass(slots=True, kw_only=True)
class Timeline:
    """Spans and marks in the order of their beginning."""

    end_ms: float = 0.0
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; times to a tenth of a millisecond."""
        data = asdict(self)
        for entry in (data, *data["spans"], *data["marks"]):
            entry.update({k: round(v, 1) for k, v in entry.items() if isinstance(v, float)})
        return data


def timeline(trace: Iterable[Record]) -> Timeline:
    """The lanes of a trace, also of one that is still growing: what is open lasts until its last record."""
    story, out = Story(), Timeline()
    builder = _Builder(story, out)
    for record in trace:
        story.read(record)
        builder.read(record)
    builder.close()
    _model(story, out.spans)
    _clara(story, out.spans)
    said = sorted(s.from_ms for s in out.spans if s.lane == "Clara" and s.kind != "unheard")
    for span in out.spans:
        if span.kind == "unheard":  # what would have sounded ends where the next utterance begins
            span.to_ms = next((ms for ms in said if span.from_ms < ms < span.to_ms), span.to_ms)
    out.end_ms = max([story.now_ms, *(s.to_ms for s in out.spans if s.kind != "unheard")])
    for span in out.spans:
        span.to_ms = min(max(span.to_ms, span.from_ms), out.end_ms)
    out.spans.sort(key=lambda s: (s.from_ms, LANES.index(s.lane), s.kind))
    return out


_Mark = tuple[str, str, Callable[[Any], str]]  # lane, kind, label
_MARKS: dict[type, _Mark] = {
    ev.TranscriptInterim: ("customer", "interim", lambda r: r.text),
    ev.TextTyped: ("customer", "typed", lambda r: r.text),
    ev.InterruptRequested: ("customer", "button", lambda r: "the button was pressed"),
    do.Speak: ("model", "piece", lambda r: r.text),
    do.CancelReply: ("model", "cancelled", lambda r: r.reason),
    ev.FirstAudio: ("Clara", "first audio", lambda r: "her first sound goes out"),
    do.InterruptAvatar: ("Clara", "interrupt", lambda r: r.reason),
    ev.FaultInjected: ("trouble", "fault", lambda r: r.note or f"{r.service}: {r.kind}"),
    ev.ProviderFailed: ("trouble", "failed", lambda r: f"{r.service}: {r.message}"),
    ev.ProviderWarned: ("trouble", "alert", lambda r: f"{r.service}: {r.message}"),
    ev.ProviderRecovered: ("trouble", "recovered", lambda r: f"{r.service} works again"),
    do.Connect: ("trouble", "recovered", lambda r: f"{r.service} is being connected again"),
    do.Disconnect: ("trouble", "failed", lambda r: f"{r.service} is given up: {r.reason}"),
    do.RaiseAlert: ("trouble", "alert", lambda r: r.message),
}


class _Builder:
    """Marks, and the spans that no other reader needs: sounds, words and states."""

    def __init__(self, story: Story, out: Timeline) -> None:
        self._story, self._out = story, out
        self._open: dict[str, Span] = {}

    def read(self, record: Record) -> None:
        now_ms, step = self._story.now_ms, max(0, self._story.step)
        if self._story.step <= 0 and not self._open:
            self._begin("state", "state", record.at_ms, "IDLE")
        mark = _MARKS.get(type(record))
        if mark is not None:
            lane, kind, label = mark
            self._out.marks.append(Mark(lane=lane, kind=kind, at_ms=now_ms, step=step, label=label(record)))
        match record:
            case ev.SpeechStarted() if "sound" not in self._open:
                self._begin("sound", "customer", record.sound_at_ms)
            case ev.SpeechEnded():
                self._close("sound", record.sound_at_ms)
            case ev.TranscriptFinal():
                self._close("sound", record.speech_ended_ms)
                if record.text.strip():
                    began_ms, ended_ms = record.speech_started_ms, record.speech_ended_ms
                    self._out.spans.append(
                        Span(lane="customer", kind="words", from_ms=began_ms, to_ms=ended_ms, step=step, label=record.text)
                    )  # fmt: skip
            case StateChanged():
                self._begin("state", "state", record.at_ms, str(record.target))

    def _begin(self, kind: str, lane: str, from_ms: float, label: str = "") -> None:
        self._close(kind, self._story.now_ms)
        step = max(0, self._story.step)
        called = label if kind == "state" else kind
        self._open[kind] = Span(lane=lane, kind=called, from_ms=from_ms, to_ms=from_ms, step=step, label=label)

    def _close(self, kind: str, at_ms: float) -> None:
        span = self._open.pop(kind, None)
        if span is not None:
            span.to_ms = at_ms
            self._out.spans.append(span)

    def close(self) -> None:
        for kind in list(self._open):
            self._close(kind, self._story.now_ms)


def _model(story: Story, spans: list[Span]) -> None:
    for reply in story.replies.values():
        until_ms = story.now_ms if reply.ended_ms is None else reply.ended_ms
        waits_until_ms = until_ms if reply.first_ms is None else reply.first_ms
        spans.append(
            Span(
                lane="model", kind="waiting", from_ms=reply.asked_ms, to_ms=waits_until_ms, step=max(0, reply.step),
                label="waits for the first token",
            )
        )  # fmt: skip
        if reply.first_ms is not None:
            spans.append(
                Span(
                    lane="model", kind="writing", from_ms=reply.first_ms, to_ms=until_ms, step=reply.first_step,
                    label=reply.text,
                )
            )  # fmt: skip


def _clara(story: Story, spans: list[Span]) -> None:
    for said in story.utterances.values():
        until_ms = story.now_ms if said.stopped_ms is None else said.stopped_ms
        if said.sent_ms is not None and (said.started_ms is None or said.sent_ms < said.started_ms):
            ready_ms = until_ms if said.started_ms is None else said.started_ms
            spans.append(
                Span(
                    lane="Clara", kind="on the way", from_ms=said.sent_ms, to_ms=ready_ms, step=said.sent_step,
                    label="voice and avatar get ready",
                )
            )  # fmt: skip
        if said.started_ms is None:
            continue
        heard = said.heard
        over = said.stopped_ms is not None and not said.cut
        label = heard.heard if heard is not None else said.text if over else ""
        spans.append(
            Span(
                lane="Clara", kind="speaking", from_ms=said.started_ms, to_ms=until_ms, step=said.started_step,
                label=label,
            )
        )  # fmt: skip
        would_end_ms = said.started_ms + said.audio_ms
        if said.cut and would_end_ms > until_ms:
            first = said.heard_step if heard is not None and said.heard_step < said.stopped_step else said.stopped_step
            spans.append(
                Span(
                    lane="Clara", kind="unheard", from_ms=until_ms, to_ms=would_end_ms, step=first,
                    label=heard.unheard if heard is not None else "",
                )
            )  # fmt: skip
