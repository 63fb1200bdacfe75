"""Walk through a conversation event by event, forwards and backwards, and ask any moment why.

A recorded run is decided again up to the chosen event: decisions are pure, so what is shown is what was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.history import without_notes
from clara_kit.conversation.talk import Talk
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.outside import printable
from clara_kit.core.profile import fill
from clara_kit.core.records import HeardEstimated, Ignored, Record, StateChanged
from clara_kit.core.settings import Settings
from clara_kit.lab.sentences import Language, fares, followed, frame, happened
from clara_kit.measure import codec
from clara_kit.turns import usual_policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One turn of what Clara remembers. `unheard`: what she had begun to say and the customer never heard."""

    role: str
    text: str
    unheard: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The conversation right after event number `step` (from 0)."""

    step: int
    at_ms: float
    title: str
    plain: tuple[str, ...]
    """What happened and what followed, in plain sentences; the first is the title."""
    event: str
    """The name of the event's class; `fields` are the event's own."""
    fields: dict[str, Any]
    state: str
    decided: tuple[tuple[str, str], ...]
    """What followed, each with its reason."""
    said: tuple[Said, ...]
    timers: tuple[str, ...]
    services: tuple[str, ...] = ()
    """How each service fares that is not simply well, and what stands in its place; a sentence each."""
    language: Language = "en"

    @property
    def why(self) -> str:
        """What happened and what followed from it: first in plain sentences, then as an engineer wants it."""
        at = frame("at", self.language).format(seconds=f"{self.at_ms / 1000:.3f}")
        lines = [f"{at} {' '.join(self.plain)}"]
        lines += [f"  {frame('engineers', self.language)}: {self.event}, {self.state}"]
        lines += [f"  {what}, because {reason}." for what, reason in self.decided]
        return "\n".join((*lines, *(f"  {service}" for service in self.services)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a view."""
        fields = {k: str(v) for k, v in self.fields.items()}
        return {**asdict(self), "at_ms": round(self.at_ms, 1), "fields": fields}

    def __repr__(self) -> str:
        return printable(self.why)


EVERY = 100  # events between two snapshots: what a step decides again at the most


_NONE: Mapping[str, str] = MappingProxyType({})


