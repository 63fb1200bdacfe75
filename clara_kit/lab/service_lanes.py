"""The lanes of the services: what is in force, what is done about what fails, and how it comes back.

From a trace alone, beside `timeline.py`, which has the other lanes. A service has a lane only where there is anything to tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record
from clara_kit.lab.lanes import Mark, Span, Timeline
from clara_kit.lab.sentences import Language, followed, happened, in_place
from clara_kit.measure.story import Story

SPANS = ("failing", "passed by", "half open", "given up", "opening", "there", "speaks for Clara")
MARKS = ("retry", "probe", "switch", "told")
_RETRIES = {"retry": "llm", "retry_shop": "shop", "reopen_backup": "backup"}
_TRUSTED = re.compile(r"The (\w+) is trusted again\.")  # what people are told then
_WORKS: dict[type, str] = {
    ev.ReplyDelta: "llm", ev.FirstAudio: "tts", ev.SpeakingStarted: "avatar", ev.TranscriptFinal: "stt", ev.ProfileLoaded: "shop",
}  # fmt: skip


class ServiceLanes:
    """What is in force, and what is done about what fails: a lane for each service of which there is anything to tell."""

    def __init__(self, story: Story, out: Timeline, language: Language) -> None:
        self._story, self._out, self._language = story, out, language
        self._open: dict[str, Span] = {}  # by service
        self._target = ""  # what stands in the avatar's place
        self._voice = "tts"  # who failed last of those that speak
        self._readers: dict[type, Callable[[Any], None]] = {
            ev.ProviderFailed: self._failed,
            ev.ProviderRecovered: self._recovered,
            ev.HealthTold: lambda event: self._mark(event.service, "told", event),
            ev.TimerFired: self._fired,
            do.Connect: lambda command: self._mark(command.service, "retry", command),
            do.Disconnect: self._closed,
            do.ProbePrimary: lambda command: self._mark(command.service, "probe", command),
            do.SwitchTo: self._switched,
            do.Notify: self._told,
            do.OpenBackup: lambda _: self._begin("backup", "opening"),
            do.CloseBackup: lambda _: self._end("backup"),
            **dict.fromkeys(_WORKS, self._works),
        }

    def read(self, record: Record) -> None:
        """The next record, after the story has read it."""
        reader = self._readers.get(type(record))
        if reader is not None:
            reader(record)

    def _fired(self, event: ev.TimerFired) -> None:
        kind = event.timer_id.partition("#")[0]
        if service := self._voice if kind == "retry_voice" else _RETRIES.get(kind):
            self._mark(service, "retry", event)

    def _works(self, event: ev.Event) -> None:
        if self._open and self._kind(service := _WORKS[type(event)]) == "failing":
            self._end(service)

    def _told(self, command: do.Notify) -> None:
        if trusted := _TRUSTED.fullmatch(command.message):
            self._end(trusted[1])

    def _closed(self, command: do.Disconnect) -> None:
        stood_in_for = command.service == "avatar" and self._target == "backup"  # for the backup's session is enough
        if self._kind(command.service) != "passed by" and not stood_in_for:
            self._begin(command.service, "given up")

    def _failed(self, event: ev.ProviderFailed) -> None:
        service = event.service
        if service in ("tts", "avatar"):
            self._voice = service
        if service == "backup":
            if event.utterance_id is None and event.reply_id is None:  # its session; one answer is told by `trouble`
                self._begin(service, "failing", event.message)
        elif service not in self._open:
            self._begin(service, "failing", event.message)

    def _recovered(self, event: ev.ProviderRecovered) -> None:
        service = event.service
        if service == "backup":
            self._begin(service, "there")
        elif self._kind(service) in ("failing", "given up"):
            self._end(service)

    def _switched(self, command: do.SwitchTo) -> None:
        service, target = command.service, command.target
        self._mark(service, "switch", command)
        if service == "avatar" and "backup" in (target, self._target):  # nothing is wrong with the avatar then
            self._end(service)
            if "backup" in self._open:
                self._begin("backup", "speaks for Clara" if target else "there")
        elif target:
            self._begin(service, "passed by", in_place(target, self._language))
        else:
            self._begin(service, "half open")
        self._target = target if service == "avatar" else self._target

    def _kind(self, service: str) -> str:
        return self._open[service].kind if service in self._open else ""

    def _mark(self, service: str, kind: str, record: Record) -> None:
        told = (
            happened(record, self._language)
            if isinstance(record, ev.Event)
            else " ".join(followed((record,), self._language))
        )
        self._out.marks.append(Mark(service, kind, self._story.now_ms, max(0, self._story.step), told))

    def _begin(self, service: str, kind: str, label: str = "") -> None:
        self._end(service)
        span = self._open[service] = Span(
            service, kind, self._story.now_ms, self._story.now_ms, max(0, self._story.step), label
        )
        self._out.spans.append(span)

    def _end(self, service: str) -> None:
        if service in self._open:
            span = self._open.pop(service)
            span.to_ms = self._story.now_ms
            if span.to_ms == span.from_ms:  # it was over as it began
                self._out.spans.remove(span)

    def close(self) -> None:
        """What is open lasts until now."""
        for span in self._open.values():
            span.to_ms = self._story.now_ms
