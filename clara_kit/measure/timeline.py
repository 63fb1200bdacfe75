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
from clara_kit.core.records import HeardEstimated, Record, StateChanged
from clara_kit.core.states import ConversationState

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
    builder = _Builder()
    for record in trace:
        builder.read(record)
    return builder.finish()


class _Builder:
    """Reads a trace once. An open span stands under its key until something closes it."""

    def __init__(self) -> None:
        self.step = -1
        self.now_ms = 0.0
        self.out = Timeline()
        self._open: dict[Any, Span] = {}
        self._texts: dict[int, list[str]] = {}
        self._audio_ms: dict[int, float] = {}
        self._spoken: dict[int, Span] = {}
        self._rest: dict[int, Span] = {}
        self._readers: dict[type, Callable[[Any], object]] = {
            ev.SpeechStarted: self._sound,
            ev.SpeechEnded: self._silence,
            ev.TranscriptInterim: lambda r: self._mark("customer", "interim", r.text),
            ev.TranscriptFinal: self._final,
            ev.TextTyped: lambda r: self._mark("customer", "typed", r.text),
            ev.InterruptRequested: lambda r: self._mark("customer", "button", "the button was pressed"),
            StateChanged: self._state,
            do.RequestReply: self._request,
            ev.ReplyDelta: self._delta,
            ev.ReplyCompleted: lambda r: self._close(("reply", r.reply_id)),
            do.CancelReply: self._cancel,
            do.Speak: self._speak,
            ev.SpeechSent: self._sent,
            ev.FirstAudio: lambda r: self._mark("Clara", "first audio", "her first sound goes out"),
            ev.SpeechVoiced: lambda r: self._audio_ms.update({r.utterance_id: r.audio_ms}),
            ev.SpeakingStarted: self._speaking,
            ev.SpeakingEnded: self._spoken_out,
            do.InterruptAvatar: lambda r: self._mark("Clara", "interrupt", r.reason),
            ev.SpeakingInterrupted: self._cut,
            HeardEstimated: self._heard,
            ev.FaultInjected: lambda r: self._mark("trouble", "fault", r.note or f"{r.service}: {r.kind}"),
            ev.ProviderFailed: self._failed,
            ev.ProviderWarned: lambda r: self._mark("trouble", "alert", f"{r.service}: {r.message}"),
            ev.ProviderRecovered: lambda r: self._mark("trouble", "recovered", f"{r.service} works again"),
            do.RaiseAlert: lambda r: self._mark("trouble", "alert", r.message),
        }

    def read(self, record: Record) -> None:
        if isinstance(record, ev.Event):
            self.step += 1
        self.now_ms = max(self.now_ms, record.at_ms)
        if self.step <= 0 and not self._open:
            self._begin(
                "state", "state", str(ConversationState.IDLE), record.at_ms, str(ConversationState.IDLE)
            )
        reader = self._readers.get(type(record))
        if reader is not None:
            reader(record)

    def finish(self) -> Timeline:
        out = self.out
        for key in list(self._open):
            self._close(key)
        said = sorted(s.from_ms for s in out.spans if s.lane == "Clara" and s.kind != "unheard")
        for span in out.spans:
            if span.kind == "unheard":  # what would have sounded ends where the next utterance begins
                span.to_ms = next((ms for ms in said if span.from_ms < ms < span.to_ms), span.to_ms)
        out.end_ms = max([self.now_ms, *(s.to_ms for s in out.spans if s.kind != "unheard")])
        for span in out.spans:
            span.to_ms = min(max(span.to_ms, span.from_ms), out.end_ms)
        out.spans.sort(key=lambda s: (s.from_ms, LANES.index(s.lane), s.kind))
        return out

    def _begin(self, key: Any, lane: str, kind: str, from_ms: float, label: str = "") -> Span:
        self._close(key)
        span = Span(lane=lane, kind=kind, from_ms=from_ms, to_ms=from_ms, step=max(0, self.step), label=label)
        self._open[key] = span
        return span

    def _close(self, key: Any, at_ms: float | None = None) -> Span | None:
        span = self._open.pop(key, None)
        if span is not None:
            span.to_ms = self.now_ms if at_ms is None else at_ms
            self.out.spans.append(span)
        return span

    def _mark(self, lane: str, kind: str, label: str) -> None:
        self.out.marks.append(
            Mark(lane=lane, kind=kind, at_ms=self.now_ms, step=max(0, self.step), label=label)
        )

    # --- the customer -----------------------------------------------------------------------------------

    def _sound(self, record: ev.SpeechStarted) -> None:
        if "sound" not in self._open:
            self._begin("sound", "customer", "sound", record.sound_at_ms)

    def _silence(self, record: ev.SpeechEnded) -> None:
        self._close("sound", record.sound_at_ms)

    def _final(self, record: ev.TranscriptFinal) -> None:
        self._close("sound", record.speech_ended_ms)
        if record.text.strip():
            began_ms, ended_ms = record.speech_started_ms, record.speech_ended_ms
            self.out.spans.append(
                Span(
                    lane="customer", kind="words", from_ms=began_ms, to_ms=ended_ms, step=self.step, label=record.text
                )
            )  # fmt: skip

    def _state(self, record: StateChanged) -> None:
        self._begin("state", "state", str(record.target), record.at_ms, str(record.target))

    # --- the model --------------------------------------------------------------------------------------

    def _request(self, record: do.RequestReply) -> None:
        self._begin(("reply", record.reply_id), "model", "waiting", record.at_ms, "waits for the first token")

    def _delta(self, record: ev.ReplyDelta) -> None:
        key = ("reply", record.reply_id)
        span = self._open.get(key)
        if span is not None and span.kind == "waiting":
            self._begin(key, "model", "writing", record.at_ms)
        if key in self._open:
            self._open[key].label += record.text

    def _cancel(self, record: do.CancelReply) -> None:
        if self._close(("reply", record.reply_id)) is not None:
            self._mark("model", "cancelled", record.reason)

    # --- Clara ------------------------------------------------------------------------------------------

    def _speak(self, record: do.Speak) -> None:
        self._texts.setdefault(record.utterance_id, []).append(record.text)
        self._mark("model", "piece", record.text)

    def _sent(self, record: ev.SpeechSent) -> None:
        key = ("utterance", record.utterance_id)
        if key not in self._open and record.utterance_id not in self._spoken:
            self._begin(key, "Clara", "on the way", record.at_ms, "voice and avatar get ready")

    def _speaking(self, record: ev.SpeakingStarted) -> None:
        key = ("utterance", record.utterance_id)
        if record.utterance_id not in self._spoken:
            self._spoken[record.utterance_id] = self._begin(key, "Clara", "speaking", record.at_ms)

    def _spoken_out(self, record: ev.SpeakingEnded) -> None:
        span = self._close(("utterance", record.utterance_id))
        if span is not None and span.kind == "speaking" and not span.label:
            span.label = " ".join(self._texts.get(record.utterance_id, ()))

    def _cut(self, record: ev.SpeakingInterrupted) -> None:
        self._cut_at(record.utterance_id)

    def _cut_at(self, utterance_id: int) -> None:
        span = self._close(("utterance", utterance_id))
        if span is None or span.kind != "speaking":
            return
        would_end_ms = span.from_ms + self._audio_ms.get(utterance_id, 0.0)
        if would_end_ms > span.to_ms:
            rest = self._rest.setdefault(
                utterance_id,
                Span(lane="Clara", kind="unheard", from_ms=span.to_ms, to_ms=would_end_ms, step=self.step),
            )
            rest.from_ms, rest.to_ms = span.to_ms, would_end_ms
            self.out.spans.append(rest)

    def _heard(self, record: HeardEstimated) -> None:
        spoken = self._spoken.get(record.utterance_id)
        if spoken is not None:
            spoken.label = record.heard
        rest = self._rest.get(record.utterance_id)
        if rest is None:
            rest = self._rest[record.utterance_id] = Span(
                lane="Clara", kind="unheard", from_ms=0, to_ms=0, step=self.step
            )
        rest.label = record.unheard

    # --- trouble ----------------------------------------------------------------------------------------

    def _failed(self, record: ev.ProviderFailed) -> None:
        self._mark("trouble", "failed", f"{record.service}: {record.message}")
        if record.reply_id is not None:
            self._close(("reply", record.reply_id))
        if record.utterance_id is not None:
            self._cut_at(record.utterance_id)
