"""A recorded outage played again: what would have become of the same conversation with automatic fallback on?

What a run's vendors did wrong becomes faults, in the words of `world/faults.py`; and what was played on purpose stays what it
was. Then the same lines are simulated with these faults twice, with fallback off and on. Raises `RunLogError` for a run that
cannot be played again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import RunLogError, ScriptError
from clara_kit.core.page import Figure, Html, escape, table
from clara_kit.lab.again import again, script_of
from clara_kit.measure.ledger import Turn
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story
from clara_kit.world.faults import APPLIES, Fault

USUAL_MS = {"llm": 600.0, "tts": 250.0, "avatar": 600.0}
"""What a service's first output takes where a run has none in time to compare with; an estimate."""
_NOTE = re.compile(r"(\w+): (\w+)(?: with status (\d+))?(?: for (\d+) ms)?(?: \((.*)\))?")  # as a `Fault` tells itself
_SPEAKERS = {"": ("tts", "avatar", "door"), "sound": ("tts",), "backup": ("backup",)}
"""Of what an utterance is an occasion, by what stands in the avatar's place."""
_KINDS: dict[str, tuple[str, int]] = {  # of a failure: the fault that looks like it, and a refusal's status
    "refused": ("refuse", 401), "bad_input": ("refuse", 400), "rate_limited": ("refuse", 429), "overloaded": ("refuse", 529),
    "unreachable": ("refuse", 503), "cut": ("cut", 503), "stalled": ("stall", 503), "protocol": ("garble", 503),
    "unknown": ("error", 503),
}  # fmt: skip


def faults_of(run: Run) -> tuple[Fault, ...]:
    """What went wrong in it, in order, on the occasions that a simulation of the same lines counts.

    Failures, and first outputs that took longer than `slow_response_ms`. A fault that was played on purpose stands for the
    failures that came of it. Of the recogniser an occasion is a spoken line, or an attempt to connect it.
    """
    return tuple(_Reader(run).faults())