class Stepper:
    """The events of a trace, one step each. Raises `IndexError` outside of them.

    words: what the placeholders of the trace stand for. It is decided with the placeholders, as it was, and told with the
    words: a name of another length would have been cut elsewhere.
    """

    def __init__(
        self, trace: Sequence[Record], settings: Settings, language: Language = "en", words: Mapping[str, str] = _NONE
    ) -> None:
        self.language, self._words = language, words
        self._events = [r for r in trace if isinstance(r, ev.Event)]
        self.telling = tuple(_telling(trace))
        """(step, time) of each event upon which something was decided that a customer could notice."""
        self._cuts = [r for r in trace if isinstance(r, HeardEstimated) and r.heard and r.unheard]
        # The state before the event of this number:
        self._snapshots = {0: Conversation(settings, policies=usual_policies()).snapshot()}

    def __len__(self) -> int:
        return len(self._events)

    def moment(self, step: int) -> Moment:
        """The moment right after event number `step`."""
        if not 0 <= step < len(self._events):
            raise IndexError(f"There is no step {step}; there are {len(self._events)}, from 0.")
        conversation = self._before(step)
        before = len(conversation.trace)
        conversation.handle(self._events[step])
        followed_by = (r for r in conversation.trace[before:] if not isinstance(r, ev.Event))
        event, *decided = codec.reveal((self._events[step], *followed_by), self._words)
        title, data = happened(event, self.language), codec.to_dict(event)
        timers = (f"{kind} at {timer.due_ms / 1000:.2f} s" for kind, timer in conversation.talk.timers.items())
        fare = (fares(name, health, self.language) for name, health in conversation.talk.services.items())
        return Moment(
            step=step, services=tuple(filter(None, fare)), at_ms=event.at_ms, title=title, language=self.language, state=str(conversation.state),
            plain=(title, *(followed(decided, self.language) or (frame("nothing", self.language),))),
            event=type(event).__name__, timers=tuple(timers), decided=tuple(map(_decision, decided)),
            fields={k: v for k, v in data.items() if k not in ("type", "at_ms", "words") and v != ""},
            said=self._said(conversation, event.at_ms),
        )  # fmt: skip

    def knows(self, step: int, before: Talk) -> Stepper:
        """The same, where somebody has decided up to event `step` already: the state before it."""
        self._snapshots[step] = before
        return self

    def _before(self, step: int) -> Conversation:
        """The conversation right before event number `step`: from the nearest snapshot, leaving some on the way."""
        near = max(n for n in self._snapshots if n <= step)
        conversation = Conversation(talk=self._snapshots[near].copy(), policies=usual_policies())
        for number in range(near, step):
            if number % EVERY == 0:
                self._snapshots.setdefault(number, conversation.snapshot())
            conversation.handle(self._events[number])
        return conversation

    def _said(self, conversation: Conversation, until_ms: float) -> tuple[Said, ...]:
        cuts = [r for r in self._cuts if r.at_ms <= until_ms]

        def unheard(text: str) -> str:
            return next((r.unheard for r in reversed(cuts) if text.endswith(r.heard)), "")

        return tuple(
            Said(
                role=m.role,
                text=fill(text, self._words),
                unheard=fill(unheard(m.text), self._words) if m.role == "assistant" else "",
            )
            for m in conversation.history.said
            if (text := without_notes(m.text))  # what is told to the model in the customer's place nobody has said
        )

    def nearest(self, at_ms: float) -> int:
        """The step of the last event up to a time."""
        return max((n for n, e in enumerate(self._events) if e.at_ms <= at_ms), default=0)


_QUIET = (do.SetTimer, do.CancelTimer, do.EndSpeech, Ignored)


def _telling(trace: Sequence[Record]) -> Iterator[tuple[int, float]]:
    step, told, at_ms = -1, -1, 0.0
    for record in trace:
        if isinstance(record, ev.Event):
            step, at_ms = step + 1, record.at_ms
        elif step > told and not isinstance(record, _QUIET):
            told = step
            yield step, at_ms


def _decision(record: Record) -> tuple[str, str]:
    """What was decided, and why."""
    if isinstance(record, HeardEstimated):
        why = f"{record.method}, give or take {record.plus_minus_words} words"
        return f"heard «{record.heard}», unheard «{record.unheard}»", why
    name = type(record).__name__
    what = _DECISIONS.get(type(record), lambda r: name)
    return what(record), getattr(record, "reason", "it came with it")


_DECISIONS: dict[type, Callable[[Any], str]] = {
    StateChanged: lambda r: f"{r.source} → {r.target}",
    Ignored: lambda r: "ignored",
    do.Speak: lambda r: f"Speak «{r.text}»",
    do.SwitchTo: lambda r: f"SwitchTo {r.service}: {r.target or 'what stood there first'}",
    do.ProbePrimary: lambda r: f"ProbePrimary {r.service}",
    do.OpenBackup: lambda r: f"OpenBackup, told {len(r.messages)} messages{', and it hears' if r.hears else ''}",
    do.AskBackup: lambda r: f"AskBackup «{r.text}»",
    do.ShowText: lambda r: f"ShowText «{r.text}»",
    do.Duck: lambda r: f"Duck {'on' if r.on else 'off'}",
    do.SetTimer: lambda r: f"SetTimer {r.timer_id.partition('#')[0]}",
    do.CancelTimer: lambda r: f"CancelTimer {r.timer_id.partition('#')[0]}",
    do.RaiseAlert: lambda r: f"RaiseAlert {r.name}: {r.message}",
    do.Notify: lambda r: f"Notify: {r.message}",
}
