"""A record in stretches, each with the settings that could change it: for whoever asks many settings about many records.

What no decision reads cannot change one. So the record is decided again once, cut where no timer runs and no sound is held.
Wherever judgement is asked on the way, it is asked at once under all other settings that differ in what was read; who
answers the same goes on with the rest. So a stretch has to be decided anew only under settings that answer otherwise in it,
or that mechanics read, and only until the state is again what it was. What comes out is what `deciding.Again` says of the
whole record (a test holds it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from msgspec.structs import replace

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.policies import ROOM, Policies
from clara_kit.conversation.policy import Decision, Question
from clara_kit.conversation.talk import Reply, Talk
from clara_kit.core import events as ev
from clara_kit.core.records import Record
from clara_kit.core.settings import Settings
from clara_kit.lab.deciding import Again, Changed, Departure, changes
from clara_kit.lab.recorded import Recorded

Step: TypeAlias = "tuple[int, ev.Event, tuple[Record, ...]]"
_RETRY = ("max_retries", "initial_retry_delay_ms", "retry_backoff_multiplier", "max_retry_delay_ms", "retry_jitter")
_WHOLE = frozenset(("enable_chunked_heygen", "history_max_messages"))  # with these the state is another all along
_STATE = tuple(
    f.name
    for f in fields(Talk)
    if f.name not in ("settings", "machine", "history", "replies", "timers_set", "watches_set")
)
SHORT = 6  # events; a stretch this short is not worth a cut


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Some events of a record, the state before them, and under which settings they have to be decided anew."""

    before: Talk
    steps: list[Step]
    anew: frozenset[str]


class Stretches:
    """A record, to be decided again under settings by their names."""

    def __init__(self, recorded: Recorded, was: Settings, choices: Mapping[str, Settings], policies: Policies) -> None:
        self.recorded, self._choices, self._policies = recorded, choices, policies
        self._changed = {name: changes(was, settings).keys() for name, settings in choices.items()}
        self._steps = [*_joined(recorded)]
        whole = any(type(event) is ev.SettingsChanged for _, event, _ in self._steps)
        self._stretches = [] if whole else self._cut(was)

    def _cut(self, was: Settings) -> list[_Stretch]:
        """None where another version decided otherwise: nothing of it is known to be the same then."""
        watch = _Watch(was, self._choices, self._changed)
        conversation = Conversation(watch.reading, policies=watch.over(self._policies))
        own = Again(self.recorded, (), conversation)
        found: list[_Stretch] = []
        begun, before = 0, _kept(conversation, was)
        for n, step in enumerate(self._steps):
            talk = conversation.talk
            if n - begun >= SHORT and not talk.timers and talk.held is None:
                found.append(_Stretch(before, self._steps[begun:n], watch.taken()))
                begun, before = n, _kept(conversation, was)
            if own.play((step,)).differs is not None:
                return []
        return [*found, _Stretch(before, self._steps[begun:], watch.taken())]

    def again(self, name: str) -> tuple[Changed | None, Departure | None]:
        """What is decided otherwise first under these settings, and where a service is first asked for something else."""
        settings, changed = self._choices[name], self._changed[name]
        if not self._stretches or not _WHOLE.isdisjoint(changed):
            steps = _apart(self.recorded) if "enable_chunked_heygen" in changed else self._steps
            again = Again(self.recorded, changed, Conversation(settings, policies=self._policies)).play(steps)
            return again.differs, again.departed
        differs: Changed | None = None
        on: Again | None = None  # what goes on, where the state is not what it was
        for stretch in self._stretches:
            if on is not None and not on.waits and _alike(on.conversation.talk, stretch.before):
                on = None
            if on is None:
                if name not in stretch.anew:
                    continue
                talk = stretch.before.copy()
                talk.settings = settings
                on = Again(self.recorded, changed, Conversation(policies=self._policies, talk=talk), differs)
            if on.play(stretch.steps).departed is not None:
                return on.differs, on.departed
            differs = on.differs
        return differs, None


def _kept(conversation: Conversation, settings: Settings) -> Talk:
    """The state, with these settings in place of those that note who reads them."""
    talk = conversation.talk
    reading, talk.settings = talk.settings, settings
    kept, talk.settings = talk.copy(), reading
    return kept