class _Reader:
    """Goes through a run and counts the occasions of each service as a simulation does (`world/faults.py`)."""

    def __init__(self, run: Run) -> None:
        self._run, self._story = run, Story(run.trace)
        self._counts: Counter[str] = Counter()  # occasions so far, by service; of an avatar's doors: "door"
        self._began: dict[tuple[str, int | None], tuple[int, float]] = {}  # of a reply or utterance: which, and when
        self._connecting: dict[str, int] = {}  # which occasion, by service
        self._counted = False  # the line that is being said
        self._broke: dict[str, float] = {}  # when, by service
        self._speaks = ""  # what stands in the avatar's place
        self._played: Counter[str] = Counter()  # faults on purpose whose failure is still to come
        self._given = [Fault.from_dict(one) for one in run.inputs.get("faults") or ()]
        self._scripted = Counter(map(str, self._given))

    def faults(self) -> Iterator[Fault]:
        yield from self._given
        for record in self._run.trace:
            match record:
                case do.RequestReply():
                    self._begin("llm", record.reply_id, record.at_ms)
                case do.AskBackup():
                    self._begin("backup", record.utterance_id, record.at_ms)
                case do.Speak(piece_no=0):
                    for service in _SPEAKERS[self._speaks]:
                        self._begin(service, record.utterance_id, record.at_ms)
                case do.SwitchTo(service="avatar"):
                    self._speaks = record.target if record.target in _SPEAKERS else ""
                case do.LoadProfile():
                    self._begin("shop", None, record.at_ms)
                case do.OpenBackup():
                    self._connect("backup", "backup door", record.at_ms)
                case do.Connect() | do.ProbePrimary() if record.service in ("stt", "avatar"):
                    self._connect(record.service, "door" if record.service == "avatar" else "stt", record.at_ms)
                case ev.ProviderRecovered():
                    self._connecting.pop(record.service, None)
                case ev.SpeechStarted():
                    self._began["stt", None] = (self._counts["stt"] + 1, record.sound_at_ms)
                case ev.TranscriptFinal() if record.text.strip():
                    self._counts["stt"] += not self._counted  # its line may have been an occasion of a failure already
                    self._counted = False
                    self._began.pop(("stt", None), None)
                case ev.FaultInjected():
                    yield from self._on_purpose(record)
                case ev.ProviderFailed():
                    yield from self._failed(record)
        yield from self._slow()

    def _begin(self, service: str, which: int | None, at_ms: float) -> None:
        self._counts[service] += 1
        self._began[service, which] = (self._counts[service], at_ms)

    def _connect(self, service: str, counted: str, at_ms: float) -> None:
        self._begin(counted, -1, at_ms)
        self._connecting[service] = self._counts[counted]

    def _on_purpose(self, event: ev.FaultInjected) -> Iterator[Fault]:
        if _fails(event.kind):
            self._played[event.service] += 1
        if self._scripted[event.note] > 0:
            self._scripted[event.note] -= 1
        elif (told := _NOTE.fullmatch(event.note)) is not None:
            on = max(1, self._counts[event.service] + (event.service == "stt"))
            _, _, status, for_ms, detail = told.groups()
            with suppress(ScriptError):  # a later version may have other words
                yield Fault(
                    service=event.service, kind=event.kind, on=on, for_ms=float(for_ms or 0), detail=detail or "",  # type: ignore[arg-type]
                    status=int(status or 503), after_ms=self._after(event.service, event.at_ms),
                )  # fmt: skip

    def _after(self, service: str, at_ms: float) -> float:
        """How long after the beginning of what ran last; of a reply: after its first word."""
        last = [ms for (name, _), (on, ms) in self._began.items() if name == service and on == self._counts[service]]
        if service == "llm":
            firsts = [reply.first_ms for reply in self._story.replies.values() if reply.asked_ms in last]
            last = [ms for ms in firsts if ms is not None and ms <= at_ms]
        return round(max(0.0, at_ms - last[-1]), 3) if last else 0.0

    def _failed(self, event: ev.ProviderFailed) -> Iterator[Fault]:
        service = event.service
        alone = event.reply_id is None and event.utterance_id is None
        if self._played[service]:
            self._played[service] -= 1
            return
        if service in self._connecting and alone:
            yield self._fault(event, "refuse", self._connecting.pop(service), 0.0)
            return
        if alone and (service in ("llm", "tts", "backup") or self._broke.get(service) == event.at_ms):
            return  # a trial, or a session that ended with what it spoke: it strikes no other answer
        self._broke[service] = event.at_ms
        which = event.reply_id if service == "llm" else event.utterance_id
        on, began_ms = self._began.get((service, which), (self._counts[service] + (service != "shop"), event.at_ms))
        if service == "stt":
            self._counts["stt"], self._counted = on, True
        kind = _KINDS[event.kind][0]
        reply = self._story.replies.get(-1 if event.reply_id is None else event.reply_id)
        if reply is not None and service == "llm":
            began_ms = event.at_ms if reply.first_ms is None else reply.first_ms
            if kind == "refuse" and reply.first_ms is not None:
                kind = "error"  # it had begun to write
        yield self._fault(event, kind if kind in APPLIES[service] else "cut", on, event.at_ms - began_ms)

    def _fault(self, event: ev.ProviderFailed, kind: Any, on: int, after_ms: float) -> Fault:
        after_ms = 0.0 if kind in ("refuse", "stall") else round(max(0.0, after_ms), 3)
        for_ms = event.retry_after_ms or 0.0 if kind == "refuse" else 0.0
        status = _KINDS[event.kind][1]
        return Fault(service=event.service, kind=kind, on=max(1, on), after_ms=after_ms, for_ms=for_ms, status=status)

    def _slow(self) -> Iterator[Fault]:
        """First outputs that came too late, though nobody said that anything failed."""
        limit_ms = float(self._run.settings.slow_response_ms)
        took: dict[str, list[tuple[int, float]]] = {"llm": [], "tts": [], "avatar": []}
        for reply in self._story.replies.values():
            if reply.first_ms is not None and reply.backup is None:
                took["llm"].append((self._began["llm", reply.reply_id][0], reply.first_ms - reply.asked_ms))
        for said in (one for one in self._story.utterances.values() if not one.failed):
            points = (("tts", said.sent_ms, said.first_audio_ms), ("avatar", said.first_audio_ms, said.started_ms))
            for service, began_ms, came_ms in points:
                if began_ms is not None and came_ms is not None and (service, said.utterance_id) in self._began:
                    took[service].append((self._began[service, said.utterance_id][0], came_ms - began_ms))
        struck = {(fault.service, fault.on) for fault in self._given}
        for service, waits in took.items():
            usual_ms = median([ms for _, ms in waits if ms <= limit_ms] or [USUAL_MS[service]])
            for on, ms in waits:
                if ms > limit_ms and (service, on) not in struck:
                    yield Fault(service=service, kind="slow", on=on, for_ms=round(ms - usual_ms, 3))  # type: ignore[arg-type]


def _fails(kind: str) -> bool:
    """Whether a fault of this kind shows as a failure."""
    return kind in ("refuse", "cut", "stall", "error", "garble")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One outage three times: as it was recorded, and the same lines and faults simulated with fallback off and on."""

    faults: tuple[Fault, ...]
    recorded: Run
    off: Run
    on: Run

    def figures(self) -> dict[str, dict[str, int | float | None]]:
        """By «recorded», «off» and «on»: what the customer noticed. Times in ms; `said`: of the customer, heard or not."""
        said = len(script_of(self.recorded).lines)
        return {name: {"said": said, **_noticed(getattr(self, name))} for name in ("recorded", "off", "on")}

    def _repr_html_(self) -> str:
        runs = {"as recorded": self.recorded, "fallback off": self.off, "fallback on": self.on}
        turns = [
            {turn.turn_id: turn for turn in run.shown().ledger if turn.kind != "greeting"} for run in runs.values()
        ]
        numbers = dict.fromkeys(number for ledger in turns for number in ledger)
        rows = []
        for number in numbers:
            asked = next(ledger[number].customer for ledger in turns if number in ledger)
            rows.append((Figure(str(number)), asked, *(_told(ledger.get(number)) for ledger in turns)))
        heads = tuple(f"{name} ({run.mix})" for name, run in runs.items())
        faults = "; ".join(f"{fault.service} {fault.on}: {fault}" for fault in self.faults) or "none"
        caption = f"What went wrong: {faults}. Milliseconds from the customer's last word to Clara's first sound."
        return table(rows, ("turn", "customer", *heads), caption)

    def __repr__(self) -> str:
        told = (f"{name}: {figures}" for name, figures in self.figures().items())
        return f"<Outage of {len(self.faults)} faults; {'; '.join(told)}>"


def outage(run: Run) -> Outage:
    """The same conversation with what went wrong in it, simulated with automatic fallback off and on."""
    faults = faults_of(run)
    if not any(turn.kind != "greeting" for turn in run.ledger):
        raise RunLogError("The customer said nothing in this conversation.", hint="choose another one.")
    off, on = (again(run, faults=faults, enable_auto_fallback=so) for so in (False, True))
    return Outage(faults=faults, recorded=run, off=off, on=on)


def _told(turn: Turn | None) -> Any:
    if turn is None:
        return "–"
    waited = "no answer" if turn.total_ms is None else f"{turn.total_ms:.0f}\u00a0ms"
    return Html("<br>".join((waited, *(f"<small>{escape(note)}</small>" for note in turn.notes))))


def _noticed(run: Run) -> dict[str, int | float | None]:
    turns = [turn for turn in run.ledger if turn.kind != "greeting"]
    waits = [turn.total_ms for turn in turns if turn.total_ms is not None]
    return {
        "turns": len(turns),
        "answered": len(waits),
        "by_backup": sum(turn.backup for turn in turns),
        "read_only": sum(turn.shown for turn in turns),
        "asked_again": sum(turn.asked_again for turn in turns),
        "longest_wait_ms": round(max(waits), 1) if waits else None,
    }