def _apart(recorded: Recorded) -> Iterator[Step]:
    return ((n, event, then) for n, (event, then) in enumerate(recorded.steps))


def _joined(recorded: Recorded) -> Iterator[Step]:
    """The events, deltas upon which nothing was decided joined with the next: how a text was fed does not change its cut."""
    before, steps = "", recorded.steps
    for n, (event, then) in enumerate(steps):
        if type(event) is ev.ReplyDelta:
            following = steps[n + 1][0] if n + 1 < len(steps) else None
            if not then and type(following) is ev.ReplyDelta and following.reply_id == event.reply_id:
                before += event.text
                continue
            if before:
                event, before = replace(event, text=before + event.text), ""
        yield n, event, then


def _alike(one: Talk, other: Talk) -> bool:
    """The same state, apart from settings, the words of a reason, and how many timers there have been."""
    if one.machine.state is not other.machine.state or not one.history.is_like(other.history):
        return False
    if [*map(_written, one.replies.values())] != [*map(_written, other.replies.values())]:
        return False
    return all(getattr(one, name) == getattr(other, name) for name in _STATE)


def _written(reply: Reply) -> tuple[Any, ...]:
    kind: Any = type(reply.chunker)
    text = [getattr(reply.chunker, name) for name in kind.__slots__]
    return kind, text, reply.reply_id, reply.phase, reply.said_something


class _Watch:
    """Notes which of the other settings would have been answered otherwise, or were read by no policy."""

    def __init__(self, was: Settings, choices: Mapping[str, Settings], changed: Mapping[str, Any]) -> None:
        self.names: set[str] = set()  # settings that mechanics have read
        self.reading: Any = _Reading(was, self.names)
        self._choices, self._changed = choices, changed
        self._otherwise: set[str] = set()

    def over(self, policies: Policies) -> Policies:
        """The same judgement, watched."""
        rooms: dict[str, Any] = {room: (_Watched(getattr(policies, room), self),) for room in ROOM.values()}
        return Policies(**rooms)

    def compare(self, rules: Any, talk: Talk, question: Question, read: set[str], decision: Decision) -> None:
        """Ask again under all settings that differ in what was read."""
        for name, changed in self._changed.items():
            if name not in self._otherwise and not changed.isdisjoint(read):
                talk.settings = self._choices[name]
                try:
                    if _bare(_first(rules, talk, question)[1]) != _bare(decision):
                        self._otherwise.add(name)
                finally:
                    talk.settings = self.reading

    def taken(self) -> frozenset[str]:
        """The settings under which the events since this was asked last have to be decided anew."""
        mechanics = {name for name, changed in self._changed.items() if not changed.isdisjoint(self.names)}
        found = frozenset(self._otherwise | mechanics)
        self._otherwise.clear()
        self.names.clear()
        return found


class _Watched:
    """Stands for the rules of a room: answers as they do, by the name of the one that does."""

    def __init__(self, rules: Any, watch: _Watch) -> None:
        self._rules, self._watch, self.name = rules, watch, ""

    def decide(self, talk: Talk, question: Question) -> Decision | None:
        read: set[str] = set()
        reading: Any = talk.settings
        talk.settings = reading.noting(read)
        try:
            self.name, decision = _first(self._rules, talk, question)
        finally:
            talk.settings = reading
        if read and decision is not None:
            self._watch.compare(self._rules, talk, question, read, decision)
        return decision


def _first(rules: Any, talk: Talk, question: Question) -> tuple[str, Decision | None]:
    for rule in rules:
        decision = rule.decide(talk, question)
        if decision is not None:
            return rule.name, decision
    return "", None


def _bare(decision: Decision | None) -> Any:
    """A decision without the words of its reason."""
    if decision is None:
        return None
    return type(decision), [getattr(decision, name) for name in type(decision).__struct_fields__ if name != "reason"]


class _Reading:
    """Settings that note which of them are read."""

    def __init__(self, settings: Any, names: set[str]) -> None:
        self._settings, self._names = settings, names

    def noting(self, names: set[str]) -> _Reading:
        """The same, noted elsewhere."""
        return _Reading(self._settings, names)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._settings, name)
        if name == "flags":
            return _Reading(found, self._names)
        self._names.update(_RETRY if name == "retry" else (name,))
        return found
